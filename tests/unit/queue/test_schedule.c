/*
 * Who is tried when: order, turns, limits, priority, retries, warnings, clock jumps.
 */
#include "world.h"

static void one_message_goes_out(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	assert_int_equal(queue_next_time(w.q, w.now), QUEUE_NEVER);
	assert_int_equal(world_add(&w, 7, "bob@b.example"), 0);
	assert_int_equal(queue_messages(w.q), 1);
	assert_int_equal(queue_next_time(w.q, w.now), w.now);
	struct queue_start start = world_expect(&w, 7);
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 0);
	assert_int_equal(start.attempts, 0);
	assert_false(start.probe);
	assert_true(span_equal(start.transport, SPAN("mx")));
	assert_true(span_equal(start.next_hop, SPAN("b.example")));
	assert_int_equal(world_count(&w, QUEUE_ACTIVE), 1);
	world_expect_none(&w);
	world_ok(&w, &start);
	assert_int_equal(queue_messages(w.q), 0);
	assert_int_equal(w.finished_count, 1);
	assert_int_equal(w.finished[0], 7);
	assert_int_equal(w.end_count, 0);
	world_done(&w);
}

static void refuses_what_it_cannot_take(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	assert_int_equal(world_add(&w, 7, "bob@b.example"), 0);
	assert_int_equal(world_add(&w, 7, "bob@b.example"), ERR_EXISTS);
	assert_int_equal(world_add(&w, 8, ""), ERR_SYNTAX);
	assert_int_equal(world_add(&w, 0, "bob@b.example"), ERR_SYNTAX);
	assert_int_equal(queue_messages(w.q), 1);
	world_done(&w);
}

/* Recipients for one destination go together, also of different domains. */
static void recipients_are_grouped(void **state)
{
	struct world w;
	struct queue_start a, b;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "a.example", "site");
	world_route(&w, "b.example", "site");
	assert_int_equal(
		world_add(&w, 1, "x@a.example y@c.example z@b.example u@c.example v@a.example"), 0);
	a = world_expect(&w, 1);
	b = world_expect(&w, 1);
	world_expect_none(&w);
	assert_true(span_equal(a.transport, SPAN("site")));
	assert_int_equal(a.rcpt_count, 3);
	assert_int_equal(a.rcpts[0], 0);
	assert_int_equal(a.rcpts[1], 2);
	assert_int_equal(a.rcpts[2], 4);
	assert_int_equal(b.rcpt_count, 2);
	assert_int_equal(b.rcpts[0], 1);
	assert_int_equal(b.rcpts[1], 3);
	world_ok(&w, &a);
	assert_int_equal(w.finished_count, 0);
	world_ok(&w, &b);
	assert_int_equal(w.finished_count, 1);
	world_done(&w);
}

static void only_the_rest_is_tried_again(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "a.example", "site");
	world_route(&w, "b.example", "site");
	struct transport site = world_transport("site");
	world_set_transport(&w, &site);
	world_add(&w, 1, "x@a.example y@a.example z@b.example u@a.example");
	struct queue_start start = world_expect(&w, 1);
	enum verdict_kind kinds[] = {
		VERDICT_OK, VERDICT_TEMPORARY, VERDICT_PERMANENT, VERDICT_TEMPORARY};
	struct verdict verdict = world_verdict(450, "greylisted");
	queue_unit_result(w.q, start.unit, kinds, QUEUE_ANSWER_MAIL, &verdict, w.now);
	world_check(&w);
	assert_int_equal(w.changed_count, 1);
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_DEFERRED);
	assert_int_equal(why.until_ms, w.now + HOUR);
	assert_int_equal(why.attempts, 1);
	assert_true(why.has_verdict);
	assert_int_equal(why.verdict.code, 450);
	assert_true(span_equal(verdict_text(&why.verdict), SPAN("greylisted")));
	world_pass(&w, HOUR - 1);
	world_expect_none(&w);
	world_pass(&w, 1);
	start = world_expect(&w, 1);
	assert_int_equal(start.attempts, 1);
	assert_int_equal(start.rcpt_count, 2);
	assert_int_equal(start.rcpts[0], 1);
	assert_int_equal(start.rcpts[1], 3);
	world_ok(&w, &start);
	assert_int_equal(w.finished_count, 1);
	world_done(&w);
}

