/* Destinations and DNS that fail. */
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

static const struct dns_row two_hosts[] = {
	{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"far.example", DNS_MX, 20, "mx2.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"mx2.far.example", DNS_A, 0, "198.51.100.2"},
	{"null.example", DNS_MX, 0, ""},
	{0},
};

/* ---- outages ---------------------------------------------------------------------------- */

static void a_dead_destination_is_probed_and_recovers(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	for (int i = 0; i < 20; i++)
		world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(world_queued(w), 20);
	char *reply = world_control(w, "{\"op\":\"summary\",\"by\":\"destination\"}");
	assert_non_null(strstr(reply, "\"is_down\":true"));
	assert_non_null(strstr(reply, "last_failure"));
	free(reply);
	/* Not message by message. */
	assert_true(w->connects < 15);
	world_pass(w, 2 * MINUTE);
	assert_true(w->connects < 30);
	world_sound(w);
	w->dead[0][0] = '\0';
	world_pass(w, 6 * MINUTE);
	assert_int_equal(w->taken_count, 20);
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

static void the_next_address_is_tried(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	strcpy(w->dead[0], "198.51.100.1");
	world_send(w, "a@client.example", "b@far.example", BODY);
	assert_int_equal(w->taken_count, 1);
	assert_string_equal(w->taken[0].ip, "198.51.100.2");
	assert_string_equal(world_event(w, EVENT_DELIVERY, 0)->destination, "mx2.far.example");
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	/* One that failed a moment ago is not tried first. */
	uint64_t before = w->connects;
	LIST_FIRST(&w->hops, struct hop, node)->closed_by_us = true;
	world_settle(w);
	world_send(w, "a@client.example", "b@far.example", BODY);
	assert_int_equal(w->connects, before + 1);
	assert_int_equal(w->taken_count, 2);
}

static void all_addresses_fail(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	strcpy(w->dead[0], "198.51.100.1");
	strcpy(w->dead[1], "198.51.100.2");
	world_send(w, "a@client.example", "b@far.example", BODY);
	assert_int_equal(w->connects, 2);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	world_sound(w);
	w->dead[1][0] = '\0';
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 1);
}

/* One full mailbox is its own trouble, however much mail there is for it. */
static void a_full_mailbox_keeps_nobody_waiting(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 60; i++)
		world_send(w, "a@client.example", "later@site.example", BODY);
	assert_int_equal(world_queued(w), 60);
	world_send(w, "a@client.example", "honest@site.example", BODY);
	assert_int_equal(world_taken(w, "honest@site.example"), 1);
	char *reply = world_control(w, "{\"op\":\"summary\",\"by\":\"destination\"}");
	assert_non_null(strstr(reply, "\"is_down\":false"));
	free(reply);
	world_sound(w);
}

static void out_of_space(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && !w->scratch)
		strcpy(reply, "452 4.3.1 out of space");
}

/* Out of space for everybody: it is asked now and then, and nothing is given up for what was
 * said to others. */
static void a_server_out_of_space_is_asked_now_and_then(void **state)
{
	struct world *w = *state;

	w->script = out_of_space;
	for (int i = 0; i < 40; i++)
		world_send(w, "a@client.example", "b@site.example", BODY);
	char *reply = world_control(w, "{\"op\":\"summary\",\"by\":\"destination\"}");
	assert_non_null(strstr(reply, "\"is_down\":true"));
	assert_non_null(strstr(reply, "out of space"));
	free(reply);
	assert_in_range(world_events(w, EVENT_TRANSIENT_FAILURE), 20, 25);
	world_pass(w, HOUR);
	assert_in_range(world_events(w, EVENT_TRANSIENT_FAILURE), 60, 110);
	/* the schedule's 40 minutes are over, but nobody was heard so often */
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 0);
	w->scratch = 1;
	world_pass(w, 5 * MINUTE);
	assert_int_equal(w->taken_count, 40);
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

/* ---- DNS -------------------------------------------------------------------------------- */

#define MANY_ADDRESSES 16 /* as many as are taken of one host */

/* A session tries some of many addresses; the next one goes on with others. */
static void not_all_of_many_addresses_are_tried_at_once(void **state)
{
	struct world *w = *state;
	struct dns_row rows[MANY_ADDRESSES + 1] = {{0}};
	char addresses[MANY_ADDRESSES][32];

	for (int i = 0; i < MANY_ADDRESSES; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "198.51.100.%d", i + 1);
		rows[i] = (struct dns_row){"many.example", DNS_A, 0, addresses[i]};
	}
	w->rows = rows;
	w->only_alive = "203.0.113.1";
	world_send(w, "", "b@many.example", BODY);
	assert_int_equal(w->connects, 10);
	w->only_alive = "198.51.100.13";
	world_pass(w, 8 * SECOND);
	assert_in_range(w->connects, 11, 16);
	assert_int_equal(world_taken(w, "b@many.example"), 1);
	world_sound(w);
}

static void a_domain_that_does_not_exist_bounces(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	world_send(w, "a@site.example", "b@nowhere.example", BODY);
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_int_equal(bounce->code, 550);
	/* The sender hears of it. */
	assert_int_equal(world_taken(w, "a@site.example"), 1);
	assert_string_equal(w->taken[0].from, "");
	assert_int_equal(world_queued(w), 0);
}

static void a_null_mx_bounces(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	world_send(w, "a@site.example", "b@null.example", BODY);
	assert_int_equal(world_event(w, EVENT_BOUNCE, 0)->code, 556);
	assert_int_equal(w->connects, 1); /* the notification's */
}

static void a_dns_that_fails_defers(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	w->dns_fails = true;
	world_send(w, "a@site.example", "b@far.example", BODY);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 0);
	world_sound(w);
	w->dns_fails = false;
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 1);
}

static void why_says_that_it_waits_for_the_dns(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	w->dns_waits = true;
	world_send(w, "a@site.example", "b@far.example", BODY);
	world_send(w, "a@site.example", "c@far.example", BODY);
	char *reply = world_control(w, "{\"op\":\"list\"}");
	char *first = strstr(reply, "\"blocker\":\"dns\"");
	assert_non_null(first);
	assert_non_null(strstr(first + 1, "\"blocker\":\"dns\""));
	free(reply);
	world_sound(w);
	w->dns_waits = false;
	world_settle(w);
	assert_int_equal(w->taken_count, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_dead_destination_is_probed_and_recovers),
		TEST(a_full_mailbox_keeps_nobody_waiting),
		TEST(a_server_out_of_space_is_asked_now_and_then),
		TEST(the_next_address_is_tried),
		TEST(all_addresses_fail),
		TEST(not_all_of_many_addresses_are_tried_at_once),
		TEST(a_domain_that_does_not_exist_bounces),
		TEST(a_null_mx_bounces),
		TEST(a_dns_that_fails_defers),
		TEST(why_says_that_it_waits_for_the_dns),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
