/*
 * The tests above are worth something only if they fail when a promise is broken. Here the disk
 * breaks one behind the spool's back: a sync that does nothing stands for a sync that was left out.
 */
#include "rough.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEDS 20

static uint32_t broken(uint32_t faults)
{
	uint32_t found = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		rough_lives(w, seed, faults);
		found += w->fault != NULL;
		world_done(w);
		free(w);
	}
	return found;
}

static void test_a_left_out_sync_of_files_is_caught(void **state)
{
	(void)state;
	assert_true(broken(ROUGH_LIE | ROUGH_QUIET) >= SEEDS / 2);
}

static void test_a_left_out_sync_of_directories_is_caught(void **state)
{
	(void)state;
	assert_true(broken(ROUGH_LIE_DIR | ROUGH_QUIET) >= SEEDS / 4);
}

static void test_the_same_seeds_pass_when_nothing_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(broken(ROUGH_NONE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_left_out_sync_of_files_is_caught),
		cmocka_unit_test(test_a_left_out_sync_of_directories_is_caught),
		cmocka_unit_test(test_the_same_seeds_pass_when_nothing_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
