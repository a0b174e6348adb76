#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "base/timers.h"

#define MANY 500

struct alarm {
	struct timer timer;
	int number;
};

static struct timers timers;
static int fired[MANY * 4];
static int fired_count;
static uint64_t last_ns;

static void ring(struct timer *timer)
{
	assert_false(timer_armed(timer));
	assert_true(timer->at_ns >= last_ns);
	last_ns = timer->at_ns;
	fired[fired_count++] = CONTAINER_OF(timer, struct alarm, timer)->number;
}

static int setup(void **state)
{
	(void)state;
	timers_init(&timers);
	fired_count = 0;
	last_ns = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	timers_done(&timers);
	return 0;
}

static void earliest_first_and_equals_as_armed(void **state)
{
	(void)state;
	struct alarm a[4];
	static const uint64_t at[4] = {30, 10, 10, 20};
	for (int i = 0; i < 4; i++) {
		a[i] = (struct alarm){.timer.fire = ring, .number = i};
		assert_int_equal(timers_arm(&timers, &a[i].timer, at[i]), 0);
	}
	assert_int_equal(timers_next(&timers), 10);
	timers_run(&timers, 9);
	assert_int_equal(fired_count, 0);
	timers_run(&timers, 20);
	assert_int_equal(fired_count, 3);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 2);
	assert_int_equal(fired[2], 3);
	assert_int_equal(timers_next(&timers), 30);
	timers_disarm(&timers, &a[0].timer);
	timers_disarm(&timers, &a[0].timer);
	assert_true(timers_next(&timers) == TIMERS_NEVER);
}

static void many_moved_and_cancelled(void **state)
{
	(void)state;
	static struct alarm a[MANY];
	struct prng prng;
	int armed = 0;
	prng_seed(&prng, 1);
	for (int i = 0; i < MANY; i++) {
		a[i] = (struct alarm){.timer.fire = ring, .number = i};
		timers_arm(&timers, &a[i].timer, prng_below(&prng, 1000));
	}
	for (int i = 0; i < 2000; i++) {
		struct timer *timer = &a[prng_below(&prng, MANY)].timer;
		if (prng_below(&prng, 3))
			timers_arm(&timers, timer, prng_below(&prng, 1000));
		else
			timers_disarm(&timers, timer);
	}
	for (int i = 0; i < MANY; i++)
		armed += timer_armed(&a[i].timer);
	for (uint64_t now = 0; now <= 1000; now += 50) {
		timers_run(&timers, now);
		assert_true(timers_next(&timers) > now);
	}
	assert_int_equal(fired_count, armed);
}

static void ring_again(struct timer *timer)
{
	fired_count++;
	timers_arm(&timers, timer, 5);
}

static void one_that_rearms_itself_does_not_hold_the_loop(void **state)
{
	(void)state;
	struct alarm a = {.timer.fire = ring_again};
	timers_arm(&timers, &a.timer, 5);
	timers_run(&timers, 10);
	assert_int_equal(fired_count, 1);
	assert_true(timer_armed(&a.timer));
	timers_done(&timers);
	assert_false(timer_armed(&a.timer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			earliest_first_and_equals_as_armed, setup, teardown),
		cmocka_unit_test_setup_teardown(many_moved_and_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_that_rearms_itself_does_not_hold_the_loop, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
