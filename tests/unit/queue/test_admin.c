/*
 * Retry, bounce, delete, priority, reroute; on what waits and on what is being tried.
 */
#include "world.h"

static void retry_now(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now), 0);
	start = world_expect(&w, 1);
	assert_int_equal(start.attempts, 1);
	/* a destination that is down is asked at once */
	world_failed(&w, &start);
	world_expect_none(&w);
	assert_int_equal(queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now), 0);
	start = world_expect(&w, 1);
	assert_true(start.probe);
	world_failed(&w, &start);
	assert_int_equal(queue_retry(w.q, 2, QUEUE_ALL_UNITS, w.now), ERR_NOT_FOUND);
	/* a hold is stronger */
	queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w.now);
	queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now);
	world_expect_none(&w);
	queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now);
	world_expect(&w, 1);
	world_done(&w);
}

/* Whoever asks again and again in an outage bounces nothing by it. */
static void asking_uses_no_retries_up(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	int64_t next = world_unit(&w, 1).next_try_ms, give_up = world_unit(&w, 1).give_up_ms;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now), 0);
		assert_int_equal(world_unit(&w, 1).give_up_ms, give_up);
		start = world_expect(&w, 1);
		world_pass(&w, SECOND);
		if (i % 2)
			world_result(&w, &start, VERDICT_TEMPORARY, 450);
		else
			world_failed(&w, &start);
		assert_int_equal(world_unit(&w, 1).attempts, 1);
	}
	assert_int_equal(world_unit(&w, 1).next_try_ms, next);
	/* its own time comes as planned, and counts */
	world_pass(&w, next - w.now);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_unit(&w, 1).attempts, 2);
	/* one that was asked for, and whose time comes before it is over, is that attempt */
	queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now);
	start = world_expect(&w, 1);
	world_pass(&w, HOUR);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_unit(&w, 1).attempts, 3);
	world_done(&w);
}

/* The own time of one that is asked for stays what it is while it is held, in what is saved, and
 * in its parts. */
static void the_own_time_is_kept(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example y@a.example");
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	int64_t next = world_unit(&w, 1).next_try_ms;
	queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w.now);
	queue_retry(w.q, 1, QUEUE_ALL_UNITS, w.now);
	world_pass(&w, 10 * MINUTE);
	queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_unit(&w, 1).next_try_ms, next + 10 * MINUTE);
	world_done(&w);
}

static void bounce_and_delete(void **state)
{
	struct world w;
	struct verdict verdict = world_verdict(554, "refused by the administrator");
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example y@b.example");
	world_add(&w, 2, "x@a.example");
	assert_int_equal(queue_bounce(w.q, 1, QUEUE_ALL_UNITS, &verdict, w.now), 0);
	assert_int_equal(w.end_count, 2);
	assert_int_equal(w.ends[1].why, QUEUE_BOUNCED);
	assert_int_equal(w.ends[1].code, 554);
	assert_int_equal(w.ends[1].rcpts[0], 1);
	assert_int_equal(w.finished_count, 1);
	assert_int_equal(queue_bounce(w.q, 1, QUEUE_ALL_UNITS, &verdict, w.now), ERR_NOT_FOUND);
	assert_int_equal(queue_delete(w.q, 2, QUEUE_ALL_UNITS, w.now), 0);
	assert_int_equal(w.ends[2].why, QUEUE_DELETED);
	assert_int_equal(w.finished_count, 2);
	world_expect_none(&w);
	world_done(&w);
}

static void one_unit_of_a_message(void **state)
{
	struct world w;
	struct queue_message_info info;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example y@b.example");
	world_add(&w, 2, "x@a.example");
	queue_message_info(w.q, 1, &info);
	uint32_t first = info.first_unit;
	assert_int_equal(queue_delete(w.q, 2, first, w.now), ERR_NOT_FOUND);
	assert_int_equal(queue_delete(w.q, 1, 12345678, w.now), ERR_NOT_FOUND);
	assert_int_equal(queue_delete(w.q, 1, first, w.now), 0);
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.finished_count, 0);
	assert_int_equal(w.changed_count, 1);
	queue_message_info(w.q, 1, &info);
	assert_int_equal(info.waiting, 1);
	world_done(&w);
}

