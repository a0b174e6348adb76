#include "base/err.h"
#include "spool/format.h"
#include "spool/store.h"
#include "tap.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	if (!w)
		return -1;
	world_init(w, 9);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bool broken = w->fault != NULL;

	world_done(w);
	free(w);
	return broken ? -1 : 0;
}

static void crash(struct world *w, uint32_t writers)
{
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	assert_true(world_up(w, writers));
	world_check(w);
	assert_null(w->fault);
}

static void wait_durable(struct world *w)
{
	fake_io_pass(&w->io, 3 * w->sync_ms);
}

struct names {
	int logs, bodies;
};

static int count_name(void *arg, const char *name)
{
	struct names *names = arg;
	uint32_t serial, number;
	enum format_name kind = format_parse_name(name, &serial, &number);

	names->logs += kind == FORMAT_NAME_LOG;
	names->bodies += kind == FORMAT_NAME_BODY;
	return 0;
}

static int logs(struct world *w, const char *dir)
{
	struct names names = {0};

	assert_int_equal(disk_list(sim_disk_base(w->disk), dir, count_name, &names), 0);
	return names.logs;
}

static uint64_t batches(struct world *w)
{
	struct spool_figures figures;

	spool_store_figures(w->store, &figures);
	return figures.batches;
}

static void test_the_last_state_wins(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	struct ticket *t = world_send(w, 0, 1000), *other = world_send(w, 0, 1000);
	fake_io_pass(&w->io, 50);
	world_state(t);
	wait_durable(w);
	world_state(t);
	world_state(t);
	world_state(other);
	world_state(t);
	wait_durable(w);
	assert_int_equal(t->state_durable, 4);
	crash(w, 1);
	assert_int_equal(t->state_asked, 4);
	assert_int_equal(other->state_asked, 1);
	/* Back to the first state: an empty one. */
	assert_int_equal(spool_store_state(w->store, t->id, SPAN_NONE), 0);
	t->state_durable = t->state_asked = 0;
	wait_durable(w);
	crash(w, 1);
	assert_int_equal(t->state_asked, 0);
}

static void test_what_is_not_there_is_not_found(void **state)
{
	struct world *w = *state;
	struct spool_body body;
	struct buf buf;
	struct arena arena;
	struct envelope envelope;

	assert_true(world_up(w, 1));
	struct ticket *t = world_send(w, 0, 1000);
	fake_io_pass(&w->io, 50);
	world_finish(t, false);
	buf_init(&buf, 1 << 20);
	arena_init(&arena, 1 << 20);
	const uint64_t ids[] = {0, 1, t->id, t->id + 1, t->id + (1ull << 32), UINT64_MAX,
		SPOOL_ID(5, SPOOL_OWNER_DELIVERY, 1)};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(spool_store_done(w->store, ids[i]), ERR_NOT_FOUND);
		assert_int_equal(spool_store_state(w->store, ids[i], SPAN("x")), ERR_NOT_FOUND);
		assert_int_equal(spool_store_body(w->store, ids[i], &body), ERR_NOT_FOUND);
		assert_int_equal(spool_store_envelope(w->store, ids[i], &buf, &arena, &envelope),
			ERR_NOT_FOUND);
	}
	struct ticket *live = world_send(w, 0, 10);
	fake_io_pass(&w->io, 50);
	assert_int_equal(spool_store_state(w->store, live->id, span_of("", SPOOL_STATE_BYTES + 1)),
		ERR_LIMIT);
	buf_done(&buf);
}

static void test_done_is_durable_when_its_mark_is(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	struct ticket *t = world_send(w, 0, 1000);
	fake_io_pass(&w->io, 50);
	world_finish(t, true);
	assert_true(t->done_mark > w->durable_mark);
	wait_durable(w);
	assert_true(t->done_mark <= w->durable_mark);
	assert_true(spool_store_mark(w->store) <= w->durable_mark);
	assert_true(w->tickets[t->dsn].known);
	crash(w, 1);
	assert_false(t->known);
	assert_true(w->tickets[t->dsn].known);
}

static void test_the_first_change_goes_at_once_and_the_next_are_paced(void **state)
{
	struct world *w = *state;

	w->sync_ms = 200;
	assert_true(world_up(w, 1));
	for (int i = 0; i < 100; i++)
		world_send(w, 0, 100);
	fake_io_pass(&w->io, 1000);
	uint64_t before = batches(w);
	world_state(&w->tickets[0]);
	fake_io_settle(&w->io);
	assert_int_equal(batches(w), before + 1);
	for (uint32_t i = 1; i < 100; i++) {
		world_state(&w->tickets[i]);
		fake_io_pass(&w->io, 10);
	}
	assert_in_range(batches(w), before + 4, before + 7);
}

