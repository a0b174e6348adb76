/*
 * The power fails at every single disk operation of a workload, each time with several ways in
 * which what was not synced is kept or lost; then the promises are checked, more work is done, and
 * they are checked again.
 *
 * Left out one at a time, each of these is caught here or in the test named: the sync of a batch,
 * or of a directory (test_mutation.c keeps both as a test); the sync of a long body or of its name,
 * the void header of a refused batch and its sync, a seal and its sync (test_writer.c); the sync
 * after an unlink (test_random.c); a writer's closing batch, the journal's at rest, an extent
 * (test_tail.c).
 */
#include "world.h"

#include "base/err.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS 24

/* Short, inline with several chunks, and long bodies, from two writers, with all kinds of changes.
 */
static void workload(struct world *w)
{
	static const uint32_t lengths[] = {0, 700, 3000, 20000, 90000, 1, 5000, 61000, 150000, 12};

	for (uint32_t i = 0; i < ROUNDS && !sim_disk_is_cut(w->disk); i++) {
		world_send(w, (uint8_t)(i % 2), lengths[i % 10]);
		world_send(w, (uint8_t)(i % 3 ? 0 : 1), 900 + i);
		fake_io_settle(&w->io);
		uint32_t count = w->count;
		for (uint32_t k = 0; k < count; k++) {
			struct ticket *t = &w->tickets[k];
			if (!t->known || t->done_asked)
				continue;
			if ((t->number + i) % 3 == 0)
				world_finish(t, t->number % 2 && !t->is_dsn);
			else if ((t->number + i) % 4 == 1)
				world_state(t);
		}
		fake_io_pass(&w->io, 15);
	}
	fake_io_pass(&w->io, 5000);
}

static void second_life(struct world *w)
{
	world_send(w, 0, 2500);
	world_send(w, 1, 80000);
	fake_io_pass(&w->io, 100);
	uint32_t count = w->count;
	for (uint32_t k = 0; k < count; k++)
		if (w->tickets[k].known && !w->tickets[k].done_asked && k % 2)
			world_finish(&w->tickets[k], !w->tickets[k].is_dsn && k % 3 == 0);
	fake_io_pass(&w->io, 100);
	world_check(w);
}

static void start_again(struct world *w, enum sim_keep keep)
{
	world_down(w);
	sim_disk_power_cycle(w->disk, keep);
	if (!world_up(w, 2))
		world_blame(w, 0, "the spool does not come up");
	else
		world_check(w);
}

/* Returns the number of changes the workload makes when nothing fails. */
static uint64_t run(uint64_t seed, uint64_t cut_at, enum sim_keep keep)
{
	struct world *w = malloc(sizeof(*w));
	uint64_t changes;

	assert_non_null(w);
	world_init(w, seed);
	sim_disk_cut_at(w->disk, cut_at);
	if (world_up(w, 2))
		workload(w);
	changes = sim_disk_changes(w->disk);
	start_again(w, keep);
	world_check_verify(w);
	if (!w->fault)
		second_life(w);
	start_again(w, SIM_KEEP_NOTHING);
	if (w->fault)
		fail_msg("cut at %" PRIu64 ", keep %d: %s", cut_at, keep, w->fault);
	world_done(w);
	free(w);
	return changes;
}

static void every_cut(enum sim_keep keep, uint64_t seed)
{
	uint64_t changes = run(seed, 0, keep);

	assert_true(changes > 150);
	for (uint64_t cut = 1; cut <= changes; cut++)
		run(seed, cut, keep);
}

static void test_power_fails_and_nothing_unsynced_is_kept(void **state)
{
	(void)state;
	every_cut(SIM_KEEP_NOTHING, 1);
}

static void test_power_fails_and_everything_is_kept(void **state)
{
	(void)state;
	every_cut(SIM_KEEP_EVERYTHING, 2);
}

static void test_power_fails_and_some_sectors_and_names_are_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 3; seed < 7; seed++)
		every_cut(SIM_KEEP_RANDOM, seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_fails_and_nothing_unsynced_is_kept),
		cmocka_unit_test(test_power_fails_and_everything_is_kept),
		cmocka_unit_test(test_power_fails_and_some_sectors_and_names_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
