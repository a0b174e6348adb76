/* Messages on their way through sessions: who gets what, and what is said about it. */
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

static void a_message_reaches_its_fixed_server(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "b@site.example", BODY);

	assert_int_equal(w->taken_count, 1);
	assert_string_equal(w->taken[0].ip, "192.0.2.1");
	assert_string_equal(w->taken[0].from, "a@client.example");
	assert_string_equal(w->taken[0].rcpts, "b@site.example ");
	assert_non_null(strstr(w->taken[0].body, "Received: from client.example"));
	assert_non_null(strstr(w->taken[0].body, "\r\n\r\nhello\r\n"));
	const struct seen *delivery = world_event(w, EVENT_DELIVERY, 0);
	assert_non_null(delivery);
	assert_true(delivery->id == id);
	assert_int_equal(delivery->code, 250);
	assert_string_equal(delivery->rcpts, "b@site.example ");
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

static void a_session_carries_several_messages(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 5; i++)
		world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(w->taken_count, 5);
	assert_int_equal(w->connects, 1);
	assert_int_equal(world_open(w), 1);
	/* The kept connection ends by itself. */
	world_pass(w, 10 * MINUTE);
	assert_int_equal(world_open(w), 0);
	world_sound(w);
}

static void no_more_messages_than_the_transport_allows_go_over_one_connection(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 5; i++)
		world_send(w, "a@client.example", "b@one.example", BODY);
	assert_int_equal(w->taken_count, 5);
	assert_int_equal(w->connects, 3);
}

static void each_recipient_has_its_own_verdict(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "good@site.example bad@site.example later@site.example",
		BODY);
	assert_int_equal(world_taken(w, "good@site.example"), 1);
	assert_string_equal(world_event(w, EVENT_DELIVERY, 0)->rcpts, "good@site.example ");
	assert_string_equal(world_event(w, EVENT_BOUNCE, 0)->rcpts, "bad@site.example ");
	const struct seen *late = world_event(w, EVENT_TRANSIENT_FAILURE, 0);
	assert_string_equal(late->rcpts, "later@site.example ");
	assert_int_equal(late->code, 451);
	assert_true(late->next_try_ms > WORLD_WALL);
	/* Only that one is tried again, and the good one never. */
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 2);
	assert_int_equal(world_taken(w, "good@site.example"), 1);
	world_sound(w);
}

/* ---- more recipients than the hop takes at once ----------------------------------------- */

static void three_at_a_time(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	if (strncmp(line, "RCPT", 4) == 0 && hop->accepted == 3)
		strcpy(reply, "452 4.5.3 too many recipients");
}

static void recipients_that_were_not_tried_go_in_another_transaction(void **state)
{
	struct world *w = *state;

	w->script = three_at_a_time;
	world_send(w, "a@client.example",
		"r1@site.example r2@site.example r3@site.example r4@site.example "
		"r5@site.example r6@site.example r7@site.example",
		BODY);
	assert_int_equal(w->taken_count, 3);
	assert_int_equal(w->connects, 1);
	for (int i = 1; i <= 7; i++) {
		char name[32];

		snprintf(name, sizeof(name), "r%d@site.example", i);
		assert_int_equal(world_taken(w, name), 1);
	}
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
}

static void three_then_lost_in_the_body(
	struct world *w, struct hop *hop, const char *line, char *reply)
{
	three_at_a_time(w, hop, line, reply);
	if (strcmp(line, ".") == 0 && w->scratch++ == 0)
		strcpy(reply, "DROP");
}

/* Some recipients were put off to a second transaction, and the first one is lost. */
static void a_connection_lost_with_recipients_not_tried(void **state)
{
	struct world *w = *state;

	w->script = three_then_lost_in_the_body;
	world_send(w, "a@client.example",
		"r1@site.example r2@site.example r3@site.example r4@site.example", BODY);
	world_sound(w);
	assert_int_equal(world_queued(w), 1);
	world_pass(w, 30 * MINUTE);
	for (int i = 1; i <= 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "r%d@site.example", i);
		assert_int_equal(world_taken(w, name), 1);
	}
	assert_int_equal(world_queued(w), 0);
}

