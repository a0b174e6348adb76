/*
 * How much room a folder's disk has, for who starts a gateway or looks at one from outside:
 * straight system calls, no disk.h.
 */
#ifndef IO_ROOM_H
#define IO_ROOM_H

#include "base/buf.h"

#include <stdint.h>

struct room {
	uint64_t free_bytes;
	uint64_t taken_bytes; /* by files in the folder and in its folders */
};

/* Where the folder is not there yet, of the nearest one above it. What is taken is added up as long
 * as all together is less than `enough`: there may be very many files. ERR_DENIED: not all of it
 * may be looked at; … */
int room_look(const char *folder, uint64_t enough, struct room *out);

/* "23.9 MiB" */
void room_add_size(struct buf *buf, uint64_t bytes);

/*
 * The sentence for a spool whose disk has no room for what its logs set aside: `files` files of
 * `file_bytes`. False: it has. What the spool has taken already counts as its own.
 */
bool room_lacks(const struct room *room, uint64_t files, uint64_t file_bytes, struct buf *out);

#endif
