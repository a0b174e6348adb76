/* What the directory's tests share. */
#ifndef TESTS_DIRECTORY_COMMON_H
#define TESTS_DIRECTORY_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"

/* The buffer as a C string, for the asserts. */
static inline const char *text_of(struct buf *buf)
{
	buf_add_char(buf, '\0');
	assert_true(buf_ok(buf));
	buf->n--;
	return buf->p;
}

static inline void assert_text(struct buf *buf, const char *expected)
{
	assert_string_equal(text_of(buf), expected);
}

static inline void assert_has(struct buf *buf, const char *part)
{
	if (!strstr(text_of(buf), part))
		fail_msg("\"%s\" is not in:\n%s", part, buf->p);
}

static inline void assert_span(struct span span, const char *expected)
{
	if (!span_equal(span, span_str(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", (int)span.n, span.p, expected);
}

/* The objects of the manual and of README. */
#define SAMPLE_OBJECTS                                                                             \
	"# objects.yaml\n"                                                                         \
	"transports:\n"                                                                            \
	"  site-a:   { server: \"127.0.0.1:2626\", retry-delay: \"60,120,180\", retry-count: 30, " \
	"give-up: dsn }\n"                                                                         \
	"  mx-only:  { server: \"lookup-mx:zone=customer.example.org;query=127.0.0.1:5353\", "     \
	"retry-delay: \"1m, 5m*2, 1h*3\" }\n"                                                      \
	"  outbound: { server: \"lookup-mx\" }\n"                                                  \
	"domains:\n"                                                                               \
	"  a.example: { transport: site-a }\n"                                                     \
	"  b.example: { transport: mx-only }\n"                                                    \
	"  c.example: { mailboxes: true }\n"                                                       \
	"accounts:\n"                                                                              \
	"  ann@c.example: {}\n"                                                                    \
	"default-transport: outbound\n"                                                            \
	"postmaster: ann@c.example\n"

#endif
