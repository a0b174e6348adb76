/*
 * Who may have how many of all connections: what strangers can send anywhere does not keep others
 * waiting, and whoever waits for that is told so.
 */
#include "base/prng.h"
#include "world.h"

#include <string.h>

static void add_to(struct world *w, uint64_t id, const char *name, unsigned n, bool null)
{
	char rcpt[64];

	snprintf(rcpt, sizeof(rcpt), "x@%s%u.example", name, n);
	w->null_sender = null;
	assert_int_equal(world_add(w, id, rcpt), 0);
	w->null_sender = false;
}

static unsigned start_all(struct world *w)
{
	struct queue_start start;
	unsigned n = 0;

	while (world_next(w, &start) == 0)
		n++;
	return n;
}

/* Thirty notifications to hosts that never answer, twenty connections. */
static void notifications_do_not_starve_mail(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 20);
	world_route(&w, "fixed0.example", "site");
	for (unsigned n = 0; n < 30; n++)
		add_to(&w, 1 + n, "stall", n, true);
	assert_int_equal(start_all(&w), 5);
	struct queue_why why = world_why(&w, 30);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_NULL);
	assert_int_equal(why.limit, 5);
	add_to(&w, 100, "honest", 0, false);
	world_expect(&w, 100);
	add_to(&w, 101, "fixed", 0, false);
	world_expect(&w, 101);
	/* and a notification of a site of our own goes at once */
	add_to(&w, 102, "fixed", 0, true);
	world_expect(&w, 102);
	world_done(&w);
}

static void looked_up_mail_leaves_some_for_fixed_servers(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 20);
	world_route(&w, "fixed0.example", "site");
	for (unsigned n = 0; n < 30; n++)
		add_to(&w, 1 + n, "stall", n, false);
	assert_int_equal(start_all(&w), 15);
	struct queue_why why = world_why(&w, 30);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_LOOKED_UP);
	assert_int_equal(why.limit, 15);
	for (unsigned n = 0; n < 7; n++)
		add_to(&w, 100 + n, "fixed", 0, false);
	assert_int_equal(start_all(&w), 5);
	why = world_why(&w, 106);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_ALL);
	assert_int_equal(why.limit, 20);
	world_done(&w);
}

/* In one destination, too: mail does not wait behind notifications that may not go. */
static void mail_passes_notifications_that_wait_for_their_share(void **state)
{
	struct world w;
	struct queue_start start[5];
	(void)state;
	world_init(&w, 20);
	for (unsigned n = 0; n < 5; n++) {
		add_to(&w, 1 + n, "stall", n, true);
		start[n] = world_expect(&w, 1 + n);
	}
	for (unsigned n = 0; n < 3; n++)
		add_to(&w, 10 + n, "big", 0, true);
	add_to(&w, 20, "big", 0, false);
	assert_int_equal(world_why(&w, 20).behind, 0);
	world_expect(&w, 20);
	world_expect_none(&w);
	world_ok(&w, &start[0]);
	world_expect(&w, 10);
	world_expect_none(&w);
	/* an open connection has to obey it, too */
	struct queue_start next;
	assert_int_equal(
		queue_next_for(w.q, world_unit(&w, 10).destination, w.now, &next), ERR_AGAIN);
	world_done(&w);
}

/* As long as others leave room, everybody may have what there is; few connections are enough. */
static void one_connection_is_enough(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	for (uint32_t connections = 1; connections < 9; connections++) {
		world_init(&w, connections);
		for (unsigned n = 0; n < 12; n++)
			add_to(&w, 1 + n, n % 3 ? "a" : "b", n % 4, n % 2);
		for (int i = 0; i < 12; i++) {
			assert_int_equal(world_next(&w, &start), 0);
			world_ok(&w, &start);
		}
		assert_int_equal(queue_messages(w.q), 0);
		world_done(&w);
	}
}

