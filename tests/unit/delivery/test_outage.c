/* Destinations that fail and come back, the DNS, pauses, changed routes, the end. */
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

/* ---- the journal ------------------------------------------------------------------------ */

static void nothing_starts_while_the_journal_cannot_be_written(void **state)
{
	struct world *w = *state;
	static const struct sim_disk_faults broken = {
		.write_error = 65536, .make_error = 65536, .sync_error = 65536};

	strcpy(w->dead[0], "192.0.2.1");
	uint64_t id = world_send(w, "a@client.example", "b@site.example", BODY);
	/* The state of that message is the first thing that cannot be written. */
	sim_disk_set_faults(w->spool, &broken);
	world_pass(w, 30 * SECOND);
	w->dead[0][0] = '\0';
	char request[100];
	struct buf text = {.p = request, .room = sizeof(request), .bound = sizeof(request)};
	buf_add_str(&text, "{\"op\":\"hold\",\"id\":\"");
	char name[TEXT_ID_LENGTH + 1] = {0};
	struct buf id_text = {.p = name, .room = sizeof(name), .bound = sizeof(name)};
	text_add_id(&id_text, id);
	buf_add_str(&text, name);
	buf_add_str(&text, "\"}");
	buf_add_char(&text, '\0');
	free(world_control(w, request));
	memcpy(request, "{\"op\":\"release\",\"id\":\"", 22);
	snprintf(request, sizeof(request), "{\"op\":\"release\",\"id\":\"%s\"}", name);
	free(world_control(w, request));
	world_pass(w, 5 * SECOND);
	char *reply = world_control(w, "{\"op\":\"status\"}");
	assert_null(strstr(reply, "\"journal\":\"well\""));
	free(reply);
	reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "journal cannot be written"));
	free(reply);
	size_t taken = w->taken_count;
	world_pass(w, HOUR);
	assert_int_equal(w->taken_count, taken);
	world_sound(w);
	sim_disk_set_faults(w->spool, &(struct sim_disk_faults){0});
	world_pass(w, 20 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_queued(w), 0);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void on_stop(void *arg)
{
	((struct world *)arg)->stopped = true;
}

static void stopping_while_idle(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", BODY);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, SECOND);
	assert_true(w->stopped);
}

/* What a sick disk does not take keeps nobody waiting for ever. */
static void stopping_with_a_sick_journal(void **state)
{
	struct world *w = *state;
	static const struct sim_disk_faults broken = {
		.write_error = 65536, .make_error = 65536, .sync_error = 65536};

	/* Its state has to be kept. */
	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "b@site.example", BODY);
	sim_disk_set_faults(w->spool, &broken);
	world_pass(w, 10 * SECOND);
	delivery_stop(w->d, 2 * SECOND, on_stop, w);
	world_pass(w, 2 * SECOND);
	assert_false(w->stopped);
	world_pass(w, DELIVERY_STOP_JOURNAL_MS + SECOND);
	assert_true(w->stopped);
	sim_disk_set_faults(w->spool, &(struct sim_disk_faults){0});
	world_pass(w, HOUR);
}

/* A helper thread that never comes back does not, either. */
static void stopping_with_a_mailbox_that_hangs(void **state)
{
	struct world *w = *state;

	w->jobs_wait = true;
	world_send(w, "a@one.example", "ann@box.example", BODY);
	w->jobs_wait = true;
	delivery_stop(w->d, SECOND, on_stop, w);
	world_pass(w, SECOND);
	assert_false(w->stopped);
	world_pass(w, DELIVERY_STOP_JOURNAL_MS);
	assert_true(w->stopped);
	w->jobs_wait = false;
	world_pass(w, SECOND);
}

static void stopping_during_a_look_up(void **state)
{
	struct world *w = *state;

	w->rows = two_hosts;
	w->dns_waits = true;
	world_send(w, "a@client.example", "b@far.example", BODY);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, SECOND);
	assert_true(w->stopped);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
}

static void connect_silent(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strcmp(line, "CONNECT") == 0)
		strcpy(reply, "SILENT");
}

static void stopping_while_connecting(void **state)
{
	struct world *w = *state;

	w->script = connect_silent;
	world_send(w, "a@client.example", "b@site.example", BODY);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, SECOND);
	assert_true(w->stopped);
}

static void stopping_lets_a_transaction_finish(void **state)
{
	struct world *w = *state;

	w->script = body_silent_once;
	world_send(w, "a@client.example", "b@site.example", BODY);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, SECOND);
	assert_false(w->stopped);
	buf_add_str(&LIST_FIRST(&w->hops, struct hop, node)->out, "250 2.0.0 taken\r\n");
	world_pass(w, SECOND);
	assert_true(w->stopped);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1);
}

static void stopping_cuts_what_takes_too_long(void **state)
{
	struct world *w = *state;

	w->script = body_silent_once;
	world_send(w, "a@client.example", "b@site.example", BODY);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, 11 * SECOND);
	assert_true(w->stopped);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 0);
	assert_int_equal(world_queued(w), 1);
	assert_int_equal(world_open(w), 0);
}

static void second_transaction_silent(
	struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	if (strncmp(line, "RCPT", 4) == 0 && hop->accepted == 1)
		strcpy(reply, "452 4.5.3 too many");
	if (strcmp(line, ".") == 0 && hop->mails == 2)
		strcpy(reply, "SILENT");
}

/* What the first transaction delivered is remembered, whenever the end comes. */
static void stopping_between_two_transactions(void **state)
{
	struct world *w = *state;

	w->script = second_transaction_silent;
	world_send(w, "a@client.example", "b@site.example c@site.example", BODY);
	assert_int_equal(w->taken_count, 1);
	delivery_stop(w->d, 10 * SECOND, on_stop, w);
	world_pass(w, 11 * SECOND);
	assert_true(w->stopped);
	const struct seen *delivery = world_event(w, EVENT_DELIVERY, 0);
	assert_non_null(delivery);
	assert_string_equal(delivery->rcpts, "b@site.example ");
	assert_int_equal(world_queued(w), 1);
}

static void a_wish_for_an_active_message_is_kept_at_the_end(void **state)
{
	struct world *w = *state;

	w->script = body_silent_once;
	world_send(w, "a@client.example", "b@site.example", BODY);
	free(world_control(w, "{\"op\":\"delete\",\"filter\":\"state=active\"}"));
	delivery_stop(w->d, 1, on_stop, w);
	world_pass(w, 2 * SECOND);
	assert_true(w->stopped);
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_dead_destination_is_probed_and_recovers),
		TEST(the_next_address_is_tried),
		TEST(all_addresses_fail),
		TEST(not_all_of_many_addresses_are_tried_at_once),
		TEST(a_domain_that_does_not_exist_bounces),
		TEST(a_null_mx_bounces),
		TEST(a_dns_that_fails_defers),
		TEST(why_says_that_it_waits_for_the_dns),
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
		TEST(nothing_starts_while_the_journal_cannot_be_written),
		TEST(stopping_while_idle),
		TEST(stopping_with_a_sick_journal),
		TEST(stopping_with_a_mailbox_that_hangs),
		TEST(stopping_during_a_look_up),
		TEST(stopping_while_connecting),
		TEST(stopping_lets_a_transaction_finish),
		TEST(stopping_cuts_what_takes_too_long),
		TEST(stopping_between_two_transactions),
		TEST(a_wish_for_an_active_message_is_kept_at_the_end),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
