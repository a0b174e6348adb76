/*
 * What is done to some recipients of a unit and not to others: while they wait, and while they are
 * being tried together.
 */
#include "world.h"

#include <string.h>

#define RCPTS "d@a.example e@a.example f@a.example"

static uint32_t split(struct world *w, uint64_t id, uint32_t rcpt)
{
	struct queue_message_info info;
	struct queue_unit_info unit;
	uint32_t out = 0;

	assert_int_equal(queue_message_info(w->q, id, &info), 0);
	for (uint32_t at = info.first_unit; at; at = unit.next) {
		assert_int_equal(queue_unit_info(w->q, at, w->now, &unit), 0);
		for (uint32_t i = 0; !out && i < unit.rcpt_count; i++)
			if (unit.rcpts[i] == rcpt)
				assert_int_equal(
					queue_split(w->q, id, at, &rcpt, 1, w->now, &out), 0);
		if (out)
			break;
	}
	assert_true(out);
	world_check(w);
	return out;
}

static uint32_t waiting(struct world *w, uint64_t id)
{
	struct queue_message_info info;

	return queue_message_info(w->q, id, &info) ? 0 : info.waiting;
}

static void the_others_stay(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	assert_int_equal(queue_delete(w.q, 1, split(&w, 1, 1), w.now), 0);
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].why, QUEUE_DELETED);
	assert_int_equal(w.ends[0].rcpt_count, 1);
	assert_int_equal(w.ends[0].rcpts[0], 1);
	assert_int_equal(waiting(&w, 1), 2);
	assert_int_equal(w.finished_count, 0);
	struct queue_start start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 2);
	assert_int_equal(start.rcpts[0], 0);
	assert_int_equal(start.rcpts[1], 2);
	world_ok(&w, &start);
	assert_int_equal(w.finished_count, 1);
	world_done(&w);
}

static void what_is_not_the_units_is_refused(void **state)
{
	struct world w;
	const uint32_t none[] = {7}, turned[] = {2, 0}, twice[] = {1, 1}, all[] = {0, 1, 2};
	uint32_t out = 0;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	uint32_t unit = world_unit(&w, 1).unit;
	assert_int_equal(queue_split(w.q, 1, unit, none, 1, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 1, unit, turned, 2, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 1, unit, twice, 2, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 1, unit, all, 0, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 2, unit, all, 3, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 1, 0, all, 3, w.now, &out), ERR_NOT_FOUND);
	assert_int_equal(queue_split(w.q, 1, unit, all, 3, w.now, &out), 0);
	assert_int_equal(out, unit);
	assert_int_equal(world_count(&w, QUEUE_READY), 1);
	world_done(&w);
}

/* Its clock and its attempts are those of the whole. */
static void a_part_keeps_its_place_in_time(void **state)
{
	struct world w;
	struct transport mx = world_transport("mx");
	(void)state;
	world_init(&w, 10);
	world_set_transport(&w, &mx);
	world_add(&w, 1, RCPTS);
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	int64_t next = world_unit(&w, 1).next_try_ms;
	assert_int_equal(next, w.now + HOUR);
	uint32_t part = split(&w, 1, 0);
	struct queue_unit_info unit;
	assert_int_equal(queue_unit_info(w.q, part, w.now, &unit), 0);
	assert_int_equal(unit.next_try_ms, next);
	assert_int_equal(unit.attempts, 1);
	assert_int_equal(queue_hold(w.q, 1, part, SPAN("ann"), SPAN("odd"), w.now), 0);
	world_pass(&w, HOUR);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 2);
	world_ok(&w, &start);
	world_expect_none(&w);
	assert_int_equal(queue_release(w.q, 1, part, w.now), 0);
	world_pass(&w, HOUR);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 0);
	world_ok(&w, &start);
	world_done(&w);
}

static void a_hold_of_a_part_outlives_a_restart(void **state)
{
	struct world w;
	struct buf saved;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	queue_hold(w.q, 1, split(&w, 1, 2), SPAN("ann"), SPAN("odd"), w.now);
	buf_init(&saved, 4096);
	assert_true(queue_state_encode(w.q, 1, &saved));
	queue_free(&w.q);
	world_open(&w, 10);
	assert_int_equal(world_add_state(&w, 1, RCPTS, buf_span(&saved)), 0);
	buf_done(&saved);
	assert_int_equal(world_count(&w, QUEUE_HELD), 1);
	struct queue_start start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 2);
	assert_int_equal(start.rcpts[1], 1);
	world_expect_none(&w);
	world_done(&w);
}

/* ---- while they are being tried ------------------------------------------------------------- */

static void result(struct world *w, const struct queue_start *start, const char *kinds)
{
	enum verdict_kind list[WORLD_RCPTS];
	struct verdict verdict = world_verdict(450, "later");

	assert_int_equal(strlen(kinds), start->rcpt_count);
	for (size_t i = 0; kinds[i]; i++)
		list[i] = kinds[i] == '2'   ? VERDICT_OK
			  : kinds[i] == '4' ? VERDICT_TEMPORARY
					    : VERDICT_PERMANENT;
	queue_unit_result(w->q, start->unit, list, QUEUE_ANSWER_MAIL, &verdict, w->now);
	world_check(w);
}