/* What is being tried is let finish: a delivery that succeeds is no bounce. */
static void active_ones_finish_first(void **state)
{
	struct world w;
	struct queue_start a, b, c;
	(void)state;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 3; id++)
		world_add(&w, id, "x@a.example");
	a = world_expect(&w, 1);
	b = world_expect(&w, 2);
	c = world_expect(&w, 3);
	queue_bounce(w.q, 1, QUEUE_ALL_UNITS, NULL, w.now);
	queue_bounce(w.q, 2, QUEUE_ALL_UNITS, NULL, w.now);
	queue_delete(w.q, 3, QUEUE_ALL_UNITS, w.now);
	assert_int_equal(w.end_count, 0);
	world_ok(&w, &a);
	assert_int_equal(w.end_count, 0);
	world_result(&w, &b, VERDICT_TEMPORARY, 450);
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].why, QUEUE_BOUNCED);
	world_failed(&w, &c);
	assert_int_equal(w.end_count, 2);
	assert_int_equal(w.ends[1].why, QUEUE_DELETED);
	assert_int_equal(queue_messages(w.q), 0);
	world_done(&w);
}

static void prioritise(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 3; id++)
		world_add(&w, id, "x@a.example");
	assert_int_equal(queue_prioritise(w.q, 3, QUEUE_ALL_UNITS, true, w.now), 0);
	world_expect(&w, 3);
	world_expect(&w, 1);
	world_done(&w);
}

static void reroute(void **state)
{
	struct world w;
	struct world_mail mail;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example y@b.example");
	for (int i = 0; i < 2; i++) {
		start = world_expect(&w, 1);
		world_failed(&w, &start);
	}
	world_mail(&w, &mail, 1, "x@a.example y@b.example");
	assert_int_equal(
		queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN("backup"), w.now), 0);
	start = world_expect(&w, 1); /* at once, and the new one knows of no failure */
	assert_true(span_equal(start.transport, SPAN("backup")));
	assert_true(span_equal(start.reroute, SPAN("backup")));
	assert_false(start.probe);
	assert_int_equal(start.attempts, 1);
	world_ok(&w, &start);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	/* by the directory again */
	assert_int_equal(queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN(""), w.now), 0);
	assert_true(span_equal(world_unit(&w, 1).transport, SPAN("mx")));
	assert_int_equal(world_unit(&w, 1).reroute.n, 0);
	mail.envelope.id = 2;
	assert_int_equal(queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN(""), w.now),
		ERR_NOT_FOUND);
	mail.envelope.id = 1;
	mail.envelope.rcpt_count = 1;
	assert_int_equal(
		queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN(""), w.now), ERR_CORRUPT);
	world_done(&w);
}

static void reroute_an_active_one(void **state)
{
	struct world w;
	struct world_mail mail;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_mail(&w, &mail, 1, "x@a.example");
	queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN("backup"), w.now);
	assert_int_equal(w.reroute_count, 0);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(w.reroute_count, 1);
	assert_int_equal(queue_reroute_again(w.q, &mail.envelope, w.now), 0);
	start = world_expect(&w, 1);
	assert_true(span_equal(start.transport, SPAN("backup")));
	/* done: it is not asked for again */
	queue_unit_put_back(w.q, start.unit, w.now);
	assert_int_equal(w.reroute_count, 1);
	world_done(&w);
}

/* The directory changes: what goes elsewhere now moves, what does not stays as it is. */
static void directory_changes(void **state)
{
	struct world w;
	struct world_mail mail;
	struct queue_start start;
	const char *rcpts = "x@a.example y@b.example z@c.example";
	(void)state;
	world_init(&w, 10);
	world_route(&w, "a.example", "old");
	world_route(&w, "b.example", "old");
	world_add(&w, 1, rcpts);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	size_t changed = w.changed_count;
	world_mail(&w, &mail, 1, rcpts);
	assert_int_equal(queue_reroute_again(w.q, &mail.envelope, w.now), 0);
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 2);
	world_route(&w, "a.example", "new");
	assert_int_equal(queue_reroute_again(w.q, &mail.envelope, w.now), 0);
	assert_int_equal(w.changed_count, changed);
	start = world_expect(&w, 1);
	assert_true(span_equal(start.transport, SPAN("new")));
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 0);
	assert_int_equal(start.attempts, 1);
	world_expect_none(&w);
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 2);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_now),
		cmocka_unit_test(asking_uses_no_retries_up),
		cmocka_unit_test(the_own_time_is_kept),
		cmocka_unit_test(bounce_and_delete),
		cmocka_unit_test(one_unit_of_a_message),
		cmocka_unit_test(active_ones_finish_first),
		cmocka_unit_test(prioritise),
		cmocka_unit_test(reroute),
		cmocka_unit_test(reroute_an_active_one),
		cmocka_unit_test(directory_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
