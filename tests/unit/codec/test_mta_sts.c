#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "codec/mta_sts.h"

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 604800\n"

static int setup(void **state)
{
	static struct arena arena;
	arena_init(&arena, 1 << 20);
	*state = &arena;
	return 0;
}

static int teardown(void **state)
{
	arena_reset(*state);
	return 0;
}

/* ---- the record ---- */

static void records_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *id;
	} cases[] = {
		{"v=STSv1; id=20160831085700Z;", "20160831085700Z"}, /* RFC 8461 section 3.1 */
		{"v=STSv1;id=1", "1"},
		{"v=STSv1 ;\t id = aZ09 ; ", "aZ09"},
		{"v=STSv1; ext=a:b/c; id=2; x-y_z.1=!", "2"},
		{"v=STSv1; id=12345678901234567890123456789012",
			"12345678901234567890123456789012"},
		{"v=STSv1; id=1; id=2", "1"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span id;
		assert_int_equal(mta_sts_record(span_str(cases[i].text), &id), 0);
		assert_true(span_equal(id, span_str(cases[i].id)));
	}
}

static void other_records_are_told_from_broken_ones(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"", ERR_NOT_FOUND},
		{"v=spf1 -all", ERR_NOT_FOUND},
		{"v=STSv2; id=1", ERR_NOT_FOUND},
		{"v=stsv1; id=1", ERR_NOT_FOUND},
		{"V=STSv1; id=1", ERR_NOT_FOUND},
		{" v=STSv1; id=1", ERR_NOT_FOUND},
		{"v = STSv1; id=1", ERR_NOT_FOUND},
		{"v=STSv1", ERR_NOT_FOUND},
		{"v=STSv1 id=1", ERR_NOT_FOUND},
		{"v=STSv10; id=1", ERR_NOT_FOUND},
		{"v=STSv1;", ERR_SYNTAX},
		{"v=STSv1; id", ERR_SYNTAX},
		{"v=STSv1; id=", ERR_SYNTAX},
		{"v=STSv1; ID=1", ERR_SYNTAX},
		{"v=STSv1; id=a-b", ERR_SYNTAX},
		{"v=STSv1; id=a b", ERR_SYNTAX},
		{"v=STSv1; id=\xc3\xa4", ERR_SYNTAX},
		{"v=STSv1; id=123456789012345678901234567890123", ERR_SYNTAX},
		{"v=STSv1;; id=1", ERR_SYNTAX},
		{"v=STSv1; id=1;;", ERR_SYNTAX},
		{"v=STSv1; id=1; junk", ERR_SYNTAX},
		{"v=STSv1; id=1; =x", ERR_SYNTAX},
		{"v=STSv1; id=1; -a=x", ERR_SYNTAX},
		{"v=STSv1; id=1; a=x y", ERR_SYNTAX},
		{"v=STSv1; id=1; a=x=y", ERR_SYNTAX},
		{"v=STSv1; id=1; a=\x01", ERR_SYNTAX},
		{"v=STSv1; other=1", ERR_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span id = SPAN("before");
		assert_int_equal(mta_sts_record(span_str(cases[i].text), &id), cases[i].err);
		assert_true(span_equal(id, SPAN("before")));
	}
}

#define OTHER	SPAN("\x0bv=spf1 -all")
#define GOOD	SPAN("\x0dv=STSv1; id=1")
#define SPLIT	SPAN("\x03v=S\x00\x0aTSv1; id=2")
#define BROKEN	SPAN("\x0dv=STSv1; id=-")
#define CUT_OFF SPAN("\x0ev=STSv1; id=1")
#define FIND(...)                                               \
	mta_sts_find_record((const struct span[]){__VA_ARGS__}, \
		sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span), *state, &id)

static void exactly_one_record_has_to_be_there(void **state)
{
	struct span id;
	assert_int_equal(FIND(OTHER, GOOD, OTHER), 0);
	assert_true(span_equal(id, SPAN("1")));
	assert_int_equal(FIND(SPLIT), 0);
	assert_true(span_equal(id, SPAN("2")));
	assert_int_equal(FIND(SPAN_NONE, CUT_OFF, GOOD), 0);
	assert_int_equal(FIND(OTHER), ERR_NOT_FOUND);
	assert_int_equal(FIND(GOOD, SPLIT), ERR_NOT_FOUND);
	assert_int_equal(FIND(GOOD, GOOD), ERR_NOT_FOUND);
	assert_int_equal(FIND(GOOD, BROKEN), ERR_NOT_FOUND);
	assert_int_equal(FIND(BROKEN), ERR_NOT_FOUND);
	assert_int_equal(FIND(CUT_OFF), ERR_NOT_FOUND);
	assert_int_equal(mta_sts_find_record(NULL, 0, *state, &id), ERR_NOT_FOUND);
	struct arena small;
	arena_init(&small, 0);
	assert_int_equal(mta_sts_find_record(&GOOD, 1, &small, &id), ERR_NOMEM);
	arena_reset(&small);
}

