/*
 * Bodies that lay for a while are checked before they are given out: long ones in pieces beside the
 * loop. What was misread once is looked at again before it is given up, and whenever it is asked
 * for.
 */
#include "base/check.h"
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

#define LONG  (20u << 20)
#define SHORT 30000u

struct lab {
	struct world w;
	struct tap *tap;
	char path[64]; /* of the body */
	uint64_t at;   /* of its first byte there, about */
};

/* A message that lay over a start. */
static struct lab *with_body(uint32_t length)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	world_init(&lab->w, 31);
	lab->tap = tap_on(lab->w.disk);
	assert_true(world_up(&lab->w, 1));
	world_send(&lab->w, 0, 10);
	world_send(&lab->w, 0, length);
	fake_io_pass(&lab->w.io, 3000);
	uint32_t serial = (uint32_t)(lab->w.tickets[1].id >> 32);
	if (length > WORLD_INLINE)
		format_body_path(lab->path, 0, serial, 0);
	else
		format_log_path(lab->path, 0, serial);
	lab->at = length > WORLD_INLINE ? 1000 : 4096 + 4096 + 2000;
	world_stop(&lab->w);
	sim_disk_process_died(lab->w.disk);
	assert_true(world_up(&lab->w, 1));
	assert_true(lab->w.tickets[1].known);
	return lab;
}

static void end(struct lab *lab)
{
	assert_null(lab->w.fault);
	world_done(&lab->w);
	free(lab);
}

static int ask(struct lab *lab)
{
	struct spool_body body;

	int err = spool_store_body(lab->w.store, lab->w.tickets[1].id, &body);
	if (err == 0)
		spool_store_body_done(lab->w.store, &body);
	return err;
}

static void wait_for_check(struct lab *lab)
{
	lab->w.checked = 0;
	for (int i = 0; i < 100 && !lab->w.checked; i++)
		fake_io_turn(&lab->w.io);
	assert_true(lab->w.checked == lab->w.tickets[1].id);
}

static void flip(struct lab *lab)
{
	assert_int_equal(sim_disk_flip(lab->w.disk, lab->path, lab->at * 8 + 3), 0);
}

static void test_a_long_body_is_checked_beside_the_loop(void **state)
{
	struct lab *lab = with_body(LONG);
	char head[100];

	(void)state;
	lab->tap->read_bytes = 0;
	assert_int_equal(ask(lab), ERR_AGAIN);
	assert_int_equal(ask(lab), ERR_AGAIN);
	assert_true(lab->tap->read_bytes < FORMAT_ALIGN);
	/* Who does not wait may see its beginning. */
	assert_int_equal(spool_store_peek(lab->w.store, lab->w.tickets[1].id, head, 100), 100);
	/* In pieces, between which the lane has time for others. */
	uint64_t jobs = lab->w.io.jobs_run;
	wait_for_check(lab);
	assert_true(lab->w.io.jobs_run - jobs >= LONG / STORE_CHECK_STEP);
	assert_true(lab->tap->read_bytes < LONG + FORMAT_ALIGN);
	lab->tap->read_bytes = 0;
	assert_int_equal(ask(lab), 0);
	assert_true(lab->tap->read_bytes < FORMAT_ALIGN);
	world_check_body(&lab->w, &lab->w.tickets[1]);
	end(lab);
}

static void test_a_message_that_is_done_needs_no_check(void **state)
{
	struct lab *lab = with_body(LONG);

	(void)state;
	assert_int_equal(ask(lab), ERR_AGAIN);
	world_finish(&lab->w.tickets[1], false);
	uint64_t before = lab->tap->read_bytes;
	fake_io_pass(&lab->w.io, 3000);
	assert_true(lab->tap->read_bytes - before <= 2 * STORE_CHECK_STEP);
	assert_int_equal(ask(lab), ERR_NOT_FOUND);
	end(lab);
}

static void test_a_damaged_long_body_is_told(void **state)
{
	struct lab *lab = with_body(LONG);

	(void)state;
	flip(lab);
	lab->w.damage_expected = true;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(ask(lab), ERR_AGAIN);
		wait_for_check(lab);
		assert_int_equal(ask(lab), ERR_CORRUPT);
		assert_int_equal(lab->w.damage_reports, 1);
	}
	assert_true(lab->w.tickets[1].damaged);
	/* It was misread, or the device has it again: it is not given up. */
	flip(lab);
	assert_int_equal(ask(lab), ERR_AGAIN);
	wait_for_check(lab);
	assert_int_equal(ask(lab), 0);
	world_check_body(&lab->w, &lab->w.tickets[1]);
	end(lab);
}

