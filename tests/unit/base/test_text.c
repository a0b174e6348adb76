#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

static void expect_text(struct buf *buf, const char *text)
{
	assert_true(span_equal(buf_span(buf), span_str(text)));
	buf_clear(buf);
}

static void hexadecimal_digits(void **state)
{
	static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	int found = 0;

	(void)state;
	for (int i = 0; i < 16; i++) {
		assert_int_equal(text_hex_digit(digits[i]), i);
		assert_int_equal(text_hex_digit(upper[i]), i);
	}
	for (int c = 0; c < 256; c++)
		found += text_hex_digit((char)c) >= 0;
	assert_int_equal(found, 22);
}

static void numbers(void **state)
{
	(void)state;
	uint64_t n = 7;
	assert_int_equal(text_parse_u64(SPAN("0"), 10, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(text_parse_u64(SPAN("0010"), 10, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(text_parse_u64(SPAN("11"), 10, &n), ERR_LIMIT);
	assert_int_equal(text_parse_u64(SPAN("9"), 5, &n), ERR_LIMIT);
	assert_int_equal(n, 10);
	assert_int_equal(text_parse_u64(SPAN("18446744073709551615"), UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(text_parse_u64(SPAN("18446744073709551616"), UINT64_MAX, &n), ERR_LIMIT);
	assert_int_equal(
		text_parse_u64(SPAN("99999999999999999999999"), UINT64_MAX, &n), ERR_LIMIT);
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1x", "0x10", "x", "99x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_parse_u64(span_str(bad[i]), 10, &n), ERR_SYNTAX);
}

static uint64_t duration(const char *text, uint64_t unit)
{
	uint64_t ms = 0;
	assert_int_equal(text_parse_duration(span_str(text), unit, &ms), 0);
	return ms;
}

static void durations_as_administrators_write_them(void **state)
{
	(void)state;
	assert_int_equal(duration("90s", 1), 90000);
	assert_int_equal(duration("5m", 1), 300000);
	assert_int_equal(duration("4h", 1), 14400000);
	assert_int_equal(duration("2d", 1), 172800000);
	assert_int_equal(duration("1w", 1), 604800000);
	assert_int_equal(duration("500ms", 1), 500);
	assert_int_equal(duration("1h30m", 1), 5400000);
	assert_int_equal(duration("1m500ms", 1), 60500);
	assert_int_equal(duration("60", 60000), 3600000); /* retry-delay counts in minutes */
	assert_int_equal(duration("0", 1000), 0);
	uint64_t ms;
	static const char *const bad[] = {"", "h", "1x", "1h30", "30 m", "1 h", "-1s", "5m1h",
		"1h1h", "1.5h", "1H", "1ms1s", "1sm"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_parse_duration(span_str(bad[i]), 1000, &ms), ERR_SYNTAX);
	assert_int_equal(text_parse_duration(SPAN("521w"), 1000, &ms), 0);
	assert_int_equal(text_parse_duration(SPAN("3653d"), 1000, &ms), ERR_LIMIT);
	assert_int_equal(text_parse_duration(SPAN("99999999999999999999999s"), 1, &ms), ERR_LIMIT);
	assert_int_equal(text_parse_duration(SPAN("521w9999999999s"), 1, &ms), ERR_LIMIT);
}

static void durations_come_back_as_they_are_best_read(void **state)
{
	(void)state;
	static const struct {
		uint64_t ms;
		const char *text;
	} known[] = {{0, "0s"}, {500, "500ms"}, {90000, "1m30s"}, {5400000, "1h30m"},
		{86400000, "1d"}, {604800000, "1w"}, {10 * 86400000, "10d"}, {61500, "1m1s500ms"}};
	struct buf buf;
	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		text_add_duration(&buf, known[i].ms);
		expect_text(&buf, known[i].text);
		assert_int_equal(duration(known[i].text, 1), known[i].ms);
	}
	buf_done(&buf);
}

static void how_long_something_took_has_the_unit_that_fits(void **state)
{
	(void)state;
	static const struct {
		uint64_t us;
		const char *text;
	} known[] = {{0, "0us"}, {850, "850us"}, {999, "999us"}, {1000, "1.0ms"}, {12345, "12.3ms"},
		{999949, "999.9ms"}, {999950, "1.0s"}, {35668000, "35.7s"}, {59949999, "59.9s"},
		{59950000, "1m"}, {252000000, "4m12s"}, {7380400000, "2h3m"}, {86400000000, "1d"}};
	struct buf buf;
	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		text_add_us(&buf, known[i].us);
		expect_text(&buf, known[i].text);
	}
	buf_done(&buf);
}

static void sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} known[] = {{"0", 0}, {"512", 512}, {"1000", 1000}, {"1536", 1536}, {"64K", 65536},
		{"50M", 52428800}, {"2G", 2147483648}, {"1T", 1099511627776}, {"1025K", 1049600}};
	struct buf buf;
	uint64_t n;
	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(text_parse_size(span_str(known[i].text), &n), 0);
		assert_int_equal(n, known[i].bytes);
		text_add_size(&buf, n);
		expect_text(&buf, known[i].text);
	}
	buf_done(&buf);
	assert_int_equal(text_parse_size(SPAN("10m"), &n), 0);
	assert_int_equal(n, 10485760);
	static const char *const bad[] = {"", "K", "1KB", "1.5M", "-1", "1 K", "1X"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_parse_size(span_str(bad[i]), &n), ERR_SYNTAX);
	assert_int_equal(text_parse_size(SPAN("16777216T"), &n), ERR_LIMIT);
	assert_int_equal(text_parse_size(SPAN("16777215T"), &n), 0);
	assert_int_equal(text_parse_size(SPAN("99999999999999999999"), &n), ERR_LIMIT);
}

