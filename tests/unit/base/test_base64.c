#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4648 section 10, and bytes of all kinds. */
static const struct {
	struct span plain, coded;
} known[] = {
	{SPAN(""), SPAN("")},
	{SPAN("f"), SPAN("Zg==")},
	{SPAN("fo"), SPAN("Zm8=")},
	{SPAN("foo"), SPAN("Zm9v")},
	{SPAN("foob"), SPAN("Zm9vYg==")},
	{SPAN("fooba"), SPAN("Zm9vYmE=")},
	{SPAN("foobar"), SPAN("Zm9vYmFy")},
	{SPAN("\xff\xfe\0\x3e"), SPAN("//4APg==")},
};

static void known_pairs(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		buf_clear(&out);
		base64_add(&out, known[i].plain);
		assert_true(span_equal(buf_span(&out), known[i].coded));
		buf_clear(&out);
		assert_true(base64_decode(known[i].coded, &out));
		assert_true(span_equal(buf_span(&out), known[i].plain));
	}
	buf_done(&out);
}

static void what_is_none(void **state)
{
	static const struct span none[] = {SPAN("Z"), SPAN("Zg"), SPAN("Zg="), SPAN("Z==="),
		SPAN("===="), SPAN("Zg==Zm8="), SPAN("Zm9\n"), SPAN("Zm 8"), SPAN("Zm-_"),
		SPAN("Z=8="), SPAN("Zm9v\0Zm9"), SPAN("Zm\0v")};
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(base64_decode(none[i], &out));
	buf_done(&out);
}

static void what_does_not_fit(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4);
	assert_false(base64_decode(SPAN("Zm9vYmFy"), &out));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_pairs),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
