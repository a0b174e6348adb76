/*
 * A worker that was taken over writes what it likes into its own log, and says what it likes. That
 * costs its own mail: the mail of others is loaded and delivered, at once; and work and memory
 * stay in proportion to what really lies on the disk.
 */
#include "base/check.h"
#include "base/err.h"
#include "forge.h"
#include "spool/store.h"
#include "tap.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define SERIAL	0x70000000u /* of the hostile files: greater than what the honest ones have */
#define PATH	"w0/70000000.log"
#define MIB	(1u << 20)
#define SECONDS 20 /* of processor time: far more than what is linear takes */

struct lab {
	struct world w; /* first */
	struct tap *tap;
	struct forge f;
	uint64_t read_before, read_most; /* bytes, in one step of loading */
	uint32_t steps;
	clock_t began;
};

static void after_step(struct world *w)
{
	struct lab *lab = (struct lab *)w;
	uint64_t n = lab->tap->read_bytes - lab->read_before;

	lab->read_before = lab->tap->read_bytes;
	lab->read_most = n > lab->read_most ? n : lab->read_most;
	lab->steps++;
}

/* Two messages of an honest worker wait. */
static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	world_init(&lab->w, 90);
	lab->tap = tap_on(lab->w.disk);
	lab->w.hostile = true;
	assert_true(world_up(&lab->w, 2));
	world_send(&lab->w, 1, 5000);
	world_send(&lab->w, 1, 700);
	fake_io_pass(&lab->w.io, 100);
	world_stop(&lab->w);
	sim_disk_process_died(lab->w.disk);
	forge_begin(&lab->f, lab->w.disk, 0, SERIAL);
	lab->w.damage_expected = true;
	lab->w.after_step = after_step;
	lab->began = clock();
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	forge_end(&lab->f);
	world_done(&lab->w);
	free(lab);
	return 0;
}

static void others_are_well(struct lab *lab)
{
	struct world *w = &lab->w;

	for (uint32_t i = 0; i < w->count; i++) {
		assert_int_equal(w->tickets[i].fate, FATE_TAKEN);
		assert_true(w->tickets[i].known);
		world_check_body(w, &w->tickets[i]);
	}
	struct ticket *t = world_send(w, 1, 3000);
	fake_io_pass(&w->io, 100);
	assert_true(t->known);
	assert_null(w->fault);
	assert_true((clock() - lab->began) / CLOCKS_PER_SEC < SECONDS);
}

static void load(struct lab *lab)
{
	*lab->tap = (struct tap){.huge_path = lab->tap->huge_path,
		.huge_size = lab->tap->huge_size,
		.huge_dense = lab->tap->huge_dense};
	lab->read_before = 0;
	assert_true(world_up(&lab->w, 2));
}

static void start(struct lab *lab)
{
	load(lab);
	others_are_well(lab);
}

/* Life goes on, over starts, and verify comes to its end. */
static void live_on(struct lab *lab)
{
	struct spool_verify_result result;

	for (int life = 0; life < 2; life++) {
		fake_io_pass(&lab->w.io, 10000);
		world_replace_writer(&lab->w, 0);
		fake_io_pass(&lab->w.io, 10000);
		others_are_well(lab);
		world_stop(&lab->w);
		sim_disk_process_died(lab->w.disk);
		assert_true(world_up(&lab->w, 2));
		others_are_well(lab);
	}
	assert_int_equal(spool_verify(sim_disk_base(lab->w.disk), NULL, NULL, &result), 0);
	assert_true((clock() - lab->began) / CLOCKS_PER_SEC < SECONDS);
}

static void plant_in(struct lab *lab, const char *path, uint64_t at, uint64_t n)
{
	char *junk = malloc(n);

	assert_non_null(junk);
	memset(junk, 'j', n);
	sim_disk_plant(lab->w.disk, path, at, span_of(junk, n));
	free(junk);
}

static void plant_junk(struct lab *lab, uint64_t at, uint64_t n)
{
	plant_in(lab, PATH, at, n);
}

