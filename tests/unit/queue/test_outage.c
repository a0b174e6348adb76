/*
 * Destinations that fail: back-off, probes, virtual attempts, coming back, throttling.
 */
#include "world.h"

static bool near(int64_t got, int64_t want, int64_t off)
{
	return got >= want - off && got <= want + off;
}

/* Who looks whether it is back puts no probe off, and makes the next ones no rarer. */
static void a_probe_that_is_asked_for_moves_none(void **state)
{
	struct world w;
	struct queue_start start;
	struct queue_destination_info info;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	for (int i = 0; i < 6; i++) {
		world_pass(&w, world_why(&w, 1).until_ms - w.now);
		start = world_expect(&w, 1);
		world_failed(&w, &start);
	}
	struct queue_why why = world_why(&w, 1);
	int64_t planned = why.until_ms;
	for (int i = 0; i < 8; i++) {
		uint32_t destination = world_unit(&w, 1).destination;
		assert_int_equal(queue_probe(w.q, destination, w.now), 0);
		start = world_expect(&w, 1);
		assert_true(start.probe);
		world_pass(&w, SECOND);
		if (i % 2)
			world_failed(&w, &start);
		else
			queue_unit_postpone(w.q, start.unit, NULL, w.now);
		assert_int_equal(queue_destination_info(w.q, destination, &info), 0);
		assert_int_equal(info.next_probe_ms, planned);
		assert_int_equal(world_unit(&w, 1).attempts, 1);
	}
	world_pass(&w, planned - w.now);
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	/* 5, 10, 20, 40, 80, 160 and 300 seconds, as without all that */
	assert_true(near(world_why(&w, 1).until_ms, w.now + 5 * MINUTE, MINUTE));
	world_done(&w);
}

/* While its destination is down, nothing is given up before the next probe has failed. */
static void the_end_is_foretold(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 10;
	mx.retry_count = 3;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	int64_t foretold = 0;
	while (!w.end_count) {
		int64_t now = w.now, said = world_unit(&w, 1).give_up_ms;
		assert_true(said > now);
		foretold = said;
		world_pass(&w, MIN(said - now, 1000));
		if (!w.end_count && world_next(&w, &start) == 0)
			world_failed(&w, &start);
		queue_run(w.q, w.now);
	}
	assert_true(w.ends[0].at <= foretold + 1000 && w.ends[0].at >= foretold - 1000);
	world_done(&w);
}

/* A failed connection takes the destination down; probes come after 5, 10, 20 … 300 seconds, one
 * at a time, and use nobody's retries up. */
static void probes_grow(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	int64_t down = w.now;
	world_expect_none(&w);
	/* both have an attempt behind them: one real, one virtual */
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_unit(&w, 2).attempts, 1);
	struct queue_why why = world_why(&w, 2);
	assert_int_equal(why.kind, QUEUE_WHY_DOWN);
	assert_int_equal(why.state, QUEUE_DOWN);
	assert_int_equal(why.since_ms, down);
	assert_int_equal(why.own_until_ms, down + HOUR);
	assert_int_equal(why.verdict.code, 421);
	assert_false(why.verdict.remote);
	assert_int_equal(world_count(&w, QUEUE_DOWN), 2);

	int64_t step = 5 * SECOND;
	for (int i = 0; i < 10; i++) {
		why = world_why(&w, 2);
		assert_true(near(why.until_ms, w.now + step, step / 5));
		world_pass(&w, why.until_ms - w.now - 1);
		world_expect_none(&w);
		world_pass(&w, 1);
		assert_int_equal(queue_next_time(w.q, w.now), w.now);
		assert_int_equal(world_next(&w, &start), 0);
		assert_true(start.probe);
		assert_true(world_why(&w, start.id == 1 ? 2 : 1).probing);
		world_expect_none(&w);
		world_pass(&w, SECOND);
		world_failed(&w, &start);
		step = MIN(2 * step, 5 * MINUTE);
	}
	assert_true(w.now - down < HOUR);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_unit(&w, 2).attempts, 1);
	assert_int_equal(world_why(&w, 1).since_ms, down);
	world_done(&w);
}

