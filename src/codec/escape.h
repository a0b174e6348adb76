/*
 * Bytes that are written as a character and two hex digits: "%2C" in a URI (RFC 3986 section 2.1),
 * "+2C" in xtext (RFC 3461 section 4), where that is read in either case.
 */
#ifndef CODEC_ESCAPE_H
#define CODEC_ESCAPE_H

#include "base/arena.h"
#include "base/span.h"

/* In the arena. ERR_SYNTAX: `escape` without two digits behind it; ERR_NOMEM. */
int escape_decode(struct span in, char escape, struct arena *arena, struct span *out);

#endif