static void test_a_file_as_long_as_no_disk(void **state)
{
	struct lab *lab = *state;

	forge_message(&lab->f, 0, "x@a.example", 100);
	forge_batch(&lab->f, 0);
	forge_message(&lab->f, 1, "x@a.example", 100);
	forge_batch(&lab->f, 0);
	lab->tap->huge_path = PATH;
	lab->tap->huge_size = 15ull << 40;
	start(lab);
	assert_true(lab->tap->read_bytes < 16 * MIB);
	/* What is right in it is mail all the same, and somebody is told of the rest. */
	assert_int_equal(lab->w.strangers, 2);
	assert_int_equal(lab->w.damage_reports, 1);
	live_on(lab);
}

static void test_a_hole_of_gigabytes(void **state)
{
	struct lab *lab = *state;

	lab->tap->huge_path = PATH;
	lab->tap->huge_size = FORMAT_FILE_BYTES;
	start(lab);
	assert_true(lab->tap->read_bytes < 16 * MIB);
	live_on(lab);
}

static void test_megabytes_of_nothing_are_read_in_slices(void **state)
{
	struct lab *lab = *state;

	plant_junk(lab, FORMAT_PAGE, 24 * MIB);
	start(lab);
	assert_true(lab->steps >= 4);
	assert_true(lab->read_most <= WALK_SLICE + 2 * MIB + FORMAT_ALIGN);
	assert_true(lab->tap->read_bytes < 4 * 24 * MIB);
	live_on(lab);
}

/* The queue is loaded before all of it is looked through; others' mail flows meanwhile. */
static void test_gigabytes_of_nothing_do_not_hold_up_others(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;
	uint32_t rounds = 0;

	lab->tap->huge_path = PATH;
	lab->tap->huge_size = FORMAT_FILE_BYTES;
	lab->tap->huge_dense = true;
	load(lab);
	assert_true(w->tickets[0].known && w->tickets[1].known);
	assert_true(lab->tap->read_bytes < STORE_LOAD_EFFORT + STORE_LOAD_EFFORT / 2);
	assert_true(slow_pending(w->store));
	while (slow_pending(w->store) && rounds++ < 10000) {
		uint64_t before = lab->tap->read_bytes;
		w->io.io.now_ns += NS_PER_MS;
		fake_io_turn(&w->io);
		assert_true(lab->tap->read_bytes - before <= WALK_SLICE + 2 * MIB);
		if (rounds % 300 == 0) {
			struct ticket *t = world_send(w, 1, 100);
			for (int i = 0; i < 40 && !t->known; i++) {
				w->io.io.now_ns += NS_PER_MS;
				fake_io_turn(&w->io);
			}
			assert_true(t->known);
		}
	}
	assert_false(slow_pending(w->store));
	assert_true(rounds > (FORMAT_FILE_BYTES - STORE_LOAD_EFFORT) / WALK_SLICE / 2);
	fake_io_pass(&w->io, 100);
	others_are_well(lab);
}

static void test_heads_of_records_that_claim_megabytes(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;
	char head[FORMAT_RECORD];

	/* In a batch … */
	for (uint32_t i = 0; i < 4 * MIB / FORMAT_RECORD; i++) {
		forge_head(head, SPOOL_ID(SERIAL, 0, i), 0, 3 * MIB);
		forge_raw(&lab->f, span_of(head, sizeof(head)));
	}
	forge_batch(&lab->f, 0);
	/* … and where no header is. */
	for (uint32_t i = 0; i < 2048; i++) {
		forge_head(head, SPOOL_ID(SERIAL, 0, i), 1, 16 * MIB);
		sim_disk_plant(w->disk, PATH, lab->f.at + i * FORMAT_ALIGN + FORMAT_BATCH_HEADER,
			span_of(head, sizeof(head)));
	}
	lab->f.at += 2048 * FORMAT_ALIGN;
	lab->f.sequence = 5;
	forge_message(&lab->f, 7, "x@a.example", 100);
	forge_batch(&lab->f, 0);
	start(lab);
	assert_int_equal(w->strangers, 1);
	assert_true(w->damage_reports <= INDEX_REPORTS + 2);
	live_on(lab);
}

