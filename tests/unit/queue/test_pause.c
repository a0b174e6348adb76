/*
 * Pauses and holds: at every level, without using up retries, and "as if nothing had happened".
 */
#include "world.h"

static void defer(struct world *w, uint64_t id)
{
	struct queue_start start = world_expect(w, id);
	world_result(w, &start, VERDICT_TEMPORARY, 450);
}

/* Half an hour before its retry everything of the scope stops for a day; when it goes on, the
 * retry is half an hour away. */
static void paused_time_does_not_count(
	enum queue_scope scope, const char *name, enum queue_why_kind kind)
{
	struct world w;
	world_init(&w, 10);
	world_route(&w, "a.example", "site");
	struct transport site = world_transport("site");
	site.delay_warning_s = 2 * 3600;
	world_set_transport(&w, &site);
	world_add(&w, 1, "x@a.example");
	defer(&w, 1);
	world_pass(&w, HOUR / 2);
	int64_t since = w.now;
	world_pause(&w, scope, name, true);
	world_add(&w, 2, "x@a.example");
	world_pass(&w, 24 * HOUR);
	world_expect_none(&w);
	for (uint64_t id = 1; id <= 2; id++) {
		struct queue_why why = world_why(&w, id);
		assert_int_equal(why.kind, kind);
		assert_int_equal(why.state, QUEUE_PAUSED);
		assert_int_equal(why.since_ms, since);
		assert_true(span_equal(why.by, SPAN("ann")));
		assert_true(span_equal(why.reason, SPAN("moving house")));
		assert_int_equal(world_unit(&w, id).next_try_ms, 0);
	}
	assert_int_equal(world_count(&w, QUEUE_PAUSED), 2);
	assert_int_equal(w.warning_count, 0);
	world_pause(&w, scope, name, true); /* the same again changes nothing */
	world_pause(&w, scope, name, false);
	world_pause(&w, scope, name, false);
	world_expect(&w, 2);
	world_expect_none(&w);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
	world_pass(&w, HOUR / 2);
	world_expect(&w, 1);
	world_pass(&w, 2 * HOUR);
	assert_int_equal(w.end_count, 0);
	world_done(&w);
}

static void pause_everything(void **state)
{
	(void)state;
	paused_time_does_not_count(QUEUE_SCOPE_ALL, "", QUEUE_WHY_PAUSED_ALL);
}

static void pause_a_transport(void **state)
{
	(void)state;
	paused_time_does_not_count(QUEUE_SCOPE_TRANSPORT, "site", QUEUE_WHY_PAUSED_TRANSPORT);
}

static void pause_a_domain(void **state)
{
	(void)state;
	paused_time_does_not_count(QUEUE_SCOPE_DOMAIN, "a.example", QUEUE_WHY_PAUSED_DOMAIN);
}

static void others_go_on(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "a.example", "site");
	world_route(&w, "b.example", "site");
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "b.example", true);
	world_add(&w, 1, "x@a.example y@b.example z@a.example");
	world_add(&w, 2, "x@c.example");
	struct queue_start start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 2);
	assert_int_equal(start.rcpts[1], 2);
	world_ok(&w, &start);
	world_expect(&w, 2);
	world_expect_none(&w);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_PAUSED_DOMAIN);
	uint32_t at = 0;
	assert_true(span_equal(queue_paused_domain(w.q, &at), SPAN("b.example")));
	assert_int_equal(queue_paused_domain(w.q, &at).n, 0);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "b.example", false);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 1);
	world_done(&w);
}

