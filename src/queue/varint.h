/*
 * Numbers of variable length in what the queue keeps: seven bits a byte, the lowest first; zigzag
 * where they may be negative. What is read may be damaged.
 */
#ifndef QUEUE_VARINT_H
#define QUEUE_VARINT_H

#include "base/buf.h"
#include "base/cursor.h"

#define VARINT_MOST 10 /* bytes of a number */

static inline void put_number(struct buf *out, uint64_t value)
{
	while (value >= 0x80) {
		buf_put_u8(out, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	buf_put_u8(out, (uint8_t)value);
}

static inline void put_signed(struct buf *out, int64_t value)
{
	uint64_t twice = (uint64_t)value << 1;

	put_number(out, value < 0 ? ~twice : twice);
}

/* As much of it as `most`. */
static inline void put_text(struct buf *out, struct span text, size_t most)
{
	size_t n = text.n < most ? text.n : most;

	put_number(out, n);
	buf_add(out, text.p, n);
}

static inline uint64_t get_number(struct cursor *in)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_MOST; i++) {
		uint8_t byte = cursor_u8(in);

		if (i == VARINT_MOST - 1 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return value;
	}
	in->failed = true;
	return 0;
}

static inline uint64_t get_bounded(struct cursor *in, uint64_t most)
{
	uint64_t value = get_number(in);

	if (value > most)
		in->failed = true;
	return in->failed ? 0 : value;
}

static inline int64_t get_signed(struct cursor *in)
{
	uint64_t raw = get_number(in);

	return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

static inline struct span get_text(struct cursor *in, size_t most)
{
	return cursor_bytes(in, get_bounded(in, most));
}

#endif
