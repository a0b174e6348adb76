/*
 * A buffer over memory that has its size already (an array, a piece of an arena): nothing is
 * allocated, and nothing left behind in memory that was given back. What does not fit is refused,
 * as ever. Not for buf_printf(), which needs a byte more than it writes, and not for buf_done().
 */
#ifndef CODEC_FIXED_BUF_H
#define CODEC_FIXED_BUF_H

#include "base/buf.h"

static inline struct buf fixed_buf(void *memory, size_t room)
{
	return (struct buf){.p = (char *)memory, .room = room, .bound = room};
}

#endif
