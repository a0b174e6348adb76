/*
 * Numbers of files, and what a worker that was taken over can do to them: it can make any name in
 * its own folder. Mail is taken and delivered all the same, no number returns, none wraps.
 */
#include "base/err.h"
#include "spool/format.h"
#include "spool/log.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW ((uint32_t)(WORLD_WALL / 1000))

static struct world *begin(uint64_t seed)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_init(w, seed);
	return w;
}

static void end(struct world *w)
{
	assert_null(w->fault);
	world_done(w);
	free(w);
}

static uint32_t serial_of(const struct ticket *t)
{
	return format_id_serial(t->id);
}

/* With a header or, as after `touch`, without. */
static void plant(struct world *w, const char *name, bool header)
{
	char path[64], page[FORMAT_PAGE];
	uint32_t serial = 0;

	snprintf(path, sizeof(path), "w0/%s", name);
	sscanf(name, "%8" SCNx32, &serial);
	format_put_page(page, &(struct format_file){.serial = serial, .owner = 0, .salt = 5});
	sim_disk_plant(w->disk, path, 0, header ? span_of(page, sizeof(page)) : SPAN_NONE);
}

static void expect_mail_flows(struct world *w)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct ticket *t = world_send(w, 0, 3000);
		fake_io_pass(&w->io, 100);
		assert_int_equal(t->fate, FATE_TAKEN);
		assert_true(t->known);
		world_check_body(w, t);
	}
	world_check(w);
}

/* A life, the hostile names, and lives after that: also the mail of the first one is there. */
static void survive(const char *const *names, size_t count, bool header)
{
	struct world *w = begin(1);
	uint32_t before = 0;

	assert_true(world_up(w, 1));
	expect_mail_flows(w);
	before = serial_of(&w->tickets[2]);
	world_down(w);
	sim_disk_process_died(w->disk);
	for (size_t i = 0; i < count; i++)
		plant(w, names[i], header);
	for (int life = 0; life < 3; life++) {
		assert_true(world_up(w, 1));
		uint32_t first = w->count;
		/* Where all numbers were used up, it is well a few seconds later. */
		fake_io_pass(&w->io, 10000);
		expect_mail_flows(w);
		uint32_t now = serial_of(&w->tickets[first]);
		assert_true(now > before);
		assert_true(now <= NOW + 1000 + SPOOL_SERIAL_AHEAD + 10);
		before = serial_of(&w->tickets[w->count - 1]);
		world_replace_writer(w, 0);
		expect_mail_flows(w);
		before = serial_of(&w->tickets[w->count - 1]);
		world_stop(w);
		sim_disk_process_died(w->disk);
	}
	end(w);
}

static void test_the_greatest_number_there_is(void **state)
{
	static const char *const names[] = {"ffffffff.log", "fffffffe.log"};

	(void)state;
	survive(names, 2, false);
	survive(names, 2, true);
}

static void test_names_that_are_no_files_of_a_log(void **state)
{
	static const char *const names[] = {"fffffff0.logs", "FFFFFFF0.log", "fffffff0",
		"fffffff0-1.bodyx", "6b49d300x.log", "00000000.log"};

	(void)state;
	survive(names, 6, false);
	survive(names, 6, true);
}

static void test_numbers_just_ahead_of_the_clock(void **state)
{
	char names[4][16];
	const char *list[4];

	(void)state;
	/* Below, at and beyond what a writer may have got to in the second life. */
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(names[i], sizeof(names[i]), "%08x.log",
			NOW + 200 + SPOOL_SERIAL_AHEAD - 1 + i);
		list[i] = names[i];
	}
	survive(list, 4, false);
	survive(list, 4, true);
}