static void test_a_file_goes_when_all_its_messages_are_done(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	for (int i = 0; i < 40; i++) {
		world_send(w, 0, 20000);
		fake_io_pass(&w->io, 20);
	}
	assert_true(logs(w, "w0") > 4);
	for (uint32_t i = 0; i < 40; i++)
		world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 5000);
	assert_true(logs(w, "w0") <= 2);
	crash(w, 1);
	assert_int_equal(world_live(w), 0);
}

static void test_the_last_message_of_a_file_moves_and_keeps_id_and_state(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	for (int i = 0; i < 40; i++) {
		world_send(w, 0, i % 9 == 1 ? 1500 : 20000);
		fake_io_pass(&w->io, 20);
	}
	for (uint32_t i = 0; i < 40; i++) {
		if (i % 9 == 1)
			world_state(&w->tickets[i]);
		else
			world_finish(&w->tickets[i], false);
	}
	fake_io_pass(&w->io, 30000);
	assert_true(logs(w, "w0") <= 3);
	assert_int_equal(world_live(w), 5);
	world_check(w);
	for (int round = 0; round < 2; round++) {
		/* Still there under its id, also for changes, also after two lives. */
		world_state(&w->tickets[10]);
		wait_durable(w);
		crash(w, 1);
		assert_int_equal(world_live(w), 5);
		assert_int_equal(w->tickets[10].state_asked, 2 + round);
		assert_int_equal(w->tickets[19].state_asked, 1);
		world_check_verify(w);
	}
	world_finish(&w->tickets[10], true);
	wait_durable(w);
	crash(w, 1);
	assert_false(w->tickets[10].known);
}

static void test_the_journal_stays_short(void **state)
{
	struct world *w = *state;

	w->segment_bytes = 64 << 10;
	w->sync_ms = 5;
	assert_true(world_up(w, 2));
	for (int i = 0; i < 60; i++)
		world_send(w, (uint8_t)(i % 2), 700);
	fake_io_pass(&w->io, 100);
	/* A destination that is down: states again and again, of messages that stay. */
	for (int round = 0; round < 400; round++) {
		for (uint32_t i = 0; i < 60; i += 1 + (uint32_t)round % 7)
			world_state(&w->tickets[i]);
		fake_io_pass(&w->io, 40);
		if (round % 100 == 0)
			world_finish(&w->tickets[(uint32_t)round / 100], true);
		if (round % 100 == 0)
			w->tickets[(uint32_t)round / 100] = w->tickets[59];
		assert_true(logs(w, "d") <= 8);
	}
	fake_io_pass(&w->io, 20000);
	assert_true(logs(w, "d") <= 6);
}

static void test_what_a_dead_writer_left_is_taken_in(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 2));
	world_send(w, 0, 5000);
	world_send(w, 1, 5000);
	fake_io_pass(&w->io, 50);
	struct ticket *unheard = world_send(w, 0, 5000);
	struct ticket *half = world_client(w, 0, 200000);
	world_feed(w, half, 150000);
	world_replace_writer(w, 0);
	fake_io_pass(&w->io, 50);
	assert_true(unheard->known);
	assert_false(half->known);
	struct ticket *after = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 50);
	assert_int_equal(after->fate, FATE_TAKEN);
	assert_int_equal(world_live(w), 4);
	world_check(w);
	crash(w, 2);
	assert_int_equal(world_live(w), 4);
}

/* Delivery dies alone and starts beside writers that go on. */
static void test_a_store_that_starts_beside_living_writers(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 2));
	for (int i = 0; i < 30; i++) {
		world_send(w, (uint8_t)(i % 2), 15000);
		fake_io_pass(&w->io, 20);
	}
	struct ticket *half = world_client(w, 0, 200000);
	world_feed(w, half, 150000);
	world_finish(&w->tickets[3], true);
	fake_io_pass(&w->io, 60);
	assert_true(world_new_store(w));
	world_check(w);
	/* A body that is still coming in was not taken for an orphan. */
	world_feed(w, half, UINT32_MAX);
	while (half->draft && fake_io_turn(&w->io))
		world_feed(w, half, UINT32_MAX);
	struct ticket *after = world_send(w, 1, 2000);
	fake_io_pass(&w->io, 60);
	assert_true(half->known && half->fate == FATE_TAKEN);
	assert_true(after->known);
	world_check(w);
	for (uint32_t i = 0; i < w->count; i++)
		if (w->tickets[i].known && i % 2)
			world_finish(&w->tickets[i], false);
	wait_durable(w);
	crash(w, 2);
}

/* A writer that runs and does not say where it is, since it hangs: which of the files are its own
 * is not known, so none is taken for a dead one's. */
