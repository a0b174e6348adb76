/* Bits flip in files that lie still. At most the message that was hit is lost, and somebody says
 * so. */
#include "base/err.h"
#include "spool/format.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENT 14

/* A log of several batches, all proven, since the journal knows of them; one message is done. */
static void fill(struct world *w, char path[64])
{
	static const uint32_t lengths[] = {300, 9000, 0, 2500, 40};

	assert_true(world_up(w, 1));
	for (int i = 0; i < SENT; i++) {
		world_send(w, 0, lengths[i % 5]);
		if (i % 3 == 2)
			fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, 50);
	world_finish(&w->tickets[4], false);
	for (uint32_t i = 0; i < SENT; i++)
		if (i % 4 == 1)
			world_state(&w->tickets[i]);
	fake_io_pass(&w->io, 200);
	snprintf(path, 64, "w0/%08" PRIx32 ".log", (uint32_t)(w->tickets[0].id >> 32));
}

static uint32_t unreadable(struct world *w)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < SENT; i++) {
		struct ticket *t = &w->tickets[i];
		struct spool_body body;
		if (t->done_durable)
			continue;
		if (!t->known) {
			bad++;
		} else if (spool_store_body(w->store, t->id, &body) != 0) {
			bad++;
			/* Asked again, the same answer: it is never sent half. */
			assert_int_equal(spool_store_body(w->store, t->id, &body), ERR_CORRUPT);
		} else {
			spool_store_body_done(w->store, &body);
		}
	}
	return bad;
}

static uint32_t flip_one(uint64_t bit, bool *past_end)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result = {0};
	char path[64];

	assert_non_null(w);
	world_init(w, 11);
	fill(w, path);
	world_down(w);
	sim_disk_process_died(w->disk);
	*past_end = sim_disk_flip(w->disk, path, bit) != 0;
	uint32_t bad = 0;
	if (!*past_end) {
		assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
		w->damage_expected = true;
		assert_true(world_up(w, 1));
		world_check(w); /* what is read is right, whatever is missing */
		bad = unreadable(w);
		if (bad > 1)
			fail_msg("bit %" PRIu64 ": %" PRIu32 " messages are lost", bit, bad);
		if (bad && !w->damage_reports)
			fail_msg("bit %" PRIu64 ": a message is lost without a word", bit);
		if (bad && !result.damaged)
			fail_msg("bit %" PRIu64 ": verify does not find it", bit);
	}
	if (w->fault)
		fail_msg("bit %" PRIu64 ": %s", bit, w->fault);
	world_done(w);
	free(w);
	return bad;
}

static void test_any_bit_of_a_log(void **state)
{
	bool past_end = false;
	uint32_t lost = 0, flips = 0;

	(void)state;
	/* A stride that meets headers, records, bodies and gaps at all offsets. */
	for (uint64_t bit = 0; !past_end; bit += 37 * 8 + 3) {
		lost += flip_one(bit, &past_end);
		flips++;
	}
	assert_true(flips > 500);
	assert_true(lost > flips / 4);
}

static void test_any_bit_of_the_first_header_pages(void **state)
{
	bool past_end;

	(void)state;
	for (uint64_t byte = 0; byte < 64; byte += 3)
		assert_int_equal(flip_one(byte * 8 + byte % 8, &past_end), 0);
	/* The header of a batch carries no message: all of them are found without it. */
	for (uint64_t byte = 4096; byte < 4096 + 80; byte += 3)
		assert_int_equal(flip_one(byte * 8 + byte % 8, &past_end), 0);
}

static void test_a_damaged_message_keeps_its_file(void **state)
{
	struct world *w = malloc(sizeof(*w));
	char path[64];
	struct span bytes;

	(void)state;
	assert_non_null(w);
	world_init(w, 12);
	fill(w, path);
	world_down(w);
	sim_disk_process_died(w->disk);
	assert_int_equal(sim_disk_flip(w->disk, path, (4096 + 96 + 40) * 8), 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	for (uint32_t i = 0; i < SENT; i++)
		if (w->tickets[i].known)
			world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 30000);
	/* What a program cannot read, a person may. */
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	assert_true(w->damage_reports > 0);
	world_done(w);
	free(w);
}