static void test_only_the_own_folder_counts(void **state)
{
	struct world *w = begin(2);
	struct spool_serials own, other;
	char name[32];

	(void)state;
	assert_true(world_up(w, 2));
	world_send(w, 0, 10);
	world_send(w, 1, 10);
	fake_io_pass(&w->io, 100);
	snprintf(name, sizeof(name), "%08x.log", NOW + 1000000);
	plant(w, name, true);
	struct disk *disk = sim_disk_base(w->disk);
	assert_int_equal(spool_serials(disk, 0, w->io.io.wall_ms, &own), 0);
	assert_int_equal(spool_serials(disk, 1, w->io.io.wall_ms, &other), 0);
	assert_int_equal(own.least, NOW + 1000001);
	assert_true(other.least < NOW + 1000);
	/* A worker that never was, and a spool that has nothing yet. */
	assert_int_equal(spool_serials(disk, 7, w->io.io.wall_ms, &other), 0);
	assert_true(other.least < NOW + 1000);
	end(w);
	w = begin(3);
	assert_int_equal(spool_serials(sim_disk_base(w->disk), 0, WORLD_WALL, &own), 0);
	assert_int_equal(own.least, 1);
	end(w);
}

/* A life ten years ahead, then the clock is right again. */
static void test_a_clock_that_was_ahead(void **state)
{
	struct world *w = begin(4);
	const int64_t ahead = 10ll * 365 * 86400 * 1000;

	(void)state;
	w->wall_shift = ahead;
	assert_true(world_up(w, 1));
	expect_mail_flows(w);
	uint32_t then = serial_of(&w->tickets[2]);
	assert_true(then > NOW + SPOOL_SERIAL_AHEAD);
	world_stop(w);
	sim_disk_process_died(w->disk);
	w->wall_shift = 0;
	for (int life = 0; life < 2; life++) {
		assert_true(world_up(w, 1));
		assert_int_equal(world_live(w), w->count);
		uint32_t first = w->count;
		expect_mail_flows(w);
		/* No number returns, nor does the order turn. */
		assert_true(serial_of(&w->tickets[first]) > then);
		then = serial_of(&w->tickets[w->count - 1]);
		world_stop(w);
		sim_disk_process_died(w->disk);
	}
	end(w);
}

/* Only a worker was started while the clock was ahead: its mail is there beside its successor, and
 * its files go when they are done. */
static void test_one_worker_whose_clock_was_ahead(void **state)
{
	struct world *w = begin(5);
	struct span bytes;
	char path[64];

	(void)state;
	assert_true(world_up(w, 1));
	expect_mail_flows(w);
	w->io.io.wall_ms += 10ll * 365 * 86400 * 1000;
	world_replace_writer(w, 0);
	uint32_t first = w->count;
	expect_mail_flows(w);
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", serial_of(&w->tickets[first]));
	assert_true(serial_of(&w->tickets[first]) > NOW + SPOOL_SERIAL_AHEAD);
	w->io.io.wall_ms -= 10ll * 365 * 86400 * 1000;
	world_replace_writer(w, 0);
	expect_mail_flows(w);
	assert_true(serial_of(&w->tickets[w->count - 1]) < NOW + SPOOL_SERIAL_AHEAD);
	/* A new store finds all of it, with the writer at a lower number running. */
	assert_true(world_new_store(w));
	world_check(w);
	assert_int_equal(world_live(w), w->count);
	expect_mail_flows(w);
	for (uint32_t i = 0; i < w->count; i++)
		world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), ERR_NOT_FOUND);
	end(w);
}

/* Whatever a dead writer said of its place, the files of its successor come and go. */
static void test_a_notice_from_far_ahead(void **state)
{
	struct world *w = begin(6);
	struct spool_notice lie = {.owner = 0, .serial = 0xfffffff0, .durable = FORMAT_PAGE};
	struct span bytes;
	char path[64];

	(void)state;
	assert_true(world_up(w, 1));
	plant(w, "fffffff0.log", true);
	assert_int_equal(spool_store_notice(w->store, &lie), 0);
	world_replace_writer(w, 0);
	uint32_t first = w->count;
	expect_mail_flows(w);
	snprintf(path, sizeof(path), "w0/%08" PRIx32 ".log", serial_of(&w->tickets[first]));
	/* Past the end of a file. */
	for (int i = 0; i < 8; i++) {
		world_send(w, 0, 60000);
		fake_io_pass(&w->io, 100);
	}
	assert_true(serial_of(&w->tickets[w->count - 1]) > serial_of(&w->tickets[first]));
	for (uint32_t i = 0; i < w->count; i++)
		world_finish(&w->tickets[i], false);
	fake_io_pass(&w->io, 20000);
	assert_int_equal(sim_disk_peek(w->disk, path, &bytes), ERR_NOT_FOUND);
	end(w);
}

