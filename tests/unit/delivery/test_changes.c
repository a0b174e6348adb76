/* What changes under the feet of queued mail: servers, routes, pauses. */
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

/* ---- the directory changes -------------------------------------------------------------- */

#define OTHER_SERVER(server)                                                                      \
	"transports:\n  site: { server: \"" server "\", retry-delay: \"10m\", retry-count: 3 }\n" \
	"domains:\n  site.example: { transport: site }\n"

static void a_changed_server_is_used_at_once(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(world_open(w), 1);
	assert_true(world_apply(w, OTHER_SERVER("192.0.2.77:25")));
	assert_int_equal(world_open(w), 0); /* the kept connection goes to the old one */
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_string_equal(w->taken[1].ip, "192.0.2.77");
}

/* Nobody has to wait for the next probe, which may be minutes away. */
static void a_changed_server_is_no_longer_down(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "", "b@site.example", BODY);
	world_send(w, "", "c@site.example", BODY);
	world_pass(w, 9 * MINUTE);
	uint64_t connects = w->connects;
	assert_true(world_apply(w, "transports:\n"
				   "  site: { server: \"192.0.2.7:2626\", retry-delay: \"10m\" }\n"
				   "domains:\n"
				   "  site.example: { transport: site }\n"));
	assert_int_equal(w->connects, connects + 1);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_int_equal(world_taken(w, "c@site.example"), 1);
	assert_string_equal(w->taken[0].ip, "192.0.2.7");
	world_sound(w);
}

static void busy_mailboxes(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	if (strcmp(hop->ip, "192.0.2.1") == 0 && strncmp(line, "RCPT", 4) == 0)
		strcpy(reply, "451 4.7.1 relaying not permitted yet");
}

static void what_the_old_server_put_off_is_tried_at_the_new_one(void **state)
{
	struct world *w = *state;

	w->script = busy_mailboxes;
	world_send(w, "", "b@site.example", BODY);
	assert_int_equal(w->taken_count, 0);
	assert_true(world_apply(w, "transports:\n"
				   "  site: { server: \"192.0.2.7:2626\" }\n"
				   "domains:\n"
				   "  site.example: { transport: site }\n"));
	assert_int_equal(world_taken(w, "b@site.example"), 1);
}

/* Another name in the greeting may be all that a hop wanted; other limits are not worth a try. */
static void only_what_matters_to_the_hop_ends_an_outage(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "", "b@site.example", BODY);
	world_pass(w, 9 * MINUTE);
	uint64_t connects = w->connects;
	assert_true(world_apply(w, "transports:\n"
				   "  site: { server: \"192.0.2.1:2626\", connections: 3 }\n"
				   "domains:\n"
				   "  site.example: { transport: site }\n"));
	assert_int_equal(w->connects, connects);
	assert_true(world_apply(w, "transports:\n"
				   "  site: { server: \"192.0.2.1:2626\", helo: gw2.example }\n"
				   "domains:\n"
				   "  site.example: { transport: site }\n"));
	assert_int_equal(w->connects, connects + 1);
}

static void a_resume_asks_a_destination_that_was_down(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "", "b@site.example", BODY);
	world_pass(w, 9 * MINUTE);
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	w->dead[0][0] = '\0';
	world_pass(w, SECOND);
	assert_int_equal(w->taken_count, 0);
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	world_sound(w);
}

/* Domains that come and go cost no connection of others. */
static void a_change_elsewhere_keeps_connections(void **state)
{
	struct world *w = *state;
	char objects[4096];

	world_send(w, "", "b@site.example", BODY);
	assert_int_equal(world_open(w), 1);
	snprintf(objects, sizeof(objects), "%s", world_objects);
	char *at = strstr(objects, "accounts:");
	snprintf(at, sizeof(objects) - (size_t)(at - objects),
		"  new.example: { transport: site }\n%s", strstr(world_objects, "accounts:"));
	assert_true(world_apply(w, objects));
	assert_int_equal(world_open(w), 1);
	world_send(w, "", "b@new.example", BODY);
	assert_int_equal(w->connects, 1);
}