/* ---- the policy ---- */

static void the_policy_of_the_rfc_is_read(void **state)
{
	struct mta_sts_policy p;
	/* RFC 8461 section 3.2, and its appendix A */
	assert_int_equal(
		mta_sts_parse(SPAN("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
				   "mx: *.example.net\r\nmx: backupmx.example.com\r\n"
				   "max_age: 604800\r\n"),
			*state, &p),
		0);
	assert_int_equal(p.mode, MTA_STS_ENFORCE);
	assert_int_equal(p.max_age_s, 604800);
	assert_int_equal(p.mx_count, 3);
	assert_true(span_equal(p.mx[0], SPAN("mail.example.com")));
	assert_true(span_equal(p.mx[1], SPAN("*.example.net")));
	assert_true(span_equal(p.mx[2], SPAN("backupmx.example.com")));
}

static void valid_policies_are_read(void **state)
{
	static const struct {
		const char *text;
		uint32_t mode, age, mx;
	} cases[] = {
		{HEAD "mx: a.example", MTA_STS_ENFORCE, 604800, 1},
		{"mx:a.example\nmax_age:0\nmode:testing\nversion:STSv1", MTA_STS_TESTING, 0, 1},
		{"version:  STSv1  \r\nmode:\ttesting \nmax_age: 1 \nmx: a.example\t\n\r\n\n",
			MTA_STS_TESTING, 1, 1},
		{"version: STSv1\nmode: none\nmax_age: 86400\n", MTA_STS_NONE, 86400, 0},
		{"version: STSv1\nmode: none\nmax_age: 86400\nmx: a.example\n", MTA_STS_NONE, 86400,
			1},
		{HEAD "mx: a.example\nx-new: 1 and 2: \xc3\xa4\nother_.-: y\nempty:\n",
			MTA_STS_ENFORCE, 604800, 1},
		/* what is there twice counts as it was the first time */
		{HEAD "mx: a.example\nmode: none\nmax_age: 5\nversion: STSv2\n", MTA_STS_ENFORCE,
			604800, 1},
		{"version: STSv1\nmode: enforce\nmax_age: 31557600\nmx: a.example\n",
			MTA_STS_ENFORCE, 31557600, 1},
		{"version: STSv1\nmode: enforce\nmax_age: 31557601\nmx: a.example\n",
			MTA_STS_ENFORCE, 31557600, 1},
		{"version: STSv1\nmode: enforce\nmax_age: 9999999999\nmx: a.example\n",
			MTA_STS_ENFORCE, 31557600, 1},
		{"version: STSv1\nmode: enforce\nmax_age: 0000000009\nmx: a.example\n",
			MTA_STS_ENFORCE, 9, 1},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mta_sts_policy p;
		assert_int_equal(mta_sts_parse(span_str(cases[i].text), *state, &p), 0);
		assert_int_equal(p.mode, cases[i].mode);
		assert_int_equal(p.max_age_s, cases[i].age);
		assert_int_equal(p.mx_count, cases[i].mx);
	}
}

static void bad_policies_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		HEAD, /* no mx */
		"version: STSv1\nmode: testing\nmax_age: 1\n",
		"mode: enforce\nmax_age: 604800\nmx: a.example\n",
		"version: STSv1\nmax_age: 604800\nmx: a.example\n",
		"version: STSv1\nmode: enforce\nmx: a.example\n",
		"version: STSv2\nmode: enforce\nmax_age: 1\nmx: a.example\n",
		"version: stsv1\nmode: enforce\nmax_age: 1\nmx: a.example\n",
		"Version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.example\n",
		"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.example\n",
		"version: STSv1\nmode: enforced\nmax_age: 1\nmx: a.example\n",
		"version: STSv1\nmode: enforce\nmax_age: -1\nmx: a.example\n",
		"version: STSv1\nmode: enforce\nmax_age: 1d\nmx: a.example\n",
		"version: STSv1\nmode: enforce\nmax_age: \nmx: a.example\n",
		"version: STSv1\nmode: enforce\nmax_age: 10000000000\nmx: a.example\n",
		"version: STSv1\rmode: enforce\rmax_age: 1\rmx: a.example\r",
		HEAD "mx: a.example\njunk\n",
		HEAD "mx: a.example\n: x\n",
		HEAD "mx: a.example\n key: x\n",
		HEAD "mx: a.example\nke y: x\n",
		HEAD "mx: a.example\nkey: a\rb\n",
		HEAD "mx: a.example\nkey: \x01\n",
		HEAD "mx: a.example\nkey: \xff\n",
		HEAD "mx: a.example\nversion : STSv1\n",
		HEAD "mx: \n",
		HEAD "mx: a.example b.example\n",
		HEAD "mx: a.example.\n",
		HEAD "mx: .a.example\n",
		HEAD "mx: *\n",
		HEAD "mx: *.\n",
		HEAD "mx: *.*.example\n",
		HEAD "mx: mx*.example\n",
		HEAD "mx: a.*.example\n",
		HEAD "mx: [192.0.2.1]\n",
		HEAD "mx: a..example\n",
		HEAD "mx: a.example\nmx: -\n",
		HEAD "mx: \xff.example\n",
		"<html>\n<title>404: not found</title>\n",
		"\xef\xbb\xbf" HEAD "mx: a.example\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mta_sts_policy p = {.max_age_s = 77};
		assert_int_equal(mta_sts_parse(span_str(bad[i]), *state, &p), ERR_SYNTAX);
		assert_int_equal(p.max_age_s, 77);
	}
	struct mta_sts_policy p;
	assert_int_equal(
		mta_sts_parse(SPAN(HEAD "mx: a.example\nx: \0\n"), *state, &p), ERR_SYNTAX);
}

