/* What is missing here, or cannot be read for a while, is nobody's failed attempt. */
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

	world_sound(w);
	world_done(w);
	free(w);
	return 0;
}

static void greylist(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strncmp(line, "RCPT", 4) == 0)
		strcpy(reply, "451 4.7.1 come back later");
}

/* The disk recovers after longer than all retries would have taken. */
static void a_disk_that_cannot_be_read_uses_no_retries_up(void **state)
{
	const struct sim_disk_faults unreadable = {.read_error = 65536}, well = {0};
	struct world *w = *state;

	w->script = greylist;
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	w->script = NULL;
	sim_disk_set_faults(w->spool, &unreadable);
	world_pass(w, 5 * HOUR);
	size_t failures = world_events(w, EVENT_TRANSIENT_FAILURE);
	assert_in_range(failures, 10, 40); /* looked at as often as a retry would be */
	char *reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "\"attempts\":1,"));
	assert_non_null(strstr(reply, "cannot be read at the moment"));
	free(reply);
	sim_disk_set_faults(w->spool, &well);
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 0)->attempt, 2);
	assert_int_equal(world_queued(w), 0);
}

static void a_mailbox_waits_for_descriptors(void **state)
{
	struct world *w = *state;

	sim_disk_fail_nth(w->boxes, SIM_OPEN, 1, ERR_NOMEM, true);
	world_send(w, "a@client.example", "ann@box.example", BODY);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	char *reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "\"blocker\":\"shortage\""));
	free(reply);
	world_pass(w, 2 * SECOND);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 0)->attempt, 1);
	assert_int_equal(world_queued(w), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_disk_that_cannot_be_read_uses_no_retries_up),
		TEST(a_mailbox_waits_for_descriptors),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
