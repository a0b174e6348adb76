/*
 * What outlives a restart, and what damaged or hostile bytes do.
 */
#include "world.h"

#include "queue/internal.h"

static struct buf encode(struct world *w, uint64_t id)
{
	struct buf buf;
	buf_init(&buf, 1 << 20);
	queue_state_encode(w->q, id, &buf);
	assert_true(buf_ok(&buf));
	return buf;
}

/* The queue is gone and comes back with what was kept of one message. */
static void restart(struct world *w, uint64_t id, const char *rcpts, int64_t arrived, int64_t away)
{
	struct buf state = encode(w, id);
	struct world_mail mail;
	queue_free(&w->q);
	w->now += away;
	world_open(w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(w, &mx);
	world_mail(w, &mail, id, rcpts);
	mail.envelope.arrived_ms = arrived;
	assert_int_equal(queue_add(w->q, &mail.envelope, buf_span(&state), w->now), 0);
	world_check(w);
	buf_done(&state);
}

static void begin(struct world *w)
{
	world_init(w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(w, &mx);
}

static void a_new_message_needs_none(void **state)
{
	struct world w;
	struct buf buf;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example y@b.example");
	buf_init(&buf, 100);
	assert_false(queue_state_encode(w.q, 1, &buf));
	assert_false(queue_state_encode(w.q, 2, &buf));
	assert_int_equal(buf.n, 0);
	world_done(&w);
}

static void attempts_and_times_outlive_a_restart(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	struct buf kept = encode(&w, 1);
	assert_in_range(kept.n, 1, 64);
	buf_done(&kept);
	world_pass(&w, 10 * MINUTE);
	restart(&w, 1, "x@a.example", WORLD_START, 20 * MINUTE);
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_DEFERRED);
	assert_int_equal(why.attempts, 1);
	assert_int_equal(why.until_ms, WORLD_START + HOUR);
	assert_int_equal(why.verdict.code, 450);
	assert_true(span_equal(verdict_text(&why.verdict), SPAN("as you say")));
	/* away for long: it is due, no more */
	restart(&w, 1, "x@a.example", WORLD_START, 1000 * HOUR);
	start = world_expect(&w, 1);
	assert_int_equal(start.attempts, 1);
	assert_int_equal(w.end_count, 0);
	world_done(&w);
}

static void done_recipients_stay_done(void **state)
{
	struct world w;
	const char *rcpts = "x@a.example y@b.example z@a.example u@c.example";
	(void)state;
	begin(&w);
	world_add(&w, 1, rcpts);
	struct queue_start start = world_expect(&w, 1);
	enum verdict_kind kinds[] = {VERDICT_OK, VERDICT_TEMPORARY};
	struct verdict verdict = world_verdict(452, "too many");
	queue_unit_result(w.q, start.unit, kinds, QUEUE_ANSWER_MAIL, &verdict, w.now);
	start = world_expect(&w, 1);
	world_ok(&w, &start);
	restart(&w, 1, rcpts, w.now, 0);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 3);
	world_ok(&w, &start);
	world_pass(&w, HOUR);
	start = world_expect(&w, 1);
	assert_int_equal(start.rcpt_count, 1);
	assert_int_equal(start.rcpts[0], 2);
	world_ok(&w, &start);
	assert_int_equal(queue_messages(w.q), 0);
	world_done(&w);
}

/* A unit whose destination was down is tried right after a restart, and is not given up before
 * its destination has really failed. */
static void after_a_restart_nothing_is_given_up_unasked(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	while (world_unit(&w, 1).attempts < 5) {
		if (world_next(&w, &start) == 0)
			world_failed(&w, &start);
		world_pass(&w, SECOND);
	}
	restart(&w, 1, "x@a.example", WORLD_START, 100 * HOUR);
	queue_run(w.q, w.now);
	assert_int_equal(w.end_count, 0);
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	assert_int_equal(w.end_count, 1);
	assert_int_equal(w.ends[0].attempts, 6);
	world_done(&w);
}

static void holds_priority_and_reroutes_outlive_a_restart(void **state)
{
	struct world w;
	struct world_mail mail;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	world_mail(&w, &mail, 1, "x@a.example");
	queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN("why not"), w.now);
	queue_prioritise(w.q, 1, QUEUE_ALL_UNITS, true, w.now);
	queue_reroute(w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN("backup"), w.now);
	restart(&w, 1, "x@a.example", WORLD_START, HOUR);
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_HELD);
	assert_int_equal(why.since_ms, WORLD_START);
	assert_true(span_equal(why.by, SPAN("ann")));
	assert_true(span_equal(why.reason, SPAN("why not")));
	struct queue_unit_info unit = world_unit(&w, 1);
	assert_true(unit.priority);
	assert_true(span_equal(unit.transport, SPAN("backup")));
	assert_true(span_equal(unit.reroute, SPAN("backup")));
	world_done(&w);
}

/* Held with half an hour to go: half an hour to go after a restart and the release. Warnings do
 * not count the hold either, and come once. */
static void clocks_stand_still_over_a_restart(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	world_pass(&w, HOUR / 2);
	queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN(""), w.now);
	world_pass(&w, 9 * HOUR);
	restart(&w, 1, "x@a.example", WORLD_START, HOUR);
	queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
	restart(&w, 1, "x@a.example", WORLD_START, 0);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 3600;
	world_set_transport(&w, &mx);
	world_pass(&w, HOUR / 2 - 1);
	assert_int_equal(w.warning_count, 0);
	world_pass(&w, 1);
	assert_int_equal(w.warning_count, 1);
	restart(&w, 1, "x@a.example", WORLD_START, 0);
	world_set_transport(&w, &mx);
	world_pass(&w, HOUR);
	assert_int_equal(w.warning_count, 1);
	world_done(&w);
}

