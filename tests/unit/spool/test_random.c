/*
 * Lives of a spool from a seed: clients, a queue, crashes of every kind, a disk that fails. More
 * seeds: SPOOL_SEEDS=first:count in the environment.
 */
#include "rough.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t first_seed = 1, seed_count = 25;

static void run_seeds(uint32_t faults)
{
	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		rough_lives(w, seed, faults);
		uint32_t left = w->fault ? 0 : rough_left_over(w);
		if (!w->fault)
			world_check(w);
		if (w->fault)
			fail_msg("seed %" PRIu64 ": %s", seed, w->fault);
		if (left)
			fail_msg("seed %" PRIu64 ": %" PRIu32 " files are left over", seed, left);
		world_done(w);
		free(w);
	}
}

static void test_crashes(void **state)
{
	(void)state;
	run_seeds(ROUGH_NONE);
}

static void test_crashes_on_a_failing_disk(void **state)
{
	(void)state;
	run_seeds(ROUGH_DISK);
}

static void test_crashes_on_a_full_disk(void **state)
{
	(void)state;
	run_seeds(ROUGH_FULL);
}

static void test_everything_at_once(void **state)
{
	(void)state;
	run_seeds(ROUGH_DISK | ROUGH_FULL);
}

static void test_the_same_seed_gives_the_same_run(void **state)
{
	uint64_t trace[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		rough_lives(w, 77, ROUGH_DISK | ROUGH_FULL);
		trace[i] = sim_disk_trace(w->disk);
		world_done(w);
		free(w);
	}
	assert_true(trace[0] == trace[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_crashes_on_a_failing_disk),
		cmocka_unit_test(test_crashes_on_a_full_disk),
		cmocka_unit_test(test_everything_at_once),
		cmocka_unit_test(test_the_same_seed_gives_the_same_run),
	};
	const char *seeds = getenv("SPOOL_SEEDS");

	if (seeds)
		sscanf(seeds, "%" SCNu64 ":%" SCNu64, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