/* Mail for a destination that stays down is given up when its schedule says, without a connection
 * of its own, with the destination's last reply. */
static void giving_up_while_down(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 3; id++)
		world_add(&w, id, "x@a.example");
	size_t tried = 0;
	while (queue_messages(w.q)) {
		if (world_next(&w, &start) == 0) {
			world_failed(&w, &start);
			tried++;
		}
		world_pass(&w, SECOND);
		assert_true(w.now < WORLD_START + 7 * HOUR);
	}
	assert_int_equal(w.end_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(w.ends[i].why, QUEUE_EXPIRED);
		assert_int_equal(w.ends[i].attempts, 6);
		assert_int_equal(w.ends[i].code, 421);
		assert_true(near(w.ends[i].at, WORLD_START + 5 * HOUR, 10 * MINUTE));
	}
	/* one probe in 4 to 6 minutes, and the fast ones of the start */
	assert_true(tried > 45 && tried < 90);
	world_done(&w);
}

/* Virtual attempts are not worth a write to disk. */
static void virtual_attempts_are_not_saved(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 20; id++)
		world_add(&w, id, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_failed(&w, &start);
	size_t changed = w.changed_count;
	queue_run(w.q, w.now);
	assert_int_equal(world_unit(&w, 20).attempts, 1);
	assert_int_equal(w.changed_count, changed);
	world_done(&w);
}

/* New mail that comes after the failure has not failed yet. */
static void nothing_is_counted_without_a_failure(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 10;
	mx.retry_count = 0; /* one failure and it is over */
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_failed(&w, &start);
	assert_int_equal(w.end_count, 1);
	world_add(&w, 2, "x@a.example");
	queue_run(w.q, w.now);
	assert_int_equal(world_why(&w, 2).kind, QUEUE_WHY_DOWN);
	assert_int_equal(world_unit(&w, 2).attempts, 0);
	/* the probe waits its turn; until then nothing happens to it, however long that is */
	world_pass(&w, world_why(&w, 2).until_ms - w.now);
	assert_int_equal(w.end_count, 1);
	start = world_expect(&w, 2);
	assert_true(start.probe);
	world_add(&w, 3, "x@a.example");
	world_failed(&w, &start);
	queue_run(w.q, w.now);
	assert_int_equal(w.end_count, 3); /* both: it failed after either came */
	world_done(&w);
}

/* Its time comes again before its destination was asked again: that is no attempt. */
static void time_alone_is_no_attempt(void **state)
{
	struct world w;
	struct queue_start a, b;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 1;
	mx.retry_count = 1;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	a = world_expect(&w, 1);
	b = world_expect(&w, 2);
	world_failed(&w, &b);
	/* down now; the other one fails for a reason of ours, after that */
	enum verdict_kind kind = VERDICT_TEMPORARY;
	struct verdict verdict = world_verdict(451, "cannot read the message");
	verdict.remote = false;
	queue_unit_result(w.q, a.unit, &kind, QUEUE_ANSWER_NONE, &verdict, w.now);
	world_pass(&w, 3 * SECOND);
	assert_int_equal(w.end_count, 0);
	assert_int_equal(world_unit(&w, 1).attempts, 1);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DOWN);
	assert_int_equal(world_why(&w, 1).own_until_ms, 0);
	world_pass(&w, MINUTE);
	assert_int_equal(world_next(&w, &a), 0);
	assert_true(a.probe);
	world_failed(&w, &a);
	queue_run(w.q, w.now);
	assert_int_equal(w.end_count, 2);
	world_done(&w);
}