/* A unit of several domains that is being tried is split when it comes back. */
static void pause_reaches_an_active_unit(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "a.example", "site");
	world_route(&w, "b.example", "site");
	world_route(&w, "c.example", "site");
	world_add(&w, 1, "x@a.example y@b.example z@c.example u@b.example");
	struct queue_start start = world_expect(&w, 1);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "b.example", true);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_ACTIVE);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_count(&w, QUEUE_PAUSED), 1);
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 1);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", true);
	assert_int_equal(world_count(&w, QUEUE_PAUSED), 2);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "c.example", true);
	assert_int_equal(world_count(&w, QUEUE_PAUSED), 3);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "c.example", false);
	assert_int_equal(world_count(&w, QUEUE_PAUSED), 2);
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 1);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", false);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "b.example", false);
	world_pass(&w, 2 * HOUR);
	uint32_t rcpts = 0;
	while (world_next(&w, &start) == 0)
		rcpts += start.rcpt_count;
	assert_int_equal(rcpts, 4);
	world_done(&w);
}

/* Everything and a transport at once: it goes on when both are over, and counts once. */
static void pauses_overlap(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	defer(&w, 1);
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "mx", true);
	world_pass(&w, HOUR);
	world_pause(&w, QUEUE_SCOPE_ALL, "", true);
	world_pass(&w, HOUR);
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "mx", false);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_PAUSED_ALL);
	world_pass(&w, HOUR);
	world_expect_none(&w);
	world_pause(&w, QUEUE_SCOPE_ALL, "", false);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR);
	/* as a setting of the transport, too */
	mx.pause = (struct pause){.since_ms = w.now, .by = SPAN("bob")};
	world_set_transport(&w, &mx);
	assert_true(span_equal(world_why(&w, 1).by, SPAN("bob")));
	mx.pause = (struct pause){0};
	world_set_transport(&w, &mx);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DEFERRED);
	world_done(&w);
}

/* Nothing is given up during a pause, though its destination was down when it began. */
static void an_outage_pauses_too(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_failed(&w, &start);
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "mx", true);
	world_pass(&w, 100 * HOUR);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "mx", false);
	start = world_expect(&w, 1);
	assert_true(start.probe);
	world_failed(&w, &start);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_why(&w, 1).own_until_ms, w.now + HOUR);
	world_done(&w);
}

static void hold_and_release(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	defer(&w, 1);
	world_pass(&w, HOUR / 4);
	assert_int_equal(
		queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN("look at it"), w.now), 0);
	assert_int_equal(
		queue_hold(w.q, 3, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w.now), ERR_NOT_FOUND);
	int64_t since = w.now;
	world_pass(&w, 50 * HOUR);
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_HELD);
	assert_int_equal(why.state, QUEUE_HELD);
	assert_int_equal(why.since_ms, since);
	assert_true(span_equal(why.by, SPAN("ann")));
	assert_true(span_equal(why.reason, SPAN("look at it")));
	struct queue_start start = world_expect(&w, 2);
	/* one that is being tried is held when it comes back, and only if it does */
	assert_int_equal(queue_hold(w.q, 2, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w.now), 0);
	assert_int_equal(world_why(&w, 2).kind, QUEUE_WHY_ACTIVE);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_why(&w, 2).kind, QUEUE_WHY_HELD);
	assert_int_equal(queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now), 0);
	assert_int_equal(queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now), ERR_NOT_FOUND);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DEFERRED);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR - HOUR / 4);
	world_done(&w);
}

/* Whoever lets a domain go on wants to know now whether its destination is there again. */
static void resuming_a_domain_asks_what_is_down(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	for (int i = 0; i < 8; i++) {
		struct queue_start start;
		while (world_next(&w, &start) != 0)
			world_pass(&w, SECOND);
		world_failed(&w, &start);
	}
	world_expect_none(&w);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", true);
	world_expect_none(&w);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", false);
	assert_true(world_expect(&w, 1).probe);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pause_everything),
		cmocka_unit_test(pause_a_transport),
		cmocka_unit_test(pause_a_domain),
		cmocka_unit_test(others_go_on),
		cmocka_unit_test(pause_reaches_an_active_unit),
		cmocka_unit_test(pauses_overlap),
		cmocka_unit_test(an_outage_pauses_too),
		cmocka_unit_test(hold_and_release),
		cmocka_unit_test(resuming_a_domain_asks_what_is_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
