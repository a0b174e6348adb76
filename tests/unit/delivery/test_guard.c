/* The queue's check at run time. */
#include "delivery/link.h"
#include "lose_unit.h"
#include "world.h"

#define BODY "Subject: hello\r\n\r\nhello\r\n"

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	world_done(w);
	free(w);
	return 0;
}

/* A message that would wait for ever, as no line has it any more, goes out within minutes. */
static void a_lost_unit_is_found_told_and_delivered(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "later@one.example", BODY);

	lose_unit(w->d->queue, id);
	world_pass(w, 2 * MINUTE);
	const struct seen *damage = world_event(w, EVENT_DAMAGE, 0);
	assert_non_null(damage);
	assert_int_equal(damage->id, id);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 2); /* tried again */
	world_sound(w);
	/* once, and then it is well */
	world_pass(w, 10 * MINUTE);
	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
}

/* Nothing queued: nothing wakes it. */
static void an_empty_queue_sleeps(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@one.example", BODY);
	world_pass(w, HOUR);
	assert_int_equal(world_queued(w), 0);
	assert_true(timers_next(&w->io.timers) == UINT64_MAX);
}

/* Much is held: the check rests for most of the time. */
static void at_rest_it_wakes_seldom(void **state)
{
	struct world *w = *state;

	world_pause(w, PAUSE_ALL, "", true);
	for (int i = 0; i < 50; i++)
		world_send(w, "a@client.example", "b@one.example", BODY);
	world_pass(w, 5 * MINUTE);
	unsigned wakes = 0;
	uint64_t until = w->io.now_ns + 10 * MINUTE * NS_PER_MS;
	while (timers_next(&w->io.timers) < until) {
		world_pass(w, (timers_next(&w->io.timers) - w->io.now_ns) / NS_PER_MS + 1);
		wakes++;
	}
	assert_true(wakes <= 30);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_lost_unit_is_found_told_and_delivered),
		TEST(an_empty_queue_sleeps),
		TEST(at_rest_it_wakes_seldom),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