/* When it is back everything that waited goes, 1, 2, 4 … at a time. */
static void coming_back_ramps_up(void **state)
{
	struct world w;
	struct queue_start starts[64];
	(void)state;
	world_init(&w, 100);
	struct transport mx = world_transport("mx");
	mx.connections = 6;
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 40; id++)
		world_add(&w, id, "x@a.example");
	starts[0] = world_expect(&w, 1);
	world_failed(&w, &starts[0]);
	queue_run(w.q, w.now);
	world_pass(&w, 10 * MINUTE);
	assert_int_equal(world_count(&w, QUEUE_DOWN), 40);
	assert_int_equal(world_next(&w, &starts[0]), 0);
	world_ok(&w, &starts[0]);
	assert_int_equal(world_count(&w, QUEUE_READY), 39);
	assert_int_equal(world_why(&w, 40).since_ms, w.now);
	uint32_t expect[] = {1, 2, 4, 6, 6};
	for (size_t round = 0; round < ARRAY_SIZE(expect); round++) {
		uint32_t n = 0;
		while (world_next(&w, &starts[n]) == 0)
			n++;
		assert_int_equal(n, expect[round]);
		world_pass(&w, SECOND);
		for (uint32_t i = 0; i < n; i++)
			world_ok(&w, &starts[i]);
	}
	world_done(&w);
}

/* Deferred by its own answer, it keeps its own time while others come and go. */
static void own_deferral_outlasts_an_outage(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	world_pass(&w, MINUTE);
	world_add(&w, 2, "x@a.example");
	start = world_expect(&w, 2);
	world_failed(&w, &start);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DEFERRED);
	world_pass(&w, MINUTE);
	start = world_expect(&w, 2);
	world_ok(&w, &start);
	world_expect_none(&w);
	assert_int_equal(world_why(&w, 1).until_ms, WORLD_START + HOUR);
	world_pass(&w, WORLD_START + HOUR - w.now);
	world_expect(&w, 1);
	world_done(&w);
}

/* One connection of many fails while others get through: fewer connections, no outage, and the
 * one that failed is not charged for it. */
static void refused_connections_halve_the_limit(void **state)
{
	struct world w;
	struct queue_start starts[8];
	struct queue_destination_info info;
	(void)state;
	world_init(&w, 100);
	struct transport mx = world_transport("mx");
	mx.connections = 8;
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 20; id++)
		world_add(&w, id, "x@a.example");
	for (uint64_t id = 1; id <= 8; id++)
		starts[id - 1] = world_expect(&w, id);
	world_pass(&w, SECOND);
	world_ok(&w, &starts[0]);
	world_failed(&w, &starts[1]);
	queue_destination_info(w.q, starts[0].destination, &info);
	assert_false(info.down);
	assert_int_equal(info.limit, 4);
	assert_int_equal(world_unit(&w, 2).attempts, 0);
	assert_int_equal(world_unit(&w, 2).state, QUEUE_READY);
	assert_int_equal(world_why(&w, 2).behind, 0);
	assert_int_equal(world_why(&w, 2).kind, QUEUE_WHY_LIMIT_DESTINATION);
	/* nothing got through since the next one began: that is an outage */
	for (int i = 2; i < 8; i++)
		world_ok(&w, &starts[i]);
	starts[0] = world_expect(&w, 2);
	world_pass(&w, SECOND);
	world_failed(&w, &starts[0]);
	queue_destination_info(w.q, starts[0].destination, &info);
	assert_true(info.down);
	world_done(&w);
}

/* A server that takes nothing, in a row: no more hammering; what it takes or refuses for good ends
 * the row. */