/* retry-count retries after the first attempt, at the times of the schedule; then it is over. */
static void schedule_and_giving_up(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0] = (struct retry_step){60, 1};
	mx.retry[1] = (struct retry_step){300, 2};
	mx.retry[2] = (struct retry_step){3600, 1};
	mx.retry_steps = 3;
	mx.retry_count = 4;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	int64_t waits[] = {0, MINUTE, 5 * MINUTE, 5 * MINUTE, HOUR};
	for (int i = 0; i < 5; i++) {
		world_pass(&w, waits[i]);
		struct queue_start start = world_expect(&w, 1);
		assert_int_equal(start.attempts, i);
		assert_int_equal(w.end_count, 0);
		world_result(&w, &start, VERDICT_TEMPORARY, 451);
	}
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].why, QUEUE_EXPIRED);
	assert_int_equal(w.ends[0].attempts, 5);
	assert_int_equal(w.ends[0].code, 451);
	assert_int_equal(w.ends[0].rcpt_count, 1);
	assert_int_equal(w.finished_count, 1);
	assert_int_equal(w.now - WORLD_START, 71 * MINUTE);
	world_done(&w);
}

static void destinations_take_turns(void **state)
{
	struct world w;
	struct queue_start start;
	uint64_t id = 1;
	(void)state;
	world_init(&w, 100);
	for (int i = 0; i < 30; i++)
		world_add(&w, id++, "x@big.example");
	for (int i = 0; i < 3; i++)
		world_add(&w, id++, "x@small.example");
	int small = 0;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(world_next(&w, &start), 0);
		small += span_equal(start.next_hop, SPAN("small.example"));
	}
	assert_int_equal(small, 3);
	world_done(&w);
}

static void limits_are_kept_and_named(void **state)
{
	struct world w;
	struct queue_start a, b;
	(void)state;
	world_init(&w, 3);
	world_route(&w, "a.example", "site");
	struct transport site = world_transport("site");
	site.connections = 2;
	world_set_transport(&w, &site);
	for (uint64_t id = 1; id <= 4; id++)
		world_add(&w, id, "x@a.example");
	a = world_expect(&w, 1);
	b = world_expect(&w, 2);
	world_expect_none(&w);
	struct queue_why why = world_why(&w, 4);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_DESTINATION);
	assert_int_equal(why.limit, 2);
	assert_int_equal(why.behind, 1);
	assert_int_equal(why.state, QUEUE_READY);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_ACTIVE);
	queue_unit_set_dns(w.q, a.unit, true, w.now);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DNS);
	queue_unit_set_dns(w.q, a.unit, false, w.now);

	world_add(&w, 5, "x@b.example");
	world_add(&w, 6, "x@c.example");
	assert_int_equal(world_why(&w, 6).kind, QUEUE_WHY_READY);
	assert_int_equal(world_why(&w, 6).behind, 0);
	world_expect(&w, 5);
	why = world_why(&w, 6);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_ALL);
	assert_int_equal(why.limit, 3);
	world_ok(&w, &a);
	world_expect(&w, 6);
	world_ok(&w, &b);
	world_expect(&w, 3);
	world_done(&w);
}

static void rate_is_kept(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 1000);
	struct transport mx = world_transport("mx");
	mx.connections = 1000;
	mx.rate_per_minute = 30;
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 100; id++)
		world_add(&w, id, "x@a.example");
	world_expect(&w, 1);
	world_expect_none(&w);
	struct queue_why why = world_why(&w, 5);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_RATE);
	assert_int_equal(why.limit, 30);
	assert_int_equal(why.until_ms, w.now + 2 * SECOND);
	assert_int_equal(why.behind, 3);
	assert_int_equal(queue_next_time(w.q, w.now), w.now + 2 * SECOND);
	uint32_t started = 1;
	for (int64_t end = w.now + MINUTE - 1; w.now < end;) {
		w.now = MIN(queue_next_time(w.q, w.now), end);
		while (world_next(&w, &start) == 0)
			started++;
	}
	assert_int_equal(started, 30);
	world_done(&w);
}