static void ids_are_read_back_and_sort_like_numbers(void **state)
{
	(void)state;
	static const uint64_t ids[] = {
		0, 1, 31, 32, 0x65a1b2c3ff000001, UINT64_MAX - 1, UINT64_MAX};
	char last[TEXT_ID_LENGTH + 1] = "";
	struct buf buf;
	uint64_t id;
	buf_init(&buf, 100);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		text_add_id(&buf, ids[i]);
		assert_int_equal(buf.n, TEXT_ID_LENGTH);
		assert_int_equal(text_parse_id(buf_span(&buf), &id), 0);
		assert_true(id == ids[i]);
		buf_add_char(&buf, '\0');
		assert_true(strcmp(last, buf.p) < 0);
		memcpy(last, buf.p, sizeof(last));
		buf_clear(&buf);
	}
	text_add_id(&buf, UINT64_MAX);
	expect_text(&buf, "fzzzzzzzzzzzz");
	buf_done(&buf);
	/* Read over the telephone: capitals, o for 0, i and l for 1. */
	assert_int_equal(text_parse_id(SPAN("OOOOOOOOOOOIL"), &id), 0);
	assert_int_equal(id, 33);
	static const char *const bad[] = {
		"", "1", "00000000000000", "000000000000u", "000000000000-", "g000000000000"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_parse_id(span_str(bad[i]), &id), ERR_SYNTAX);
	assert_int_equal(text_parse_id(span_of("000000000000\0", 13), &id), ERR_SYNTAX);
}

static void utf8_is_told_from_noise(void **state)
{
	(void)state;
	static const char *const good[] = {"", "plain ASCII, longer than a word", "\xc2\x80",
		"\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xbcstuvwxyz"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
		"\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xef\xbf", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xc3",
		"1234567\xffstuvwxyz", "\xe2\x82\x28"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(text_is_utf8(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_is_utf8(span_str(bad[i])));
	assert_true(text_is_utf8(SPAN_NONE));
	assert_int_equal(text_utf8_length(SPAN("\xe2\x82\xac!")), 3);
	assert_int_equal(text_utf8_length(SPAN("a")), 1);
	assert_int_equal(text_utf8_length(SPAN("\xe2\x82")), 0);
}

/* Whatever would let a text read otherwise than it is; letters of all the world are left alone. */
static void what_is_not_seen_is_told_from_letters(void **state)
{
	(void)state;
	static const char *const hidden[] = {"\x1b", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f",
		"\xd8\x9c", "\xe1\xa0\x8e", "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d",
		"\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xae",
		"\xe2\x81\xa0", "\xe2\x81\xa5", "\xe2\x81\xa6", "\xe2\x81\xaa", "\xe2\x81\xaf",
		"\xef\xbb\xbf", "\xef\xbf\xb9", "\xef\xbf\xbb"};
	static const char *const seen[] = {" ", "~", "\xc2\xa0", "\xc3\xbc", "\xd8\x9b", "\xd8\x9d",
		"\xe2\x80\x8a", "\xe2\x80\x90", "\xe2\x80\xa7", "\xe2\x80\xaf", "\xe2\x81\x9f",
		"\xe2\x81\xb0", "\xe2\x82\xac", "\xef\xbb\xbe", "\xef\xbf\xbd", "\xf0\x9f\x98\x80",
		"\x80", "\xc2", ""};

	assert_int_equal(text_hidden_length(SPAN("\0")), 1);
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (text_hidden_length(span_str(hidden[i])) != strlen(hidden[i]))
			fail_msg("hidden %zu", i);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (text_hidden_length(span_str(seen[i])) != 0)
			fail_msg("seen %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hexadecimal_digits),
		cmocka_unit_test(numbers),
		cmocka_unit_test(durations_as_administrators_write_them),
		cmocka_unit_test(durations_come_back_as_they_are_best_read),
		cmocka_unit_test(how_long_something_took_has_the_unit_that_fits),
		cmocka_unit_test(sizes),
		cmocka_unit_test(ids_are_read_back_and_sort_like_numbers),
		cmocka_unit_test(utf8_is_told_from_noise),
		cmocka_unit_test(what_is_not_seen_is_told_from_letters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
