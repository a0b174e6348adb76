/* What a message costs in system calls: on the path of every message, none is to come back unseen.
 */
#include "tap.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BATCH 12

static struct tap *tap;

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	if (!w)
		return -1;
	world_init(w, 51);
	w->segment_bytes = 16 << 20;
	tap = tap_on(w->disk);
	if (!world_up(w, 1))
		return -1;
	/* The first messages open files and teach the store how long a record is. */
	for (int i = 0; i < 3; i++)
		world_send(w, 0, 4000);
	fake_io_pass(&w->io, 2000);
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

static struct tap calls(const struct tap *before)
{
	return (struct tap){
		.opens = tap->opens - before->opens,
		.reads = tap->reads - before->reads,
		.sizes = tap->sizes - before->sizes,
		.writes = tap->writes - before->writes,
		.syncs = tap->syncs - before->syncs,
		.dir_syncs = tap->dir_syncs - before->dir_syncs,
	};
}

static void expect(const struct tap *c, uint64_t writes, uint64_t syncs, uint64_t reads)
{
	assert_int_equal(c->writes, writes);
	assert_int_equal(c->syncs, syncs);
	assert_int_equal(c->reads, reads);
	assert_int_equal(c->opens, 0);
	assert_int_equal(c->sizes, 0);
	assert_int_equal(c->dir_syncs, 0);
}

static void test_a_message_is_one_write_one_sync_and_one_read(void **state)
{
	struct world *w = *state;
	struct tap before = *tap;

	struct ticket *t = world_send(w, 0, 10000);
	fake_io_settle(&w->io);
	assert_true(t->known);
	struct tap c = calls(&before);
	expect(&c, 1, 1, 1);
}

static void test_so_is_a_batch_of_many(void **state)
{
	struct world *w = *state;
	struct tap before = *tap;

	for (uint32_t i = 0; i < BATCH; i++)
		world_send(w, 0, 100 + i * 900);
	fake_io_settle(&w->io);
	assert_int_equal(world_live(w), 3 + BATCH);
	struct tap c = calls(&before);
	/* While the first was written, the others gathered. */
	expect(&c, c.writes, c.writes, c.writes);
	assert_in_range(c.writes, 1, 2);
}

static void attempt(struct world *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		struct ticket *t = &w->tickets[i];
		struct spool_body body;
		struct buf buf;
		struct arena arena;
		struct envelope envelope;
		if (!t->known || i < 3)
			continue;
		buf_init(&buf, ENVELOPE_BYTES);
		arena_init(&arena, ENVELOPE_BYTES);
		assert_int_equal(spool_store_envelope(w->store, t->id, &buf, &arena, &envelope), 0);
		assert_int_equal(spool_store_body(w->store, t->id, &body), 0);
		spool_store_body_done(w->store, &body);
		arena_reset(&arena);
		buf_done(&buf);
	}
}

static void test_the_first_attempt_reads_nothing_but_the_body(void **state)
{
	struct world *w = *state;
	struct tap before = *tap;

	w->after_notice = attempt;
	struct ticket *t = world_send(w, 0, 10000);
	fake_io_settle(&w->io);
	w->after_notice = NULL;
	assert_true(t->known);
	struct tap c = calls(&before);
	expect(&c, 1, 1, 1);
}

static void test_a_later_attempt_reads_its_record_once(void **state)
{
	struct world *w = *state;

	world_send(w, 0, 10000);
	fake_io_pass(&w->io, 2000);
	for (int i = 0; i < 2; i++) {
		struct tap before = *tap;
		attempt(w);
		fake_io_settle(&w->io);
		struct tap c = calls(&before);
		expect(&c, 0, 0, 1);
	}
}

static void test_the_end_of_many_is_one_write_and_one_sync(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < BATCH; i++)
		world_send(w, 0, 100);
	fake_io_pass(&w->io, 2000);
	struct tap before = *tap;
	for (uint32_t i = 0; i < BATCH; i++)
		world_finish(&w->tickets[3 + i], i == 5);
	fake_io_settle(&w->io);
	struct tap c = calls(&before);
	expect(&c, 1, 1, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_message_is_one_write_one_sync_and_one_read),
		TEST(test_so_is_a_batch_of_many),
		TEST(test_the_first_attempt_reads_nothing_but_the_body),
		TEST(test_a_later_attempt_reads_its_record_once),
		TEST(test_the_end_of_many_is_one_write_and_one_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
