#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/verdict.h"

static void a_reply_is_kept_with_its_codes(void **state)
{
	(void)state;
	struct verdict v;
	verdict_set(&v, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 1, 1}, true,
		SPAN("No such user"));
	assert_int_equal(v.kind, VERDICT_PERMANENT);
	assert_int_equal(v.code, 550);
	assert_int_equal(v.enhanced.detail, 1);
	assert_true(v.remote);
	assert_true(span_equal(verdict_text(&v), SPAN("No such user")));
}

static void control_bytes_cannot_break_out_of_a_line(void **state)
{
	(void)state;
	struct verdict v;
	verdict_set(&v, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 0, 0}, true,
		SPAN("a\r\nb\0c\x1b[d\x7f\t\xc3\xbc"));
	assert_true(span_equal(verdict_text(&v), SPAN("a??b?c?[d?\t\xc3\xbc")));
}

static void long_text_is_cut(void **state)
{
	(void)state;
	static char text[VERDICT_TEXT + 1];
	struct verdict v;
	memset(text, 'x', sizeof(text));
	verdict_set(&v, VERDICT_OK, 250, (struct enhanced_code){2, 0, 0}, false,
		span_of(text, sizeof(text)));
	assert_int_equal(verdict_text(&v).n, VERDICT_TEXT);
	verdict_set(&v, VERDICT_OK, 250, (struct enhanced_code){0, 0, 0}, false, SPAN_NONE);
	assert_int_equal(verdict_text(&v).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_kept_with_its_codes),
		cmocka_unit_test(control_bytes_cannot_break_out_of_a_line),
		cmocka_unit_test(long_text_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