static void rules_prioritise_no_stranger(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 10);
	world_route(&w, "site.example", "site");
	w.null_sender = true;
	world_add(&w, 1, "vip@mx.example");
	world_add(&w, 2, "vip@site.example");
	assert_false(world_unit(&w, 1).priority);
	assert_true(world_unit(&w, 2).priority);
	queue_prioritise(w.q, 1, QUEUE_ALL_UNITS, true, w.now);
	assert_true(world_unit(&w, 1).priority);
	world_done(&w);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static void a_busy_host_is_asked_again_later(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 20);
	world_add(&w, 1, "x@a.example");
	world_add(&w, 2, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	queue_unit_busy(w.q, start.unit, 7, w.now);
	world_check(&w);
	world_expect_none(&w);
	struct queue_why why = world_why(&w, 1);
	assert_int_equal(why.kind, QUEUE_WHY_LIMIT_HOST);
	assert_int_equal(why.limit, 7);
	assert_int_equal(why.until_ms, w.now + QUEUE_BUSY_MS);
	assert_int_equal(why.attempts, 0);
	/* sessions that are open go on */
	assert_int_equal(queue_next_for(w.q, start.destination, w.now, &start), 0);
	world_ok(&w, &start);
	assert_int_equal(queue_next_time(w.q, w.now), w.now + QUEUE_BUSY_MS);
	world_pass(&w, QUEUE_BUSY_MS);
	world_expect(&w, 2);
	world_done(&w);
}

static void a_probe_of_a_busy_host_is_made_again(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 20);
	world_add(&w, 1, "x@a.example");
	struct queue_start start = world_expect(&w, 1);
	world_failed(&w, &start);
	world_pass(&w, 7 * SECOND);
	start = world_expect(&w, 1);
	assert_true(start.probe);
	queue_unit_busy(w.q, start.unit, 7, w.now);
	world_check(&w);
	world_expect_none(&w);
	assert_int_equal(world_why(&w, 1).kind, QUEUE_WHY_DOWN);
	world_pass(&w, QUEUE_BUSY_MS);
	start = world_expect(&w, 1);
	assert_true(start.probe);
	world_done(&w);
}

/* ---- why ------------------------------------------------------------------------------------ */

/* What is told of `behind` comes true, whatever kinds of mail wait together. */
static void behind_is_exact(void **state)
{
	struct prng prng;
	(void)state;
	prng_seed(&prng, 3);
	for (int round = 0; round < 60; round++) {
		struct world w;
		struct queue_start start;
		uint32_t want[41];
		uint64_t count = 1 + prng_below(&prng, 40);
		world_init(&w, 1);
		world_route(&w, "site.example", "site");
		for (uint64_t id = 1; id <= count; id++) {
			bool vip = prng_below(&prng, 3) == 0;
			w.null_sender = prng_below(&prng, 2);
			world_add(&w, id, vip ? "vip@site.example" : "x@site.example");
		}
		for (uint64_t n = prng_below(&prng, count); n; n--) {
			assert_int_equal(world_next(&w, &start), 0);
			world_ok(&w, &start);
		}
		for (uint64_t id = 1; id <= count; id++) {
			struct queue_message_info info;
			want[id] = UINT32_MAX;
			if (!queue_message_info(w.q, id, &info))
				want[id] = world_why(&w, id).behind;
		}
		for (uint32_t n = 0; world_next(&w, &start) == 0; n++) {
			assert_int_equal(want[start.id], n);
			world_ok(&w, &start);
		}
		world_done(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notifications_do_not_starve_mail),
		cmocka_unit_test(looked_up_mail_leaves_some_for_fixed_servers),
		cmocka_unit_test(mail_passes_notifications_that_wait_for_their_share),
		cmocka_unit_test(one_connection_is_enough),
		cmocka_unit_test(rules_prioritise_no_stranger),
		cmocka_unit_test(a_busy_host_is_asked_again_later),
		cmocka_unit_test(a_probe_of_a_busy_host_is_made_again),
		cmocka_unit_test(behind_is_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