static void mute_writer(struct world *w, uint32_t before, uint32_t own)
{
	assert_true(world_up(w, 1));
	for (uint32_t i = 0; i < before; i++) {
		world_send(w, 0, 15000);
		fake_io_pass(&w->io, 20);
	}
	world_replace_writer(w, 0);
	for (uint32_t i = 0; i < own; i++) {
		world_send(w, 0, 15000);
		fake_io_pass(&w->io, 20);
	}
	for (uint32_t i = 0; i + 1 < w->count; i += 2)
		world_finish(&w->tickets[i], false);
	wait_durable(w);
	w->mute = true;
	assert_true(world_new_store(w));
	fake_io_pass(&w->io, 20000);
	/* It goes on: what it says now tells about the others. */
	struct ticket *after = world_send(w, 0, 15000);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(after->fate, FATE_TAKEN);
	assert_true(after->known);
	world_check(w);
	crash(w, 1);
	world_check(w);
}

static void test_a_writer_that_is_not_heard_of_keeps_its_files(void **state)
{
	mute_writer(*state, 3, 0);
}

static void test_what_it_wrote_before_is_read_when_it_is_heard_of(void **state)
{
	mute_writer(*state, 25, 25);
}

/* … or when it is gone. */
static void test_a_writer_may_end_without_being_heard_of(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	for (uint32_t i = 0; i < 25; i++) {
		world_send(w, 0, 15000);
		fake_io_pass(&w->io, 20);
	}
	w->mute = true;
	assert_true(world_new_store(w));
	fake_io_pass(&w->io, 20000);
	assert_int_equal(world_live(w), 0);
	world_replace_writer(w, 0);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(world_live(w), 25);
	world_check(w);
}

/* Each of its tries fails, and each file says where the one before it ends; of the ones between no
 * notice ever comes. The first of them is known, since it was made in advance. */
static void refused_in_files_without_notice(struct world *w, bool heard)
{
	struct ticket *refused[3];

	assert_true(world_up(w, 1));
	world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	w->mute = !heard;
	assert_true(heard || world_new_store(w));
	fake_io_pass(&w->io, 2 * STORE_CLEAN_MS);
	/* All of each batch reaches the disk at once, and then its own sync fails. */
	tap_on(w->disk)->writes_back = true;
	for (int i = 0; i < 3; i++) {
		sim_disk_fail_nth(w->disk, SIM_SYNC, 2, ERR_IO, true);
		refused[i] = world_send(w, 0, 5000);
		fake_io_pass(&w->io, 20);
		assert_int_equal(refused[i]->fate, FATE_REFUSED);
	}
	struct ticket *after = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 2 * STORE_CLEAN_MS);
	assert_int_equal(after->fate, FATE_TAKEN);
	assert_true(after->known);
	for (int i = 0; i < 3; i++)
		assert_false(refused[i]->known);
	world_check(w);
	crash(w, 1);
	assert_int_equal(world_live(w), 2);
}

static void test_what_was_refused_in_a_file_without_notice_stays_out(void **state)
{
	refused_in_files_without_notice(*state, true);
}

static void test_what_a_writer_refused_before_it_was_heard_of_stays_out(void **state)
{
	refused_in_files_without_notice(*state, false);
}

static void test_verify_counts_and_changes_nothing(void **state)
{
	struct world *w = *state;
	struct spool_verify_result result = {0};

	assert_true(world_up(w, 2));
	for (int i = 0; i < 20; i++)
		world_send(w, (uint8_t)(i % 2), i == 7 ? 90000 : 4000);
	fake_io_pass(&w->io, 50);
	for (uint32_t i = 0; i < 5; i++)
		world_finish(&w->tickets[i], i == 0);
	wait_durable(w);
	uint64_t changes = sim_disk_changes(w->disk);
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.messages, 21);
	assert_int_equal(result.done, 5);
	assert_int_equal(result.live, 16);
	assert_int_equal(result.damaged, 0);
	assert_int_equal(result.torn_tails, 0);
	assert_int_equal(sim_disk_changes(w->disk), changes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_last_state_wins),
		TEST(test_what_is_not_there_is_not_found),
		TEST(test_done_is_durable_when_its_mark_is),
		TEST(test_the_first_change_goes_at_once_and_the_next_are_paced),
		TEST(test_a_file_goes_when_all_its_messages_are_done),
		TEST(test_the_last_message_of_a_file_moves_and_keeps_id_and_state),
		TEST(test_the_journal_stays_short),
		TEST(test_what_a_dead_writer_left_is_taken_in),
		TEST(test_a_store_that_starts_beside_living_writers),
		TEST(test_a_writer_that_is_not_heard_of_keeps_its_files),
		TEST(test_what_it_wrote_before_is_read_when_it_is_heard_of),
		TEST(test_a_writer_may_end_without_being_heard_of),
		TEST(test_what_was_refused_in_a_file_without_notice_stays_out),
		TEST(test_what_a_writer_refused_before_it_was_heard_of_stays_out),
		TEST(test_verify_counts_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