static void test_bodies_that_lie_over_each_other(void **state)
{
	struct lab *lab = *state;
	struct format_message message = {.body_bytes = 8 * MIB, .body_offset = 4 * MIB};

	for (uint32_t i = 0; i < 4000; i++) {
		message.id = SPOOL_ID(SERIAL, 0, i);
		forge_record(&lab->f, message.id, &message);
	}
	forge_batch(&lab->f, 16 * MIB);
	plant_junk(lab, 4 * MIB, 13 * MIB);
	char *junk = malloc(8 * MIB);
	assert_non_null(junk);
	memset(junk, 'j', 8 * MIB);
	message.body_hash = format_hash(span_of(junk, 8 * MIB), 0);
	free(junk);
	start(lab);
	assert_int_equal(lab->w.strangers, 0);
	live_on(lab);
}

static uint64_t place_bytes(const struct world *w)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->store->index.count; i++)
		n += w->store->index.segments[i]->place_room * sizeof(struct place);
	return n;
}

static void test_places_far_apart(void **state)
{
	struct lab *lab = *state;
	const uint32_t apart = (1u << 20) - 1;

	for (uint32_t place = 0; place < FORMAT_PLACES; place += apart) {
		forge_message(&lab->f, place, "x@a.example", 10);
		forge_batch(&lab->f, 0);
	}
	start(lab);
	assert_int_equal(lab->w.strangers, 1);
	assert_true(place_bytes(&lab->w) < MIB);
	assert_true(lab->w.damage_reports >= 1);
	live_on(lab);
}

/* As far apart as an honest writer's may be, in very many files. */
static void test_places_apart_in_many_files(void **state)
{
	struct lab *lab = *state;

	for (uint32_t i = 0; i < 60; i++) {
		struct forge f;
		forge_begin(&f, lab->w.disk, 0, SERIAL + 1 + i);
		forge_message(&f, FORMAT_HOLES, "x@a.example", 10);
		forge_batch(&f, 0);
		forge_end(&f);
	}
	start(lab);
	assert_int_equal(lab->w.strangers, INDEX_OWNER_HOLES / FORMAT_HOLES);
	assert_true(lab->w.store->index.holes[0] <= INDEX_OWNER_HOLES);
	/* They go, and what they cost with them. */
	uint32_t told = lab->w.strangers;
	for (uint32_t i = 0; i < 60; i++)
		(void)spool_store_done(lab->w.store, SPOOL_ID(SERIAL + 1 + i, 0, FORMAT_HOLES));
	fake_io_pass(&lab->w.io, 20000);
	assert_true(lab->w.store->index.holes[0] < FORMAT_HOLES);
	world_stop(&lab->w);
	sim_disk_process_died(lab->w.disk);
	/* There is room now for those that had none. */
	assert_true(world_up(&lab->w, 2));
	assert_int_equal(lab->w.strangers, told + 60 - told);
	others_are_well(lab);
}

static void test_honest_gaps_cost_nothing(void **state)
{
	struct lab *lab = *state;

	static const uint32_t places[] = {0, 5000, 60000, 40000};
	for (size_t i = 0; i < 4; i++) {
		forge_message(&lab->f, places[i], "x@a.example", 10);
		forge_batch(&lab->f, 0);
	}
	start(lab);
	assert_int_equal(lab->w.strangers, 4);
	assert_int_equal(lab->w.damage_reports, 0);
}

