/*
 * Memory that held a password is overwritten before it is given back. Requests are read by jansson,
 * which makes copies on its way: all that it gives back is wiped.
 */
#ifndef ADMIN_WIPE_H
#define ADMIN_WIPE_H

#include "base/buf.h"

/* From now on, in this process. */
void wipe_json(void);
/* As buf_done(). Only of a buffer that has not grown while it held the secret. */
void wipe_buf(struct buf *buf);

#endif
