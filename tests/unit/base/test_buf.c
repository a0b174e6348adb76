#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cursor.h"

static void expect(struct buf *buf, const char *text)
{
	assert_true(buf_ok(buf));
	assert_int_equal(buf->n, strlen(text));
	assert_memory_equal(buf->p, text, buf->n);
	buf_clear(buf);
}

static void text_and_numbers_are_appended(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10000);
	buf_add_str(&buf, "a");
	buf_add_char(&buf, 'b');
	buf_add_span(&buf, SPAN("cd"));
	buf_add_span(&buf, SPAN_NONE);
	buf_add_u64(&buf, 0);
	buf_add_u64(&buf, UINT64_MAX);
	buf_printf(&buf, "<%s %d>", "x", -3);
	expect(&buf, "abcd018446744073709551615<x -3>");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&buf, "0123456789");
	assert_true(buf_ok(&buf));
	assert_int_equal(buf.n, 10000);
	buf_done(&buf);
}

static void the_bound_sticks_until_cleared(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 5);
	buf_add_str(&buf, "12345");
	assert_true(buf_ok(&buf));
	buf_add_char(&buf, '6');
	assert_false(buf_ok(&buf));
	buf_drop(&buf, 5);
	buf_add_char(&buf, '7');
	assert_false(buf_ok(&buf));
	assert_int_equal(buf.n, 0);
	buf_clear(&buf);
	buf_add_char(&buf, '7');
	expect(&buf, "7");
	buf_done(&buf);
}

static void dropping_moves_the_rest_to_the_front(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	buf_add_str(&buf, "EHLO a\r\nMAIL");
	buf_drop(&buf, 8);
	buf_drop(&buf, 0);
	expect(&buf, "MAIL");
	char *to = buf_reserve(&buf, 3);
	memcpy(to, "abc", 3);
	buf_wrote(&buf, 2);
	expect(&buf, "ab");
	buf_done(&buf);
}

static void peer_bytes_are_made_harmless(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 1000);
	buf_add_escaped(&buf, SPAN("a\r\n\x1b[2J\"\\\xff\0z"), 100);
	expect(&buf, "a\\x0d\\x0a\\x1b[2J\\x22\\x5c\\xff\\x00z");
	buf_add_escaped(&buf, SPAN("abcdef"), 3);
	expect(&buf, "abc...");
	buf_add_escaped(&buf, SPAN("abc"), 3);
	expect(&buf, "abc");
	buf_done(&buf);
}

static void what_is_put_is_read_back(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 1000);
	buf_put_u8(&buf, 0xab);
	buf_put_u16(&buf, 0x1234);
	buf_put_u32(&buf, 0x12345678);
	buf_put_u64(&buf, 0x123456789abcdef0);
	buf_put_bytes16(&buf, SPAN("hello"));
	buf_put_bytes32(&buf, SPAN(""));
	assert_int_equal((unsigned char)buf.p[1], 0x34); /* little endian, on any machine */
	struct cursor c = cursor_of(buf_span(&buf));
	assert_int_equal(cursor_u8(&c), 0xab);
	assert_int_equal(cursor_u16(&c), 0x1234);
	assert_int_equal(cursor_u32(&c), 0x12345678);
	assert_int_equal(cursor_u64(&c), 0x123456789abcdef0);
	assert_true(span_equal(cursor_bytes16(&c), SPAN("hello")));
	assert_int_equal(cursor_bytes32(&c).n, 0);
	assert_true(cursor_ok(&c));
	assert_int_equal(cursor_left(&c), 0);
	buf_done(&buf);
}

static void reading_past_the_end_sticks(void **state)
{
	(void)state;
	struct cursor c = cursor_of(SPAN("\x05\x00xyz"));
	assert_null(cursor_bytes16(&c).p); /* five bytes promised, three there */
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
	struct cursor none = cursor_of(SPAN_NONE);
	assert_int_equal(cursor_bytes(&none, 0).n, 0);
	assert_true(cursor_ok(&none));
	assert_int_equal(cursor_u32(&none), 0);
	assert_false(cursor_ok(&none));
}

static void lengths_that_do_not_fit_overflow(void **state)
{
	(void)state;
	static char big[UINT16_MAX + 1];
	struct buf buf;
	buf_init(&buf, 1 << 20);
	buf_put_bytes16(&buf, span_of(big, sizeof(big) - 1));
	assert_true(buf_ok(&buf));
	buf_put_bytes16(&buf, span_of(big, sizeof(big)));
	assert_false(buf_ok(&buf));
	buf_done(&buf);
}

static void spans_compare_and_trim(void **state)
{
	(void)state;
	assert_true(span_equal_nocase(SPAN("MAIL"), SPAN("mAiL")));
	assert_false(span_equal_nocase(SPAN("\xc3\x84"), SPAN("\xc3\xa4"))); /* ASCII only */
	assert_false(span_equal(SPAN("a"), SPAN("ab")));
	assert_true(span_equal(SPAN_NONE, SPAN("")));
	assert_true(span_starts_nocase(SPAN("From:<a>"), SPAN("FROM:")));
	assert_false(span_starts_nocase(SPAN("Fro"), SPAN("FROM:")));
	assert_true(span_ends_nocase(SPAN("a.EXAMPLE"), SPAN(".example")));
	assert_true(span_equal(span_trim(SPAN(" \t a b \t")), SPAN("a b")));
	assert_int_equal(span_trim(SPAN(" \t ")).n, 0);
	assert_int_equal(span_skip(SPAN("abc"), 9).n, 0);
	assert_int_equal(span_find(SPAN("abc"), 'c'), 2);
	assert_int_equal(span_find(SPAN("abc"), 'd'), 3);
	assert_int_equal(span_find(SPAN_NONE, 'd'), 0);
}

/* The bound is what may be in it; the NUL of printf is not in it. */
static void test_printf_fills_up_to_the_bound(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 5);
	buf_printf(&buf, "%d", 12345);
	assert_true(buf_ok(&buf));
	assert_int_equal(buf.n, 5);
	assert_memory_equal(buf.p, "12345", 5);
	buf_printf(&buf, "%s", "");
	assert_true(buf_ok(&buf));
	buf_printf(&buf, "%d", 6);
	assert_false(buf_ok(&buf));
	assert_int_equal(buf.n, 5);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printf_fills_up_to_the_bound),
		cmocka_unit_test(text_and_numbers_are_appended),
		cmocka_unit_test(the_bound_sticks_until_cleared),
		cmocka_unit_test(dropping_moves_the_rest_to_the_front),
		cmocka_unit_test(peer_bytes_are_made_harmless),
		cmocka_unit_test(what_is_put_is_read_back),
		cmocka_unit_test(reading_past_the_end_sticks),
		cmocka_unit_test(lengths_that_do_not_fit_overflow),
		cmocka_unit_test(spans_compare_and_trim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