static void test_bodies_longer_than_any(void **state)
{
	struct lab *lab = *state;
	struct format_message inline_body = {
		.id = SPOOL_ID(SERIAL, 0, 0), .body_bytes = 2770000000u, .body_offset = 8192};
	struct format_message file_body = {.id = SPOOL_ID(SERIAL, 0, 1),
		.body_bytes = FORMAT_BODY_BYTES + 1,
		.body_serial = SERIAL};
	struct format_message far = {
		.id = SPOOL_ID(SERIAL, 0, 2), .body_bytes = 10, .body_offset = 1ull << 45};
	struct format_message others = {.id = SPOOL_ID(SERIAL, 0, 3),
		.body_bytes = 10,
		.body_serial = SERIAL,
		.body_owner = 1};

	forge_record(&lab->f, inline_body.id, &inline_body);
	forge_record(&lab->f, file_body.id, &file_body);
	forge_record(&lab->f, far.id, &far);
	forge_record(&lab->f, others.id, &others);
	forge_batch(&lab->f, 0);
	forge_message(&lab->f, 4, "x@a.example", 10);
	forge_batch(&lab->f, 0);
	start(lab);
	assert_int_equal(lab->w.strangers, 1);
	assert_int_equal(lab->w.damage_reports, 4);
	live_on(lab);
}

/* The batch is said to be long, so that the file is all but empty, and its messages are moved. */
static void test_what_is_moved_is_bounded(void **state)
{
	struct lab *lab = *state;
	struct format_message message = {.body_bytes = 60 * MIB, .body_offset = 2 * MIB};

	for (uint32_t i = 0; i < 12; i++) {
		message.id = SPOOL_ID(SERIAL, 0, i);
		forge_record(&lab->f, message.id, &message);
	}
	forge_batch(&lab->f, FORMAT_BATCH_BYTES);
	for (uint32_t i = 0; i < 2; i++) {
		forge_message(&lab->f, 20 + i, "x@a.example", 10);
		forge_batch(&lab->f, FORMAT_BATCH_BYTES);
	}
	forge_message(&lab->f, 30, "x@a.example", 10);
	forge_batch(&lab->f, 0);
	start(lab);
	uint64_t most = 0;
	for (int i = 0; i < 3000; i++) {
		fake_io_pass(&lab->w.io, 10);
		most = MAX(most, lab->w.store->journal.pending);
	}
	assert_true(most <= STORE_MOVE_BYTES + FORMAT_INLINE_BYTES + MIB);
	others_are_well(lab);
}

static void test_a_record_beyond_what_the_index_holds(void **state)
{
	struct lab *lab = *state;
	struct segment *segment;
	struct place *place;
	char fixed[FORMAT_MESSAGE_FIXED];
	struct format_message message = {.id = SPOOL_ID(9, SPOOL_OWNER_DELIVERY, 0)};
	struct format_record record = {.type = FORMAT_MESSAGE, .id = message.id};
	const struct format_file id = {.serial = 9, .owner = SPOOL_OWNER_DELIVERY};

	start(lab);
	struct spool_index *index = &lab->w.store->index;
	assert_int_equal(index_add_segment(index, &id, &segment), 0);
	format_put_message(fixed, &message);
	record.payload = span_of(fixed, sizeof(fixed));
	uint64_t reports = lab->w.damage_reports;
	/* 64 GiB and a little: 32 bits would say that it lies at the front. */
	uint64_t far = ((uint64_t)UINT32_MAX + 2) * INDEX_UNIT;
	assert_int_equal(index_apply(index, segment, &record, far, &place), 0);
	assert_null(place);
	assert_int_equal(lab->w.damage_reports, reports + 1);
	assert_int_equal(index_apply(index, segment, &record, far - 2 * INDEX_UNIT, &place), 0);
	assert_non_null(place);
	index_drop_segment(index, segment);
}