static void no_notice(void *context, const struct spool_notice *notice)
{
	(void)context;
	(void)notice;
}

static void test_the_last_number(void **state)
{
	struct world *w = begin(7);
	struct spool_writer_config config = {
		.io = &w->io.io,
		.disk = sim_disk_base(w->disk),
		.serials = {.least = LOG_SERIAL_LAST - 1, .base = LOG_SERIAL_LAST - 1},
		.segment_bytes = 64 << 10,
		.inline_bytes = WORLD_INLINE,
		.memory_bytes = 1 << 20,
		.notice = no_notice,
	};
	struct spool_writer *writer;
	uint32_t taken = 0;

	(void)state;
	fake_io_init(&w->io, 7, WORLD_WALL);
	assert_int_equal(spool_writer_new(&config, &writer), 0);
	assert_int_equal(spool_writer_begin(writer), 0);
	assert_null(spool_writer_trouble(writer));
	w->rough = true; /* nobody hears its notices */
	w->writers[0] = writer;
	for (int i = 0; i < 20; i++) {
		struct ticket *t = world_send(w, 0, 20000);
		fake_io_pass(&w->io, 5000);
		assert_true(t->fate == FATE_TAKEN || t->fate == FATE_REFUSED);
		taken += t->fate == FATE_TAKEN;
		if (t->fate == FATE_TAKEN)
			assert_in_range(serial_of(t), LOG_SERIAL_LAST - 1, LOG_SERIAL_LAST);
	}
	/* Two files' worth, and the last one is written to as far as files go. */
	assert_true(taken >= 6);
	fake_io_settle(&w->io);
	spool_writer_free(&w->writers[0]);
	/* A start with no number left at all is sick and says why. */
	config.serials.least = LOG_SERIAL_LAST + 1;
	assert_int_equal(spool_writer_new(&config, &writer), 0);
	assert_int_equal(spool_writer_begin(writer), 0);
	assert_int_equal(spool_writer_health(writer), SPOOL_SICK);
	assert_non_null(strstr(spool_writer_trouble(writer), "no number is left"));
	fake_io_pass(&w->io, 20000);
	assert_int_equal(spool_writer_health(writer), SPOOL_SICK);
	fake_io_settle(&w->io);
	spool_writer_free(&writer);
	fake_io_done(&w->io);
	sim_disk_free(&w->disk);
	free(w);
}

/* Names are used up as far as the clock allows: it becomes well again by itself. */
static void test_a_number_comes_with_each_second(void **state)
{
	struct world *w = begin(8);
	char name[32];

	(void)state;
	assert_true(world_up(w, 1));
	expect_mail_flows(w);
	struct spool_serials serials;
	assert_int_equal(spool_serials(sim_disk_base(w->disk), 0, w->io.io.wall_ms, &serials), 0);
	snprintf(name, sizeof(name), "%08x.log", serial_most(w->io.io.wall_ms, serials.base));
	plant(w, name, false);
	world_replace_writer(w, 0);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_SICK);
	assert_non_null(strstr(spool_writer_trouble(w->writers[0]), "ahead of the clock"));
	fake_io_pass(&w->io, 10000);
	assert_int_equal(spool_writer_health(w->writers[0]), SPOOL_WELL);
	expect_mail_flows(w);
	for (int i = 0; i < 10; i++) {
		world_send(w, 0, 60000);
		fake_io_pass(&w->io, 5000);
	}
	expect_mail_flows(w);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_greatest_number_there_is),
		cmocka_unit_test(test_names_that_are_no_files_of_a_log),
		cmocka_unit_test(test_numbers_just_ahead_of_the_clock),
		cmocka_unit_test(test_only_the_own_folder_counts),
		cmocka_unit_test(test_a_clock_that_was_ahead),
		cmocka_unit_test(test_one_worker_whose_clock_was_ahead),
		cmocka_unit_test(test_a_notice_from_far_ahead),
		cmocka_unit_test(test_the_last_number),
		cmocka_unit_test(test_a_number_comes_with_each_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