/* A connection is used again, but not for ever while others wait for one. */
static void reuse_of_a_connection(void **state)
{
	struct world w;
	struct queue_start start, next;
	uint64_t id = 1;
	(void)state;
	world_init(&w, 1);
	for (int i = 0; i < 50; i++)
		world_add(&w, id++, "x@a.example");
	start = world_expect(&w, 1);
	int reused = 0;
	for (; reused < 20; reused++) {
		world_ok(&w, &start);
		assert_int_equal(queue_next_for(w.q, start.destination, w.now, &next), 0);
		start = next;
	}
	world_add(&w, id++, "x@b.example");
	world_ok(&w, &start);
	assert_int_equal(queue_next_for(w.q, start.destination, w.now, &next), ERR_AGAIN);
	assert_int_equal(world_next(&w, &start), 0);
	assert_int_equal(world_next(&w, &next), ERR_AGAIN);
	/* it was a.example's turn before; now b.example gets its own */
	world_ok(&w, &start);
	int turns = 0;
	while (!span_equal(start.next_hop, SPAN("b.example"))) {
		assert_true(turns++ < 2);
		assert_int_equal(world_next(&w, &start), 0);
		if (!span_equal(start.next_hop, SPAN("b.example")))
			world_ok(&w, &start);
	}
	world_ok(&w, &start);
	/* nothing more for b.example */
	assert_int_equal(queue_next_for(w.q, start.destination, w.now, &next), ERR_AGAIN);
	world_done(&w);
}

static void priority_first_but_nobody_starves(void **state)
{
	struct world w;
	struct queue_start start;
	uint64_t id = 1;
	(void)state;
	world_init(&w, 1000);
	struct transport mx = world_transport("mx");
	mx.connections = 1000;
	world_set_transport(&w, &mx);
	for (int i = 0; i < 20; i++)
		world_add(&w, id++, "x@a.example");
	for (int i = 0; i < 30; i++)
		world_add(&w, id++, "vip@a.example");
	/* `behind` is exact: as many starts come before each as it says */
	uint32_t behind[51];
	for (uint64_t i = 1; i <= 50; i++)
		behind[i] = world_why(&w, i).behind;
	for (uint32_t n = 0; n < 50; n++) {
		assert_int_equal(world_next(&w, &start), 0);
		assert_int_equal(behind[start.id], n);
		/* nine prioritised, one ordinary, while both wait */
		if (n < 33)
			assert_int_equal(start.priority, n % 10 != 9);
		else
			assert_false(start.priority);
	}
	world_done(&w);
}

static void all_prioritised_is_as_none(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 1000);
	struct transport mx = world_transport("mx");
	mx.connections = 1000;
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 50; id++)
		world_add(&w, id, "vip@a.example");
	for (uint64_t id = 1; id <= 50; id++)
		world_expect(&w, id);
	world_done(&w);
}

/* In a long queue the answer says that it has not counted all. */
static void behind_is_counted_up_to_a_bound(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 5000; id++)
		world_add(&w, id, "x@a.example");
	struct queue_why why = world_why(&w, QUEUE_BEHIND_MOST + 1);
	assert_int_equal(why.behind, QUEUE_BEHIND_MOST);
	assert_false(why.behind_more);
	why = world_why(&w, 5000);
	assert_int_equal(why.behind, QUEUE_BEHIND_MOST);
	assert_true(why.behind_more);
	/* The same for those that wait for their destination to come back. */
	struct queue_start start = world_expect(&w, 1);
	world_failed(&w, &start);
	world_pass(&w, QUEUE_PROBE_FIRST_MS * 2);
	assert_int_equal(world_next(&w, &start), 0);
	assert_true(start.probe);
	world_ok(&w, &start);
	uint32_t counted = 0, more = 0;
	for (uint64_t id = 1; id <= 5000; id++) {
		if (id == start.id)
			continue;
		why = world_why(&w, id);
		assert_true(why.behind <= QUEUE_BEHIND_MOST + 5000u);
		counted += !why.behind_more;
		more += why.behind_more;
	}
	assert_in_range(counted, QUEUE_BEHIND_MOST, QUEUE_BEHIND_MOST + 2);
	assert_int_equal(counted + more, 4999);
	world_done(&w);
}

static void delay_warning_comes_once(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 4 * 3600;
	mx.retry[0].delay_s = 3 * 3600;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 451);
	world_pass(&w, 3 * HOUR);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 452);
	world_pass(&w, HOUR - 1);
	assert_int_equal(w.warning_count, 0);
	size_t changed = w.changed_count;
	world_pass(&w, 1);
	assert_int_equal(w.warning_count, 1);
	assert_int_equal(w.warnings[0].id, 1);
	assert_int_equal(w.warnings[0].code, 452);
	assert_int_equal(w.warnings[0].next_try, WORLD_START + 6 * HOUR);
	/* five retries, three hours each */
	assert_int_equal(w.warnings[0].give_up, WORLD_START + 15 * HOUR);
	assert_int_equal(w.changed_count, changed + 1);
	world_pass(&w, 20 * HOUR);
	assert_int_equal(w.warning_count, 1);
	assert_true(world_unit(&w, 1).warned);
	world_done(&w);
}

