/*
 * A file that an administrator named, as a whole: what is no file (a pipe, a device) keeps nobody
 * waiting, and what is too long is not read to its end.
 */
#ifndef ROLE_PLAIN_FILE_H
#define ROLE_PLAIN_FILE_H

#include "base/buf.h"

#define PLAIN_FILE_PIECE 4096 /* read at a time */

/* Blocks a little. It comes behind what is in `out`, whose bound is one PLAIN_FILE_PIECE more than
 * what is to go in. ERR_NOT_FOUND, ERR_DENIED, ERR_UNSUPPORTED: no file; ERR_LIMIT: longer than
 * `most`, or no memory; … */
int plain_file_read(struct span path, size_t most, struct buf *out);

#endif
