#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/smtp_reply.h"

/* Feeds `text` in slices; the result of the last call. The reply's text is copied into `kept`. */
static char kept[SMTP_REPLY_TEXT + 1];

static int read_reply(struct span text, size_t slice, struct smtp_reply *out, size_t *total)
{
	struct smtp_reply_parser parser;
	int err = ERR_MORE;

	*total = 0;
	smtp_reply_init(&parser);
	while (text.n && err == ERR_MORE) {
		size_t used, n = slice < text.n ? slice : text.n;
		err = smtp_reply_feed(&parser, span_of(text.p, n), &used, out);
		assert_true(used <= n);
		if (err == ERR_MORE)
			assert_int_equal(used, n);
		*total += used;
		text = span_skip(text, used);
	}
	if (err == 0) {
		memcpy(kept, out->text.p, out->text.n);
		kept[out->text.n] = '\0';
		assert_false(smtp_reply_begun(&parser));
	}
	return err;
}

static void is_reply(const char *text, uint16_t code, uint32_t lines, const char *expected)
{
	for (size_t slice = 1; slice <= strlen(text); slice++) {
		struct smtp_reply reply;
		size_t used;

		assert_int_equal(read_reply(span_str(text), slice, &reply, &used), 0);
		assert_int_equal(used, strlen(text));
		assert_int_equal(reply.code, code);
		assert_int_equal(reply.lines, lines);
		assert_string_equal(kept, expected);
	}
}

static void replies_split_anywhere(void **state)
{
	(void)state;
	is_reply("250 ok\r\n", 250, 1, "ok");
	is_reply("250-a\r\n250-b c\r\n250 d\r\n", 250, 3, "a\nb c\nd");
	is_reply("550 5.1.1 no\r\n", 550, 1, "5.1.1 no");
	is_reply("220 \xc3\xbc\x01\xff\r\n", 220, 1, "\xc3\xbc\x01\xff");
}

static void servers_of_the_field_are_understood(void **state)
{
	(void)state;
	is_reply("250\r\n", 250, 1, "");
	is_reply("250 \r\n", 250, 1, "");
	is_reply("250ok\r\n", 250, 1, "ok");
	is_reply("250-a\n250 b\n", 250, 2, "a\nb");
	is_reply("250-\r\n250\r\n", 250, 2, "");
	is_reply("250 a\rb\r\n", 250, 1, "a b");
	is_reply("250-a\r\n250-\r\n250 b\r\n", 250, 3, "a\n\nb");
}

static void the_rest_stays_for_the_next_reply(void **state)
{
	(void)state;
	struct smtp_reply_parser parser;
	struct span in = SPAN("250 one\r\n354 two\r\n250-th");
	struct smtp_reply reply;
	size_t used;

	smtp_reply_init(&parser);
	assert_int_equal(smtp_reply_feed(&parser, in, &used, &reply), 0);
	assert_true(span_equal(reply.text, SPAN("one")));
	in = span_skip(in, used);
	assert_int_equal(smtp_reply_feed(&parser, in, &used, &reply), 0);
	assert_int_equal(reply.code, 354);
	in = span_skip(in, used);
	assert_int_equal(smtp_reply_feed(&parser, in, &used, &reply), ERR_MORE);
	assert_true(smtp_reply_begun(&parser));
}

static void what_is_no_reply_is_an_error_and_stays_one(void **state)
{
	(void)state;
	const char *bad[] = {"\r\n", "25\r\n", "2 50 ok\r\n", "abc\r\n", "199 x\r\n", "600 x\r\n",
		"000 x\r\n", "250-a\r\n251 b\r\n", "250-a\r\nb\r\n", "-250 a\r\n", " 250 a\r\n",
		"2\r50 a\r\n", "250-a\r\n\r\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct smtp_reply_parser parser;
		struct smtp_reply reply;
		size_t used;

		smtp_reply_init(&parser);
		assert_int_equal(
			smtp_reply_feed(&parser, span_str(bad[i]), &used, &reply), ERR_SYNTAX);
		assert_int_equal(
			smtp_reply_feed(&parser, SPAN("250 ok\r\n"), &used, &reply), ERR_SYNTAX);
		assert_int_equal(used, 0);
	}
}

