#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/header_scan.h"

static struct header_scan scan;
static struct header_field field;

static void next(const char *name, const char *value)
{
	assert_true(header_scan_next(&scan, &field));
	assert_true(span_equal(field.name, span_str(name)));
	assert_true(span_equal(field.value, span_str(value)));
}

static void fields_in_order_and_the_body_behind(void **state)
{
	(void)state;
	header_scan_init(&scan, SPAN("From: a@b\r\nSubject: one\r\n two\r\n\tthree\r\nX-Empty:\r\n"
				     "Old \t: style\r\n\r\nbody: x\r\n"));
	next("From", "a@b");
	assert_true(span_equal(field.raw, SPAN("From: a@b\r\n")));
	next("Subject", "one\r\n two\r\n\tthree");
	assert_true(span_equal(field.raw, SPAN("Subject: one\r\n two\r\n\tthree\r\n")));
	next("X-Empty", "");
	next("Old", "style");
	assert_false(header_scan_next(&scan, &field));
	assert_true(span_equal(header_scan_body(&scan), SPAN("body: x\r\n")));
}

static void garbage_is_given_without_a_name(void **state)
{
	(void)state;
	header_scan_init(&scan, SPAN(" starts folded\r\nFrom someone Mon\r\n: none\r\nA b: c\r\n"
				     "\xc3\xbc: d\r\nLF: only\nLast: no end"));
	next("", "starts folded");
	next("", "From someone Mon");
	next("", ": none");
	next("", "A b: c");
	next("", "\xc3\xbc: d");
	next("LF", "only");
	next("Last", "no end");
	assert_false(header_scan_next(&scan, &field));
	assert_int_equal(header_scan_body(&scan).n, 0);
	header_scan_init(&scan, SPAN_NONE);
	assert_false(header_scan_next(&scan, &field));
	header_scan_init(&scan, SPAN("\nbody"));
	assert_false(header_scan_next(&scan, &field));
	assert_true(span_equal(header_scan_body(&scan), SPAN("body")));
	header_scan_init(&scan, SPAN("\r"));
	next("", "");
	assert_false(header_scan_next(&scan, &field));
}

static void the_first_of_a_name_is_found(void **state)
{
	(void)state;
	const struct span section = SPAN("A: 1\r\nDate: x\r\nDATE: y\r\n\r\nSubject: body\r\n");
	assert_true(header_find(section, SPAN("date"), &field));
	assert_true(span_equal(field.value, SPAN("x")));
	assert_false(header_find(section, SPAN("Subject"), &field));
	assert_false(header_find(SPAN("no field\r\n"), SPAN(""), &field));
}

static void folds_are_taken_out(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 1000);
	header_add_unfolded(&buf, SPAN("one\r\n two\n\tthree"));
	assert_true(span_equal(buf_span(&buf), SPAN("one two\tthree")));
	buf_clear(&buf);
	/* Nothing that could begin a line of its own comes through. */
	header_add_unfolded(&buf, SPAN("a\rb\nc\0d\r\ne\r"));
	assert_true(span_equal(buf_span(&buf), SPAN("a b c d e ")));
	buf_done(&buf);
}

static void names(void **state)
{
	(void)state;
	assert_true(header_name_valid(SPAN("X-Spam!")));
	assert_false(header_name_valid(SPAN("")));
	assert_false(header_name_valid(SPAN("a b")));
	assert_false(header_name_valid(SPAN("a:b")));
	assert_false(header_name_valid(SPAN("a\x7f")));
	assert_false(header_name_valid(SPAN("\xc3\xbc")));
	assert_false(header_name_valid(SPAN("a\r\nb")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_in_order_and_the_body_behind),
		cmocka_unit_test(garbage_is_given_without_a_name),
		cmocka_unit_test(the_first_of_a_name_is_found),
		cmocka_unit_test(folds_are_taken_out),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
