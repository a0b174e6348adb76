/*
 * Pauses that are over, and messages that are loaded after them: their clocks stood still.
 */
#include "world.h"

static struct buf pauses_of(struct world *w)
{
	struct buf kept;
	buf_init(&kept, 1 << 20);
	queue_pauses_encode(w->q, &kept);
	assert_true(buf_ok(&kept));
	return kept;
}

static struct buf state_of(struct world *w, uint64_t id)
{
	struct buf state;
	buf_init(&state, 1 << 20);
	queue_state_encode(w->q, id, &state);
	assert_true(buf_ok(&state));
	return state;
}

static void begin(struct world *w)
{
	world_init(w, 10);
	world_route(w, "a.example", "site");
	world_route(w, "b.example", "site");
	struct transport site = world_transport("site");
	world_set_transport(w, &site);
}

static void begin_anew(struct world *w, struct span pauses)
{
	struct transport site = world_transport("site");
	queue_free(&w->q);
	world_open(w, 10);
	assert_int_equal(queue_pauses_restore(w->q, pauses, w->now), 0);
	world_set_transport(w, &site);
}

/* Tried once, to be tried an hour later; its state as it is kept then. */
static struct buf deferred(struct world *w, const char *rcpts)
{
	world_add(w, 1, rcpts);
	struct queue_start start = world_expect(w, 1);
	world_result(w, &start, VERDICT_TEMPORARY, 450);
	return state_of(w, 1);
}

static void load(struct world *w, const char *rcpts, struct span state)
{
	struct world_mail mail;
	world_mail(w, &mail, 1, rcpts);
	mail.envelope.arrived_ms = WORLD_START;
	assert_int_equal(queue_add(w->q, &mail.envelope, state, w->now), 0);
	world_check(w);
}

static void pause_for(struct world *w, enum queue_scope scope, const char *name, int64_t ms)
{
	world_pause(w, scope, name, true);
	world_pass(w, ms);
	world_pause(w, scope, name, false);
}

/* Pauses at once count once, those after another add up, others' not at all. */
static void overlapping_pauses_count_once(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	struct buf kept = deferred(&w, "x@a.example");
	pause_for(&w, QUEUE_SCOPE_TRANSPORT, "site", HOUR);
	world_pass(&w, 10 * MINUTE);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", true);
	world_pass(&w, HOUR);
	world_pause(&w, QUEUE_SCOPE_ALL, "", true);
	world_pass(&w, HOUR);
	world_pause(&w, QUEUE_SCOPE_DOMAIN, "a.example", false);
	world_pass(&w, HOUR);
	world_pause(&w, QUEUE_SCOPE_ALL, "", false);
	pause_for(&w, QUEUE_SCOPE_DOMAIN, "b.example", 20 * MINUTE);
	pause_for(&w, QUEUE_SCOPE_TRANSPORT, "other", 10 * MINUTE);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + 20 * MINUTE);
	struct buf pauses = pauses_of(&w);
	begin_anew(&w, buf_span(&pauses));
	load(&w, "x@a.example", buf_span(&kept));
	assert_int_equal(world_why(&w, 1).until_ms, w.now + 20 * MINUTE);
	buf_done(&kept);
	buf_done(&pauses);
	world_done(&w);
}

/* A state that is kept after a pause has its time already. */
static void no_pause_counts_twice(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	struct buf kept = deferred(&w, "x@a.example");
	buf_done(&kept);
	pause_for(&w, QUEUE_SCOPE_TRANSPORT, "site", 5 * HOUR);
	world_pass(&w, HOUR / 2);
	kept = state_of(&w, 1);
	struct buf pauses = pauses_of(&w);
	for (int i = 0; i < 3; i++) {
		begin_anew(&w, buf_span(&pauses));
		load(&w, "x@a.example", buf_span(&kept));
		assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR / 2);
	}
	buf_done(&kept);
	buf_done(&pauses);
	world_done(&w);
}

/* It is told that it is late no sooner than without a restart. */
static void a_new_message_is_younger_for_it(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	world_add(&w, 1, "x@a.example");
	pause_for(&w, QUEUE_SCOPE_ALL, "", 10 * HOUR);
	struct buf pauses = pauses_of(&w);
	begin_anew(&w, buf_span(&pauses));
	struct transport site = world_transport("site");
	site.delay_warning_s = 2 * 3600;
	world_set_transport(&w, &site);
	load(&w, "x@a.example", SPAN_NONE);
	struct queue_start start = world_expect(&w, 1);
	world_result(&w, &start, VERDICT_TEMPORARY, 450);
	world_pass(&w, 2 * HOUR - MINUTE);
	assert_int_equal(w.warning_count, 0);
	world_pass(&w, 2 * MINUTE);
	assert_int_equal(w.warning_count, 1);
	buf_done(&pauses);
	world_done(&w);
}

