#include "base/err.h"
#include "tap.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	if (!w)
		return -1;
	world_init(w, 5);
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

static struct spool_figures figures(struct world *w, uint32_t writer)
{
	struct spool_figures figures;

	spool_writer_figures(w->writers[writer], &figures);
	return figures;
}

/* A crash in which nothing unsynced is kept, and a new life. */
static void crash(struct world *w)
{
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	assert_true(world_up(w, 2));
	world_check(w);
	assert_null(w->fault);
}

static void test_a_taken_message_is_there_after_a_power_cut(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 2));
	static const uint32_t lengths[] = {0, 1, 16000, 16384, 65536, 100000, 400000};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		world_send(w, (uint8_t)(i % 2), lengths[i]);
	fake_io_pass(&w->io, 20);
	for (uint32_t i = 0; i < w->count; i++)
		assert_int_equal(w->tickets[i].fate, FATE_TAKEN);
	crash(w);
	assert_int_equal(world_live(w), w->count);
}

static void test_messages_gather_while_a_sync_runs(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 20);
	uint64_t before = figures(w, 0).batches;
	/* The first starts a batch at the end of the turn; all others wait for its end. */
	world_send(w, 0, 1000);
	io_turns_run(&w->io.io);
	for (int i = 0; i < 50; i++)
		world_send(w, 0, 1000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(figures(w, 0).batches - before, 2);
	assert_int_equal(world_live(w), 51);
}

static void test_ids_are_foretold_and_rise(void **state)
{
	struct world *w = *state;
	uint64_t last = 0;

	assert_true(world_up(w, 1));
	for (int i = 0; i < 300; i++) {
		struct ticket *t = world_send(w, 0, 3000);
		assert_true(t->id > last);
		last = t->id;
		if (i % 40 == 0)
			fake_io_pass(&w->io, 20);
	}
	fake_io_pass(&w->io, 20);
	assert_true(figures(w, 0).files >= 1);
	crash(w);
}

static void test_short_memory_makes_clients_wait_but_never_for_each_other(void **state)
{
	struct world *w = *state;
	enum { CLIENTS = 60 };
	struct ticket *clients[CLIENTS];
	uint32_t waited = 0, open = CLIENTS;

	w->memory_bytes = 1; /* the least there is: room for 16 first chunks */
	assert_true(world_up(w, 1));
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = world_client(w, 0, 50000);
	for (int round = 0; open && round < 10000; round++) {
		open = 0;
		for (int i = 0; i < CLIENTS; i++) {
			world_feed(w, clients[i], 5000);
			waited += clients[i]->wants_room;
			open += clients[i]->draft != NULL;
		}
		fake_io_turn(&w->io);
	}
	fake_io_pass(&w->io, 20);
	assert_int_equal(open, 0);
	assert_true(waited > 0);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(clients[i]->fate, FATE_TAKEN);
	assert_int_equal(world_live(w), CLIENTS);
	world_check(w);
	crash(w);
}

static int count_names(void *arg, const char *name)
{
	size_t n = strlen(name);

	*(int *)arg += n > 5 && strcmp(name + n - 5, ".body") == 0;
	return 0;
}

static int bodies(struct world *w)
{
	int count = 0;

	assert_int_equal(disk_list(sim_disk_base(w->disk), "b0", count_names, &count), 0);
	return count;
}