/* What the warning says comes true (RFC 3464 section 2.3.9), also for one that was never tried. */
static void a_warning_says_when_it_is_given_up(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 1800;
	mx.retry_steps = 3;
	mx.retry[0] = (struct retry_step){3600, 2};
	mx.retry[1] = (struct retry_step){7200, 1};
	mx.retry[2] = (struct retry_step){60, 1};
	mx.retry_count = 5;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_pass(&w, HOUR);
	assert_int_equal(w.warnings[0].next_try, 0);
	assert_int_equal(
		w.warnings[0].give_up, WORLD_START + HOUR / 2 + (1 + 1 + 2) * HOUR + 120 * SECOND);

	world_add(&w, 2, "x@b.example");
	struct queue_start start;
	while (!w.end_count) {
		while (world_next(&w, &start) == 0)
			world_result(&w, &start, VERDICT_TEMPORARY, 451);
		world_pass(&w, SECOND);
	}
	assert_int_equal(w.warning_count, 2);
	assert_int_equal(w.warnings[1].id, 2);
	assert_int_equal(w.warnings[1].give_up, WORLD_START + HOUR + 4 * HOUR + 120 * SECOND);
	assert_in_range(w.ends[0].at, w.warnings[1].give_up - 2 * SECOND,
		w.warnings[1].give_up + 10 * SECOND);
	world_done(&w);
}

/* One that was being tried at its warning's time is warned of when it comes back. */
static void warning_of_an_active_one_waits(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 60;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_pass(&w, 2 * MINUTE);
	assert_int_equal(w.warning_count, 0);
	world_result(&w, &start, VERDICT_TEMPORARY, 451);
	queue_run(w.q, w.now);
	assert_int_equal(w.warning_count, 1);
	/* and a transport whose setting changes warns by the new one */
	world_add(&w, 2, "x@a.example");
	mx.delay_warning_s = 600;
	world_set_transport(&w, &mx);
	world_pass(&w, 9 * MINUTE);
	assert_int_equal(w.warning_count, 1);
	world_pass(&w, MINUTE);
	assert_int_equal(w.warning_count, 2);
	world_done(&w);
}

/* Set back by a year: retries come when they would have come. */
static void clock_set_back(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 451);
	world_pass(&w, HOUR / 2);
	w.now -= 365 * 24 * HOUR;
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
	world_pass(&w, HOUR / 2 - 1);
	world_expect_none(&w);
	world_pass(&w, 1);
	world_expect(&w, 1);
	world_done(&w);
}

/* Leaps ahead by a year: nothing bursts, nothing is given up, no delay is reported. */
static void clock_leaps_ahead(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 4 * 3600;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@b.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 451);
	start = world_expect(&w, 2);
	world_failed(&w, &start);
	w.now += 365 * 24 * HOUR;
	queue_run(w.q, w.now);
	assert_int_equal(w.end_count, 0);
	assert_int_equal(w.warning_count, 0);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR - QUEUE_GAP_MOST_MS);
	world_pass(&w, HOUR - QUEUE_GAP_MOST_MS);
	world_expect(&w, 2); /* a probe; it has been due for long */
	world_expect(&w, 1);
	/* hostile values */
	w.now = INT64_MAX;
	queue_run(w.q, w.now);
	w.now = INT64_MIN;
	queue_run(w.q, w.now);
	w.now = WORLD_START;
	queue_run(w.q, w.now);
	world_done(&w);
}

static void destinations_are_forgotten(void **state)
{
	struct world w;
	struct queue_destination_info info;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	int mine;
	queue_destination_set_user(w.q, start.destination, &mine);
	assert_ptr_equal(queue_destination_user(w.q, start.destination), &mine);
	assert_int_equal(queue_destination_next(w.q, 0, &info), 0);
	world_ok(&w, &start);
	assert_int_equal(queue_destination_next(w.q, 0, &info), ERR_NOT_FOUND);
	world_pass(&w, QUEUE_LINGER_MS - 1);
	assert_int_equal(w.gone, 0);
	world_pass(&w, 1);
	assert_int_equal(w.gone, 1);
	assert_int_equal(queue_next_time(w.q, w.now), QUEUE_NEVER);
	world_done(&w);
}

