/*
 * The end of each log: a bit that flips in what was durable is damage and is reported, however near
 * the end it lies; only a batch that nobody vouches for may be a torn tail.
 */
#include "base/err.h"
#include "spool/store.h"
#include "tap.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STRIDE	(41 * 8 + 3) /* bits; meets headers, records, bodies and gaps */
#define REST_MS 1000

enum ending { AT_REST, STOPPED, STOPPED_UNHEARD };

static const uint32_t lengths[] = {300, 5000, 0, 1200, 40};
#define SENT 5

/* Several messages, the last ones in one batch, and nothing done with any of them. */
static void live(struct world *w, enum ending how)
{
	w->rough = how == STOPPED_UNHEARD;
	assert_true(world_up(w, 1));
	w->deaf = how == STOPPED_UNHEARD;
	world_send(w, 0, lengths[0]);
	fake_io_pass(&w->io, 20);
	for (int i = 1; i < SENT; i++)
		world_send(w, 0, lengths[i]);
	if (how == AT_REST) {
		fake_io_pass(&w->io, REST_MS);
		world_down(w);
	} else {
		fake_io_pass(&w->io, 20);
		world_stop(w);
	}
	w->deaf = false;
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
}

static uint32_t lost(struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SENT; i++) {
		struct spool_body body;
		struct ticket *t = &w->tickets[i];
		assert_int_equal(t->fate, FATE_TAKEN);
		if (!t->known || spool_store_body(w->store, t->id, &body) != 0)
			n++;
		else
			spool_store_body_done(w->store, &body);
	}
	return n;
}

static uint32_t flip(uint64_t bit, enum ending how, bool *past_end)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result = {0};
	char path[64];

	assert_non_null(w);
	world_init(w, 31);
	live(w, how);
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", (uint32_t)(w->tickets[0].id >> 32));
	*past_end = sim_disk_flip(w->disk, path, bit) != 0;
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	world_check(w);
	uint32_t n = lost(w);
	if (n > 1)
		fail_msg("bit %" PRIu64 ": %" PRIu32 " messages are lost", bit, n);
	if (n && !w->damage_reports)
		fail_msg("bit %" PRIu64 ": a message is lost without a word", bit);
	if (n && !result.damaged)
		fail_msg("bit %" PRIu64 ": verify does not find it", bit);
	if (w->fault)
		fail_msg("bit %" PRIu64 ": %s", bit, w->fault);
	world_done(w);
	free(w);
	return n;
}

static void flip_all(enum ending how)
{
	bool past_end = false;
	uint32_t n = 0;

	for (uint64_t bit = 4096 * 8; !past_end; bit += STRIDE)
		n += flip(bit, how, &past_end);
	assert_true(n > 20);
}

static void test_the_power_fails_after_a_moment_of_rest(void **state)
{
	(void)state;
	flip_all(AT_REST);
}

static void test_all_ended_in_good_order(void **state)
{
	(void)state;
	flip_all(STOPPED);
}

/* The writer's log proves itself, should delivery not have been there. */
static void test_a_writer_ended_in_good_order_and_delivery_never_heard(void **state)
{
	(void)state;
	flip_all(STOPPED_UNHEARD);
}

/* A bounce in the journal's last batch. */
static void test_any_bit_of_a_journal_at_rest(void **state)
{
	uint32_t n = 0;

	(void)state;
	for (uint64_t bit = 4096 * 8;; bit += 97) {
		struct world *w = malloc(sizeof(*w));
		char path[64];
		assert_non_null(w);
		world_init(w, 32);
		w->quiet = true;
		assert_true(world_up(w, 1));
		world_send(w, 0, 1000);
		fake_io_pass(&w->io, 20);
		world_finish(&w->tickets[0], true);
		fake_io_pass(&w->io, REST_MS);
		assert_true(w->tickets[0].done_durable && w->tickets[1].known);
		world_down(w);
		sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
		snprintf(path, sizeof(path), "d/%08" PRIx32 ".log",
			(uint32_t)(w->tickets[1].id >> 32));
		int past_end = sim_disk_flip(w->disk, path, bit);
		w->damage_expected = true;
		w->tickets[0].done_durable = false;
		assert_true(world_up(w, 1));
		if (!w->tickets[1].known) {
			n++;
			if (!w->damage_reports)
				fail_msg("bit %" PRIu64 ": a bounce is lost without a word", bit);
		}
		world_done(w);
		free(w);
		if (past_end)
			break;
	}
	assert_true(n > 5);
}