static void body_silent_once(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && w->scratch++ == 0)
		strcpy(reply, "SILENT");
}

static void a_busy_session_is_not_used_again_after_a_change(void **state)
{
	struct world *w = *state;

	w->script = body_silent_once;
	world_send(w, "a@client.example", "b@site.example", BODY);
	struct hop *hop = LIST_FIRST(&w->hops, struct hop, node);
	assert_true(world_apply(w, OTHER_SERVER("192.0.2.77:25")));
	buf_add_str(&hop->out, "250 2.0.0 taken after all\r\n");
	world_settle(w);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1);
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_string_equal(w->taken[0].rcpts, "c@site.example ");
	assert_string_equal(w->taken[0].ip, "192.0.2.77");
	world_sound(w);
}

static void a_change_while_connecting_goes_to_the_new_server(void **state)
{
	struct world *w = *state;

	w->script = NULL;
	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_true(world_apply(w, OTHER_SERVER("192.0.2.77:25")));
	world_pass(w, MINUTE);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_string_equal(w->taken[0].ip, "192.0.2.77");
}

static void a_change_during_a_look_up(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	w->dns_waits = true;
	world_send(w, "a@site.example", "b@far.example", BODY);
	assert_true(world_apply(w, "transports:\n  out: { server: \"192.0.2.78:25\" }\n"
				   "default-transport: out\n"));
	world_sound(w);
	w->dns_waits = false;
	world_pass(w, 20 * MINUTE);
	assert_int_equal(world_taken(w, "b@far.example"), 1);
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

static void what_is_queued_follows_its_domain(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	for (int i = 0; i < 3; i++)
		world_send(w, "a@client.example", "ann@site.example", BODY);
	assert_true(world_apply(w, "domains:\n  site.example: { mailboxes: true }\n"
				   "accounts:\n  ann@site.example: {}\n"));
	world_pass(w, SECOND);
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 3);
}

static void a_domain_that_is_gone_has_no_route(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_true(world_apply(w, "domains:\n  box.example: { mailboxes: true }\n"));
	world_pass(w, SECOND);
	assert_int_equal(world_event(w, EVENT_BOUNCE, 0)->code, 550);
	world_pass(w, HOUR);
	assert_int_equal(world_queued(w), 0);
}

/* ---- pauses ----------------------------------------------------------------------------- */

static void pauses_at_every_level(void **state)
{
	struct world *w = *state;
	static const struct {
		enum pause_scope scope;
		const char *name, *blocker;
	} pauses[] = {
		{PAUSE_ALL, "", "\"paused-all\""},
		{PAUSE_TRANSPORT, "site", "\"paused-transport\""},
		{PAUSE_DOMAIN, "site.example", "\"paused-domain\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
		world_pause(w, pauses[i].scope, pauses[i].name, true);
		world_send(w, "a@client.example", "b@site.example", BODY);
		world_pass(w, 48 * HOUR);
		assert_int_equal(w->taken_count, i);
		char *reply = world_control(w, "{\"op\":\"list\"}");
		assert_non_null(strstr(reply, pauses[i].blocker));
		assert_non_null(strstr(reply, "by ann"));
		free(reply);
		world_sound(w);
		world_pause(w, pauses[i].scope, pauses[i].name, false);
		assert_int_equal(w->taken_count, i + 1);
		assert_int_equal(world_event(w, EVENT_DELIVERY, i)->attempt, 1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_changed_server_is_used_at_once),
		TEST(a_changed_server_is_no_longer_down),
		TEST(what_the_old_server_put_off_is_tried_at_the_new_one),
		TEST(only_what_matters_to_the_hop_ends_an_outage),
		TEST(a_resume_asks_a_destination_that_was_down),
		TEST(a_change_elsewhere_keeps_connections),
		TEST(a_busy_session_is_not_used_again_after_a_change),
		TEST(a_change_while_connecting_goes_to_the_new_server),
		TEST(a_change_during_a_look_up),
		TEST(what_is_queued_follows_its_domain),
		TEST(a_domain_that_is_gone_has_no_route),
		TEST(pauses_at_every_level),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
