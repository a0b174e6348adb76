#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/sasl.h"

static void names_are_read_and_written(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100);
	assert_string_equal(sasl_name(SASL_PLAIN), "PLAIN");
	assert_string_equal(sasl_name(SASL_SCRAM_SHA_256_PLUS), "SCRAM-SHA-256-PLUS");
	assert_int_equal(sasl_parse_name(SPAN("plain")), SASL_PLAIN);
	assert_int_equal(sasl_parse_name(SPAN("Scram-Sha-256")), SASL_SCRAM_SHA_256);
	assert_int_equal(sasl_parse_name(SPAN("SCRAM-SHA-256-PLU")), 0);
	assert_int_equal(sasl_parse_name(SPAN("")), 0);
	sasl_add_names(&out, SASL_LOGIN | SASL_PLAIN | SASL_SCRAM_SHA_256_PLUS);
	assert_true(span_equal(buf_span(&out), SPAN("SCRAM-SHA-256-PLUS PLAIN LOGIN")));
	buf_clear(&out);
	sasl_add_names(&out, 0);
	assert_int_equal(out.n, 0);
	buf_done(&out);
}

static void of_a_list_the_known_names_are_taken(void **state)
{
	(void)state;
	assert_int_equal(sasl_parse_names(SPAN(" GSSAPI  LOGIN\tXOAUTH2 scram-sha-256 ")),
		SASL_LOGIN | SASL_SCRAM_SHA_256);
	assert_int_equal(sasl_parse_names(SPAN("PLAIN PLAIN")), SASL_PLAIN);
	assert_int_equal(sasl_parse_names(SPAN("PLAIN,LOGIN")), 0);
	assert_int_equal(sasl_parse_names(SPAN_NONE), 0);
}

static void plain_has_three_parts(void **state)
{
	(void)state;
	struct span authzid, user, password;
	assert_int_equal(
		sasl_plain_parse(SPAN("\0tim\0tanstaaftanstaaf"), &authzid, &user, &password), 0);
	assert_int_equal(authzid.n, 0);
	assert_true(span_equal(user, SPAN("tim")));
	assert_true(span_equal(password, SPAN("tanstaaftanstaaf")));
	assert_int_equal(sasl_plain_parse(SPAN("Ursel\0Kurt\0xipj3plmq\xc3\xbc"), &authzid, &user,
				 &password),
		0);
	assert_true(span_equal(authzid, SPAN("Ursel")));
	assert_true(span_equal(user, SPAN("Kurt")));
	assert_true(span_equal(password, SPAN("xipj3plmq\xc3\xbc")));
}

static void what_is_no_plain_message_is_refused(void **state)
{
	(void)state;
	static const struct span bad[] = {
		{NULL, 0}, {"tim", 3}, {"\0", 1}, {"\0\0", 2}, {"\0tim", 4},
		{"\0tim\0", 5},				/* no password */
		{"\0\0secret", 8},			/* no user */
		{"a\0\0secret", 9}, {"\0tim\0a\0b", 8}, /* a NUL in the password */
		{"\0tim\0a\0", 7}, {"\0t\xffm\0secret", 11}, {"\0tim\0\xe9", 6}, /* Latin 1 */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span authzid = SPAN("x"), user = SPAN("y"), password = SPAN("z");
		assert_int_equal(sasl_plain_parse(bad[i], &authzid, &user, &password), ERR_SYNTAX);
		assert_true(span_equal(authzid, SPAN("x")) && span_equal(user, SPAN("y")));
		assert_true(span_equal(password, SPAN("z")));
	}
}

static void plain_is_written_as_it_is_read(void **state)
{
	(void)state;
	struct span authzid, user, password;
	struct buf out;
	buf_init(&out, 100);
	sasl_plain_add(&out, SPAN("joe@c.example"), SPAN("pass word"));
	assert_true(span_equal(buf_span(&out), SPAN("\0joe@c.example\0pass word")));
	assert_int_equal(sasl_plain_parse(buf_span(&out), &authzid, &user, &password), 0);
	assert_true(span_equal(password, SPAN("pass word")));
	buf_done(&out);
}

static void a_response_is_decoded_within_its_bound(void **state)
{
	(void)state;
	struct arena arena;
	struct span out = SPAN("before");
	arena_init(&arena, 10000);
	assert_int_equal(sasl_decode(SPAN("AHRpbQBzZWNyZXQ="), 11, &arena, &out), 0);
	assert_true(span_equal(out, SPAN("\0tim\0secret")));
	assert_int_equal(sasl_decode(SPAN("YWI="), 2, &arena, &out), 0);
	assert_true(span_equal(out, SPAN("ab")));
	assert_int_equal(sasl_decode(SPAN("YQ=="), 1, &arena, &out), 0);
	assert_true(span_equal(out, SPAN("a")));
	assert_int_equal(sasl_decode(SPAN("="), 0, &arena, &out), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(sasl_decode(SPAN_NONE, 0, &arena, &out), 0);
	assert_int_equal(out.n, 0);
	out = SPAN("before");
	assert_int_equal(sasl_decode(SPAN("AHRpbQBzZWNyZXQ="), 10, &arena, &out), ERR_LIMIT);
	assert_true(span_equal(out, SPAN("before")));
	arena_reset(&arena);
}

static void what_is_no_base64_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"Y", "YW", "YWJ", "YWI",
		"==", "===", "====", "Y===", "YQ==YQ==", "YWI= ", " YWI=", "YW I", "YWI\n", "YW-_",
		"=YWI", "*"};
	struct arena arena;
	arena_init(&arena, 10000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span out = SPAN("before");
		assert_int_equal(sasl_decode(span_str(bad[i]), 100, &arena, &out), ERR_SYNTAX);
		assert_true(span_equal(out, SPAN("before")));
	}
	arena_reset(&arena);
}

static void a_full_arena_is_said(void **state)
{
	(void)state;
	struct arena arena;
	struct span out;
	arena_init(&arena, 8);
	assert_int_equal(sasl_decode(SPAN("AHRpbQBzZWNyZXQ="), 100, &arena, &out), ERR_NOMEM);
	arena_reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_and_written),
		cmocka_unit_test(of_a_list_the_known_names_are_taken),
		cmocka_unit_test(plain_has_three_parts),
		cmocka_unit_test(what_is_no_plain_message_is_refused),
		cmocka_unit_test(plain_is_written_as_it_is_read),
		cmocka_unit_test(a_response_is_decoded_within_its_bound),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(a_full_arena_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