/* What was held in the meantime stood still anyway. */
static void a_hold_and_a_pause_at_once(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	struct buf kept = deferred(&w, "x@a.example");
	buf_done(&kept);
	world_pass(&w, HOUR / 4);
	assert_int_equal(queue_hold(w.q, 1, QUEUE_ALL_UNITS, SPAN("ann"), SPAN("look"), w.now), 0);
	kept = state_of(&w, 1);
	world_pass(&w, HOUR);
	pause_for(&w, QUEUE_SCOPE_TRANSPORT, "site", 5 * HOUR);
	struct buf pauses = pauses_of(&w);
	begin_anew(&w, buf_span(&pauses));
	load(&w, "x@a.example", buf_span(&kept));
	assert_int_equal(queue_release(w.q, 1, QUEUE_ALL_UNITS, w.now), 0);
	assert_int_equal(world_why(&w, 1).until_ms, w.now + HOUR * 3 / 4);
	buf_done(&kept);
	buf_done(&pauses);
	world_done(&w);
}

/* A clock that leapt ahead while it was paused, and was set right again, stalls nothing. */
static void the_length_of_a_pause_is_not_the_wall_clocks(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	struct buf kept = deferred(&w, "x@a.example");
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "site", true);
	world_pass(&w, 10 * MINUTE);
	w.now += 365 * 24 * HOUR;
	world_pause(&w, QUEUE_SCOPE_TRANSPORT, "site", false);
	w.now -= 365 * 24 * HOUR;
	struct buf pauses = pauses_of(&w);
	begin_anew(&w, buf_span(&pauses));
	load(&w, "x@a.example", buf_span(&kept));
	assert_in_range(world_why(&w, 1).until_ms, w.now, w.now + HOUR);
	world_pass(&w, 2 * HOUR);
	world_expect(&w, 1);
	buf_done(&kept);
	buf_done(&pauses);
	world_done(&w);
}

/* Who pauses all the time does not fill the memory. */
static void only_the_last_ones_are_kept(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	for (int i = 0; i < 3 * QUEUE_PAST_MOST; i++) {
		pause_for(&w, QUEUE_SCOPE_DOMAIN, i % 2 ? "a.example" : "b.example", 2 * SECOND);
		world_pass(&w, SECOND);
	}
	uint64_t version = queue_pauses_version(w.q);
	pause_for(&w, QUEUE_SCOPE_ALL, "", 2 * SECOND);
	assert_true(queue_pauses_version(w.q) != version);
	struct buf pauses = pauses_of(&w);
	assert_in_range(pauses.n, QUEUE_PAST_MOST, QUEUE_PAST_MOST * 64);
	begin_anew(&w, buf_span(&pauses));
	struct buf again = pauses_of(&w);
	assert_true(span_equal(buf_span(&again), buf_span(&pauses)));
	buf_done(&again);
	buf_done(&pauses);
	world_done(&w);
}

/* Refused or taken, but never a queue that is not sound. */
static void hostile_bytes(void **state)
{
	struct world w;
	struct prng prng;
	(void)state;
	begin(&w);
	struct buf kept = deferred(&w, "x@a.example");
	pause_for(&w, QUEUE_SCOPE_TRANSPORT, "site", HOUR);
	pause_for(&w, QUEUE_SCOPE_DOMAIN, "a.example", HOUR);
	world_pause(&w, QUEUE_SCOPE_ALL, "", true);
	struct buf good = pauses_of(&w);
	prng_seed(&prng, 5);
	for (int i = 0; i < 5000; i++) {
		char bytes[256];
		size_t n = MIN(good.n, sizeof(bytes));
		memcpy(bytes, good.p, n);
		for (uint64_t flips = prng_below(&prng, 4); flips; flips--)
			bytes[prng_below(&prng, n)] = (char)prng_u64(&prng);
		if (i % 2)
			n = prng_below(&prng, n);
		queue_free(&w.q);
		world_open(&w, 10);
		int err = queue_pauses_restore(w.q, span_of(bytes, n), w.now);
		if (n < good.n)
			assert_int_equal(err, ERR_CORRUPT);
		load(&w, "x@a.example", buf_span(&kept));
		assert_true(world_unit(&w, 1).next_try_ms <= w.now + HOUR);
	}
	buf_done(&kept);
	buf_done(&good);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlapping_pauses_count_once),
		cmocka_unit_test(no_pause_counts_twice),
		cmocka_unit_test(a_new_message_is_younger_for_it),
		cmocka_unit_test(a_hold_and_a_pause_at_once),
		cmocka_unit_test(the_length_of_a_pause_is_not_the_wall_clocks),
		cmocka_unit_test(only_the_last_ones_are_kept),
		cmocka_unit_test(hostile_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
