#include "directory/retry_text.h"

#include "common.h"

static struct retry_list parsed(const char *text)
{
	struct retry_list list;
	assert_int_equal(retry_parse(span_str(text), &list), 0);
	return list;
}

static void assert_bad(const char *text, int err)
{
	struct retry_list list = {.count = 77};
	assert_int_equal(retry_parse(span_str(text), &list), err);
	assert_int_equal(list.count, 77);
}

static void assert_words(
	const char *text, uint32_t retries, const char *example, const char *sum, const char *total)
{
	struct retry_list list = parsed(text);
	struct buf buf;

	buf_init(&buf, 1000);
	retry_add_example(&buf, list.steps, list.count, retries);
	assert_text(&buf, example);
	buf_clear(&buf);
	retry_add_sum(&buf, list.steps, list.count, retries);
	assert_text(&buf, sum);
	buf_clear(&buf);
	retry_add_total(&buf, list.steps, list.count, retries);
	assert_text(&buf, total);
	buf_done(&buf);
}

static void the_table_of_the_manual(void **state)
{
	(void)state;
	struct retry_list list = parsed("60,120,180");
	assert_int_equal(retry_total_s(list.steps, list.count, 30), 87 * 3600);
	assert_words("60,120,180", 30, "60,120,180,180,180...", "60+120+(180*28)",
		"87 hours (3.6 days)");
}

static void units_and_repeats(void **state)
{
	(void)state;
	struct retry_list list = parsed("1m, 5m*2, 1h*3");
	assert_int_equal(list.count, 3);
	const uint32_t expected[] = {60, 300, 300, 3600, 3600, 3600, 3600, 3600};
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(retry_delay_s(list.steps, list.count, i + 1), expected[i]);
	assert_int_equal(retry_delay_s(list.steps, list.count, 10000), 3600);
	assert_int_equal(retry_total_s(list.steps, list.count, 5), 60 + 600 + 7200);
	assert_int_equal(retry_total_s(list.steps, list.count, 0), 0);
	assert_int_equal(retry_longest_s(list.steps, list.count), 3600);
	assert_int_equal(retry_delay_s(list.steps, list.count, UINT32_MAX), 3600);
	assert_span(list.text, "1m, 5m*2, 1h*3");

	list = parsed(" 90s,2h * 2 , 1d,1w ");
	assert_int_equal(list.steps[0].delay_s, 90);
	assert_int_equal(list.steps[1].times, 2);
	assert_int_equal(list.steps[3].delay_s, 7 * 86400);
}

static void equal_neighbours_are_one_step(void **state)
{
	(void)state;
	struct retry_list list = parsed("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2");
	assert_int_equal(list.count, 2);
	assert_int_equal(list.steps[0].times, 20);
}

static void words(void **state)
{
	(void)state;
	assert_words("10", 0, "", "0", "0 s");
	assert_words("30s", 1, "30s", "30s", "30 s");
	assert_words("2s,3s", 5, "2s,3s,3s,3s,3s", "2s+(3s*4)", "14 s");
	assert_words("90s,1h", 7, "90s,1h,1h,1h,1h...", "90s+(1h*6)", "6 hours");
	assert_words("15", 3, "15,15,15", "(15*3)", "45 min");
	assert_words("60", 24, "60,60,60,60,60...", "(60*24)", "24 hours (1 day)");
	assert_words("90", 3, "90,90,90", "(90*3)", "4.5 hours");
	assert_words("1m, 5m*2, 1h*3", 2, "1,5", "1+5", "6 min");
}

static void canonical_text_reads_back(void **state)
{
	(void)state;
	static const char *const texts[][2] = {
		{"60, 120, 180", "60,120,180"},
		{"1m, 5m*2, 1h*3", "1,5*2,60"},
		{"90s, 1h", "90s,1h"},
		{"30s*4,1d*2,1w", "30s*4,1d*2,1w"},
	};
	for (size_t i = 0; i < 4; i++) {
		struct retry_list list = parsed(texts[i][0]), again;
		struct buf buf;
		buf_init(&buf, 1000);
		retry_add(&buf, list.steps, list.count);
		assert_text(&buf, texts[i][1]);
		again = parsed(text_of(&buf));
		for (uint32_t retry = 1; retry < 20; retry++)
			assert_int_equal(retry_delay_s(list.steps, list.count, retry),
				retry_delay_s(again.steps, again.count, retry));
		buf_done(&buf);
	}
}

static void refused(void **state)
{
	(void)state;
	static const char *const syntax[] = {"", " ", ",", "60,", ",60", "60,,120", "-5", "+5",
		"5x", "5 m", "5m2", "*3", "5m*", "5m**2", "5m*2*2", "5m*-1", "1.5", "0x10", "sixty",
		"60;120", "5\n", "5M"};
	for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++)
		assert_bad(syntax[i], ERR_SYNTAX);
	assert_bad("0", ERR_LIMIT);
	assert_bad("60,0", ERR_LIMIT);
	assert_bad("5*0", ERR_LIMIT);
	assert_bad("31d", ERR_LIMIT);
	assert_bad("99999999999999999999", ERR_LIMIT);
	assert_bad("5m*10001", ERR_LIMIT);
	assert_bad("5m*9999,5m*9999", ERR_LIMIT);
	assert_bad("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", ERR_LIMIT);
}

static void totals_do_not_overflow(void **state)
{
	(void)state;
	struct retry_list list = parsed("30d");
	assert_true(retry_total_s(list.steps, list.count, RETRY_COUNT_MOST) ==
		    (uint64_t)RETRY_DELAY_MOST_S * RETRY_COUNT_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_the_manual),
		cmocka_unit_test(units_and_repeats),
		cmocka_unit_test(equal_neighbours_are_one_step),
		cmocka_unit_test(words),
		cmocka_unit_test(canonical_text_reads_back),
		cmocka_unit_test(refused),
		cmocka_unit_test(totals_do_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
