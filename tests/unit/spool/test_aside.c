/*
 * One file that cannot be read keeps nobody else waiting: it is put aside, asked again, and told
 * when it stays so. The header of a file is found wherever one of its copies can be read.
 */
#include "base/err.h"
#include "spool/format.h"
#include "spool/store.h"
#include "tap.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENT	    5
#define PATIENCE_MS ((STORE_READ_TRIES + 2) * STORE_CLEAN_MS)

static struct tap *tap;

static struct world *new_world(uint64_t seed)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, seed);
	tap = tap_on(w->disk);
	return w;
}

static void end_world(struct world *w)
{
	assert_null(w->fault);
	world_done(w);
	free(w);
}

static void path_of(const struct ticket *t, char out[FORMAT_PATH])
{
	format_log_path(out, format_id_owner(t->id), format_id_serial(t->id));
}

/* Several batches of each of the writers. */
static void live(struct world *w, uint32_t writers)
{
	assert_true(world_up(w, writers));
	for (uint32_t i = 0; i < SENT * writers; i++) {
		world_send(w, (uint8_t)(i % writers), 300 + 1000 * i);
		fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, 1000);
}

static void stop(struct world *w)
{
	world_stop(w);
	sim_disk_process_died(w->disk);
	w->damage_reports = 0;
}

static uint32_t known_of(const struct world *w, uint8_t owner)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->tickets[i].owner == owner && w->tickets[i].known;
	return n;
}

/* ---- the header ---------------------------------------------------------------------------- */

static void all_is_there_at_once(struct world *w)
{
	assert_true(world_up(w, 1));
	assert_int_equal(w->load_tries, 0);
	assert_int_equal(known_of(w, 0), SENT);
	world_check(w);
	assert_int_equal(w->damage_reports, 0);
}

static void test_any_bad_sector_of_the_header_page_costs_nothing(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < FORMAT_PAGE; at += SIM_SECTOR) {
		struct world *w = new_world(51);
		char path[FORMAT_PATH];
		live(w, 1);
		path_of(&w->tickets[0], path);
		stop(w);
		assert_int_equal(sim_disk_spoil(w->disk, path, at), 0);
		all_is_there_at_once(w);
		world_check_verify(w);
		end_world(w);
	}
}

/* Of workers, and of the journal: the first batch says the same. */
static void test_a_lost_header_page_costs_nothing(void **state)
{
	(void)state;
	for (int flips = 0; flips < 2; flips++) {
		for (int journal = 0; journal < 2; journal++) {
			struct world *w = new_world(52);
			char path[FORMAT_PATH];
			live(w, 1);
			path_of(&w->tickets[0], path);
			if (journal)
				format_log_path(path, SPOOL_OWNER_DELIVERY,
					w->store->journal.log.file.made.id.serial);
			stop(w);
			*tap = (struct tap){.bad_path = path, .bad_to = FORMAT_PAGE};
			if (flips) {
				tap->bad_path = NULL;
				sim_disk_flip(w->disk, path, 30 * 8);
				sim_disk_flip(w->disk, path, (FORMAT_PAGE_COPY + 30) * 8);
			}
			all_is_there_at_once(w);
			world_check_verify(w);
			end_world(w);
		}
	}
}

/* ---- one file among others ----------------------------------------------------------------- */

/* Neither its header nor its first batch. */
static void spoil_beginning(const char *path)
{
	*tap = (struct tap){.bad_path = path, .bad_to = 2 * FORMAT_PAGE};
}

static void test_a_file_that_cannot_be_read_keeps_no_other_waiting(void **state)
{
	struct world *w = new_world(53);
	char path[FORMAT_PATH];

	(void)state;
	live(w, 2);
	path_of(&w->tickets[0], path);
	stop(w);
	spoil_beginning(path);
	assert_true(world_up(w, 2));
	assert_int_equal(w->load_tries, 0);
	assert_int_equal(known_of(w, 1), SENT);
	assert_int_equal(known_of(w, 0), 0);
	fake_io_pass(&w->io, 5000);
	tap->bad_path = NULL;
	fake_io_pass(&w->io, 5000);
	assert_int_equal(known_of(w, 0), SENT);
	assert_int_equal(w->damage_reports, 0);
	world_check(w);
	end_world(w);
}

