/* The pace of commits: nobody waits at rest, batches form under load, and no wait is long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/pace.h"

#define MS 1000000ull

/* Messages come one every `distance`; each batch syncs for `sync`. Returns messages per batch, and
 * the longest that one had to wait for its batch to start. */
static double run(uint64_t distance, uint64_t sync, uint64_t messages, uint64_t *longest)
{
	struct pace pace;
	uint64_t now = 50 * MS, next = now, busy_until = 0, oldest = 0, gathered = 0, batches = 0;
	uint64_t came = 0, counted = 0;

	pace_init(&pace);
	*longest = 0;
	while (came < messages || gathered) {
		if (came < messages && next <= now) {
			oldest = gathered++ ? oldest : now;
			came++;
			next += distance;
		}
		uint64_t due =
			gathered && now >= busy_until ? pace_due(&pace, gathered, now) : UINT64_MAX;
		if (!due) {
			pace_started(&pace, gathered, now);
			/* The first half is for it to learn the rate. */
			if (came > messages / 2) {
				batches++;
				counted += gathered;
				*longest = now - oldest > *longest ? now - oldest : *longest;
			}
			gathered = 0;
			busy_until = now + sync;
			continue;
		}
		uint64_t to = came < messages ? next : UINT64_MAX;
		to = gathered && now < busy_until && busy_until < to ? busy_until : to;
		to = due < to ? due : to;
		now = to > now ? to : now + 1;
	}
	return batches ? (double)counted / (double)batches : 0;
}

static void test_nobody_waits_at_rest(void **state)
{
	uint64_t longest;

	(void)state;
	/* 100 and 500 messages a second, a sync of 1 ms. */
	assert_true(run(10 * MS, MS, 1000, &longest) < 1.01);
	assert_int_equal(longest, 0);
	run(2 * MS, MS, 2000, &longest);
	assert_int_equal(longest, 0);
}

static void test_batches_form_under_load(void **state)
{
	uint64_t longest;

	(void)state;
	/* 3,000 and 10,000 a second: at least ten to a sync, and nobody waits 10 ms for others. */
	assert_true(run(MS / 3, MS / 2, 20000, &longest) >= 10);
	assert_true(longest <= PACE_MOST_NS);
	assert_true(run(MS / 10, MS / 2, 50000, &longest) >= 10);
	assert_true(longest <= 2 * MS);
}

static void test_first_message_after_a_pause_goes_at_once(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace);
	for (uint64_t i = 1; i <= 100; i++)
		pace_started(&pace, 10, i * MS);
	assert_true(pace_due(&pace, 1, 100 * MS) > 100 * MS);
	assert_int_equal(pace_due(&pace, 1, 100 * MS + PACE_MOST_NS), 0);
	assert_int_equal(pace_due(&pace, PACE_BATCH, 100 * MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_at_rest),
		cmocka_unit_test(test_batches_form_under_load),
		cmocka_unit_test(test_first_message_after_a_pause_goes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