static uint64_t batches(struct world *w)
{
	struct spool_figures figures;

	spool_store_figures(w->store, &figures);
	return figures.batches;
}

static void test_rest_is_put_on_record_once(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	world_init(w, 33);
	assert_true(world_up(w, 2));
	struct tap *tap = tap_on(w->disk);
	world_send(w, 0, 1000);
	world_send(w, 1, 1000);
	fake_io_pass(&w->io, REST_MS);
	assert_int_equal(batches(w), 1);
	world_state(&w->tickets[0]);
	fake_io_pass(&w->io, REST_MS);
	assert_int_equal(batches(w), 3);
	uint64_t syncs = tap->syncs, dir_syncs = tap->dir_syncs;
	fake_io_pass(&w->io, 3600 * 1000);
	assert_int_equal(batches(w), 3);
	assert_int_equal(tap->syncs, syncs);
	assert_int_equal(tap->dir_syncs, dir_syncs);
	world_done(w);
	free(w);
}

/* While mail flows, nothing is written for the sake of the proof. */
static void test_no_batch_more_while_busy(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	assert_non_null(w);
	world_init(w, 34);
	assert_true(world_up(w, 1));
	for (int i = 0; i < 50; i++) {
		world_send(w, 0, 100);
		fake_io_pass(&w->io, 100);
	}
	assert_int_equal(batches(w), 0);
	fake_io_pass(&w->io, REST_MS);
	assert_int_equal(batches(w), 1);
	world_done(w);
	free(w);
}

/* Held mail: the journal's files come and go, what they said of the tail stays. */
static void test_the_proof_outlives_the_journal_file_it_was_in(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result = {0};
	struct spool_body body;
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 35);
	w->segment_bytes = 64 << 10;
	w->sync_ms = 5;
	assert_true(world_up(w, 2));
	struct ticket *held = world_send(w, 0, 3000), *busy = world_send(w, 1, 100);
	fake_io_pass(&w->io, REST_MS);
	assert_int_equal(spool_store_body(w->store, held->id, &body), 0);
	uint64_t bit = (body.offset + 5) * 8;
	spool_store_body_done(w->store, &body);
	for (int i = 0; i < 400; i++) {
		world_state(busy);
		fake_io_pass(&w->io, 60);
	}
	fake_io_pass(&w->io, 20000);
	snprintf(path, sizeof(path), "d/%08" PRIx32 ".log", (uint32_t)(WORLD_WALL / 1000 + 100));
	struct span bytes;
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), ERR_NOT_FOUND);
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", (uint32_t)(held->id >> 32));
	assert_int_equal(sim_disk_flip(w->disk, path, bit), 0);
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.damaged, 1);
	assert_int_equal(result.torn_tails, 0);
	world_done(w);
	free(w);
}

enum parting { MOVED, BOUNCED, BOUNCED_BIG };

/* One message of many is left in its file, and is moved into the journal; or the last one is
 * bounced. Either way its file goes. */
static void part(struct world *w, enum parting how, uint64_t ms)
{
	assert_true(world_up(w, 1));
	for (int i = 0; i < 30; i++) {
		world_send(w, 0, i != 3 ? 20000 : how == BOUNCED_BIG ? 100000 : 1500);
		fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, REST_MS);
	for (uint32_t i = 0; i < 20; i++)
		if (i != 3)
			world_finish(&w->tickets[i], false);
	if (how != MOVED) {
		fake_io_pass(&w->io, REST_MS);
		world_finish(&w->tickets[3], true);
	}
	fake_io_pass(&w->io, ms);
}