static void throttling_is_an_outage(void **state)
{
	struct world w;
	struct queue_start start;
	uint64_t id = 1;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	for (int i = 0; i < 100; i++)
		world_add(&w, id++, "x@a.example");
	for (int i = 0; i < QUEUE_THROTTLED - 1; i++) {
		assert_int_equal(world_next(&w, &start), 0);
		world_throttled(&w, &start);
	}
	assert_int_equal(world_next(&w, &start), 0);
	world_result(&w, &start, VERDICT_PERMANENT, 550);
	for (int i = 0; i < QUEUE_THROTTLED; i++) {
		assert_int_equal(world_next(&w, &start), 0);
		world_throttled(&w, &start);
	}
	world_expect_none(&w);
	struct queue_why why = world_why(&w, 100);
	assert_int_equal(why.kind, QUEUE_WHY_DOWN);
	assert_int_equal(why.verdict.code, 452);
	assert_true(why.verdict.remote);
	/* a probe that hears the same changes nothing, one that gets through does */
	world_pass(&w, 10 * SECOND);
	assert_int_equal(world_next(&w, &start), 0);
	assert_true(start.probe);
	world_throttled(&w, &start);
	assert_int_equal(world_why(&w, 100).kind, QUEUE_WHY_DOWN);
	world_pass(&w, MINUTE);
	assert_int_equal(world_next(&w, &start), 0);
	world_ok(&w, &start);
	assert_int_equal(world_why(&w, 100).state, QUEUE_READY);
	world_done(&w);
}

/* One full mailbox, or a hop that greylists, is no outage, however much mail there is for it: what
 * it says of some recipients is theirs alone. */
static void a_full_mailbox_takes_nothing_down(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 10 * QUEUE_THROTTLED; id++)
		world_add(&w, id, "full@a.example");
	while (world_next(&w, &start) == 0) {
		assert_false(start.probe);
		world_result(&w, &start, VERDICT_TEMPORARY, 452);
	}
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 10 * QUEUE_THROTTLED);
	world_add(&w, 999, "honest@a.example");
	start = world_expect(&w, 999);
	world_ok(&w, &start);
	world_done(&w);
}

/* Nor does it hide that the server is out of space for all others. */
static void full_mailboxes_hide_no_throttling(void **state)
{
	struct world w;
	struct queue_start start;
	struct queue_destination_info info;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	for (uint64_t id = 1; id <= 2 * QUEUE_THROTTLED; id++)
		world_add(&w, id, "x@a.example");
	for (int i = 0; i < QUEUE_THROTTLED; i++) {
		assert_int_equal(world_next(&w, &start), 0);
		assert_false(start.probe);
		world_throttled(&w, &start);
		if (i == QUEUE_THROTTLED - 1)
			break;
		assert_int_equal(world_next(&w, &start), 0);
		world_result(&w, &start, VERDICT_TEMPORARY, 452);
	}
	queue_destination_info(w.q, start.destination, &info);
	assert_true(info.down);
	world_done(&w);
}

/* However often it goes and comes back: nothing is given up before the schedule's end. */
static void short_outages_use_no_retries_up(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 60;
	mx.retry_count = 10;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "full@a.example");
	for (unsigned i = 0; !w.end_count; i++) {
		if (world_next(&w, &start) != 0) {
			world_pass(&w, SECOND);
			continue;
		}
		if (i % 2)
			world_failed(&w, &start);
		else
			world_result(&w, &start, VERDICT_TEMPORARY, 452);
	}
	assert_true(w.now - WORLD_START >= 10 * MINUTE);
	assert_true(w.now - WORLD_START <= 16 * MINUTE);
	world_done(&w);
}

static void throttle(struct world *w, uint64_t first_id)
{
	struct queue_start start;
	for (uint64_t i = 0; i < QUEUE_THROTTLED; i++)
		world_add(w, first_id + i, "x@a.example");
	for (int i = 0; i < QUEUE_THROTTLED; i++) {
		assert_int_equal(world_next(w, &start), 0);
		world_throttled(w, &start);
	}
	world_expect_none(w);
}

/* Others had it said to them: mail that was never tried loses no retry by it, is not given up, and
 * nobody is told another one's reply. */
