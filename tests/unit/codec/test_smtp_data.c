#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp_data_reference.h"

#include <stdio.h>

static const struct smtp_data_rules plain = {.line = 1000, .header_bytes = 10000};

static struct smtp_data scan;
static struct smtp_data_step step;

static void feed(const char *text)
{
	smtp_data_feed(&scan, text, strlen(text), &step);
}

static void take(const char *text)
{
	smtp_data_init(&scan, &plain);
	feed(text);
}

static void take_chunks(const char *text, bool binary)
{
	struct smtp_data_rules rules = plain;
	rules.chunked = true;
	rules.binary = binary;
	smtp_data_init(&scan, &rules);
	feed(text);
	smtp_data_end(&scan);
}

static void a_message_ends_at_its_lone_dot(void **state)
{
	(void)state;
	take("Subject: hi\r\n\r\nhello\r\n.\r\nQUIT\r\n");
	assert_true(step.end);
	assert_int_equal(step.stored, 22);
	assert_int_equal(step.consumed, 25); /* QUIT is the next command */
	assert_int_equal(scan.bytes, 22);
	assert_int_equal(scan.header_bytes, 15);
	assert_int_equal(scan.flags, 0);
	assert_int_equal(scan.faults, 0);
}

static void an_empty_message_ends_at_once(void **state)
{
	(void)state;
	take(".\r\n");
	assert_true(step.end);
	assert_int_equal(step.stored, 0);
	assert_int_equal(step.consumed, 3);
	assert_int_equal(scan.header_bytes, 0);
	assert_int_equal(scan.faults, 0);
}

static void a_dot_in_doubt_is_given_again(void **state)
{
	(void)state;
	take("a\r\n.");
	assert_false(step.end);
	assert_int_equal(step.stored, 3);
	assert_int_equal(step.consumed, 3);
	feed(".\r");
	assert_int_equal(step.consumed, 0);
	feed(".\r\n");
	assert_true(step.end);
	assert_int_equal(step.stored, 0);
	assert_int_equal(step.consumed, 3);
	/* The same doubt, another outcome. */
	take("a\r\n.");
	feed("..\r\n");
	assert_int_equal(step.stored, 4);
	assert_int_equal(scan.flags, ENVELOPE_BODY_STUFFED);
}

static void dots_are_noted_where_they_begin_a_line(void **state)
{
	(void)state;
	take("a.b.\r\nc\r\n.\r\n");
	assert_int_equal(scan.flags, 0);
	take("a\r\n..b\r\n.\r\n");
	assert_int_equal(scan.flags, ENVELOPE_BODY_STUFFED);
	assert_int_equal(step.stored, 8);
	take_chunks("a\r\n.\r\nb\r\n", false);
	assert_int_equal(scan.flags, ENVELOPE_BODY_DOTS);
	assert_int_equal(step.stored, 9); /* no end mark in chunks */
	assert_false(step.end);
}

/* SMTP smuggling: what other servers take for the end of a message must not end it here, and must
 * not pass either. */