static void lines_and_replies_have_bounds(void **state)
{
	(void)state;
	size_t n = SMTP_REPLY_LINE + 100;
	char *text = malloc(n);
	struct smtp_reply reply;
	size_t used;

	memset(text, 'x', n);
	memcpy(text, "250 ", 4);
	assert_int_equal(read_reply(span_of(text, n), 1000, &reply, &used), ERR_LIMIT);
	/* The longest line that is taken. */
	memcpy(text + SMTP_REPLY_LINE, "\r\n", 2);
	assert_int_equal(read_reply(span_of(text, SMTP_REPLY_LINE + 2), 1000, &reply, &used), 0);
	assert_int_equal(reply.text.n, SMTP_REPLY_LINE - 4);
	free(text);

	struct smtp_reply_parser parser;
	int err = ERR_MORE;
	smtp_reply_init(&parser);
	for (int i = 0; i < SMTP_REPLY_LINES; i++) {
		err = smtp_reply_feed(
			&parser, SPAN("250-a line of some length\r\n"), &used, &reply);
		assert_int_equal(err, ERR_MORE);
	}
	assert_int_equal(smtp_reply_feed(&parser, SPAN("250-x\r\n"), &used, &reply), ERR_LIMIT);
}

static void a_long_text_is_cut_not_refused(void **state)
{
	(void)state;
	struct smtp_reply_parser parser;
	struct smtp_reply reply;
	size_t used;

	smtp_reply_init(&parser);
	for (int i = 0; i < 300; i++)
		(void)smtp_reply_feed(
			&parser, SPAN("550-a line of some length, many times\r\n"), &used, &reply);
	assert_int_equal(smtp_reply_feed(&parser, SPAN("550 end\r\n"), &used, &reply), 0);
	assert_int_equal(reply.text.n, SMTP_REPLY_TEXT);
	assert_int_equal(reply.lines, 301);
}

static void verdict_of(const char *text, struct verdict *out)
{
	struct smtp_reply reply;
	size_t used;

	assert_int_equal(read_reply(span_str(text), strlen(text), &reply, &used), 0);
	reply.text = span_str(kept);
	smtp_reply_verdict(&reply, out);
}

static void replies_become_verdicts(void **state)
{
	(void)state;
	struct verdict v;

	verdict_of("250 2.0.0 queued as 1\r\n", &v);
	assert_int_equal(v.kind, VERDICT_OK);
	assert_true(v.remote);
	assert_true(span_equal(verdict_text(&v), SPAN("queued as 1")));

	verdict_of("550-5.7.1 one\r\n550-5.7.1 two \r\n550 5.7.1\r\n", &v);
	assert_int_equal(v.kind, VERDICT_PERMANENT);
	assert_int_equal(v.enhanced.class, 5);
	assert_int_equal(v.enhanced.subject, 7);
	assert_int_equal(v.enhanced.detail, 1);
	assert_true(span_equal(verdict_text(&v), SPAN("one two")));

	verdict_of("450 4.2.0x no code at all\r\n", &v);
	assert_int_equal(v.kind, VERDICT_TEMPORARY);
	assert_int_equal(v.enhanced.class, 0);
	assert_true(span_equal(verdict_text(&v), SPAN("4.2.0x no code at all")));

	/* A class that contradicts the code is not believed (RFC 2034 section 4). */
	verdict_of("450 5.1.1 confused\r\n", &v);
	assert_int_equal(v.kind, VERDICT_TEMPORARY);
	assert_int_equal(v.enhanced.class, 0);

	verdict_of("354 go\r\n", &v);
	assert_int_equal(v.kind, VERDICT_TEMPORARY);
	assert_false(v.remote);
	assert_non_null(memmem(v.text, v.length, "354", 3));
}

static void enhanced_codes(void **state)
{
	(void)state;
	struct enhanced_code code;
	size_t used;

	assert_int_equal(smtp_reply_enhanced(SPAN("5.123.999 x"), &code, &used), 0);
	assert_int_equal(code.subject, 123);
	assert_int_equal(code.detail, 999);
	assert_int_equal(used, 9);
	assert_int_equal(smtp_reply_enhanced(SPAN("2.0.0"), &code, &used), 0);
	const char *bad[] = {"", "5", "5.1", "5.1.", "5.1.1.1", "3.1.1", "5.1234.1", "5.1.1234",
		"x.1.1", "5..1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(smtp_reply_enhanced(span_str(bad[i]), &code, &used), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_split_anywhere),
		cmocka_unit_test(servers_of_the_field_are_understood),
		cmocka_unit_test(the_rest_stays_for_the_next_reply),
		cmocka_unit_test(what_is_no_reply_is_an_error_and_stays_one),
		cmocka_unit_test(lines_and_replies_have_bounds),
		cmocka_unit_test(a_long_text_is_cut_not_refused),
		cmocka_unit_test(replies_become_verdicts),
		cmocka_unit_test(enhanced_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
