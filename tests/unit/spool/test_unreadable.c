/*
 * A disk that cannot be read for a while costs nothing but time; one that cannot be read for good
 * costs what it hit, which is said; and nothing that may have been acknowledged is forgotten.
 */
#include "base/err.h"
#include "rough.h"
#include "spool/format.h"
#include "spool/store.h"
#include "tap.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENT	    6
#define PATIENCE_MS ((STORE_READ_TRIES + 2) * STORE_CLEAN_MS)

static struct tap *tap;

static void life_of(struct world *w)
{
	static const uint32_t lengths[] = {300, 6000, 100, 9000, 2500, 90000};

	assert_true(world_up(w, 1));
	for (uint32_t i = 0; i < SENT; i++) {
		world_send(w, 0, lengths[i]);
		if (i == 1)
			fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, 20);
}

static void cut_power(struct world *w)
{
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
}

/* Nothing of the last batches is known elsewhere: neither to the journal nor to the log itself. */
static void setup_life(struct world *w, uint64_t seed)
{
	world_init(w, seed);
	tap = tap_on(w->disk);
	life_of(w);
	cut_power(w);
}

static void path_of(const struct world *w, char out[64])
{
	snprintf(out, 64, "w0/%08" PRIx32 ".log", (uint32_t)(w->tickets[0].id >> 32));
}

static void all_there(struct world *w)
{
	world_check(w);
	assert_null(w->fault);
	for (uint32_t i = 0; i < w->count; i++)
		assert_true(w->tickets[i].known);
	assert_int_equal(w->damage_reports, 0);
}

static void heal(struct world *w)
{
	if (w->load_tries == 3)
		tap->bad_path = NULL;
}

/* Without the journal nobody knows what is done, so nothing is delivered before it is read. */
static void test_a_journal_that_cannot_be_read_for_a_while_costs_nothing(void **state)
{
	static const char *const paths[] = {"d/", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		world_init(w, 41);
		tap = tap_on(w->disk);
		life_of(w);
		fake_io_pass(&w->io, 1000);
		cut_power(w);
		*tap = (struct tap){.bad_path = paths[i], .bad_to = UINT64_MAX};
		w->between_tries = heal;
		assert_true(world_up(w, 1));
		assert_int_equal(w->load_tries, 3);
		all_there(w);
		world_check_verify(w);
		world_done(w);
		free(w);
	}
}

/* Whichever read it is that fails once, or a few times. */
static void test_any_single_read_may_fail(void **state)
{
	bool beyond = false;

	(void)state;
	for (uint64_t nth = 1; !beyond; nth++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		setup_life(w, 42);
		uint64_t before = tap->reads;
		sim_disk_fail_nth(w->disk, SIM_READ, nth, ERR_IO, false);
		assert_true(world_up(w, 1));
		beyond = tap->reads - before < nth;
		sim_disk_fail_nth(w->disk, SIM_READ, 0, 0, false);
		all_there(w);
		assert_int_equal(w->load_tries, 0);
		world_done(w);
		free(w);
	}
}

/* Any block of the log, for good: it is said, the queue comes up, and nothing is made away with.
 * Once the block can be read again, all is there. */
static void test_a_block_that_stays_bad_is_damage_and_no_torn_tail(void **state)
{
	bool past_end = false;
	uint32_t lost_some = 0;

	(void)state;
	for (uint64_t at = 4096; !past_end; at += 4096) {
		struct world *w = malloc(sizeof(*w));
		struct spool_verify_result result = {0};
		struct span bytes;
		char path[64];
		assert_non_null(w);
		setup_life(w, 43);
		path_of(w, path);
		assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
		past_end = at + 4096 >= bytes.n;
		*tap = (struct tap){.bad_path = path, .bad_from = at, .bad_to = at + 4096};
		assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
		assert_true(result.damaged > 0);
		assert_int_equal(result.torn_tails, 0);
		w->damage_expected = true;
		assert_true(world_up(w, 1));
		assert_int_equal(w->load_tries, 0);
		fake_io_pass(&w->io, PATIENCE_MS);
		world_check(w);
		uint32_t live = world_live(w);
		lost_some += live < SENT;
		/* One block holds at most the records of a batch: of five messages here. */
		if (live < SENT - 5)
			fail_msg("block %" PRIu64 ": only %" PRIu32 " are left", at, live);
		assert_true(live == SENT ? 1 : w->damage_reports > 0);
		for (uint32_t i = 0; i < SENT; i++)
			if (w->tickets[i].known)
				world_state(&w->tickets[i]);
		fake_io_pass(&w->io, 10000);
		assert_null(w->fault);
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
		tap->bad_path = NULL;
		/* States may have been kept of some. */
		assert_true(world_up(w, 1));
		assert_int_equal(world_live(w), SENT);
		world_check(w);
		assert_null(w->fault);
		world_done(w);
		free(w);
	}
	assert_true(lost_some > 0);
}