static void three_then_gone(struct world *w, struct hop *hop, const char *line, char *reply)
{
	three_at_a_time(w, hop, line, reply);
	if (strcmp(line, ".") == 0 && w->scratch++ == 0) {
		strcpy(w->dead[0], "192.0.2.1");
		strcpy(reply, "250 2.0.0 taken");
	}
	if (strncmp(line, "MAIL", 4) == 0 && hop->mails == 1)
		strcpy(reply, "DROP");
	if (strncmp(line, "RSET", 4) == 0)
		strcpy(reply, "DROP");
}

/* The first transaction went through; for the second there is no connection any more. */
static void what_was_delivered_is_not_sent_again(void **state)
{
	struct world *w = *state;

	w->script = three_then_gone;
	world_send(w, "a@client.example",
		"r1@site.example r2@site.example r3@site.example r4@site.example", BODY);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_events(w, EVENT_DELIVERY), 1);
	world_sound(w);
	w->dead[0][0] = '\0';
	world_pass(w, 30 * MINUTE);
	assert_int_equal(world_taken(w, "r1@site.example"), 1);
	assert_int_equal(world_taken(w, "r3@site.example"), 1);
	assert_int_equal(world_taken(w, "r4@site.example"), 1);
	assert_int_equal(world_queued(w), 0);
}

static void three_then_silent(struct world *w, struct hop *hop, const char *line, char *reply)
{
	three_at_a_time(w, hop, line, reply);
	if (strcmp(line, ".") == 0 && w->scratch++ == 1)
		strcpy(reply, "SILENT");
}

/* The core dies in the second transaction; what the first one delivered was in the journal. */
static void a_transaction_is_recorded_when_it_is_over(void **state)
{
	struct world *w = *state;

	w->script = three_then_silent;
	world_send(w, "",
		"r1@site.example bad@site.example r2@site.example r3@site.example r4@site.example",
		BODY);
	world_pass(w, SECOND);
	assert_string_equal(world_event(w, EVENT_DELIVERY, 0)->rcpts,
		"r1@site.example r2@site.example r3@site.example ");
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	world_sound(w);
	world_crash(w);
	world_pass(w, HOUR);
	assert_int_equal(world_taken(w, "r1@site.example"), 1);
	assert_int_equal(world_taken(w, "r3@site.example"), 1);
	assert_int_equal(world_taken(w, "r4@site.example"), 1);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(world_queued(w), 0);
}

/* ---- connections that are lost ---------------------------------------------------------- */

static void second_mail_drops(struct world *w, struct hop *hop, const char *line, char *reply)
{
	if (strncmp(line, "MAIL", 4) == 0 && hop->mails == 1 && w->scratch++ == 0)
		strcpy(reply, "DROP");
}

static void a_kept_connection_that_was_closed_costs_no_attempt(void **state)
{
	struct world *w = *state;

	w->script = second_mail_drops;
	world_send(w, "a@client.example", "b@site.example", BODY);
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_int_equal(w->taken_count, 2);
	assert_int_equal(w->connects, 2);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 1)->attempt, 1);
}

static void second_mail_421(struct world *w, struct hop *hop, const char *line, char *reply)
{
	if (strncmp(line, "MAIL", 4) == 0 && hop->mails == 1 && w->scratch++ == 0)
		strcpy(reply, "421 4.4.2 idle for too long");
}

static void a_kept_connection_that_timed_out_at_the_hop_costs_no_attempt(void **state)
{
	struct world *w = *state;

	w->script = second_mail_421;
	world_send(w, "a@client.example", "b@site.example", BODY);
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_int_equal(w->taken_count, 2);
	assert_int_equal(w->connects, 2);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
}

static void always_421(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strncmp(line, "MAIL", 4) == 0)
		strcpy(reply, "421 4.3.2 not today");
}

static void a_hop_that_says_421_to_new_connections_is_a_failure(void **state)
{
	struct world *w = *state;

	w->script = always_421;
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(w->connects, 1);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	world_sound(w);
}

static void body_drops(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && w->scratch++ == 0)
		strcpy(reply, "DROP");
}

static void a_connection_lost_in_the_body_is_an_attempt(void **state)
{
	struct world *w = *state;

	w->script = body_drops;
	world_send(w, "a@client.example", "b@site.example", BODY);
	const struct seen *failure = world_event(w, EVENT_TRANSIENT_FAILURE, 0);
	assert_non_null(failure);
	assert_int_equal(world_queued(w), 1);
	world_sound(w);
	world_pass(w, 11 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 0)->attempt, 2);
}