/* The same with a pause that is still on. */
static void a_pause_over_a_restart(void **state)
{
	struct world w;
	struct world_mail mail;
	(void)state;
	for (int scope = QUEUE_SCOPE_ALL; scope <= QUEUE_SCOPE_DOMAIN; scope++) {
		const char *names[] = {"", "mx", "a.example"};
		begin(&w);
		world_add(&w, 1, "x@a.example");
		struct queue_start start = world_expect(&w, 1);
		world_result(&w, &start, VERDICT_TEMPORARY, 450);
		world_pass(&w, HOUR / 2);
		struct pause pause = {.since_ms = w.now, .by = SPAN("ann")};
		queue_set_pause(
			w.q, (enum queue_scope)scope, span_str(names[scope]), &pause, w.now);
		struct buf kept = encode(&w, 1);
		queue_free(&w.q);
		w.now += 10 * HOUR;
		world_open(&w, 10);
		struct transport mx = world_transport("mx");
		world_set_transport(&w, &mx);
		queue_set_pause(
			w.q, (enum queue_scope)scope, span_str(names[scope]), &pause, w.now);
		world_mail(&w, &mail, 1, "x@a.example");
		mail.envelope.arrived_ms = WORLD_START;
		assert_int_equal(queue_add(w.q, &mail.envelope, buf_span(&kept), w.now), 0);
		world_pass(&w, HOUR);
		pause.since_ms = 0;
		queue_set_pause(
			w.q, (enum queue_scope)scope, span_str(names[scope]), &pause, w.now);
		assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
		buf_done(&kept);
		world_done(&w);
	}
}

/* The clock was years ahead when it was saved: it waits no longer than the schedule can say. */
static void a_saved_time_from_the_future(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	restart(&w, 1, "x@a.example", WORLD_START, -5 * 365 * 24 * HOUR);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR);
	world_done(&w);
}

/* What was kept before states said when a clock was read: all is as it was. */
static void a_state_of_the_first_version(void **state)
{
	struct world w;
	struct world_mail mail;
	/* one unit: three attempts, due after a minute and a bit, its clock stood for no time */
	const char old[] = "\x01\x01\0\x03\xb0\xbf\x07\0";
	(void)state;
	begin(&w);
	world_mail(&w, &mail, 1, "x@a.example");
	struct span kept = span_of(old, sizeof(old) - 1);
	world_pass(&w, MINUTE);
	assert_int_equal(queue_add(w.q, &mail.envelope, kept, w.now), 0);
	assert_int_equal(world_unit(&w, 1).attempts, 3);
	assert_int_equal(world_why(&w, 1).until_ms, WORLD_START + 61 * SECOND + 2 * SECOND / 5);
	world_done(&w);
}

static void hostile_states(void **state)
{
	struct world w;
	struct prng prng;
	const char *rcpts = "x@a.example y@b.example z@a.example";
	(void)state;
	begin(&w);
	world_add(&w, 1, rcpts);
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN("why"), w.now);
	struct buf good = encode(&w, 1);
	assert_int_equal(world_add_state(&w, 2, rcpts, buf_span(&good)), 0);
	/* cut off anywhere */
	for (size_t n = 1; n < good.n; n++)
		assert_int_equal(world_add_state(&w, 3, rcpts, span_of(good.p, n)), ERR_CORRUPT);
	/* of another message, with fewer recipients */
	assert_int_equal(world_add_state(&w, 3, "x@a.example", buf_span(&good)), ERR_CORRUPT);
	assert_int_equal(queue_messages(w.q), 2);
	/* nothing left */
	assert_int_equal(world_add_state(&w, 3, rcpts, span_of("\x02\x00", 2)), ERR_NOT_FOUND);
	/* another version; more units than recipients; the same recipient twice; bytes at the
	 * end */
	assert_int_equal(world_add_state(&w, 3, rcpts, span_of("\x03\x00", 2)), ERR_CORRUPT);
	assert_int_equal(world_add_state(&w, 3, rcpts, span_of("\x01\x04", 2)), ERR_CORRUPT);
	const char twice[] = "\x01\x02\x80\x01\0\0\0\x01\0\x80\x01\0\0\0\x01\0";
	assert_int_equal(
		world_add_state(&w, 3, rcpts, span_of(twice, sizeof(twice) - 1)), ERR_CORRUPT);
	assert_int_equal(world_add_state(&w, 3, rcpts, span_of("\x01\x00\x00", 3)), ERR_CORRUPT);
	/* any bytes: refused or taken, but never a queue that is not sound */
	prng_seed(&prng, 5);
	for (int i = 0; i < 20000; i++) {
		char bytes[256];
		size_t n = MIN(good.n, sizeof(bytes));
		memcpy(bytes, good.p, n);
		for (uint64_t flips = 1 + prng_below(&prng, 4); flips; flips--)
			bytes[prng_below(&prng, n)] = (char)prng_u64(&prng);
		int err = world_add_state(&w, 4, rcpts, span_of(bytes, n));
		if (!err)
			queue_delete(w.q, 4, QUEUE_ALL_UNITS, w.now);
	}
	buf_done(&good);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_message_needs_none),
		cmocka_unit_test(attempts_and_times_outlive_a_restart),
		cmocka_unit_test(done_recipients_stay_done),
		cmocka_unit_test(after_a_restart_nothing_is_given_up_unasked),
		cmocka_unit_test(holds_priority_and_reroutes_outlive_a_restart),
		cmocka_unit_test(clocks_stand_still_over_a_restart),
		cmocka_unit_test(a_pause_over_a_restart),
		cmocka_unit_test(a_saved_time_from_the_future),
		cmocka_unit_test(a_state_of_the_first_version),
		cmocka_unit_test(hostile_states),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
