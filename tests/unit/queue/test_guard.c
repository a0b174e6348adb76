/*
 * The check in production: it finds what would wait for ever, a slice at a time, and mends it.
 */
#include "queue/internal.h"
#include "world.h"

/* Until the whole queue was looked at; how often something was mended. */
static unsigned guard(struct world *w, uint32_t steps, uint64_t *which)
{
	struct buf problem;
	unsigned mended = 0;
	uint64_t id;

	for (int slices = 0;; slices++) {
		assert_true(slices < 10000);
		buf_init(&problem, 4096);
		int err = queue_guard(w->q, steps, w->now, &id, &problem);
		if (err == ERR_CORRUPT) {
			assert_true(problem.n > 0);
			mended++;
			*which = id;
		}
		buf_done(&problem);
		if (!err)
			break;
	}
	world_check(w);
	return mended;
}

static void fill(struct world *w)
{
	world_init(w, 100);
	struct transport mx = world_transport("mx");
	world_set_transport(w, &mx);
	for (uint64_t id = 1; id <= 50; id++)
		world_add(w, id, "x@a.example y@b.example");
	for (uint64_t id = 1; id <= 10; id++) {
		struct queue_start start;
		assert_int_equal(world_next(w, &start), 0);
		if (id > 4)
			world_result(w, &start, VERDICT_TEMPORARY, 450);
	}
	queue_hold(w->q, 40, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w->now);
	world_pause(w, QUEUE_SCOPE_DOMAIN, "b.example", true);
	world_check(w);
}

static void what_is_well_is_left_alone(void **state)
{
	struct world w;
	uint64_t id = 0;
	(void)state;
	fill(&w);
	for (uint32_t steps = 1; steps < 300; steps += 37)
		assert_int_equal(guard(&w, steps, &id), 0);
	world_done(&w);
	/* nor does an empty queue take long */
	world_init(&w, 10);
	assert_int_equal(guard(&w, 1, &id), 0);
	world_done(&w);
}

/* A unit of a message that waits; not held, not paused, not active. */
static uint32_t some_unit(struct world *w, uint64_t id)
{
	struct queue_message_info info;

	assert_int_equal(queue_message_info(w->q, id, &info), 0);
	return info.first_unit;
}

static void expect_mended(struct world *w, uint64_t id)
{
	struct queue_start start;
	uint64_t which = 0;
	bool found = false;

	assert_int_equal(guard(w, 20, &which), 1);
	assert_int_equal(which, id);
	assert_int_equal(guard(w, 20, &which), 0);
	/* everything that may go goes, also what was wrong */
	while (world_next(w, &start) == 0) {
		found = found || start.id == id;
		world_ok(w, &start);
	}
	assert_true(found);
	assert_int_equal(world_count(w, QUEUE_HELD), 2);
	world_done(w);
}

static void one_that_no_line_has(void **state)
{
	struct world w;
	(void)state;
	fill(&w);
	struct unit *u = unit_at(w.q, some_unit(&w, 30));
	assert_int_equal(u->place, PLACE_READY);
	ring_remove(&destination_at(w.q, u->destination)->ready[unit_class(u)], u->slot);
	expect_mended(&w, 30);
}

static void one_that_says_it_is_paused(void **state)
{
	struct world w;
	(void)state;
	fill(&w);
	struct unit *u = unit_at(w.q, some_unit(&w, 31));
	ring_remove(&destination_at(w.q, u->destination)->ready[unit_class(u)], u->slot);
	u->place = PLACE_PAUSED;
	u->due = 0;
	expect_mended(&w, 31);
}

static void one_in_no_place(void **state)
{
	struct world w;
	(void)state;
	fill(&w);
	struct unit *u = unit_at(w.q, some_unit(&w, 33));
	ring_remove(&destination_at(w.q, u->destination)->ready[unit_class(u)], u->slot);
	u->place = PLACE_NONE;
	u->due = 77 * HOUR;
	expect_mended(&w, 33);
}

/* Nobody would ever come back to it. */
static void a_destination_that_nobody_wakes(void **state)
{
	struct world w;
	struct queue_start start;
	uint64_t which = 1;
	(void)state;
	world_init(&w, 100);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	struct destination *d = destination_at(w.q, start.destination);
	heap_remove(&w.q->wakes, d->wake_place, wake_moved, w.q);
	assert_int_equal(guard(&w, 20, &which), 1);
	assert_int_equal(which, 0);
	world_pass(&w, HOUR);
	world_expect(&w, 1);
	world_done(&w);
}

/* What is being tried when everything is put into place anew comes back to its own. */
static void attempts_go_on(void **state)
{
	struct world w;
	uint64_t which = 0;
	uint32_t part = 0;
	const uint32_t second[] = {1};
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example y@a.example");
	world_add(&w, 2, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	assert_int_equal(queue_split(w.q, 1, start.unit, second, 1, w.now, &part), 0);
	queue_hold(w.q, 1, part, SPAN("ann"), SPAN(""), w.now);
	struct unit *u = unit_at(w.q, some_unit(&w, 2));
	ring_remove(&destination_at(w.q, u->destination)->ready[unit_class(u)], u->slot);
	assert_int_equal(guard(&w, 20, &which), 1);
	assert_int_equal(which, 2);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_count(&w, QUEUE_HELD), 1);
	start = world_expect(&w, 2);
	world_ok(&w, &start);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_well_is_left_alone),
		cmocka_unit_test(one_that_no_line_has),
		cmocka_unit_test(one_that_says_it_is_paused),
		cmocka_unit_test(one_in_no_place),
		cmocka_unit_test(a_destination_that_nobody_wakes),
		cmocka_unit_test(attempts_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
