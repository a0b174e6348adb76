/*
 * A span is a view of bytes that somebody else owns: wire data, a part of a buffer, a literal.
 * It is not terminated by a NUL and may hold any byte.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE     ((struct span){NULL, 0})

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){(const char *)p, n};
}

static inline struct span span_str(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII lower case; other bytes, UTF-8 among them, are left alone. Independent of the locale. */
static inline char ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}

static inline bool span_equal_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool span_starts_nocase(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_equal_nocase(span_of(s.p, prefix.n), prefix);
}

static inline bool span_ends_nocase(struct span s, struct span suffix)
{
	return s.n >= suffix.n &&
	       span_equal_nocase(span_of(s.p + s.n - suffix.n, suffix.n), suffix);
}

/* Without its first n bytes; the empty span where it is shorter. */
static inline struct span span_skip(struct span s, size_t n)
{
	if (n > s.n)
		n = s.n;
	/* Nothing may be added to the pointer of nothing, not even 0. */
	return n ? (struct span){s.p + n, s.n - n} : s;
}

static inline struct span span_trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_skip(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Position of the byte, or s.n. */
static inline size_t span_find(struct span s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

#endif