static void test_a_long_body_has_a_file_until_its_message_is_done(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	struct ticket *t = world_send(w, 0, 300000);
	struct ticket *aborted = world_client(w, 0, 300000);
	world_feed(w, aborted, 150000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(bodies(w), 2);
	world_abort(aborted);
	fake_io_pass(&w->io, 20);
	assert_int_equal(bodies(w), 1);
	crash(w);
	world_finish(t, false);
	fake_io_pass(&w->io, 100);
	assert_int_equal(bodies(w), 0);
}

static void test_a_long_body_that_was_never_finished_is_removed_at_recovery(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	struct ticket *t = world_client(w, 0, 300000);
	world_feed(w, t, 200000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(bodies(w), 1);
	world_down(w);
	sim_disk_process_died(w->disk);
	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 20);
	assert_int_equal(bodies(w), 0);
}

static void test_an_aborted_commit_stays_in_and_says_nothing(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	struct ticket *t = world_client(w, 0, 1000);
	struct spool_draft *draft = t->draft;
	world_feed(w, t, 1000);
	assert_null(t->draft);
	spool_draft_abort(&draft);
	fake_io_pass(&w->io, 20);
	assert_int_equal(t->fate, FATE_OPEN);
	assert_true(t->known);
}

static void test_a_full_disk_is_refused_and_comes_back_by_itself(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	world_send(w, 0, 1000);
	fake_io_pass(&w->io, 20);
	uint64_t free_bytes = 0;
	sim_disk_set_capacity(w->disk, 1 << 20);
	disk_free_bytes(sim_disk_base(w->disk), &free_bytes);
	sim_disk_set_capacity(w->disk, (1 << 20) - free_bytes);
	/* What is set aside is still used; then messages are refused, not lost and not half there.
	 */
	struct ticket *t = NULL;
	for (int i = 0; i < 100 && spool_writer_health(w->writers[0]) == SPOOL_WELL; i++) {
		t = world_send(w, 0, 20000);
		fake_io_pass(&w->io, 20);
	}
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_FULL);
	assert_int_equal(t->fate, FATE_REFUSED);
	assert_int_equal(world_send(w, 0, 100)->fate, FATE_REFUSED);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_FULL);
	world_check(w);
	/* Completions go on from the reserve, and make room. */
	for (uint32_t i = 0; i < w->count; i++)
		if (w->tickets[i].known)
			world_finish(&w->tickets[i], i % 2);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	t = world_send(w, 0, 20000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(t->fate, FATE_TAKEN);
	sim_disk_set_capacity(w->disk, 0);
	crash(w);
}

static void test_a_refused_batch_never_comes_back(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 20);
	/* A part of it reaches the disk, durably, before the device says that it is full. */
	tap_on(w->disk)->writes_back = true;
	sim_disk_fail_nth(w->disk, SIM_WRITE, 1, ERR_NO_SPACE, true);
	struct ticket *t = world_send(w, 0, 40000);
	while (t->fate == FATE_OPEN && fake_io_turn(&w->io))
		;
	/* The power fails when the client has its answer. */
	assert_int_equal(t->fate, FATE_REFUSED);
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	assert_true(world_up(w, 1));
	assert_int_equal(world_live(w), 0);
	/* Not even as a torn tail: its header says that it does not count. */
	struct spool_verify_result result = {0};
	assert_int_equal(spool_verify(sim_disk_base(w->disk), NULL, NULL, &result), 0);
	assert_int_equal(result.torn_tails + result.damaged, 0);
}

static int remove_log(void *arg, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "w0/%s", name);
	return disk_unlink(arg, path);
}

/* What is written to a file without a name is lost with the process: it is not said to be safe. */
static void test_a_log_that_somebody_removed(void **state)
{
	struct world *w = *state;
	struct disk *disk = sim_disk_base(w->disk);

	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 20);
	assert_int_equal(disk_list(disk, "w0", remove_log, disk), 0);
	/* In the current file, and in the one made in advance. */
	for (int i = 0; i < 2; i++) {
		struct ticket *t = world_send(w, 0, 5000);
		fake_io_pass(&w->io, 20);
		assert_true(t->fate == FATE_REFUSED || t->fate == FATE_DOUBT);
	}
	fake_io_pass(&w->io, 20000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	struct ticket *t = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(t->fate, FATE_TAKEN);
	crash(w);
	assert_int_equal(world_live(w), 1);
}

