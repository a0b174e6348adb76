/* What an administrator does to some recipients, to several messages, or only wants to know. */
#include "world.h"

#include <jansson.h>

#define BODY "Subject: hello\r\n\r\nhello\r\n"

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	strcpy(w->dead[0], "192.0.2.1");
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

static json_t *ask(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static json_t *ask(struct world *w, const char *format, ...)
{
	char request[4000];
	va_list args;

	va_start(args, format);
	vsnprintf(request, sizeof(request), format, args);
	va_end(args);
	char *text = world_control(w, request);
	json_t *reply = json_loads(text, 0, NULL);

	assert_true(json_is_object(reply));
	free(text);
	return reply;
}

static void expect(json_t *reply, const char *key, long long want)
{
	json_t *value = json_object_get(reply, key);

	if (!json_is_integer(value) || json_integer_value(value) != want)
		fail_msg("%s is %lld, not %lld: %s", key, (long long)json_integer_value(value),
			want, json_dumps(reply, 0));
}

static void expect_refusal(json_t *reply, const char *part)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (!error || !strstr(error, part))
		fail_msg("\"%s\" does not say \"%s\"", error ? error : "", part);
	json_decref(reply);
}

static const char *id_text(uint64_t id, char out[TEXT_ID_LENGTH + 1])
{
	struct buf name;

	buf_init(&name, 20);
	text_add_id(&name, id);
	memcpy(out, name.p, name.n);
	out[name.n] = '\0';
	buf_done(&name);
	return out;
}

/* ---- some recipients ------------------------------------------------------------------------ */

static void a_recipient_is_deleted_alone(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"delete\",\"filter\":\"recipient=e@site.example\"}");
	expect(reply, "messages", 1);
	expect(reply, "recipients", 1);
	expect(reply, "other_recipients", 1);
	expect(reply, "messages_with_others", 1);
	json_decref(reply);
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 0)->rcpts, "e@site.example ");
	assert_string_equal(world_event(w, EVENT_DISCARD, 0)->rcpts, "e@site.example ");
	assert_int_equal(world_queued(w), 1);
	w->dead[0][0] = '\0';
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "d@site.example"), 1);
	assert_int_equal(world_taken(w, "e@site.example"), 0);
	assert_int_equal(world_queued(w), 0);
}

static void a_recipient_is_returned_alone(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example", BODY);
	json_decref(ask(w, "{\"op\":\"bounce\",\"filter\":\"recipient=d@*\"}"));
	world_pass(w, SECOND);
	assert_int_equal(world_taken(w, "a@one.example"), 1);
	const char *dsn = w->taken[0].body;
	assert_non_null(strstr(dsn, "d@site.example"));
	assert_null(strstr(dsn, "e@site.example"));
}

/* It was decided here: nobody is sent to ask the recipient's server. */
static void a_return_says_who_decided_it(void **state)
{
	static const char *const reasons[] = {"", ",\"reason\":\"the site has closed\""};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		world_send(w, "a@one.example", "d@site.example", BODY);
		json_decref(
			ask(w, "{\"op\":\"bounce\",\"filter\":\"recipient=d@*\"%s}", reasons[i]));
		world_pass(w, SECOND);
		assert_int_equal(w->taken_count, i + 1);
		const char *dsn = w->taken[i].body;
		assert_null(strstr(dsn, "recipient's server"));
		assert_non_null(strstr(dsn, "decided here"));
		assert_non_null(strstr(dsn, "Status: 5.7.0"));
	}
	assert_non_null(strstr(w->taken[1].body, "the site has closed"));
}

