/* What is asked for a message that is being delivered at that moment. */
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

static void silent_end(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)hop;
	if (strcmp(line, ".") == 0 && w->scratch++ == 0)
		strcpy(reply, "SILENT");
}

/* A message whose body is out and whose reply is awaited; then the request. */
static void ask_while_active(struct world *w, const char *op)
{
	char request[200], name[TEXT_ID_LENGTH + 1] = {0};
	struct buf id_text = {.p = name, .room = sizeof(name), .bound = sizeof(name)};

	w->script = silent_end;
	text_add_id(&id_text, world_send(w, "a@one.example", "b@site.example", BODY));
	snprintf(request, sizeof(request),
		"{\"op\":\"%s\",\"id\":\"%s\",\"by\":\"root\",\"transport\":\"one\"}", op, name);
	char *reply = world_control(w, request);
	assert_non_null(strstr(reply, "\"messages\":1"));
	free(reply);
	world_pass(w, SECOND);
}

static void reply_to_body(struct world *w, const char *text)
{
	buf_add_str(&LIST_FIRST(&w->hops, struct hop, node)->out, text);
	world_pass(w, SECOND);
}

static void what_was_taken_meanwhile_is_delivered(void **state)
{
	static const char *const ops[] = {"hold", "bounce", "delete", "reroute"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		w->scratch = 0;
		ask_while_active(w, ops[i]);
		reply_to_body(w, "250 2.0.0 taken\r\n");
		assert_int_equal(world_events(w, EVENT_DELIVERY), i + 1);
		assert_int_equal(world_queued(w), 0);
	}
	assert_int_equal(world_events(w, EVENT_BOUNCE), 0);
	assert_int_equal(world_events(w, EVENT_DISCARD), 0);
	world_sound(w);
}

static void what_was_not_taken_is_as_was_asked(void **state)
{
	struct world *w = *state;

	ask_while_active(w, "hold");
	reply_to_body(w, "451 4.3.0 later\r\n");
	world_pass(w, HOUR);
	char *list = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(list, "\"state\":\"held\""));
	free(list);
	assert_int_equal(w->taken_count, 0);
	free(world_control(w, "{\"op\":\"delete\",\"filter\":\"age>=0s\"}"));

	w->scratch = 0;
	ask_while_active(w, "bounce");
	reply_to_body(w, "451 4.3.0 later\r\n");
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(world_taken(w, "a@one.example"), 1);

	w->scratch = 0;
	ask_while_active(w, "delete");
	reply_to_body(w, "451 4.3.0 later\r\n");
	assert_int_equal(world_events(w, EVENT_DISCARD), 2);

	w->scratch = 0;
	ask_while_active(w, "reroute");
	reply_to_body(w, "451 4.3.0 later\r\n");
	assert_int_equal(world_taken(w, "b@site.example"), 1);
	assert_string_equal(w->taken[w->taken_count - 1].ip, "192.0.2.3");
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

/* The core dies in that attempt: what an administrator was told is done is not undone. */
static void a_wish_for_an_active_message_outlives_a_crash(void **state)
{
	struct world *w = *state;

	ask_while_active(w, "bounce");
	world_crash(w);
	world_pass(w, SECOND);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(world_taken(w, "a@one.example"), 1);
	assert_int_equal(world_taken(w, "b@site.example"), 0);
	assert_int_equal(world_queued(w), 0);

	w->scratch = 0;
	ask_while_active(w, "delete");
	world_crash(w);
	world_pass(w, SECOND);
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
	assert_int_equal(world_taken(w, "b@site.example"), 0);
	assert_int_equal(world_queued(w), 0);
	/* And not a second time. */
	world_crash(w);
	world_pass(w, SECOND);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 1);
	assert_int_equal(world_events(w, EVENT_DISCARD), 1);
	world_sound(w);
}

/* A hold is taken away by release, by nothing else. */
static void retry_leaves_a_hold_in_place(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "", "b@site.example", BODY);
	free(world_control(w, "{\"op\":\"hold\",\"filter\":\"age>=0s\",\"by\":\"root\"}"));
	w->dead[0][0] = '\0';
	free(world_control(w, "{\"op\":\"retry\",\"filter\":\"age>=0s\",\"by\":\"root\"}"));
	world_pass(w, HOUR);
	assert_int_equal(w->taken_count, 0);
	/* But it is the first to go when it is released. */
	free(world_control(w, "{\"op\":\"release\",\"filter\":\"age>=0s\",\"by\":\"root\"}"));
	assert_int_equal(w->taken_count, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(what_was_taken_meanwhile_is_delivered),
		TEST(what_was_not_taken_is_as_was_asked),
		TEST(a_wish_for_an_active_message_outlives_a_crash),
		TEST(retry_leaves_a_hold_in_place),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