static void names_are_made_canonical(void **state)
{
	struct mta_sts_policy p;
	assert_int_equal(mta_sts_parse(SPAN(HEAD "mx: Mail.Example.COM\nmx: *.B\xc3\xbc"
						 "cher.example\n"),
				 *state, &p),
		0);
	assert_true(span_equal(p.mx[0], SPAN("mail.example.com")));
	assert_true(span_equal(p.mx[1], SPAN("*.xn--bcher-kva.example")));
}

static void a_policy_has_bounds(void **state)
{
	struct mta_sts_policy p;
	struct buf body;
	buf_init(&body, 2 * MTA_STS_POLICY);
	buf_add_str(&body, HEAD);
	for (int i = 0; i < MTA_STS_MX; i++)
		buf_printf(&body, "mx: mx%d.example\n", i);
	assert_int_equal(mta_sts_parse(buf_span(&body), *state, &p), 0);
	assert_int_equal(p.mx_count, MTA_STS_MX);
	buf_add_str(&body, "mx: one.more.example\n");
	assert_int_equal(mta_sts_parse(buf_span(&body), *state, &p), ERR_LIMIT);
	buf_clear(&body);
	buf_add_str(&body, HEAD "mx: a.example\n");
	while (body.n < MTA_STS_POLICY)
		buf_add_char(&body, '\n');
	assert_int_equal(mta_sts_parse(buf_span(&body), *state, &p), 0);
	buf_add_char(&body, '\n');
	assert_int_equal(mta_sts_parse(buf_span(&body), *state, &p), ERR_LIMIT);
	buf_done(&body);
	struct arena small;
	arena_init(&small, 16);
	assert_int_equal(
		mta_sts_parse(SPAN(HEAD "mx: mail.of.some.example\n"), &small, &p), ERR_NOMEM);
	arena_reset(&small);
}

static void exchangers_are_matched(void **state)
{
	struct mta_sts_policy p;
	assert_int_equal(
		mta_sts_parse(SPAN(HEAD "mx: mail.example.com\nmx: *.example.net\n"), *state, &p),
		0);
	assert_true(mta_sts_allows(&p, SPAN("mail.example.com")));
	assert_true(mta_sts_allows(&p, SPAN("mx1.example.net")));
	/* RFC 8461 section 4.1: "*" is one label, neither none nor two. */
	assert_false(mta_sts_allows(&p, SPAN("example.net")));
	assert_false(mta_sts_allows(&p, SPAN("a.b.example.net")));
	assert_false(mta_sts_allows(&p, SPAN(".example.net")));
	assert_false(mta_sts_allows(&p, SPAN("xexample.net")));
	assert_false(mta_sts_allows(&p, SPAN("x.mail.example.com")));
	assert_false(mta_sts_allows(&p, SPAN("mail.example.com.evil.example")));
	assert_false(mta_sts_allows(&p, SPAN("mail.example.co")));
	assert_false(mta_sts_allows(&p, SPAN("*.example.org")));
	assert_false(mta_sts_allows(&p, SPAN("")));
	assert_false(mta_sts_allows(&p, SPAN_NONE));
	assert_int_equal(
		mta_sts_parse(SPAN("version: STSv1\nmode: none\nmax_age: 1\n"), *state, &p), 0);
	assert_false(mta_sts_allows(&p, SPAN("mail.example.com")));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(records_are_read),
		CASE(other_records_are_told_from_broken_ones),
		CASE(exactly_one_record_has_to_be_there),
		CASE(the_policy_of_the_rfc_is_read),
		CASE(valid_policies_are_read),
		CASE(bad_policies_are_refused),
		CASE(names_are_made_canonical),
		CASE(a_policy_has_bounds),
		CASE(exchangers_are_matched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