static void throttling_gives_up_nothing_untried(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 10;
	mx.retry_count = 3;
	world_set_transport(&w, &mx);
	throttle(&w, 1);
	for (uint64_t id = 101; id <= 130; id++)
		world_add(&w, id, "honest@a.example");
	uint32_t tried[131] = {0};
	for (size_t id = 1; id <= QUEUE_THROTTLED; id++)
		tried[id] = 1;
	for (int64_t until = w.now + 3 * HOUR; w.now < until;) {
		if (world_next(&w, &start) == 0) {
			assert_true(start.probe);
			assert_int_equal(start.attempts, tried[start.id]);
			tried[start.id]++;
			world_throttled(&w, &start);
		}
		world_pass(&w, SECOND);
	}
	for (size_t i = 0; i < w.end_count; i++) {
		assert_true(tried[w.ends[i].id] > 0);
		assert_int_equal(w.ends[i].attempts, 4);
	}
	struct verdict verdict;
	for (uint64_t id = 101; id <= 130; id++) {
		struct queue_message_info info;
		if (queue_message_info(w.q, id, &info) != 0)
			continue;
		assert_int_equal(queue_unit_verdict(w.q, info.first_unit, &verdict),
			tried[id] ? 0 : ERR_NOT_FOUND);
		assert_int_equal(world_unit(&w, id).attempts, tried[id]);
	}
	world_done(&w);
}

/* What always fails is not the probe for ever: who was never tried goes first, and the others take
 * turns. */
static void probes_take_turns(void **state)
{
	struct world w;
	struct queue_start start;
	uint64_t probes[131] = {0};
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 1;
	mx.retry_count = 1000;
	world_set_transport(&w, &mx);
	throttle(&w, 1);
	world_pass(&w, 2 * SECOND); /* all of them are due again */
	for (uint64_t id = 101; id <= 103; id++)
		world_add(&w, id, id == 102 ? "vip@a.example" : "new@a.example");
	static const uint64_t first[] = {102, 101, 103};
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		world_pass(&w, world_why(&w, 103).until_ms - w.now);
		start = world_expect(&w, first[i]);
		assert_true(start.probe);
		world_throttled(&w, &start);
	}
	/* each of those that share a line once, before any comes again */
	for (int i = 0; i < QUEUE_THROTTLED; i++) {
		world_pass(&w, world_why(&w, 103).until_ms - w.now);
		assert_int_equal(world_next(&w, &start), 0);
		assert_true(start.id == 102 || ++probes[start.id] == 1);
		world_throttled(&w, &start);
	}
	/* new mail is never more than one probe away, and that within a minute and a bit */
	int64_t came = w.now;
	world_add(&w, 104, "new@a.example");
	world_pass(&w, world_why(&w, 104).until_ms - w.now);
	assert_true(w.now - came <= QUEUE_PROBE_THROTTLED_MS * 6 / 5);
	start = world_expect(&w, 104);
	world_ok(&w, &start);
	assert_int_equal(world_count(&w, QUEUE_DOWN), 0);
	world_done(&w);
}

/* Mail that makes the hop break off is a probe that says nothing, and lets others find out. */
static void poison_is_no_probe_for_ever(void **state)
{
	struct world w;
	struct queue_start start;
	enum verdict_kind kind = VERDICT_TEMPORARY;
	struct verdict lost = world_verdict(421, "connection lost");
	(void)state;
	lost.remote = false;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 1;
	mx.retry_count = 1000;
	world_set_transport(&w, &mx);
	world_add(&w, 1, "poison@a.example");
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	for (int i = 0; i < 5; i++) {
		world_pass(&w, world_why(&w, 1).until_ms - w.now);
		start = world_expect(&w, 1);
		queue_unit_result(w.q, start.unit, &kind, QUEUE_ANSWER_NONE, &lost, w.now);
		world_pass(&w, 2 * SECOND);
	}
	world_add(&w, 2, "honest@a.example");
	world_pass(&w, world_why(&w, 2).until_ms - w.now);
	start = world_expect(&w, 2);
	assert_true(start.probe);
	world_ok(&w, &start);
	world_expect(&w, 1);
	world_done(&w);
}