/* Any block of it for a while, one after the other. */
static void test_a_file_that_cannot_be_read_in_the_middle_comes_later(void **state)
{
	bool past_end = false;

	(void)state;
	for (uint64_t at = FORMAT_PAGE; !past_end; at += FORMAT_PAGE) {
		struct world *w = new_world(54);
		char path[FORMAT_PATH];
		struct span bytes;
		live(w, 2);
		path_of(&w->tickets[0], path);
		stop(w);
		assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
		past_end = at + FORMAT_PAGE >= bytes.n;
		*tap = (struct tap){.bad_path = path, .bad_from = at, .bad_to = at + FORMAT_PAGE};
		assert_true(world_up(w, 2));
		assert_int_equal(w->load_tries, 0);
		assert_int_equal(known_of(w, 1), SENT);
		fake_io_pass(&w->io, 5000);
		tap->bad_path = NULL;
		fake_io_pass(&w->io, 5000);
		assert_int_equal(known_of(w, 0), SENT);
		assert_int_equal(w->damage_reports, 0);
		world_check(w);
		end_world(w);
	}
}

/* A body is not looked at before it is sent, so what is bad in it keeps nothing waiting. */
static void test_a_bad_block_of_a_body_is_not_met_before_it_is_sent(void **state)
{
	struct world *w = new_world(59);
	struct spool_body body;
	char path[FORMAT_PATH], bytes[8192];

	(void)state;
	assert_true(world_up(w, 1));
	for (uint32_t i = 0; i < SENT; i++) {
		world_send(w, 0, 12000);
		fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, 1000);
	path_of(&w->tickets[0], path);
	assert_int_equal(spool_store_body(w->store, w->tickets[2].id, &body), 0);
	uint64_t bad = format_align(body.offset);
	spool_store_body_done(w->store, &body);
	stop(w);
	*tap = (struct tap){.bad_path = path, .bad_from = bad, .bad_to = bad + FORMAT_PAGE};
	assert_true(world_up(w, 1));
	assert_int_equal(w->load_tries, 0);
	assert_int_equal(known_of(w, 0), SENT);
	assert_int_equal(spool_store_body(w->store, w->tickets[2].id, &body), ERR_IO);
	assert_int_equal(
		spool_store_peek(w->store, w->tickets[2].id, bytes, sizeof(bytes)), ERR_IO);
	assert_int_equal(w->damage_reports, 0);
	tap->bad_path = NULL;
	world_check(w);
	end_world(w);
}

/* Its writer lives, and goes on. */
static void test_a_running_writers_file_comes_later(void **state)
{
	struct world *w = new_world(58);
	char path[FORMAT_PATH];

	(void)state;
	live(w, 2);
	path_of(&w->tickets[0], path);
	spoil_beginning(path);
	w->rough = true;
	assert_true(world_new_store(w));
	assert_int_equal(w->load_tries, 0);
	assert_int_equal(known_of(w, 1), SENT);
	for (int i = 0; i < 30; i++)
		world_send(w, 0, 100);
	fake_io_pass(&w->io, 5000);
	assert_int_equal(known_of(w, 0), 0);
	tap->bad_path = NULL;
	fake_io_pass(&w->io, 5000);
	assert_int_equal(known_of(w, 0), SENT + 30);
	assert_int_equal(w->damage_reports, 0);
	world_check(w);
	end_world(w);
}

/* It is told, and stays; and what the journal says of it is not forgotten meanwhile. */
static void test_a_file_that_stays_unreadable_is_told_and_kept(void **state)
{
	struct world *w = new_world(55);
	char path[FORMAT_PATH];
	struct span bytes;

	(void)state;
	live(w, 2);
	path_of(&w->tickets[0], path);
	world_finish(&w->tickets[2], false);
	world_state(&w->tickets[4]);
	fake_io_pass(&w->io, 1000);
	stop(w);
	spoil_beginning(path);
	w->damage_expected = true;
	assert_true(world_up(w, 2));
	fake_io_pass(&w->io, PATIENCE_MS);
	assert_int_equal(w->damage_reports, 1);
	for (uint32_t i = 1; i < 2 * SENT; i += 2)
		world_finish(&w->tickets[i], true);
	fake_io_pass(&w->io, 60000);
	stop(w);
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	tap->bad_path = NULL;
	w->damage_expected = false;
	assert_true(world_up(w, 2));
	assert_int_equal(known_of(w, 0), SENT - 1);
	assert_int_equal(w->tickets[4].state_asked, 1);
	world_check(w);
	end_world(w);
}