/* The last byte but some of the journal: in its last batch. */
static void flip_last_batch(struct world *w)
{
	const struct log_file *file = &w->store->journal.log.file;
	uint32_t serial = file->made.id.serial;
	char path[FORMAT_PATH];
	struct span bytes;

	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	format_log_path(path, SPOOL_OWNER_DELIVERY, serial);
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	if (bytes.n > FORMAT_PAGE + 40)
		sim_disk_flip(w->disk, path, (bytes.n - 30) * 8);
}

/*
 * The copy, or the bounce, is in a batch that nothing vouches for yet; a bit of it flips, and the
 * power fails. It passes for a torn tail, so what was there before must be there still.
 */
static uint32_t flip_after_parting(enum parting how)
{
	uint32_t moments = 0;

	for (uint64_t ms = 0; ms < 5000; ms += 25) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		world_init(w, 37);
		w->quiet = true;
		part(w, how, ms);
		struct ticket *t = &w->tickets[3];
		uint32_t dsn = how == MOVED ? 0 : t->dsn;
		flip_last_batch(w);
		w->damage_expected = true;
		for (uint32_t i = 0; i < w->count; i++)
			w->tickets[i].done_durable = false;
		assert_true(world_up(w, 1));
		bool there = t->known || (dsn && w->tickets[dsn].known);
		if (!there && !w->damage_reports)
			fail_msg("after %" PRIu64 " ms: a message is lost without a word", ms);
		if (there && t->known)
			world_check_body(w, t);
		if (w->fault)
			fail_msg("after %" PRIu64 " ms: %s", ms, w->fault);
		moments += there;
		world_done(w);
		free(w);
	}
	return moments;
}

static void test_what_was_moved_stays_until_its_copy_is_vouched_for(void **state)
{
	(void)state;
	assert_true(flip_after_parting(MOVED) > 0);
}

static void test_what_bounced_stays_until_the_bounce_is_vouched_for(void **state)
{
	(void)state;
	assert_true(flip_after_parting(BOUNCED) > 0);
	assert_true(flip_after_parting(BOUNCED_BIG) > 0);
}

/* Nobody vouches for the batch, and one body of it is not whole: nobody was told 250. */
static void test_a_torn_batch_does_not_count_at_all(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result = {0};
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 36);
	w->rough = true;
	assert_true(world_up(w, 1));
	w->deaf = true;
	struct ticket *before = world_send(w, 0, 100);
	fake_io_pass(&w->io, 20);
	for (int i = 0; i < 3; i++)
		world_send(w, 0, 5000);
	fake_io_settle(&w->io);
	w->deaf = false;
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_EVERYTHING);
	struct span bytes;
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", (uint32_t)(before->id >> 32));
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	assert_int_equal(sim_disk_flip(w->disk, path, (bytes.n - 100) * 8), 0);
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.torn_tails, 1);
	assert_int_equal(result.damaged, 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	assert_int_equal(world_live(w), 1);
	assert_int_equal(w->damage_reports, 0);
	world_done(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_power_fails_after_a_moment_of_rest),
		cmocka_unit_test(test_all_ended_in_good_order),
		cmocka_unit_test(test_a_writer_ended_in_good_order_and_delivery_never_heard),
		cmocka_unit_test(test_any_bit_of_a_journal_at_rest),
		cmocka_unit_test(test_rest_is_put_on_record_once),
		cmocka_unit_test(test_no_batch_more_while_busy),
		cmocka_unit_test(test_the_proof_outlives_the_journal_file_it_was_in),
		cmocka_unit_test(test_a_torn_batch_does_not_count_at_all),
		cmocka_unit_test(test_what_was_moved_stays_until_its_copy_is_vouched_for),
		cmocka_unit_test(test_what_bounced_stays_until_the_bounce_is_vouched_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