/* Throttled first and then out of reach: from there on time counts for all, with that as the
 * reason, not with what was said before to others. */
static void out_of_reach_after_throttling(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	mx.retry[0].delay_s = 10;
	mx.retry_count = 2;
	world_set_transport(&w, &mx);
	throttle(&w, 1);
	world_add(&w, 101, "honest@a.example");
	world_add(&w, 102, "honest@a.example");
	while (queue_messages(w.q)) {
		if (world_next(&w, &start) == 0)
			world_failed(&w, &start);
		world_pass(&w, SECOND);
		assert_true(w.now < WORLD_START + HOUR);
	}
	for (size_t i = 0; i < w.end_count; i++) {
		assert_int_equal(w.ends[i].attempts, 3);
		assert_int_equal(w.ends[i].code, 421);
	}
	assert_int_equal(w.end_count, QUEUE_THROTTLED + 2);
	world_done(&w);
}

/* Down for its connection, a destination that answers at all is there again. Who found out was
 * tried before its own time, and has that still to come. */
static void a_temporary_answer_ends_an_outage(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	start = world_expect(&w, 1);
	world_failed(&w, &start);
	queue_run(w.q, w.now);
	int64_t due = world_why(&w, 1).own_until_ms;
	world_pass(&w, MINUTE);
	assert_int_equal(world_next(&w, &start), 0);
	uint64_t other = start.id == 1 ? 2 : 1;
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	assert_int_equal(world_why(&w, start.id).kind, QUEUE_WHY_DEFERRED);
	assert_int_equal(world_unit(&w, start.id).attempts, 1);
	assert_int_equal(world_why(&w, start.id).until_ms, due);
	assert_int_equal(world_why(&w, other).state, QUEUE_READY);
	world_done(&w);
}

/* Trouble of our own is no news about the destination. */
static void own_trouble_is_not_the_destinations(void **state)
{
	struct world w;
	struct queue_start start;
	struct verdict verdict = world_verdict(451, "cannot read the message");
	enum verdict_kind kind = VERDICT_TEMPORARY;
	(void)state;
	verdict.remote = false;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 2 * QUEUE_THROTTLED; id++)
		world_add(&w, id, "x@a.example");
	for (int i = 0; i < 2 * QUEUE_THROTTLED; i++) {
		assert_int_equal(world_next(&w, &start), 0);
		assert_false(start.probe);
		queue_unit_result(w.q, start.unit, &kind, QUEUE_ANSWER_NONE, &verdict, w.now);
	}
	assert_int_equal(world_count(&w, QUEUE_DEFERRED), 2 * QUEUE_THROTTLED);
	/* as a probe it leaves the question open */
	world_add(&w, 99, "x@a.example");
	start = world_expect(&w, 99);
	world_failed(&w, &start);
	world_add(&w, 100, "x@a.example");
	world_pass(&w, 10 * SECOND);
	assert_int_equal(world_next(&w, &start), 0);
	assert_true(start.probe);
	queue_unit_result(w.q, start.unit, &kind, QUEUE_ANSWER_NONE, &verdict, w.now);
	struct queue_destination_info info;
	queue_destination_info(w.q, start.destination, &info);
	assert_true(info.down);
	assert_false(info.probing);
	assert_true(info.next_probe_ms > w.now);
	world_done(&w);
}

/* A long line of mail is worked off in steps, and coming and going costs nothing per message. */
static void a_backlog_in_steps(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 10);
	for (uint64_t id = 1; id <= 2 * QUEUE_RUN_STEP + 10; id++) {
		struct world_mail mail;
		world_mail(&w, &mail, id, id % 3 ? "x@a.example" : "vip@a.example");
		assert_int_equal(queue_add(w.q, &mail.envelope, SPAN_NONE, w.now), 0);
	}
	assert_int_equal(world_next(&w, &start), 0);
	world_failed(&w, &start);
	int runs = 0;
	while (queue_next_time(w.q, w.now) == w.now) {
		queue_run(w.q, w.now);
		runs++;
		world_check(&w);
	}
	assert_in_range(runs, 3, 4);
	uint64_t waiting = 0;
	for (uint64_t id = 1; id <= 2 * QUEUE_RUN_STEP + 10; id++)
		waiting += world_unit(&w, id).attempts == 1;
	assert_int_equal(waiting, 2 * QUEUE_RUN_STEP + 10);
	world_done(&w);
}