/* The end of the journal, too: it may hold messages that lie nowhere else. */
static void test_the_end_of_a_journal_that_stays_bad_is_not_sealed(void **state)
{
	(void)state;
	/* With the header of the file, or without. */
	for (uint64_t at = 0; at <= 4096; at += 4096) {
		struct world *w = malloc(sizeof(*w));
		char path[64];
		assert_non_null(w);
		world_init(w, 44);
		tap = tap_on(w->disk);
		assert_true(world_up(w, 1));
		struct ticket *t = world_send(w, 0, 1000), *held = world_send(w, 0, 1000);
		fake_io_pass(&w->io, 20);
		world_state(held);
		fake_io_pass(&w->io, 100);
		/* The journal of this life is another file than that of the first one. */
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
		assert_true(world_up(w, 1));
		world_finish(t, true);
		fake_io_pass(&w->io, 100);
		struct ticket *dsn = &w->tickets[t->dsn];
		assert_true(dsn->known);
		snprintf(path, sizeof(path), "d/%08" PRIx32 ".log", (uint32_t)(dsn->id >> 32));
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
		tap->bad_path = path;
		tap->bad_from = at;
		tap->bad_to = 8192;
		w->damage_expected = true;
		/* Its end is not known any more, and its bounce neither: both or none. */
		t->done_durable = false;
		t->dsn = 0;
		assert_true(world_up(w, 1));
		assert_true(w->damage_reports > 0);
		assert_true(t->known && !dsn->known && held->known);
		struct ticket *later = world_send(w, 0, 500);
		fake_io_pass(&w->io, 20);
		world_state(later);
		fake_io_pass(&w->io, 5000);
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
		tap->bad_path = NULL;
		assert_true(world_up(w, 1));
		assert_true(dsn->known && later->known && held->known);
		world_done(w);
		free(w);
	}
}

static void test_a_state_that_cannot_be_read_for_a_while_is_not_lost(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	world_init(w, 45);
	tap = tap_on(w->disk);
	life_of(w);
	for (uint32_t i = 0; i < SENT; i++)
		world_state(&w->tickets[i]);
	fake_io_pass(&w->io, 1000);
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	/* From that read on, all fail for a while. */
	for (uint64_t nth = 0; nth < 20; nth++) {
		tap->good_reads = nth;
		tap->bad_path = "";
		tap->bad_to = UINT64_MAX;
		w->between_tries = heal;
		assert_true(world_up(w, 1));
		tap->bad_path = NULL;
		all_there(w);
		for (uint32_t i = 0; i < SENT; i++)
			assert_int_equal(w->tickets[i].state_asked, 1);
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	}
	world_done(w);
	free(w);
}

static void test_what_a_notice_announced_is_read_later(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	world_init(w, 46);
	tap = tap_on(w->disk);
	w->rough = true;
	life_of(w);
	*tap = (struct tap){.bad_path = "w0/", .bad_to = UINT64_MAX};
	struct ticket *t = world_send(w, 0, 700);
	fake_io_pass(&w->io, 3000);
	assert_true(t->fate == FATE_TAKEN && !t->known);
	tap->bad_path = NULL;
	fake_io_pass(&w->io, 3000);
	assert_true(t->known);
	all_there(w);
	world_done(w);
	free(w);
}

static void test_what_a_dead_writer_left_is_read_later(void **state)
{
	(void)state;
	/* Its successor says something before the disk is well again, or after. */
	for (int early = 0; early < 2; early++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		world_init(w, 47);
		tap = tap_on(w->disk);
		w->rough = true;
		life_of(w);
		struct ticket *unheard = world_send(w, 0, 700);
		char path[64];
		path_of(w, path);
		*tap = (struct tap){.bad_path = path, .bad_to = UINT64_MAX};
		world_replace_writer(w, 0);
		assert_false(unheard->known);
		struct ticket *next = early ? world_send(w, 0, 900) : NULL;
		/* All that is known of the old file is done; it must stay all the same. */
		for (uint32_t i = 0; i < SENT; i++)
			world_finish(&w->tickets[i], false);
		fake_io_pass(&w->io, 6000);
		assert_true(!next || next->known);
		assert_false(unheard->known);
		tap->bad_path = NULL;
		fake_io_pass(&w->io, 3000);
		assert_true(unheard->known);
		next = world_send(w, 0, 900);
		fake_io_pass(&w->io, 50);
		assert_true(next->known);
		assert_int_equal(w->damage_reports, 0);
		assert_null(w->fault);
		world_done(w);
		free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_journal_that_cannot_be_read_for_a_while_costs_nothing),
		cmocka_unit_test(test_any_single_read_may_fail),
		cmocka_unit_test(test_a_block_that_stays_bad_is_damage_and_no_torn_tail),
		cmocka_unit_test(test_the_end_of_a_journal_that_stays_bad_is_not_sealed),
		cmocka_unit_test(test_a_state_that_cannot_be_read_for_a_while_is_not_lost),
		cmocka_unit_test(test_what_a_notice_announced_is_read_later),
		cmocka_unit_test(test_what_a_dead_writer_left_is_read_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
