/*
 * A growing byte buffer with a bound. Errors stick: after the first refused byte nothing more is
 * added, and the writer looks at buf_ok() once, when it is done.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p;
	size_t n;      /* bytes in use */
	size_t room;   /* bytes allocated */
	size_t bound;  /* n never passes it */
	bool overflow; /* sticky */
};

void buf_init(struct buf *buf, size_t bound);
void buf_done(struct buf *buf);

/* Empties it, keeps its memory, clears the overflow. */
void buf_clear(struct buf *buf);

static inline bool buf_ok(const struct buf *buf)
{
	return !buf->overflow;
}

static inline struct span buf_span(const struct buf *buf)
{
	return span_of(buf->p, buf->n);
}

/* Makes room for n more bytes and returns where they go, or NULL; buf_wrote() then counts them
 * in. */
char *buf_reserve(struct buf *buf, size_t n);
void buf_wrote(struct buf *buf, size_t n);

void buf_add(struct buf *buf, const void *p, size_t n);
void buf_add_span(struct buf *buf, struct span span);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_u64(struct buf *buf, uint64_t value); /* decimal */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes from a peer made harmless for a log line or a terminal: printable ASCII but the backslash
 * and the double quote stays, everything else becomes \xHH. At most `most` input bytes are shown,
 * and "..." after them. */
void buf_add_escaped(struct buf *buf, struct span span, size_t most);

/* Removes the first n bytes; what is left moves to the front. */
void buf_drop(struct buf *buf, size_t n);

/* Fixed-width little-endian integers and length-prefixed bytes, for what is kept on disk or sent
 * between roles. struct cursor (base/cursor.h) reads them back. */
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_u16(struct buf *buf, uint16_t value);
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_bytes16(
	struct buf *buf, struct span bytes); /* u16 length, bytes; overflow if longer */
void buf_put_bytes32(struct buf *buf, struct span bytes);

#endif