/* The sender of a message whose body is damaged must be told, so its envelope is still there. */
static void test_a_damaged_body_leaves_its_envelope(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_body body;
	struct envelope envelope;
	struct arena arena;
	struct buf bytes;
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 13);
	fill(w, path);
	assert_int_equal(spool_store_body(w->store, w->tickets[0].id, &body), 0);
	uint64_t bit = (body.offset + 10) * 8;
	spool_store_body_done(w->store, &body);
	world_down(w);
	sim_disk_process_died(w->disk);
	assert_int_equal(sim_disk_flip(w->disk, path, bit), 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	buf_init(&bytes, ENVELOPE_BYTES);
	arena_init(&arena, ENVELOPE_BYTES);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_store_body(w->store, w->tickets[0].id, &body), ERR_CORRUPT);
		buf_clear(&bytes);
		assert_int_equal(
			spool_store_envelope(w->store, w->tickets[0].id, &bytes, &arena, &envelope),
			0);
	}
	assert_int_equal(w->damage_reports, 1);
	arena_reset(&arena);
	buf_done(&bytes);
	world_done(w);
	free(w);
}

/* Not only after a start: what waits for its next attempt lies on the disk as long. */
static void test_a_body_that_lay_for_hours_is_checked_before_it_is_sent(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_body body;
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 16);
	fill(w, path);
	/* It was sent before, and was right then; another one is damaged on its first way out. */
	for (uint32_t i = 0; i < 2; i++) {
		struct ticket *t = &w->tickets[i];
		assert_int_equal(spool_store_body(w->store, t->id, &body), 0);
		uint64_t bit = (body.offset + 20) * 8;
		spool_store_body_done(w->store, &body);
		fake_io_pass(&w->io, 2 * 3600 * 1000);
		assert_int_equal(spool_store_body(w->store, t->id, &body), 0);
		spool_store_body_done(w->store, &body);
		assert_int_equal(sim_disk_flip(w->disk, path, bit), 0);
		w->damage_expected = true;
		fake_io_pass(&w->io, 3601 * 1000);
		assert_int_equal(spool_store_body(w->store, t->id, &body), ERR_CORRUPT);
		assert_int_equal(w->damage_reports, i + 1);
		assert_true(t->damaged);
	}
	assert_int_equal(spool_store_body(w->store, w->tickets[3].id, &body), 0);
	spool_store_body_done(w->store, &body);
	assert_null(w->fault);
	world_done(w);
	free(w);
}

static void test_any_bit_of_the_journal_costs_no_message(void **state)
{
	uint32_t flips = 0;

	(void)state;
	for (uint64_t bit = 0;; bit += 29 * 8 + 5) {
		struct world *w = malloc(sizeof(*w));
		char path[64];
		assert_non_null(w);
		world_init(w, 13);
		fill(w, path);
		world_down(w);
		sim_disk_process_died(w->disk);
		snprintf(path, sizeof(path), "d/%08" PRIx32 ".log",
			(uint32_t)(WORLD_WALL / 1000 + 100));
		int past_end = sim_disk_flip(w->disk, path, bit);
		w->damage_expected = true;
		/* A lost mark repeats a delivery, a lost state an attempt; mail is never lost. */
		w->tickets[4].done_durable = false;
		if (!past_end) {
			assert_true(world_up(w, 1));
			for (uint32_t i = 0; i < SENT; i++)
				assert_true(w->tickets[i].known || i == 4);
		}
		assert_null(w->fault);
		world_done(w);
		free(w);
		if (past_end)
			break;
		flips++;
	}
	assert_true(flips > 50);
}

static void test_rubbish_behind_the_end_is_a_torn_tail(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result = {0};
	struct span bytes;
	char path[64], rubbish[20000];

	(void)state;
	assert_non_null(w);
	world_init(w, 14);
	fill(w, path);
	world_down(w);
	sim_disk_process_died(w->disk);
	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (char)(i * 7);
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	sim_disk_plant(
		w->disk, path, (bytes.n + 4095) / 4096 * 4096, span_of(rubbish, sizeof(rubbish)));
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.torn_tails, 1);
	assert_int_equal(result.damaged, 0);
	assert_true(world_up(w, 1));
	world_check(w);
	assert_null(w->fault);
	assert_int_equal(world_live(w), SENT - 1);
	world_done(w);
	free(w);
}

static void test_files_of_others_are_left_alone(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct span bytes;

	(void)state;
	assert_non_null(w);
	world_init(w, 15);
	sim_disk_plant(w->disk, "w0/notes.txt", 0, SPAN("hello"));
	sim_disk_plant(w->disk, "w0/00000001.log", 0,
		SPAN("not a log, but longer than its header would be"));
	char page[9000] = {1};
	sim_disk_plant(w->disk, "w0/00000002.log", 0, span_of(page, sizeof(page)));
	sim_disk_plant(w->disk, "w99/00000002.log", 0, span_of(page, sizeof(page)));
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 10000);
	assert_int_equal(w->damage_reports, 1);
	assert_int_equal(sim_disk_peek(w->disk, "w0/notes.txt", &bytes), 0);
	assert_int_equal(sim_disk_peek(w->disk, "w0/00000002.log", &bytes), 0);
	assert_int_equal(sim_disk_peek(w->disk, "w99/00000002.log", &bytes), 0);
	assert_null(w->fault);
	world_done(w);
	free(w);
}

