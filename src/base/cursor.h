/*
 * Reads back what buf_put_*() wrote, from bytes that may be damaged or hostile. The error sticks:
 * after the first read past the end every read gives zero or the empty span, and cursor_ok() says
 * so once at the end. Spans point into the input.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct cursor {
	const char *p;
	const char *end;
	bool failed;
};

static inline struct cursor cursor_of(struct span in)
{
	return (struct cursor){in.p, in.n ? in.p + in.n : in.p, false};
}

static inline bool cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->p);
}

static inline struct span cursor_bytes(struct cursor *c, size_t n)
{
	if (c->failed || (size_t)(c->end - c->p) < n) {
		c->failed = true;
		return SPAN_NONE;
	}
	struct span out = {c->p, n};
	if (n)
		c->p += n;
	return out;
}

static inline uint64_t cursor_le(struct cursor *c, size_t bytes)
{
	struct span in = cursor_bytes(c, bytes);
	uint64_t value = 0;
	for (size_t i = 0; i < in.n; i++)
		value |= (uint64_t)(unsigned char)in.p[i] << (8 * i);
	return value;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_le(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)cursor_le(c, 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)cursor_le(c, 4);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	return cursor_le(c, 8);
}

static inline struct span cursor_bytes16(struct cursor *c)
{
	size_t n = cursor_u16(c);
	return cursor_bytes(c, n);
}

static inline struct span cursor_bytes32(struct cursor *c)
{
	size_t n = cursor_u32(c);
	return cursor_bytes(c, n);
}

#endif