static void sync_fails(struct world *w, bool keep_pages)
{
	assert_true(world_up(w, 1));
	struct ticket *before = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	sim_disk_fail_nth(w->disk, SIM_SYNC, 1, ERR_IO, keep_pages);
	struct ticket *failed = world_send(w, 0, 5000);
	fake_io_turn(&w->io);
	struct ticket *waiting = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	struct ticket *after = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(before->fate, FATE_TAKEN);
	assert_int_equal(failed->fate, FATE_REFUSED);
	assert_true(waiting->fate == FATE_REFUSED || waiting->fate == FATE_TAKEN);
	assert_int_equal(after->fate, FATE_TAKEN);
	assert_int_equal(after->id >> 32, (before->id >> 32) + 1);
	/* Even if all of the failed batch reached the disk, it is not delivered: it was refused. */
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_EVERYTHING);
	assert_true(world_up(w, 1));
	world_check(w);
	assert_false(failed->known);
}

static void test_a_failed_sync_is_refused_and_sealed_in_a_new_file(void **state)
{
	sync_fails(*state, true);
}

static void test_a_failed_sync_that_dropped_the_pages(void **state)
{
	sync_fails(*state, false);
}

/* Neither the batch nor a seal could be made durable, and the process ends. Memory holds all of it
 * and believes it clean; what recovery takes in from there must be on the device. */
static void test_what_only_memory_holds_is_not_believed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct world *w = malloc(sizeof(*w));
		assert_non_null(w);
		world_init(w, seed);
		assert_true(world_up(w, 1));
		fake_io_pass(&w->io, 20);
		sim_disk_fail_nth(w->disk, SIM_SYNC, 1, ERR_IO, true);
		sim_disk_fail_nth(w->disk, SIM_WRITE, 2, ERR_IO, true);
		struct ticket *t = world_send(w, 0, 5000);
		fake_io_pass(&w->io, 20);
		assert_int_equal(t->fate, FATE_DOUBT);
		world_down(w);
		sim_disk_process_died(w->disk);
		assert_true(world_up(w, 1));
		crash(w);
		world_done(w);
		free(w);
	}
}

static void test_when_nothing_can_be_synced_nobody_is_told_anything(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	fake_io_pass(&w->io, 20);
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){.sync_error = 65536});
	struct ticket *t = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 20);
	assert_int_equal(t->fate, FATE_DOUBT);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_SICK);
	struct ticket *refused = world_send(w, 0, 500);
	assert_int_equal(refused->fate, FATE_REFUSED);
	fake_io_pass(&w->io, 10000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_SICK);
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){0});
	fake_io_pass(&w->io, 10000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	assert_int_equal(world_send(w, 0, 500)->fate, FATE_OPEN);
	fake_io_pass(&w->io, 20);
	crash(w);
}

static void test_a_writer_that_starts_on_a_broken_disk_becomes_well(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 1));
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){.make_error = 65536});
	world_replace_writer(w, 0);
	assert_non_null(w->writers[0]);
	assert_int_not_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	assert_int_equal(world_send(w, 0, 500)->fate, FATE_REFUSED);
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){0});
	fake_io_pass(&w->io, 10000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	struct ticket *t = world_send(w, 0, 500);
	fake_io_pass(&w->io, 20);
	assert_int_equal(t->fate, FATE_TAKEN);
}

/* ---- what a worker may do to its files, by Landlock (role_smtpd.c) -------------------------- */

static int count_name(void *arg, const char *name)
{
	(void)name;
	++*(uint32_t *)arg;
	return 0;
}

static uint32_t files_in(struct world *w, const char *dir)
{
	uint32_t n = 0;

	assert_int_equal(disk_list(sim_disk_base(w->disk), dir, count_name, &n), 0);
	return n;
}

/* Only the writer runs: whatever is done is its doing. */
static struct tap *alone(struct world *w)
{
	struct tap *tap = tap_on(w->disk);

	assert_true(world_up(w, 2));
	w->rough = true;
	while (spool_store_busy(w->store))
		fake_io_pass(&w->io, 100);
	spool_store_free(&w->store);
	*tap = (struct tap){0};
	return tap;
}

static void down_alone(struct world *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		if (w->tickets[i].draft)
			world_abort(&w->tickets[i]);
	for (int i = 0; i < 2; i++) {
		while (spool_writer_busy(w->writers[i]))
			fake_io_pass(&w->io, 100);
		spool_writer_free(&w->writers[i]);
	}
	fake_io_done(&w->io);
}