/* The choice is on disk, as everything that an administrator says. */
static void a_hold_of_one_outlives_a_crash(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example f@site.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"hold\",\"filter\":\"recipient=e@*\",\"by\":\"ann\","
			       "\"reason\":\"odd\"}");
	expect(reply, "recipients", 1);
	expect(reply, "other_recipients", 2);
	json_decref(reply);
	world_pass(w, SECOND);
	world_crash(w);
	w->dead[0][0] = '\0';
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "d@site.example f@site.example"), 1);
	assert_int_equal(world_taken(w, "e@site.example"), 0);
	assert_int_equal(world_queued(w), 1);
	json_decref(ask(w, "{\"op\":\"release\",\"filter\":\"state=held\"}"));
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "e@site.example"), 1);
	assert_int_equal(world_queued(w), 0);
}

static void slow_answer(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strcmp(line, ".") == 0)
		strcpy(reply, "SILENT");
}

/* It is let finish; what is left of the one recipient after that goes, the other stays. */
static void one_of_an_attempt_under_way(void **state)
{
	struct world *w = *state;

	w->script = slow_answer;
	world_send(w, "a@site.example", "d@one.example e@one.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"delete\",\"filter\":\"recipient=e@*\"}");
	expect(reply, "recipients", 1);
	expect(reply, "active", 1);
	json_decref(reply);
	assert_int_equal(world_events(w, EVENT_DISCARD), 0);
	world_sound(w);
	w->script = NULL;
	LIST_FIRST(&w->hops, struct hop, node)->closed_by_us = true;
	world_pass(w, SECOND);
	assert_string_equal(world_event(w, EVENT_DISCARD, 0)->rcpts, "e@one.example ");
	world_pass(w, 48 * HOUR);
	assert_int_equal(world_taken(w, "d@one.example"), 1);
	assert_int_equal(world_taken(w, "e@one.example"), 0);
	assert_int_equal(world_queued(w), 0);
}

static void a_listing_shows_what_a_change_would_touch(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example f@site.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"list\",\"filter\":\"recipient=e@site.example\"}");
	json_t *unit = json_array_get(
		json_object_get(json_array_get(json_object_get(reply, "messages"), 0), "units"), 0);
	json_t *rcpts = json_object_get(unit, "recipients");
	assert_int_equal(json_array_size(rcpts), 1);
	assert_string_equal(json_string_value(json_array_get(rcpts, 0)), "e@site.example");
	expect(unit, "recipient_count", 1);
	expect(unit, "other_recipients", 2);
	assert_non_null(json_object_get(unit, "gives_up"));
	json_decref(reply);
}

/* ---- wanting to know first ------------------------------------------------------------------ */

static void a_dry_run_changes_nothing(void **state)
{
	static const char *const ops[] = {
		"retry", "hold", "reroute", "bounce", "delete", "prioritise", "unprioritise"};
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example", BODY);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		json_t *reply = ask(w,
			"{\"op\":\"%s\",\"filter\":\"recipient=d@*\",\"transport\":\"one\","
			"\"dry_run\":true}",
			ops[i]);
		expect(reply, "recipients", 1);
		expect(reply, "other_recipients", 1);
		assert_true(json_is_true(json_object_get(reply, "dry_run")));
		json_decref(reply);
	}
	json_t *reply = ask(w, "{\"op\":\"release\",\"filter\":\"age>=0s\",\"dry_run\":true}");
	expect(reply, "recipients", 0);
	json_decref(reply);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 0);
	reply = ask(w, "{\"op\":\"list\"}");
	json_t *units =
		json_object_get(json_array_get(json_object_get(reply, "messages"), 0), "units");
	assert_int_equal(json_array_size(units), 1);
	json_decref(reply);
	w->dead[0][0] = '\0';
	world_pass(w, 11 * MINUTE);
	assert_int_equal(world_taken(w, "d@site.example e@site.example"), 1);
}

static void an_address_alone_is_for_looking_only(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example", BODY);
	world_send(w, "d@site.example", "x@site.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"list\",\"filter\":\"d@site.example\"}");
	assert_int_equal(json_array_size(json_object_get(reply, "messages")), 2);
	json_decref(reply);
	expect_refusal(ask(w, "{\"op\":\"delete\",\"filter\":\"d@site.example\"}"),
		"sender=… or recipient=…");
	assert_int_equal(world_queued(w), 2);
}