/* ---- a message of which only the number is left -------------------------------------------- */

static void restart(struct world *w)
{
	world_stop(w);
	sim_disk_process_died(w->disk);
	w->damage_reports = 0;
	assert_true(world_up(w, 1));
}

static bool is_there(struct world *w, const char *path)
{
	struct span bytes;

	return sim_disk_peek(w->disk, path, &bytes) == 0;
}

/* Its record is damaged while nobody runs. */
static struct world *with_a_lost_one(uint64_t seed, char path[64], uint64_t *id)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, seed);
	fill(w, path);
	*id = w->tickets[0].id;
	world_stop(w);
	sim_disk_process_died(w->disk);
	/* In its envelope: the first record of the first batch. */
	assert_int_equal(sim_disk_flip(w->disk, path, (4096 + 96 + 32 + 48 + 20) * 8), 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	assert_int_equal(w->damage_reports, 1);
	assert_true(w->tickets[0].damaged);
	assert_false(w->tickets[0].known);
	return w;
}

static void test_a_lost_message_is_told_until_it_is_deleted(void **state)
{
	struct spool_verify_result result;
	struct buf buf;
	struct arena arena;
	struct envelope envelope;
	char path[64];
	uint64_t id;
	struct world *w = with_a_lost_one(21, path, &id);

	(void)state;
	buf_init(&buf, ENVELOPE_BYTES);
	arena_init(&arena, 1 << 20);
	assert_int_equal(spool_store_envelope(w->store, id, &buf, &arena, &envelope), ERR_CORRUPT);
	assert_int_equal(w->damage_reports, 1);
	arena_reset(&arena);
	buf_done(&buf);
	restart(w);
	assert_int_equal(w->damage_reports, 1);
	/* It keeps its file, whatever else is done. */
	for (uint32_t i = 1; i < SENT; i++)
		if (w->tickets[i].known)
			world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 20000);
	assert_true(is_there(w, path));
	restart(w);
	assert_int_equal(w->damage_reports, 1);
	assert_true(is_there(w, path));
	/* Deleted, it is done with for good, and so is its file. */
	assert_int_equal(spool_store_done(w->store, id), 0);
	assert_int_equal(spool_store_done(w->store, id), ERR_NOT_FOUND);
	fake_io_pass(&w->io, 20000);
	world_send(w, 0, 100);
	fake_io_pass(&w->io, 20000);
	assert_false(is_there(w, path));
	restart(w);
	assert_int_equal(w->damage_reports, 0);
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.damaged, 0);
	world_check(w);
	assert_null(w->fault);
	world_done(w);
	free(w);
}

static void test_a_deleted_message_is_not_told_again(void **state)
{
	char path[64];
	uint64_t id;
	struct world *w = with_a_lost_one(22, path, &id);

	(void)state;
	assert_int_equal(spool_store_done(w->store, id), 0);
	fake_io_pass(&w->io, 2000);
	/* The others keep the file. */
	assert_true(is_there(w, path));
	restart(w);
	assert_true(is_there(w, path));
	assert_int_equal(w->damage_reports, 0);
	world_check(w);
	assert_null(w->fault);
	world_done(w);
	free(w);
}

/* A body file that may be the lost one's stays as long as that does. */
static void test_a_lost_message_keeps_its_body(void **state)
{
	struct world *w = malloc(sizeof(*w));
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 23);
	assert_true(world_up(w, 1));
	struct ticket *t = world_send(w, 0, 90000);
	fake_io_pass(&w->io, 100);
	world_send(w, 0, 10);
	fake_io_pass(&w->io, 100);
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", (uint32_t)(t->id >> 32));
	world_stop(w);
	sim_disk_process_died(w->disk);
	assert_int_equal(sim_disk_flip(w->disk, path, (4096 + 96 + 32 + 48 + 20) * 8), 0);
	w->damage_expected = true;
	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 5000);
	assert_false(t->known);
	format_body_path(path, 0, (uint32_t)(t->id >> 32), 0);
	assert_true(is_there(w, path));
	assert_int_equal(spool_store_done(w->store, t->id), 0);
	fake_io_pass(&w->io, 5000);
	restart(w);
	fake_io_pass(&w->io, 5000);
	assert_false(is_there(w, path));
	world_done(w);
	free(w);
}

/* ---- the journal --------------------------------------------------------------------------- */

