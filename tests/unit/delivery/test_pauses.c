/* Time that something was paused outlives a restart, whenever that comes. */
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

static void not_now(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strncmp(line, "RCPT", 4) == 0)
		strcpy(reply, "450 4.2.1 not now");
}

/* One message that the next hop defers for ten minutes. */
static void defer_one(struct world *w)
{
	w->script = not_now;
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	w->script = NULL;
	world_pass(w, MINUTE); /* its state is written */
}

/* Nine of its ten minutes are left, and not one second less. */
static void expect_nine_minutes_later(struct world *w)
{
	world_pass(w, 9 * MINUTE - 20 * SECOND);
	assert_int_equal(w->taken_count, 0);
	world_pass(w, 40 * SECOND);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 0)->attempt, 2);
}

static void paused_and_resumed_then_a_restart(
	struct world *w, enum pause_scope scope, const char *name)
{
	defer_one(w);
	world_pause(w, scope, name, true);
	world_pass(w, 3 * HOUR);
	world_pause(w, scope, name, false);
	world_crash(w);
	expect_nine_minutes_later(w);
}

static void a_transport(void **state)
{
	paused_and_resumed_then_a_restart(*state, PAUSE_TRANSPORT, "site");
}

static void a_domain(void **state)
{
	paused_and_resumed_then_a_restart(*state, PAUSE_DOMAIN, "site.example");
}

static void everything(void **state)
{
	paused_and_resumed_then_a_restart(*state, PAUSE_ALL, "");
}

/* What another one waits for has nothing to do with it. */
static void only_what_was_paused(void **state)
{
	struct world *w = *state;

	defer_one(w);
	world_pause(w, PAUSE_TRANSPORT, "bin", true);
	world_pause(w, PAUSE_DOMAIN, "bin.example", true);
	world_pass(w, 5 * MINUTE);
	world_pause(w, PAUSE_TRANSPORT, "bin", false);
	world_pause(w, PAUSE_DOMAIN, "bin.example", false);
	world_crash(w);
	world_pass(w, 5 * MINUTE);
	assert_int_equal(w->taken_count, 1);
}

/* The pause is over before delivery is there again. */
static void resumed_while_delivery_is_down(void **state)
{
	struct world *w = *state;

	defer_one(w);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	world_pass(w, 3 * HOUR);
	world_kill(w);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_begin(w);
	expect_nine_minutes_later(w);
}

/* Restarts in the middle of it, and several pauses one after the other and at once. */
static void several_pauses_and_restarts(void **state)
{
	struct world *w = *state;

	defer_one(w);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	world_pass(w, HOUR);
	world_pause(w, PAUSE_ALL, "", true);
	world_crash(w);
	world_pass(w, HOUR);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_pass(w, HOUR);
	world_crash(w);
	world_pause(w, PAUSE_ALL, "", false);
	world_pass(w, MINUTE);
	world_pause(w, PAUSE_DOMAIN, "site.example", true);
	world_pass(w, 30 * MINUTE);
	world_pause(w, PAUSE_DOMAIN, "site.example", false);
	world_crash(w);
	world_pass(w, 7 * MINUTE + 30 * SECOND);
	assert_int_equal(w->taken_count, 0);
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 1);
}

/* A disk that is full when it goes on: the pause is taken for longer, never for shorter. */
static void a_file_that_cannot_be_written(void **state)
{
	struct world *w = *state;
	static const struct sim_disk_faults broken = {.make_error = 65536, .write_error = 65536},
					    none = {0};

	defer_one(w);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	world_pass(w, HOUR);
	sim_disk_set_faults(w->spool, &broken);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	sim_disk_set_faults(w->spool, &none);
	world_crash(w);
	expect_nine_minutes_later(w);
}

/* It is asked again, so that what is on disk is true after a while. */
static void a_file_that_could_not_be_written_is_written_later(void **state)
{
	struct world *w = *state;
	static const struct sim_disk_faults broken = {.make_error = 65536}, none = {0};

	defer_one(w);
	sim_disk_set_faults(w->spool, &broken);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	sim_disk_set_faults(w->spool, &none);
	world_pass(w, 2 * MINUTE);
	world_kill(w);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_begin(w);
	expect_nine_minutes_later(w);
}

/* Damage costs a retry, nothing else. */
static void a_damaged_file(void **state)
{
	struct world *w = *state;

	defer_one(w);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	world_pass(w, HOUR);
	world_kill(w);
	assert_int_equal(sim_disk_flip(w->spool, "d/pauses", 85), 0);
	world_begin(w);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_pass(w, 10 * MINUTE);
	assert_int_equal(w->taken_count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_transport),
		TEST(a_domain),
		TEST(everything),
		TEST(only_what_was_paused),
		TEST(resumed_while_delivery_is_down),
		TEST(several_pauses_and_restarts),
		TEST(a_file_that_cannot_be_written),
		TEST(a_file_that_could_not_be_written_is_written_later),
		TEST(a_damaged_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