/* ---- several -------------------------------------------------------------------------------- */

static void several_ids(void **state)
{
	struct world *w = *state;
	char a[TEXT_ID_LENGTH + 1], b[TEXT_ID_LENGTH + 1];

	id_text(world_send(w, "a@one.example", "d@site.example e@site.example", BODY), a);
	id_text(world_send(w, "a@one.example", "f@site.example", BODY), b);
	world_send(w, "a@one.example", "g@site.example", BODY);
	json_t *reply = ask(w,
		"{\"op\":\"delete\",\"ids\":[\"%s\",\"0000000000001\",\"nonsense\",7,\"%s\"]}", a,
		b);
	expect(reply, "messages", 2);
	expect(reply, "recipients", 3);
	expect(reply, "done", 5);
	json_t *problems = json_object_get(reply, "problems");
	assert_int_equal(json_array_size(problems), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(problems, 0), "id")),
		"0000000000001");
	json_decref(reply);
	assert_int_equal(world_queued(w), 1);
	expect_refusal(ask(w, "{\"op\":\"delete\",\"ids\":[]}"), "ids");
	expect_refusal(ask(w, "{\"op\":\"delete\",\"ids\":\"all\"}"), "an id or a filter");
	expect_refusal(
		ask(w, "{\"op\":\"delete\",\"ids\":[\"%s\"],\"filter\":\"age>0s\"}", a), "one of");
	assert_int_equal(world_queued(w), 1);
}

/* ---- what the answer says ------------------------------------------------------------------- */

static void a_retry_of_what_is_paused_says_so(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example e@site.example", BODY);
	world_send(w, "a@one.example", "f@site.example", BODY);
	json_decref(ask(w, "{\"op\":\"hold\",\"filter\":\"recipient=f@*\"}"));
	world_pause(w, PAUSE_DOMAIN, "site.example", true);
	json_t *reply = ask(w, "{\"op\":\"retry\",\"filter\":\"age>=0s\"}");
	expect(reply, "recipients", 3);
	expect(reply, "paused", 2);
	expect(reply, "held", 1);
	json_decref(reply);
	world_pause(w, PAUSE_DOMAIN, "site.example", false);
	reply = ask(w, "{\"op\":\"retry\",\"filter\":\"recipient=d@*\"}");
	expect(reply, "paused", 0);
	json_decref(reply);
}

static void a_second_hold_keeps_the_first_ones_reason(void **state)
{
	struct world *w = *state;

	world_send(w, "a@one.example", "d@site.example", BODY);
	json_decref(ask(w, "{\"op\":\"hold\",\"filter\":\"age>=0s\",\"by\":\"ann\","
			   "\"reason\":\"evidence\"}"));
	json_decref(ask(w, "{\"op\":\"hold\",\"filter\":\"age>=0s\",\"by\":\"bob\"}"));
	char *text = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(text, "by ann"));
	assert_non_null(strstr(text, "evidence"));
	free(text);
	json_decref(ask(w, "{\"op\":\"hold\",\"filter\":\"age>=0s\",\"by\":\"bob\","
			   "\"reason\":\"better\"}"));
	text = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(text, "by bob"));
	assert_non_null(strstr(text, "better"));
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_recipient_is_deleted_alone),
		TEST(a_recipient_is_returned_alone),
		TEST(a_return_says_who_decided_it),
		TEST(a_hold_of_one_outlives_a_crash),
		TEST(one_of_an_attempt_under_way),
		TEST(a_listing_shows_what_a_change_would_touch),
		TEST(a_dry_run_changes_nothing),
		TEST(an_address_alone_is_for_looking_only),
		TEST(several_ids),
		TEST(a_retry_of_what_is_paused_says_so),
		TEST(a_second_hold_keeps_the_first_ones_reason),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