static void test_notices_that_lie(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;
	struct spool_notice n = {.owner = 0, .serial = SERIAL, .durable = 1ull << 62};

	start(lab);
	assert_int_equal(spool_store_notice(w->store, &n), ERR_CORRUPT);
	/* Files that are not there. */
	struct tap before = *lab->tap;
	for (uint32_t i = 0; i < 20000; i++) {
		n = (struct spool_notice){
			.owner = 0, .serial = SERIAL + 1000 + i, .durable = 9000, .messages = ~0u};
		assert_int_not_equal(spool_store_notice(w->store, &n), 0);
	}
	assert_true(lab->tap->opens - before.opens <= STORE_LOOKUPS);
	assert_int_equal(lab->tap->lists, before.lists);
	others_are_well(lab);
	/* One that is there, a little later, and is shorter than it is said to be. */
	fake_io_pass(&w->io, 2 * STORE_LOOKUP_MS);
	forge_end(&lab->f);
	forge_begin(&lab->f, w->disk, 0, SERIAL + 7);
	forge_message(&lab->f, 0, "x@a.example", 10);
	forge_batch(&lab->f, 0);
	n = (struct spool_notice){
		.owner = 0, .serial = SERIAL + 7, .durable = FORMAT_FILE_BYTES, .messages = ~0u};
	assert_int_equal(spool_store_notice(w->store, &n), 0);
	fake_io_pass(&w->io, 3000);
	assert_int_equal(w->strangers, 1);
	others_are_well(lab);
	live_on(lab);
}

/* Each notice passes over a file, whose seals are to be looked for in all the others. */
static void test_notices_that_pass_files_over(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;
	struct spool_notice n = {.owner = 0, .messages = 1};
	const uint32_t files = 8 * STORE_LOOKUPS;
	uint64_t ends[8 * STORE_LOOKUPS];

	start(lab);
	for (uint32_t i = 0; i < files; i++) {
		forge_end(&lab->f);
		forge_begin(&lab->f, w->disk, 0, SERIAL + 10 + i);
		forge_message(&lab->f, 0, "x@a.example", 10);
		forge_batch(&lab->f, 0);
		ends[i] = lab->f.at;
	}
	uint64_t lists = lab->tap->lists;
	for (uint32_t i = 1; i < files; i += 2) {
		n.serial = SERIAL + 10 + i;
		n.durable = ends[i];
		spool_store_notice(w->store, &n);
	}
	assert_in_range(lab->tap->lists, lists, lists + 1);
	others_are_well(lab);
	/* They may have been honest all the same. */
	fake_io_pass(&w->io, 2 * STORE_LOOKUP_MS);
	n.serial = SERIAL + 10 + files - 1;
	n.durable = ends[files - 1];
	assert_int_equal(spool_store_notice(w->store, &n), 0);
	fake_io_pass(&w->io, 2 * STORE_CLEAN_MS);
	assert_int_equal(w->strangers, files);
	others_are_well(lab);
}

/* It names the end of the block that the log ends in: nothing is missing, and it is not looked for
 * again and again. */
static void test_a_notice_of_a_little_more_than_there_is(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;

	start(lab);
	forge_end(&lab->f);
	forge_begin(&lab->f, w->disk, 0, SERIAL + 7);
	forge_message(&lab->f, 0, "x@a.example", 10);
	forge_batch(&lab->f, 0);
	const struct spool_notice n = {
		.owner = 0, .serial = SERIAL + 7, .durable = lab->f.at, .messages = 1};
	assert_int_equal(spool_store_notice(w->store, &n), 0);
	fake_io_pass(&w->io, 2 * STORE_CLEAN_MS);
	assert_int_equal(w->strangers, 1);
	assert_int_equal(w->damage_reports, 0);
	uint64_t reads = lab->tap->reads;
	fake_io_pass(&w->io, 1000);
	assert_int_equal(lab->tap->reads, reads);
	assert_false(slow_pending(w->store));
	others_are_well(lab);
}

/* … also in a file in which something is damaged. */
static void notice_of_very_many(struct lab *lab, bool damaged)
{
	struct world *w = &lab->w;
	const uint32_t many = 3 * STORE_AT_ONCE;

	start(lab);
	forge_end(&lab->f);
	forge_begin(&lab->f, w->disk, 0, SERIAL + 7);
	if (damaged) {
		plant_in(lab, lab->f.path, lab->f.at, FORMAT_ALIGN);
		lab->f.at += FORMAT_ALIGN;
	}
	struct format_message message = {0};
	for (uint32_t i = 0; i < many; i++) {
		message.id = SPOOL_ID(SERIAL + 7, 0, i);
		forge_record(&lab->f, message.id, &message);
	}
	forge_batch(&lab->f, 0);
	struct spool_notice n = {
		.owner = 0, .serial = SERIAL + 7, .durable = lab->f.at, .messages = many};
	assert_int_equal(spool_store_notice(w->store, &n), 0);
	assert_true(w->strangers <= STORE_AT_ONCE);
	others_are_well(lab);
	fake_io_pass(&w->io, 1000);
	assert_int_equal(w->strangers, many);
	assert_int_equal(w->damage_reports, damaged);
}