static void silent_body_then_drop(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && w->scratch == 0) {
		w->scratch = 1;
		strcpy(reply, "SILENT");
	}
}

/* One session is busy, a second one cannot be had: what waits must not be forgotten when the busy
 * one ends without being of further use. */
static void what_waits_is_served_when_the_last_session_breaks(void **state)
{
	struct world *w = *state;

	w->script = silent_body_then_drop;
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(w->connects, 1);
	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_int_equal(w->connects, 2);
	assert_int_equal(world_queued(w), 2);
	w->dead[0][0] = '\0';
	world_sound(w);
	LIST_FIRST(&w->hops, struct hop, node)->closed_by_us = true;
	world_pass(w, SECOND);
	world_sound(w);
	assert_int_equal(world_taken(w, "c@site.example"), 1);
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_int_equal(world_queued(w), 0);
}

/* No descriptor for a second connection while the first is busy: no spinning. */
static void no_descriptors_while_one_session_is_busy(void **state)
{
	struct world *w = *state;

	w->script = silent_body_then_drop;
	world_send(w, "a@client.example", "b@site.example", BODY);
	w->refuse_connect = ERR_NOMEM;
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_true(w->connects < 10);
	world_sound(w);
	w->refuse_connect = 0;
	world_pass(w, 2 * HOUR);
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

/* RFC 5321 section 4.5.4 speaks of hosts that fail; this is our own trouble, and soon over. */
static void no_descriptors_at_all(void **state)
{
	struct world *w = *state;

	w->refuse_connect = ERR_NOMEM;
	world_send(w, "a@client.example", "b@site.example", BODY);
	world_send(w, "a@client.example", "c@site.example", BODY);
	assert_int_equal(world_queued(w), 2);
	char *list = world_control(w, "{\"op\":\"list\",\"filter\":\"state=ready\"}");
	assert_non_null(strstr(list, "\"blocker\":\"shortage\""));
	assert_non_null(strstr(list, "no memory or descriptor for an outbound connection"));
	free(list);
	world_sound(w);
	uint64_t connects = w->connects;
	world_pass(w, MINUTE);
	assert_in_range(w->connects - connects, 50, 70);
	w->refuse_connect = 0;
	world_pass(w, 2 * SECOND);
	assert_int_equal(w->taken_count, 2);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 0)->attempt, 1);
	assert_int_equal(world_event(w, EVENT_DELIVERY, 1)->attempt, 1);
	world_sound(w);
}

/* A connection that stands goes on, and one that idles elsewhere gives its descriptor. */
static void a_shortage_stops_only_new_connections(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", BODY);
	world_send(w, "a@client.example", "b@one.example", BODY);
	assert_int_equal(world_open(w), 2);
	w->refuse_connect = ERR_NOMEM;
	world_send(w, "a@client.example", "b@bin.example", BODY);
	assert_int_equal(world_open(w), 1);
	world_send(w, "a@client.example", "c@one.example", BODY);
	world_pass(w, SECOND);
	assert_int_equal(world_taken(w, "b@bin.example"), 0);
	w->refuse_connect = 0;
	world_pass(w, 2 * SECOND);
	assert_int_equal(world_taken(w, "c@one.example"), 1);
	assert_int_equal(world_taken(w, "b@bin.example"), 1);
	assert_int_equal(world_queued(w), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_message_reaches_its_fixed_server),
		TEST(a_session_carries_several_messages),
		TEST(no_more_messages_than_the_transport_allows_go_over_one_connection),
		TEST(each_recipient_has_its_own_verdict),
		TEST(recipients_that_were_not_tried_go_in_another_transaction),
		TEST(a_connection_lost_with_recipients_not_tried),
		TEST(what_was_delivered_is_not_sent_again),
		TEST(a_transaction_is_recorded_when_it_is_over),
		TEST(a_kept_connection_that_was_closed_costs_no_attempt),
		TEST(a_kept_connection_that_timed_out_at_the_hop_costs_no_attempt),
		TEST(a_hop_that_says_421_to_new_connections_is_a_failure),
		TEST(a_connection_lost_in_the_body_is_an_attempt),
		TEST(what_waits_is_served_when_the_last_session_breaks),
		TEST(no_descriptors_while_one_session_is_busy),
		TEST(no_descriptors_at_all),
		TEST(a_shortage_stops_only_new_connections),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
