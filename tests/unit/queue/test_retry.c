#include "queue/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTES(n) ((n)*60000ull)

/* Seed 002: 30 and 60,120,180 are 87 hours. */
static void the_table_of_the_manual(void **state)
{
	struct retry_step steps[] = {{3600, 1}, {7200, 1}, {10800, 1}};
	(void)state;
	assert_int_equal(retry_delay_ms(steps, 3, 1), MINUTES(60));
	assert_int_equal(retry_delay_ms(steps, 3, 2), MINUTES(120));
	assert_int_equal(retry_delay_ms(steps, 3, 3), MINUTES(180));
	assert_int_equal(retry_delay_ms(steps, 3, 30), MINUTES(180));
	assert_int_equal(retry_total_ms(steps, 3, 30), MINUTES(87 * 60));
	assert_int_equal(retry_total_ms(steps, 3, 2), MINUTES(180));
	assert_int_equal(retry_total_ms(steps, 3, 0), 0);
	assert_int_equal(retry_longest_ms(steps, 3), MINUTES(180));
}

static void repeats(void **state)
{
	struct retry_step steps[] = {{60, 1}, {300, 2}, {3600, 3}};
	uint64_t sum = 0;
	(void)state;
	uint64_t expect[] = {1, 5, 5, 60, 60, 60, 60, 60};
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(retry_delay_ms(steps, 3, i + 1), MINUTES(expect[i]));
		sum += MINUTES(expect[i]);
		assert_int_equal(retry_total_ms(steps, 3, i + 1), sum);
	}
}

static void extremes(void **state)
{
	struct retry_step steps[] = {{30 * 86400, UINT32_MAX}, {1, 1}};
	(void)state;
	assert_int_equal(retry_delay_ms(steps, 2, UINT32_MAX), 30 * 86400000ull);
	assert_int_equal(retry_total_ms(steps, 2, UINT32_MAX), UINT32_MAX * (30 * 86400000ull));
	assert_int_equal(retry_delay_ms(steps, 2, 0), 30 * 86400000ull);
	assert_int_equal(retry_delay_ms(NULL, 0, 7), RETRY_NO_STEPS_S * 1000ull);
	assert_int_equal(retry_total_ms(NULL, 0, 2), 2 * RETRY_NO_STEPS_S * 1000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_the_manual),
		cmocka_unit_test(repeats),
		cmocka_unit_test(extremes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