/* What is short here costs nobody an attempt, and no destination its name. */
static void a_shortage_is_nobodys_fault(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	struct transport mx = world_transport("mx");
	world_set_transport(&w, &mx);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@b.example");
	struct queue_start start = world_expect(&w, 1);
	struct verdict verdict = world_verdict(451, "no descriptor");
	verdict.remote = false;
	queue_unit_short(w.q, start.unit, &verdict, w.now);
	world_expect_none(&w);
	for (uint64_t id = 1; id <= 2; id++) {
		struct queue_why why = world_why(&w, id);
		assert_int_equal(why.kind, QUEUE_WHY_SHORTAGE);
		assert_int_equal(why.state, QUEUE_READY);
		assert_int_equal(why.since_ms, WORLD_START);
		assert_int_equal(why.until_ms, WORLD_START + QUEUE_SHORTAGE_MS);
		assert_int_equal(why.verdict.code, 451);
		assert_int_equal(why.attempts, 0);
	}
	assert_int_equal(queue_next_time(w.q, w.now), WORLD_START + QUEUE_SHORTAGE_MS);
	world_check(&w);
	world_pass(&w, QUEUE_SHORTAGE_MS);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_READY);
	/* Still short: it has been so since then. */
	assert_int_equal(world_next(&w, &start), 0);
	queue_unit_short(w.q, start.unit, &verdict, w.now);
	assert_int_equal(world_why(&w, 1).since_ms, WORLD_START);
	world_pass(&w, QUEUE_SHORTAGE_MS);
	assert_int_equal(world_next(&w, &start), 0);
	assert_int_equal(start.attempts, 0);
	/* Over this connection others may go, whatever is short. */
	struct queue_start other;
	assert_int_equal(world_next(&w, &other), 0);
	world_add(&w, 3, start.id == 1 ? "x@a.example" : "x@b.example");
	queue_unit_short(w.q, other.unit, &verdict, w.now);
	uint32_t destination = start.destination;
	world_ok(&w, &start);
	assert_int_equal(queue_next_for(w.q, destination, w.now, &start), 0);
	assert_int_equal(start.id, 3);
	world_ok(&w, &start);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shortage_is_nobodys_fault),
		cmocka_unit_test(probes_grow),
		cmocka_unit_test(a_probe_that_is_asked_for_moves_none),
		cmocka_unit_test(the_end_is_foretold),
		cmocka_unit_test(giving_up_while_down),
		cmocka_unit_test(virtual_attempts_are_not_saved),
		cmocka_unit_test(nothing_is_counted_without_a_failure),
		cmocka_unit_test(time_alone_is_no_attempt),
		cmocka_unit_test(coming_back_ramps_up),
		cmocka_unit_test(own_deferral_outlasts_an_outage),
		cmocka_unit_test(refused_connections_halve_the_limit),
		cmocka_unit_test(throttling_is_an_outage),
		cmocka_unit_test(short_outages_use_no_retries_up),
		cmocka_unit_test(a_full_mailbox_takes_nothing_down),
		cmocka_unit_test(full_mailboxes_hide_no_throttling),
		cmocka_unit_test(throttling_gives_up_nothing_untried),
		cmocka_unit_test(probes_take_turns),
		cmocka_unit_test(poison_is_no_probe_for_ever),
		cmocka_unit_test(out_of_reach_after_throttling),
		cmocka_unit_test(a_temporary_answer_ends_an_outage),
		cmocka_unit_test(own_trouble_is_not_the_destinations),
		cmocka_unit_test(a_backlog_in_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
