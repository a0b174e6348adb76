#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

#include <time.h>

static void expect(void (*add)(struct buf *, int64_t), int64_t ms, const char *text)
{
	struct buf buf;
	buf_init(&buf, 100);
	add(&buf, ms);
	buf_add_char(&buf, '\0');
	assert_string_equal(buf.p, text);
	buf_done(&buf);
}

static void dates_of_messages(void **state)
{
	(void)state;
	expect(text_add_date, 1795298077123, "Sat, 21 Nov 2026 21:54:37 +0000");
	expect(text_add_date, 0, "Thu, 1 Jan 1970 00:00:00 +0000");
	expect(text_add_date, 951782400000, "Tue, 29 Feb 2000 00:00:00 +0000");
	expect(text_add_date, 4107542399999, "Sun, 28 Feb 2100 23:59:59 +0000");
	expect(text_add_date, 4107542400000, "Mon, 1 Mar 2100 00:00:00 +0000");
	expect(text_add_time, 1795298077123, "2026-11-21T21:54:37.123Z");
	expect(text_add_time, -1, "1969-12-31T23:59:59.999Z");
	expect(text_add_time, -62135596800000, "0001-01-01T00:00:00.000Z");
	expect(text_add_time, 253402300800000, "10000-01-01T00:00:00.000Z");
}

/* Every day over the leap rules of four centuries, against the C library. */
static void the_calendar_is_right(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	for (int64_t day = -80000; day < 150000; day += 13) {
		time_t t = (time_t)(day * 86400 + 45296);
		struct tm tm;
		char text[64];
		int64_t back;
		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		expect(text_add_time, t * 1000, text);
		assert_int_equal(text_parse_time(span_str(text), &back), 0);
		assert_int_equal(back, t * 1000);
		strftime(text, sizeof(text), "%a, %-d %b %Y %H:%M:%S +0000", &tm);
		expect(text_add_date, t * 1000, text);
	}
	buf_done(&buf);
}

static int64_t parse(const char *text)
{
	int64_t ms = 0;
	assert_int_equal(text_parse_time(span_str(text), &ms), 0);
	return ms;
}

static void times_as_people_ask_for_them(void **state)
{
	(void)state;
	assert_int_equal(parse("2026-11-21"), 1795219200000);
	assert_int_equal(parse("2026-11-21T21:54:37.123Z"), 1795298077123);
	assert_int_equal(parse("2026-11-21t21:54:37z"), 1795298077000);
	assert_int_equal(parse("2026-11-21 22:54:37+01:00"), 1795298077000);
	assert_int_equal(parse("2026-11-21T16:24:37.5-05:30"), 1795298077500);
	assert_int_equal(parse("2026-11-21T21:54:37.1239999Z"), 1795298077123);
	assert_int_equal(parse("2016-12-31T23:59:60Z"), 1483228800000); /* a leap second */
	assert_int_equal(parse("2000-02-29"), 951782400000);
	static const char *const bad[] = {"", "2026", "2026-11", "2026-11-2", "2026-13-01",
		"2026-00-10", "2026-02-29", "2100-02-29", "2026-04-31", "2026-11-21T",
		"2026-11-21T21:54Z", "2026-11-21T21:54:37", "2026-11-21T24:00:00Z",
		"2026-11-21T21:60:00Z", "2026-11-21T21:54:61Z", "2026-11-21T21:54:37.Z",
		"2026-11-21T21:54:37+1:00", "2026-11-21T21:54:37+0100", "2026-11-21T21:54:37Zx",
		"26-11-21", " 2026-11-21", "2026/11/21", "2026-11-21T21:54:37+24:00"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t ms = 7;
		assert_int_equal(text_parse_time(span_str(bad[i]), &ms), ERR_SYNTAX);
		assert_int_equal(ms, 7);
	}
}

static void no_time_is_too_far(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	text_add_time(&buf, INT64_MAX);
	text_add_date(&buf, INT64_MIN);
	assert_true(buf_ok(&buf));
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_of_messages),
		cmocka_unit_test(the_calendar_is_right),
		cmocka_unit_test(times_as_people_ask_for_them),
		cmocka_unit_test(no_time_is_too_far),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