static void test_a_writer_reads_cuts_and_removes_no_log(void **state)
{
	struct world *w = *state;
	struct tap *tap = alone(w);
	const struct sim_disk_faults faults = {.write_no_space = 3000,
		.write_error = 1500,
		.sync_error = 3000,
		.sync_dir_error = 1500,
		.make_error = 6000};

	for (int i = 0; i < 400; i++) {
		if (i == 100)
			sim_disk_set_faults(w->disk, &faults);
		struct ticket *t = world_client(w, (uint8_t)(i % 2), i % 3 ? 9000 : 200000);
		world_feed(w, t, i % 7 == 0 ? 100000 : UINT32_MAX);
		fake_io_pass(&w->io, i % 10 ? 5 : 4000);
		if (i % 7 == 0 && t->draft)
			world_abort(t);
	}
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){0});
	down_alone(w);
	assert_true(tap->opens > 100);
	assert_int_equal(tap->read_opens, 0);
	assert_int_equal(tap->reads, 0);
	assert_int_equal(tap->truncates, 0);
	assert_int_equal(tap->log_unlinks, 0);
}

/* Hours without space, or with a device that cannot sync: what was begun is gone on with, or at
 * least few names are left, which go once it is well. */
static void test_a_bad_time_leaves_few_files(void **state)
{
	struct world *w = *state;

	assert_true(world_up(w, 2));
	world_send(w, 0, 5000);
	fake_io_pass(&w->io, 1000);
	sim_disk_set_capacity(w->disk, 1);
	for (int i = 0; i < 60; i++) {
		world_send(w, 0, 60000);
		fake_io_pass(&w->io, 60000);
	}
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_FULL);
	assert_true(files_in(w, "w0") <= 4);
	sim_disk_set_capacity(w->disk, 0);
	fake_io_pass(&w->io, 5000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	struct ticket *t = world_send(w, 0, 5000);
	fake_io_pass(&w->io, 100);
	assert_int_equal(t->fate, FATE_TAKEN);
	assert_true(t->known);
	/* The device fails whatever is synced. */
	w->rough = true;
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){.sync_error = 65536});
	world_send(w, 0, 5000);
	fake_io_pass(&w->io, 2 * 3600 * 1000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_SICK);
	assert_true(files_in(w, "w0") < 300);
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){0});
	fake_io_pass(&w->io, 120000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	for (int i = 0; i < 3; i++) {
		t = world_send(w, 0, 5000);
		fake_io_pass(&w->io, 30000);
		assert_true(t->known);
	}
	for (uint32_t i = 0; i < w->count; i++)
		if (w->tickets[i].known && !w->tickets[i].done_asked)
			world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 60000);
	assert_true(files_in(w, "w0") <= 4);
	assert_null(w->fault);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_taken_message_is_there_after_a_power_cut),
		TEST(test_messages_gather_while_a_sync_runs),
		TEST(test_ids_are_foretold_and_rise),
		TEST(test_short_memory_makes_clients_wait_but_never_for_each_other),
		TEST(test_a_long_body_has_a_file_until_its_message_is_done),
		TEST(test_a_long_body_that_was_never_finished_is_removed_at_recovery),
		TEST(test_an_aborted_commit_stays_in_and_says_nothing),
		TEST(test_a_full_disk_is_refused_and_comes_back_by_itself),
		TEST(test_a_refused_batch_never_comes_back),
		TEST(test_a_log_that_somebody_removed),
		TEST(test_a_failed_sync_is_refused_and_sealed_in_a_new_file),
		TEST(test_a_failed_sync_that_dropped_the_pages),
		TEST(test_what_only_memory_holds_is_not_believed),
		TEST(test_when_nothing_can_be_synced_nobody_is_told_anything),
		TEST(test_a_writer_that_starts_on_a_broken_disk_becomes_well),
		TEST(test_a_writer_reads_cuts_and_removes_no_log),
		TEST(test_a_bad_time_leaves_few_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