static void test_a_damaged_short_body_is_told(void **state)
{
	struct lab *lab = with_body(SHORT);

	(void)state;
	flip(lab);
	lab->w.damage_expected = true;
	assert_int_equal(ask(lab), ERR_CORRUPT);
	assert_int_equal(ask(lab), ERR_CORRUPT);
	assert_int_equal(lab->w.damage_reports, 1);
	flip(lab);
	assert_int_equal(ask(lab), 0);
	world_check_body(&lab->w, &lab->w.tickets[1]);
	end(lab);
}

static void test_memory_that_errs_once_costs_nothing(void **state)
{
	static const uint32_t lengths[] = {SHORT, LONG};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lab *lab = with_body(lengths[i]);
		lab->tap->wrong_reads = 1;
		lab->tap->wrong_from = lab->at;
		lab->tap->wrong_path = lab->path;
		if (ask(lab) == ERR_AGAIN) {
			wait_for_check(lab);
			assert_int_equal(ask(lab), 0);
		}
		assert_int_equal(lab->tap->wrong_reads, 0);
		assert_int_equal(lab->w.damage_reports, 0);
		world_check_body(&lab->w, &lab->w.tickets[1]);
		end(lab);
	}
}

static void test_more_long_bodies_than_are_checked_at_a_time(void **state)
{
	struct lab *lab = with_body(LONG);
	struct world *w = &lab->w;
	const uint32_t first = w->count, many = STORE_CHECKS + 8;
	uint32_t given = 0;

	(void)state;
	for (uint32_t i = 0; i < many; i++)
		world_send(w, 0, STORE_CHECK_NOW + 1);
	fake_io_pass(&w->io, 3000);
	world_stop(w);
	sim_disk_process_died(w->disk);
	assert_true(world_up(w, 1));
	for (int round = 0; round < 50 && given < many; round++) {
		given = 0;
		for (uint32_t i = first; i < first + many; i++) {
			struct spool_body body;
			int err = spool_store_body(w->store, w->tickets[i].id, &body);
			assert_true(err == 0 || err == ERR_AGAIN || err == ERR_NOMEM);
			given += err == 0;
			if (err == 0)
				spool_store_body_done(w->store, &body);
		}
		fake_io_pass(&w->io, 100);
	}
	assert_int_equal(given, many);
	end(lab);
}

/* The last batch, of which nothing else says that it was durable, is hashed at the start. */
static uint64_t before, most;

static void after_step(struct world *w)
{
	const struct lab *lab = (const struct lab *)w;

	most = MAX(most, lab->tap->read_bytes - before);
	before = lab->tap->read_bytes;
}

static void test_a_start_hashes_in_slices(void **state)
{
	struct lab *lab = with_body(SHORT);
	struct world *w = &lab->w;

	(void)state;
	struct ticket *t = world_send(w, 0, LONG);
	for (int i = 0; i < 2000 && t->fate == FATE_OPEN; i++)
		fake_io_turn(&w->io);
	assert_int_equal(t->fate, FATE_TAKEN);
	world_down(w);
	sim_disk_power_cycle(w->disk, SIM_KEEP_NOTHING);
	w->after_step = after_step;
	before = lab->tap->read_bytes;
	most = 0;
	assert_true(world_up(w, 1));
	assert_true(t->known);
	assert_in_range(most, WALK_SLICE / 2, WALK_SLICE + (2u << 20));
	world_check(w);
	end(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_body_is_checked_beside_the_loop),
		cmocka_unit_test(test_a_message_that_is_done_needs_no_check),
		cmocka_unit_test(test_a_damaged_long_body_is_told),
		cmocka_unit_test(test_a_damaged_short_body_is_told),
		cmocka_unit_test(test_memory_that_errs_once_costs_nothing),
		cmocka_unit_test(test_more_long_bodies_than_are_checked_at_a_time),
		cmocka_unit_test(test_a_start_hashes_in_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