/* A bounce, which lies in the journal, and a state of a message; then other batches. */
static struct ticket *with_a_bounce(struct world *w, char path[64])
{
	w->segment_bytes = 64 << 10;
	w->sync_ms = 5;
	assert_true(world_up(w, 1));
	for (int i = 0; i < 4; i++)
		world_send(w, 0, 300);
	fake_io_pass(&w->io, 100);
	world_finish(&w->tickets[0], true);
	fake_io_pass(&w->io, 100);
	world_state(&w->tickets[1]);
	fake_io_pass(&w->io, 1000);
	struct ticket *dsn = &w->tickets[w->tickets[0].dsn];
	assert_true(dsn->known);
	snprintf(path, 64, "d/%08" PRIx32 ".log", (uint32_t)(dsn->id >> 32));
	return dsn;
}

/* A bit in the payload of the first record of this kind. */
static void flip_record(struct world *w, const char *path, enum format_type type)
{
	struct span bytes;
	struct format_record head;

	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), 0);
	for (size_t at = FORMAT_PAGE; at < bytes.n; at += FORMAT_RECORD_ALIGN) {
		struct span in = span_skip(bytes, at);
		if (format_record_claims(in) && format_get_head(in, &head) == 0 &&
			head.type == type) {
			sim_disk_flip(w->disk, path, (at + FORMAT_RECORD + 5) * 8);
			return;
		}
	}
	fail_msg("no such record");
}

/* Old states make the journal's oldest file one that is not worth keeping. */
static void grow_journal(struct world *w)
{
	for (int i = 0; i < 600; i++) {
		for (int k = 1; k < 4; k++)
			world_state(&w->tickets[k]);
		fake_io_pass(&w->io, 40);
	}
	fake_io_pass(&w->io, 20000);
}

static void test_a_lost_bounce_is_told_until_it_is_deleted(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct spool_verify_result result;
	char path[64];

	(void)state;
	assert_non_null(w);
	world_init(w, 24);
	struct ticket *dsn = with_a_bounce(w, path);
	world_stop(w);
	sim_disk_process_died(w->disk);
	flip_record(w, path, FORMAT_MESSAGE);
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.damaged, 1);
	w->damage_expected = true;
	for (uint32_t lives = 0; lives < 2; lives++) {
		if (lives)
			restart(w);
		else
			assert_true(world_up(w, 1));
		assert_int_equal(w->damage_reports, 1);
		assert_true(dsn->damaged && !dsn->known);
		assert_int_equal(world_live(w), 3);
	}
	/* It keeps its file, and the other files of the journal. */
	grow_journal(w);
	assert_true(is_there(w, path));
	assert_int_equal(spool_store_done(w->store, dsn->id), 0);
	assert_int_equal(spool_store_done(w->store, dsn->id), ERR_NOT_FOUND);
	fake_io_pass(&w->io, 1000);
	restart(w);
	assert_int_equal(w->damage_reports, 0);
	grow_journal(w);
	assert_false(is_there(w, path));
	world_check(w);
	assert_null(w->fault);
	world_done(w);
	free(w);
}

/* Nothing more can be made of it, so it does not keep the journal growing. */
static void test_a_lost_state_does_not_keep_the_journal(void **state)
{
	static const enum format_type types[] = {FORMAT_STATE, FORMAT_DONE, FORMAT_EXTENT};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct world *w = malloc(sizeof(*w));
		char path[64];
		assert_non_null(w);
		world_init(w, 25);
		with_a_bounce(w, path);
		world_stop(w);
		sim_disk_process_died(w->disk);
		flip_record(w, path, types[i]);
		w->damage_expected = true;
		/* A lost mark repeats a delivery. */
		w->tickets[0].done_durable = false;
		w->tickets[0].dsn = 0;
		assert_true(world_up(w, 1));
		assert_int_equal(w->damage_reports, 1);
		assert_true(is_there(w, path));
		grow_journal(w);
		assert_false(is_there(w, path));
		restart(w);
		assert_int_equal(w->damage_reports, 0);
		assert_null(w->fault);
		world_done(w);
		free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_bit_of_a_log),
		cmocka_unit_test(test_any_bit_of_the_first_header_pages),
		cmocka_unit_test(test_a_damaged_message_keeps_its_file),
		cmocka_unit_test(test_a_damaged_body_leaves_its_envelope),
		cmocka_unit_test(test_a_body_that_lay_for_hours_is_checked_before_it_is_sent),
		cmocka_unit_test(test_any_bit_of_the_journal_costs_no_message),
		cmocka_unit_test(test_rubbish_behind_the_end_is_a_torn_tail),
		cmocka_unit_test(test_files_of_others_are_left_alone),
		cmocka_unit_test(test_a_lost_message_is_told_until_it_is_deleted),
		cmocka_unit_test(test_a_deleted_message_is_not_told_again),
		cmocka_unit_test(test_a_lost_message_keeps_its_body),
		cmocka_unit_test(test_a_lost_bounce_is_told_until_it_is_deleted),
		cmocka_unit_test(test_a_lost_state_does_not_keep_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