static void a_part_of_an_attempt_shares_its_end(void **state)
{
	struct world w;
	struct transport mx = world_transport("mx");
	(void)state;
	world_init(&w, 10);
	world_set_transport(&w, &mx);
	world_add(&w, 1, RCPTS);
	struct queue_start start = world_expect(&w, 1);
	uint32_t part = split(&w, 1, 1);
	assert_int_equal(queue_delete(w.q, 1, part, w.now), 0);
	world_check(&w);
	assert_int_equal(world_count(&w, QUEUE_ACTIVE), 2);
	struct queue_why why;
	assert_int_equal(queue_why(w.q, part, w.now, &why), 0);
	assert_int_equal(why.kind, QUEUE_WHY_ACTIVE);
	queue_unit_set_dns(w.q, start.unit, true, w.now);
	assert_int_equal(queue_why(w.q, part, w.now, &why), 0);
	assert_int_equal(why.kind, QUEUE_WHY_DNS);
	/* all are put off: of e, nothing is left after that */
	start.rcpt_count = 3;
	result(&w, &start, "444");
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].why, QUEUE_DELETED);
	assert_int_equal(w.ends[0].rcpts[0], 1);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(waiting(&w, 1), 2);
	world_pass(&w, HOUR);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 2);
	assert_int_equal(start.rcpts[1], 2);
	world_done(&w);
}

/* A delivery that succeeds is no bounce; each gets its own of the results. */
static void each_gets_its_own_result(void **state)
{
	static const struct {
		const char *kinds;
		uint32_t left, bounced;
	} cases[] = {{"222", 0, 0}, {"422", 1, 0}, {"242", 0, 1}, {"224", 1, 0}, {"442", 1, 1},
		{"245", 0, 1}, {"444", 2, 1}, {"254", 1, 0}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w;
		world_init(&w, 10);
		world_add(&w, 1, RCPTS);
		struct queue_start start = world_expect(&w, 1);
		queue_bounce(w.q, 1, split(&w, 1, 1), NULL, w.now);
		result(&w, &start, cases[i].kinds);
		assert_int_equal(waiting(&w, 1), cases[i].left);
		assert_int_equal(w.end_count, cases[i].bounced);
		if (w.end_count)
			assert_int_equal(w.ends[0].rcpts[0], 1);
		assert_int_equal(w.finished_count, cases[i].left == 0);
		world_done(&w);
	}
}

/* Several transactions of one attempt: the first part may be all that the leading unit has. */
static void an_attempt_that_goes_on(void **state)
{
	const enum verdict_kind first[] = {VERDICT_OK, VERDICT_TEMPORARY, VERDICT_OK};
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	struct queue_start start = world_expect(&w, 1);
	queue_hold(w.q, 1, split(&w, 1, 1), SPAN("ann"), SPAN("odd"), w.now);
	queue_hold(w.q, 1, split(&w, 1, 2), SPAN("bob"), SPAN("even"), w.now);
	queue_unit_partly(w.q, start.unit, first, w.now);
	world_check(&w);
	assert_int_equal(waiting(&w, 1), 1);
	start.rcpt_count = 1;
	result(&w, &start, "4");
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_HELD);
	assert_true(span_equal(why.by, SPAN("ann")));
	assert_true(span_equal(why.reason, SPAN("odd")));
	world_done(&w);
}

static void parts_of_parts_and_other_ends(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	for (int end = 0; end < 3; end++) {
		world_init(&w, 10);
		world_add(&w, 1, RCPTS);
		start = world_expect(&w, 1);
		for (uint32_t rcpt = 0; rcpt < 3; rcpt++)
			queue_hold(w.q, 1, split(&w, 1, rcpt), SPAN("ann"), SPAN(""), w.now);
		queue_release(w.q, 1, split(&w, 1, 1), w.now);
		if (end == 0)
			world_failed(&w, &start);
		else if (end == 1)
			queue_unit_put_back(w.q, start.unit, w.now);
		else
			result(&w, &start, "444");
		world_check(&w);
		assert_int_equal(world_count(&w, QUEUE_HELD), 2);
		assert_int_equal(world_count(&w, QUEUE_ACTIVE), 0);
		assert_int_equal(waiting(&w, 1), 3);
		assert_int_equal(world_unit(&w, 1).attempts, end != 1);
		world_done(&w);
	}
}

static void a_wish_for_a_part_outlives_a_restart(void **state)
{
	struct world w;
	struct buf saved;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	world_expect(&w, 1);
	queue_delete(w.q, 1, split(&w, 1, 0), w.now);
	buf_init(&saved, 4096);
	assert_true(queue_state_encode(w.q, 1, &saved));
	queue_free(&w.q);
	world_open(&w, 10);
	assert_int_equal(world_add_state(&w, 1, RCPTS, buf_span(&saved)), 0);
	buf_done(&saved);
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].rcpts[0], 0);
	assert_int_equal(waiting(&w, 1), 2);
	world_done(&w);
}

static void reroute_of_a_part_that_is_tried(void **state)
{
	struct world w;
	struct world_mail mail;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, RCPTS);
	world_mail(&w, &mail, 1, RCPTS);
	struct queue_start start = world_expect(&w, 1);
	queue_reroute(w.q, &mail.envelope, split(&w, 1, 2), SPAN("backup"), w.now);
	result(&w, &start, "444");
	assert_int_equal(w.reroute_count, 1);
	assert_int_equal(queue_reroute_again(w.q, &mail.envelope, w.now), 0);
	start = world_expect(&w, 1);
	assert_true(span_equal(start.transport, SPAN("backup")));
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 2);
	world_expect_none(&w);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_others_stay),
		cmocka_unit_test(what_is_not_the_units_is_refused),
		cmocka_unit_test(a_part_keeps_its_place_in_time),
		cmocka_unit_test(a_hold_of_a_part_outlives_a_restart),
		cmocka_unit_test(a_part_of_an_attempt_shares_its_end),
		cmocka_unit_test(each_gets_its_own_result),
		cmocka_unit_test(an_attempt_that_goes_on),
		cmocka_unit_test(parts_of_parts_and_other_ends),
		cmocka_unit_test(a_wish_for_a_part_outlives_a_restart),
		cmocka_unit_test(reroute_of_a_part_that_is_tried),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