static void test_a_notice_of_very_many_messages(void **state)
{
	notice_of_very_many(*state, false);
}

static void test_a_notice_of_very_many_messages_behind_damage(void **state)
{
	notice_of_very_many(*state, true);
}

static void test_a_notice_of_megabytes_of_nothing(void **state)
{
	struct lab *lab = *state;
	struct world *w = &lab->w;

	start(lab);
	plant_junk(lab, FORMAT_PAGE, 24 * MIB);
	struct spool_notice n = {.owner = 0, .serial = SERIAL, .durable = 24 * MIB, .messages = 1};
	uint64_t before = lab->tap->read_bytes;
	assert_int_equal(spool_store_notice(w->store, &n), 0);
	assert_true(lab->tap->read_bytes - before < 3 * WALK_SLICE);
	others_are_well(lab);
	fake_io_pass(&w->io, 10000);
	assert_false(slow_pending(w->store));
	others_are_well(lab);
}

/* The trace is not to be filled with what one file says. */
static void test_damage_by_the_thousand(void **state)
{
	struct lab *lab = *state;

	for (uint32_t i = 0; i < 4 * INDEX_REPORTS; i++) {
		forge_message(&lab->f, 0, "x@a.example", 0);
		forge_batch(&lab->f, 0);
	}
	start(lab);
	assert_int_equal(lab->w.strangers, 1);
	assert_int_equal(lab->w.damage_reports, INDEX_REPORTS + 1);
}

static void test_more_files_than_there_may_be(void **state)
{
	struct lab *lab = *state;
	struct segment *segment;
	int err = 0;

	start(lab);
	struct spool_index *index = &lab->w.store->index;
	uint32_t n = 0;
	for (; !err && n < 2 * INDEX_FILES_MOST; n++) {
		const struct format_file id = {.serial = SERIAL + 1 + n, .owner = 5};
		err = index_add_segment(index, &id, &segment);
	}
	assert_int_equal(err, ERR_LIMIT);
	assert_int_equal(n, INDEX_FILES_MOST + 1);
	const struct format_file other = {.serial = SERIAL, .owner = 6};
	assert_int_equal(index_add_segment(index, &other, &segment), 0);
	assert_int_equal(index_add_segment(index, &other, &segment), ERR_EXISTS);
	while (index_last(index, 6) > index_first(index, 5))
		index_drop_segment(index, index->segments[index_first(index, 5)]);
	others_are_well(lab);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_file_as_long_as_no_disk),
		TEST(test_a_hole_of_gigabytes),
		TEST(test_megabytes_of_nothing_are_read_in_slices),
		TEST(test_gigabytes_of_nothing_do_not_hold_up_others),
		TEST(test_heads_of_records_that_claim_megabytes),
		TEST(test_bodies_that_lie_over_each_other),
		TEST(test_places_far_apart),
		TEST(test_places_apart_in_many_files),
		TEST(test_honest_gaps_cost_nothing),
		TEST(test_bodies_longer_than_any),
		TEST(test_what_is_moved_is_bounded),
		TEST(test_a_record_beyond_what_the_index_holds),
		TEST(test_notices_that_lie),
		TEST(test_notices_that_pass_files_over),
		TEST(test_a_notice_of_a_little_more_than_there_is),
		TEST(test_a_notice_of_very_many_messages),
		TEST(test_a_notice_of_very_many_messages_behind_damage),
		TEST(test_a_notice_of_megabytes_of_nothing),
		TEST(test_damage_by_the_thousand),
		TEST(test_more_files_than_there_may_be),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