static void no_other_end_of_data_is_known(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned fault;
	} known[] = {
		{"a\r\n\r\nb\n.\r\nMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_LF},
		{"a\r\n\r\nb\n.\nMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_LF},
		{"a\r\n\r\nb\r\n.\nMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_LF},
		{"a\r\n\r\nb\r.\rMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_CR},
		{"a\r\n\r\nb\r.\r\nMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_CR},
		{"a\r\n\r\nb\r\n.\rMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_CR},
		{"a\r\n\r\nb\r\r\n.\r\r\nMAIL FROM:<x@y>\r\n", SMTP_DATA_BARE_CR},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		take(known[i].text);
		assert_false(step.end);
		assert_int_equal(scan.faults, known[i].fault);
		assert_int_equal(step.stored, 0);
		/* Swallowed up to the true end. */
		feed("more\r\n.\r\nQUIT\r\n");
		assert_true(step.end);
		assert_int_equal(step.stored, 0);
		assert_int_equal(step.consumed, 9);
	}
}

static void a_line_end_may_be_split(void **state)
{
	(void)state;
	take("a\r");
	assert_int_equal(scan.faults, 0);
	feed("\nb\r\n.\r\n");
	assert_true(step.end);
	assert_int_equal(scan.faults, 0);
	take("a\r");
	feed("b\r\n");
	assert_int_equal(scan.faults, SMTP_DATA_BARE_CR);
	take("a");
	feed("\n");
	assert_int_equal(scan.faults, SMTP_DATA_BARE_LF);
}

static void lines_and_header_are_bounded(void **state)
{
	(void)state;
	char text[1100];
	memset(text, 'x', sizeof(text));
	memcpy(text + 998, "\r\n", 3);
	take(text);
	assert_int_equal(scan.flags, 0);
	memcpy(text + 998, "x\r\n", 4);
	take(text);
	assert_int_equal(scan.flags, ENVELOPE_BODY_LONG_LINES);
	assert_int_equal(scan.faults, 0);
	memcpy(text + 1000, "\r\n", 3);
	text[999] = 'x';
	take(text);
	assert_int_equal(scan.faults, 0);
	text[1000] = 'x';
	memcpy(text + 1001, "\r\n", 3);
	take(text);
	assert_int_equal(scan.faults, SMTP_DATA_LONG_LINE);
	text[0] = '.'; /* the dot added for transparency does not count */
	take(text);
	assert_int_equal(scan.faults, 0);
	take_chunks(text, false); /* from BDAT it is the line's own */
	assert_int_equal(scan.faults, SMTP_DATA_LONG_LINE);
	take_chunks(text, true);
	assert_int_equal(scan.faults, 0);

	smtp_data_init(&scan, &plain);
	for (int i = 0; i < 1000; i++)
		feed("X: 123456\r\n");
	assert_int_equal(scan.faults, SMTP_DATA_LONG_HEADER);
	smtp_data_init(&scan, &plain);
	feed("X: y\r\n\r\n");
	for (int i = 0; i < 1000; i++)
		feed("X: 123456\r\n");
	assert_int_equal(scan.faults, 0);
}

static void odd_bytes_are_told_apart_by_place(void **state)
{
	(void)state;
	take("A: \xc3\xbc\r\n\r\nb\r\n.\r\n");
	assert_int_equal(scan.flags, ENVELOPE_HEADER_8BIT | ENVELOPE_BODY_8BIT);
	take("A: u\r\n\r\n\xc3\xbc\r\n.\r\n");
	assert_int_equal(scan.flags, ENVELOPE_BODY_8BIT);
	smtp_data_init(&scan, &plain);
	smtp_data_feed(&scan, "a\0b\r\n.\r\n", 8, &step);
	assert_int_equal(scan.flags, ENVELOPE_BODY_NUL);
	assert_int_equal(scan.faults, SMTP_DATA_NUL);
	/* Bytes behind the end are not the message's. */
	take("a\r\n.\r\n\xc3\r\n");
	assert_int_equal(scan.flags, 0);
}

static void binary_bodies_may_hold_anything(void **state)
{
	(void)state;
	take_chunks("A: b\r\n\r\nx\ny\rz\r\n.\n", true);
	assert_int_equal(scan.faults, 0);
	assert_int_equal(
		scan.flags, ENVELOPE_BODY_BARE | ENVELOPE_BODY_DOTS | ENVELOPE_BODY_OPEN_END);
	take_chunks("x\r", true);
	assert_int_equal(scan.flags, ENVELOPE_BODY_BARE | ENVELOPE_BODY_OPEN_END);
	take_chunks("x\r", false);
	assert_int_equal(scan.faults, SMTP_DATA_BARE_CR);
	take_chunks("x\r\n", false);
	assert_int_equal(scan.flags, 0);
	take_chunks("", false);
	assert_int_equal(scan.flags, 0);
}

static void received_fields_and_the_usual_ones_are_counted(void **state)
{
	(void)state;
	take("Received: from a\r\n\tby b; date\r\nRECEIVED:x\r\nreceived : old style\r\n"
	     "X-Received: no\r\nReceived-SPF: no\r\n Received: folded, no\r\n"
	     "Date: now\r\nFrom: a\r\n\r\nReceived: body, no\r\nMessage-ID: no\r\n.\r\n");
	assert_int_equal(scan.hops, 3);
	assert_int_equal(scan.fields, SMTP_DATA_DATE | SMTP_DATA_FROM);
	take("Message-Id: <a@b>\r\n.\r\n"); /* complete only by the end */
	assert_int_equal(scan.fields, SMTP_DATA_MESSAGE_ID);
	assert_int_equal(scan.header_bytes, scan.bytes);
}

static char seen[2000];

static void note(void *owner, struct span name, struct span value, bool cut)
{
	assert_ptr_equal(owner, &scan);
	size_t n = strlen(seen);
	snprintf(seen + n, sizeof(seen) - n, "[%.*s|%.*s]%s", (int)name.n, name.p, (int)value.n,
		value.p, cut ? "..." : "");
}

static void fields_are_handed_over_whole(void **state)
{
	(void)state;
	struct smtp_data_rules rules = plain;
	rules.field = note;
	rules.owner = &scan;
	seen[0] = '\0';
	smtp_data_init(&scan, &rules);
	feed("Delivered-To: ann@exa");
	assert_string_equal(seen, "");
	feed("mple.org\r\nSubj");
	assert_string_equal(seen, "[Delivered-To|ann@example.org]");
	feed("ect: a\r\n b\r\nno field\r\n: x\r\nEmpty:\r\n\r\nBody: x\r\n.\r\n");
	assert_string_equal(seen, "[Delivered-To|ann@example.org][Subject|a\r\n b][Empty|]");
	/* A field as long as mail has them is cut, and said to be. */
	seen[0] = '\0';
	smtp_data_init(&scan, &rules);
	feed("X: ");
	for (int i = 0; i < 100; i++)
		feed("0123456789");
	feed("\r\n\r\n");
	assert_int_equal(strlen(seen), SMTP_DATA_FIELD_BYTES - 3 + strlen("[X|]..."));
}

/* Inputs made of what matters, cut anywhere. */
static void any_split_gives_what_the_reference_says(void **state)
{
	(void)state;
	static const char *const parts[] = {"\r\n", "\r\n", "\r\n", ".", "\r", "\n", "\r\n.",
		"\r\n.\r", "\r\n..", "a", " ", "\t", ":", "\xff", "Received: x",
		"Date:", "From : ", "X: y\r\n z", "\r\n\r\n",
		"0123456789012345678901234567890123456789",
		"0123456789012345678901234567890123456789\r\n", "delivered-to: a@b\r\n"};
	struct prng prng;
	prng_seed(&prng, 20261121);
	for (int round = 0; round < 8000; round++) {
		struct buf in;
		struct smtp_data_rules rules = {.line = (uint32_t)prng_below(&prng, 80),
			.header_bytes = (uint32_t)prng_below(&prng, 300),
			.chunked = prng_below(&prng, 2),
			.binary = prng_below(&prng, 3) == 0};
		size_t count = (size_t)prng_below(&prng, 60);
		/* Most inputs are sane but for one place, or the end comes too early. */
		bool sane = prng_below(&prng, 2);
		buf_init(&in, REFERENCE_BYTES);
		for (size_t i = 0; i < count; i++) {
			size_t part = (size_t)prng_below(&prng, ARRAY_SIZE(parts));
			if (sane && (part == 4 || part == 5 || part == 7) && prng_below(&prng, 20))
				continue;
			buf_add_str(&in, parts[part]);
			if (prng_below(&prng, 200) == 0)
				buf_add_char(&in, '\0');
			if (prng_below(&prng, 300) == 0)
				for (int j = 0; j < 1000; j++)
					buf_add_char(&in, 'l');
		}
		if (prng_below(&prng, 2))
			buf_add_str(&in, "\r\n.\r\nQUIT\r\n");
		reference_compare(buf_span(&in), rules, NULL, 0);
		reference_compare(buf_span(&in), rules, &prng, 1);
		reference_compare(buf_span(&in), rules, &prng, 5);
		reference_compare(buf_span(&in), rules, &prng, 100);
		buf_done(&in);
	}
}

/* Every byte value at every place of a vector, and more CRs than a lane can count. */
static void the_census_misses_no_byte(void **state)
{
	(void)state;
	static char text[16 * 300 * 2];
	for (size_t at = 0; at < 70; at++) {
		for (int c = 0; c < 256; c++) {
			struct smtp_data_rules rules = {.line = 5000, .header_bytes = 5000};
			memset(text, 'a', 80);
			text[at] = (char)c;
			memcpy(text + 75, "\r\n.\r\n", 5);
			reference_compare(span_of(text, 80), rules, NULL, 0);
		}
	}
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '\n' : '\r';
	struct smtp_data_rules rules = {.line = 1, .header_bytes = 10, .chunked = true};
	reference_compare(span_of(text, sizeof(text)), rules, NULL, 0);
	memset(text, '\r', sizeof(text));
	reference_compare(span_of(text, sizeof(text)), rules, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_ends_at_its_lone_dot),
		cmocka_unit_test(an_empty_message_ends_at_once),
		cmocka_unit_test(a_dot_in_doubt_is_given_again),
		cmocka_unit_test(dots_are_noted_where_they_begin_a_line),
		cmocka_unit_test(no_other_end_of_data_is_known),
		cmocka_unit_test(a_line_end_may_be_split),
		cmocka_unit_test(lines_and_header_are_bounded),
		cmocka_unit_test(odd_bytes_are_told_apart_by_place),
		cmocka_unit_test(binary_bodies_may_hold_anything),
		cmocka_unit_test(received_fields_and_the_usual_ones_are_counted),
		cmocka_unit_test(fields_are_handed_over_whole),
		cmocka_unit_test(any_split_gives_what_the_reference_says),
		cmocka_unit_test(the_census_misses_no_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
