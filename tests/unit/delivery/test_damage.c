/* Messages that the disk damaged: each has a place where it is found, and an end. */
#include "world.h"

#include "delivery/link.h"

#define BODY "Subject: hello\r\n\r\nhello\r\n"
/* In the record of the message, not in its body. */
#define SENDER "a@one.example"

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

/* The reply has this in it. */
static void expect_reply(struct world *w, const char *request, const char *text)
{
	char *reply = world_control(w, request);

	if (!strstr(reply, text))
		fail_msg("%s: no \"%s\" in %s", request, text, reply);
	free(reply);
}

static void ask(struct world *w, const char *op, uint64_t id, const char *text)
{
	struct buf request;

	buf_init(&request, 1000);
	buf_printf(&request, "{\"op\":\"%s\",\"id\":\"", op);
	text_add_id(&request, id);
	buf_add_str(&request, "\",\"by\":\"root\"}");
	buf_add_char(&request, '\0');
	expect_reply(w, request.p, text);
	buf_done(&request);
}

static uint64_t queued_then_damaged(struct world *w)
{
	world_pause(w, PAUSE_TRANSPORT, "site", true);
	uint64_t id = world_send(w, SENDER, "b@site.example", BODY);

	world_flip(w, "b@site.example");
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_pass(w, MINUTE);
	return id;
}

static void a_damaged_record_is_held_and_told_once(void **state)
{
	struct world *w = *state;
	uint64_t id = queued_then_damaged(w);

	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
	assert_true(world_event(w, EVENT_DAMAGE, 0)->id == id);
	expect_reply(w, "{\"op\":\"list\",\"filter\":\"state=held\"}", "\"state\":\"held\"");
	ask(w, "show", id, "held by postern since");
	ask(w, "show", id, "its stored envelope cannot be read");
	/* It is neither tried in vain nor given up: nobody could be told. */
	world_pass(w, 24 * HOUR);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 0);
	assert_int_equal(world_queued(w), 1);
	world_sound(w);
}

static void what_is_damaged_ends_when_it_is_deleted(void **state)
{
	struct world *w = *state;
	uint64_t id = queued_then_damaged(w);

	ask(w, "bounce", id, "nobody can be told");
	assert_int_equal(world_queued(w), 1);
	ask(w, "delete", id, "\"messages\":1");
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
	world_pass(w, SECOND);
	world_crash(w);
	assert_int_equal(world_queued(w), 0);
}

static void what_can_be_read_again_is_delivered_when_released(void **state)
{
	struct world *w = *state;
	uint64_t id = queued_then_damaged(w);

	world_flip(w, "\x63@site.example"); /* 'b' with its lowest bit changed */
	world_pass(w, SECOND);
	world_crash(w);
	assert_int_equal(w->taken_count, 0); /* who holds it is not asked anew */
	ask(w, "release", id, "\"messages\":1");
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_int_equal(world_queued(w), 0);
}

/* Damaged while the core was not there to see: it is told by the id that the record still has. */
static void a_record_that_was_damaged_before_the_start_is_listed(void **state)
{
	struct world *w = *state;

	world_pause(w, PAUSE_TRANSPORT, "site", true);
	uint64_t id = world_send(w, SENDER, "b@site.example", BODY);
	world_flip(w, "b@site.example");
	world_crash(w);
	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
	ask(w, "show", id, "\"state\":\"damaged\"");
	/* Its number is known, so it can be forgotten; then nobody speaks of it again. */
	ask(w, "delete", id, "\"messages\":1");
	world_pass(w, MINUTE);
	ask(w, "show", id, "no such message");
	world_crash(w);
	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
	ask(w, "show", id, "no such message");
}

/* The retries are used up while nobody looked at the envelope: it must not vanish. */
static void what_cannot_be_told_of_is_not_given_up(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	uint64_t id = world_send(w, SENDER, "b@site.example", BODY);
	world_pass(w, MINUTE);
	world_flip(w, "b@site.example");
	world_pass(w, 24 * HOUR);
	assert_int_equal(world_events(w, EVENT_EXPIRATION), 0);
	ask(w, "show", id, "its stored envelope cannot be read");
	world_sound(w);
	/* Not even over a restart, where the batch that it came in proves nothing any more. */
	world_flip(w, "\x63@site.example");
	w->dead[0][0] = '\0';
	world_crash(w);
	ask(w, "show", id, "held by postern");
	ask(w, "release", id, "\"messages\":1");
	world_pass(w, HOUR);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	world_sound(w);
}

/* Its checksum is right, but its fields contradict each other. */
static void an_envelope_that_cannot_be_decoded_is_listed(void **state)
{
	struct world *w = *state;

	w->bad_envelopes = true;
	uint64_t id = world_send(w, SENDER, "b@site.example", BODY);
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
	for (int life = 0; life < 2; life++) {
		expect_reply(w, "{\"op\":\"list\"}", "\"state\":\"damaged\"");
		ask(w, "show", id, "its envelope is damaged");
		expect_reply(w, "{\"op\":\"status\"}", "\"damaged\":1");
		world_crash(w);
	}
	expect_reply(w, "{\"op\":\"list\",\"filter\":\"state=held\"}", "\"messages\":[]");
	ask(w, "bounce", id, "it can be deleted, nothing else");
	ask(w, "delete", id, "\"messages\":1");
	expect_reply(w, "{\"op\":\"list\"}", "\"messages\":[]");
	world_pass(w, SECOND);
	world_crash(w);
	expect_reply(w, "{\"op\":\"list\"}", "\"messages\":[]");
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
}

/* Better twice than never; and it is told. */
static void a_damaged_state_is_told_and_all_recipients_are_tried(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	uint64_t id = world_send(w, SENDER, "b@site.example", BODY);
	assert_int_equal(spool_store_state(w->d->store, id, SPAN("\x01\xff\xff nonsense")), 0);
	world_pass(w, SECOND);
	w->dead[0][0] = '\0';
	world_crash(w);
	assert_int_equal(world_events(w, EVENT_DAMAGE), 1);
	assert_true(world_event(w, EVENT_DAMAGE, 0)->id == id);
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_int_equal(world_queued(w), 0);
	expect_reply(w, "{\"op\":\"list\"}", "\"messages\":[]");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_damaged_record_is_held_and_told_once),
		TEST(what_is_damaged_ends_when_it_is_deleted),
		TEST(what_can_be_read_again_is_delivered_when_released),
		TEST(a_record_that_was_damaged_before_the_start_is_listed),
		TEST(what_cannot_be_told_of_is_not_given_up),
		TEST(an_envelope_that_cannot_be_decoded_is_listed),
		TEST(a_damaged_state_is_told_and_all_recipients_are_tried),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