/* Not started after all: its place in line is kept, and nothing is counted. */
static void put_back(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	queue_unit_put_back(w.q, start.unit, w.now);
	assert_int_equal(w.changed_count, 0);
	start = world_expect(&w, 1);
	assert_int_equal(start.attempts, 0);
	world_expect(&w, 2);
	world_done(&w);
}

static void pages_and_sums(void **state)
{
	struct world w;
	uint64_t ids[4];
	(void)state;
	world_init(&w, 10);
	world_route(&w, "b.example", "site");
	/* ids come out of order, as several writers give them */
	uint64_t add[] = {50, 10, 40, 20, 30, 60, 5};
	for (size_t i = 0; i < ARRAY_SIZE(add); i++)
		world_add(&w, add[i], i % 2 ? "x@a.example" : "x@a.example y@b.example");
	assert_int_equal(queue_page(w.q, 0, ids, 4), 4);
	assert_int_equal(ids[0], 5);
	assert_int_equal(ids[3], 30);
	assert_int_equal(queue_page(w.q, ids[3], ids, 4), 3);
	assert_int_equal(ids[2], 60);
	assert_int_equal(queue_page(w.q, 60, ids, 4), 0);
	assert_int_equal(queue_page(w.q, UINT64_MAX, ids, 4), 0);

	world_expect(&w, 50);
	struct queue_counts counts;
	queue_totals(w.q, &counts);
	assert_int_equal(counts.messages, 7);
	assert_int_equal(counts.units[QUEUE_READY], 10);
	assert_int_equal(counts.units[QUEUE_ACTIVE], 1);
	struct queue_transport_info t;
	uint64_t units = 0;
	for (uint32_t at = 0; queue_transport_info(w.q, at, &t) == 0; at++)
		units += t.counts.units[QUEUE_READY] + t.counts.units[QUEUE_ACTIVE];
	assert_int_equal(units, 11);
	struct queue_destination_info d = {0};
	int destinations = 0;
	while (queue_destination_next(w.q, d.destination, &d) == 0)
		destinations++;
	assert_int_equal(destinations, 2);

	struct queue_message_info info;
	struct queue_unit_info unit;
	assert_int_equal(queue_message_info(w.q, 50, &info), 0);
	assert_int_equal(info.waiting, 2);
	assert_int_equal(queue_unit_info(w.q, info.first_unit, w.now, &unit), 0);
	assert_int_equal(unit.state, QUEUE_ACTIVE);
	assert_true(span_equal(unit.domain, SPAN("a.example")));
	assert_int_equal(queue_unit_info(w.q, unit.next, w.now, &unit), 0);
	assert_int_equal(unit.state, QUEUE_READY);
	assert_true(span_equal(unit.transport, SPAN("site")));
	assert_int_equal(unit.next, 0);
	assert_int_equal(queue_message_info(w.q, 51, &info), ERR_NOT_FOUND);
	assert_int_equal(queue_unit_info(w.q, 0, w.now, &unit), ERR_NOT_FOUND);
	assert_int_equal(queue_unit_info(w.q, 100000, w.now, &unit), ERR_NOT_FOUND);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_goes_out),
		cmocka_unit_test(refuses_what_it_cannot_take),
		cmocka_unit_test(recipients_are_grouped),
		cmocka_unit_test(only_the_rest_is_tried_again),
		cmocka_unit_test(schedule_and_giving_up),
		cmocka_unit_test(destinations_take_turns),
		cmocka_unit_test(limits_are_kept_and_named),
		cmocka_unit_test(rate_is_kept),
		cmocka_unit_test(reuse_of_a_connection),
		cmocka_unit_test(priority_first_but_nobody_starves),
		cmocka_unit_test(all_prioritised_is_as_none),
		cmocka_unit_test(behind_is_counted_up_to_a_bound),
		cmocka_unit_test(delay_warning_comes_once),
		cmocka_unit_test(a_warning_says_when_it_is_given_up),
		cmocka_unit_test(warning_of_an_active_one_waits),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(clock_leaps_ahead),
		cmocka_unit_test(destinations_are_forgotten),
		cmocka_unit_test(put_back),
		cmocka_unit_test(pages_and_sums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