/* A file may say that the end of the one before it does not count: that one waits for it. */
static void test_a_file_waits_for_the_seal_on_it(void **state)
{
	struct world *w = new_world(56);
	char path[FORMAT_PATH];

	(void)state;
	assert_true(world_up(w, 1));
	struct ticket *before = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	sim_disk_fail_nth(w->disk, SIM_SYNC, 1, ERR_IO, true);
	struct ticket *refused = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	struct ticket *after = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	assert_true(before->fate == FATE_TAKEN && after->fate == FATE_TAKEN);
	assert_int_equal(refused->fate, FATE_REFUSED);
	path_of(after, path);
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_EVERYTHING);
	spoil_beginning(path);
	assert_true(world_up(w, 1));
	assert_int_equal(w->load_tries, 0);
	fake_io_pass(&w->io, 5000);
	assert_false(refused->known);
	tap->bad_path = NULL;
	fake_io_pass(&w->io, 5000);
	assert_true(before->known && after->known);
	assert_false(refused->known);
	world_check(w);
	end_world(w);
}

/* ---- moving -------------------------------------------------------------------------------- */

/* A bounce in the oldest file of the journal, most of which is out of date. */
static struct ticket *make_old_journal(struct world *w)
{
	w->segment_bytes = 64 << 10;
	w->sync_ms = 5;
	live(w, 1);
	world_finish(&w->tickets[0], true);
	fake_io_pass(&w->io, 100);
	struct ticket *dsn = &w->tickets[w->tickets[0].dsn];
	assert_true(dsn->known);
	return dsn;
}

static void grow_journal(struct world *w, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		for (uint32_t k = 1; k < SENT; k++)
			world_state(&w->tickets[k]);
		fake_io_pass(&w->io, 40);
	}
}

static void test_what_cannot_be_copied_is_left_alone_for_a_while(void **state)
{
	(void)state;
	/* Its record, or its body alone. */
	for (int record = 0; record < 2; record++) {
		struct world *w = new_world(57);
		struct ticket *dsn = make_old_journal(w);
		struct spool_body body;
		struct span bytes;
		char path[FORMAT_PATH];
		assert_int_equal(spool_store_body(w->store, dsn->id, &body), 0);
		path_of(dsn, path);
		*tap = (struct tap){.bad_path = path,
			.bad_from = body.offset - (record ? 60 : 0),
			.bad_to = body.offset + 1};
		spool_store_body_done(w->store, &body);
		grow_journal(w, 600);
		fake_io_pass(&w->io, 10000);
		assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
		uint64_t before = tap->reads;
		fake_io_pass(&w->io, 120000);
		assert_in_range(tap->reads - before, 1, 60);
		/* When it can be read again, it is moved, and the file goes. */
		tap->bad_path = NULL;
		fake_io_pass(&w->io, 3600000);
		assert_int_equal(sim_disk_peek(w->disk, path, &bytes), ERR_NOT_FOUND);
		world_check(w);
		end_world(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_bad_sector_of_the_header_page_costs_nothing),
		cmocka_unit_test(test_a_lost_header_page_costs_nothing),
		cmocka_unit_test(test_a_file_that_cannot_be_read_keeps_no_other_waiting),
		cmocka_unit_test(test_a_file_that_cannot_be_read_in_the_middle_comes_later),
		cmocka_unit_test(test_a_bad_block_of_a_body_is_not_met_before_it_is_sent),
		cmocka_unit_test(test_a_running_writers_file_comes_later),
		cmocka_unit_test(test_a_file_that_stays_unreadable_is_told_and_kept),
		cmocka_unit_test(test_a_file_waits_for_the_seal_on_it),
		cmocka_unit_test(test_what_cannot_be_copied_is_left_alone_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
