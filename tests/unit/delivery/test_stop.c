/* A journal that cannot be written, and the end. */
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

static void body_silent_once(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && w->scratch++ == 0)
		strcpy(reply, "SILENT");
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

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "b@site.example", BODY);
	sim_disk_set_faults(w->spool, &broken);
	/* That has to be kept. */
	free(world_control(w, "{\"op\":\"hold\",\"filter\":\"age>=0s\",\"by\":\"root\"}"));
	world_pass(w, 10 * SECOND);
	delivery_stop(w->d, 2 * SECOND, on_stop, w);
	world_pass(w, 2 * SECOND);
	assert_false(w->stopped);
	world_pass(w, DELIVERY_STOP_JOURNAL_MS + SECOND);
	assert_true(w->stopped);
	sim_disk_set_faults(w->spool, &(struct sim_disk_faults){0});
	world_pass(w, HOUR);
	world_sound(w);
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
