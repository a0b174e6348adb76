/*
 * Error numbers of the whole program.
 *
 * A function returns 0 or a negative enum err. What the next hop or a policy says about a message
 * is never an error: that is a struct verdict (codec/verdict.h).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
	ERR_OK = 0,
	ERR_NOMEM = -1,	       /* memory, or a bounded pool, is used up */
	ERR_SYNTAX = -2,       /* the input does not follow its grammar */
	ERR_LIMIT = -3,	       /* a named bound was reached */
	ERR_IO = -4,	       /* the device or the kernel failed: EIO and the like */
	ERR_NO_SPACE = -5,     /* ENOSPC, EDQUOT */
	ERR_NOT_FOUND = -6,    /* no such thing */
	ERR_EXISTS = -7,       /* such a thing is there already */
	ERR_AGAIN = -8,	       /* cannot be done now without waiting */
	ERR_CLOSED = -9,       /* the other side closed, reset, or went away */
	ERR_TIMEOUT = -10,     /* an absolute deadline passed */
	ERR_CORRUPT = -11,     /* stored data fails its checksum or its own rules */
	ERR_DENIED = -12,      /* no permission */
	ERR_UNSUPPORTED = -13, /* this kernel, peer or build cannot do it */
	ERR_REFUSED = -14,     /* connection refused */
	ERR_UNREACHABLE = -15, /* no route to host or network */
	ERR_BUSY = -16,	       /* held by somebody else */
	ERR_CANCELED = -17,    /* given up on purpose */
	ERR_MORE = -18,	       /* the input ends before the thing does: give more */
	ERR_LAST = ERR_MORE
};

/* A short sentence in English for people; never NULL. */
const char *err_text(int err);

/* The enum err for a system errno (positive). */
int err_from_errno(int system_errno);

#endif
