#include "base/buf.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 256 /* bytes of the first allocation */

void buf_init(struct buf *buf, size_t bound)
{
	*buf = (struct buf){.bound = bound};
}

void buf_done(struct buf *buf)
{
	free(buf->p);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->n = 0;
	buf->overflow = false;
}

/* Room for `more` bytes behind those in use, whatever the bound. */
static bool grow(struct buf *buf, size_t more)
{
	size_t room = buf->room ? buf->room : BUF_FIRST;

	if (more <= buf->room - buf->n)
		return true;
	if (more > SIZE_MAX / 2 - buf->n)
		return false;
	while (room - buf->n < more)
		room *= 2;
	char *p = realloc(buf->p, room);
	if (!p)
		return false;
	buf->p = p;
	buf->room = room;
	return true;
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (buf->overflow || n > buf->bound - buf->n || !grow(buf, n)) {
		buf->overflow = true;
		return NULL;
	}
	return buf->p + buf->n;
}

void buf_wrote(struct buf *buf, size_t n)
{
	CHECK(n <= buf->room - buf->n);
	buf->n += n;
}

void buf_add(struct buf *buf, const void *p, size_t n)
{
	char *to = n ? buf_reserve(buf, n) : NULL;
	if (to) {
		memcpy(to, p, n);
		buf->n += n;
	}
}

void buf_add_span(struct buf *buf, struct span span)
{
	buf_add(buf, span.p, span.n);
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		buf->overflow = true;
		return;
	}
	/* The NUL that vsnprintf() adds is not counted, so it needs room but no place in the
	 * bound. */
	if (!buf_reserve(buf, (size_t)n))
		return;
	if (!grow(buf, (size_t)n + 1)) {
		buf->overflow = true;
		return;
	}
	va_start(args, format);
	vsnprintf(buf->p + buf->n, (size_t)n + 1, format, args);
	va_end(args);
	buf->n += (size_t)n;
}

void buf_add_escaped(struct buf *buf, struct span span, size_t most)
{
	static const char hex[] = "0123456789abcdef";
	size_t shown = MIN(span.n, most);

	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)span.p[i];
		if (c >= ' ' && c < 0x7f && c != '\\' && c != '"') {
			buf_add_char(buf, (char)c);
		} else {
			char out[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
			buf_add(buf, out, sizeof(out));
		}
	}
	if (shown < span.n)
		buf_add(buf, "...", 3);
}

void buf_drop(struct buf *buf, size_t n)
{
	CHECK(n <= buf->n);
	if (n && n < buf->n)
		memmove(buf->p, buf->p + n, buf->n - n);
	buf->n -= n;
}

static void put_le(struct buf *buf, uint64_t value, size_t bytes)
{
	unsigned char out[8];

	for (size_t i = 0; i < bytes; i++)
		out[i] = (unsigned char)(value >> (8 * i));
	buf_add(buf, out, bytes);
}

void buf_put_u8(struct buf *buf, uint8_t value)
{
	put_le(buf, value, 1);
}

void buf_put_u16(struct buf *buf, uint16_t value)
{
	put_le(buf, value, 2);
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
	put_le(buf, value, 4);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
	put_le(buf, value, 8);
}

void buf_put_bytes16(struct buf *buf, struct span bytes)
{
	if (bytes.n > UINT16_MAX) {
		buf->overflow = true;
		return;
	}
	buf_put_u16(buf, (uint16_t)bytes.n);
	buf_add_span(buf, bytes);
}

void buf_put_bytes32(struct buf *buf, struct span bytes)
{
	if (bytes.n > UINT32_MAX) {
		buf->overflow = true;
		return;
	}
	buf_put_u32(buf, (uint32_t)bytes.n);
	buf_add_span(buf, bytes);
}
