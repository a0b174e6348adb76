/* Queue work: what administrators ask for, and what strangers to JSON send. */
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

	world_done(w);
	free(w);
	return 0;
}

static json_t *ask(struct world *w, const char *request)
{
	char *text = world_control(w, request);
	json_t *reply = json_loads(text, 0, NULL);

	assert_true(json_is_object(reply));
	free(text);
	return reply;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(struct world *w, const char *request, const char *key)
{
	json_t *reply = ask(w, request);
	long long n = json_integer_value(json_object_get(reply, key));

	json_decref(reply);
	return n;
}

static void assert_refused(struct world *w, const char *request, const char *part)
{
	json_t *reply = ask(w, request);

	if (!strstr(text_at(reply, "error"), part))
		fail_msg("%s: \"%s\" does not say \"%s\"", request, text_at(reply, "error"), part);
	json_decref(reply);
}

static char *with_id(const char *op, uint64_t id)
{
	static char request[200];
	struct buf name;

	buf_init(&name, 20);
	text_add_id(&name, id);
	snprintf(request, sizeof(request), "{\"op\":\"%s\",\"id\":\"%.*s\",\"by\":\"root\"}", op,
		(int)name.n, name.p);
	buf_done(&name);
	return request;
}

static void bad_requests_are_refused(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *request, *part;
	} bad[] = {
		{"", "not a JSON object"},
		{"[]", "not a JSON object"},
		{"{\"op\":\"list\",\"op\":\"list\"}", "not a JSON object"},
		{"{\"op\":\"list\",\"limit\":99999999999999999999}", "not a JSON object"},
		{"{}", "op: unknown"},
		{"{\"op\":7}", "op: a text belongs here"},
		{"{\"op\":\"no such\"}", "op: unknown"},
		{"{\"op\":\"show\"}", "id:"},
		{"{\"op\":\"show\",\"id\":\"x\"}", "id:"},
		{"{\"op\":\"show\",\"id\":\"0000000000001\"}", "no such message"},
		{"{\"op\":\"hold\",\"id\":\"0000000000001\"}", "no such message"},
		{"{\"op\":\"hold\"}", "an id or a filter"},
		{"{\"op\":\"delete\",\"filter\":\"\"}", "an id or a filter"},
		{"{\"op\":\"delete\",\"filter\":\" \"}", "an id or a filter"},
		{"{\"op\":\"bounce\",\"filter\":\" \\t\\r\\n \"}", "an id or a filter"},
		{"{\"op\":\"hold\",\"filter\":\"   \"}", "an id or a filter"},
		{"{\"op\":\"reroute\",\"filter\":\" \",\"transport\":\"one\"}",
			"an id or a filter"},
		{"{\"op\":\"delete\",\"filter\":7}", "filter: a text belongs here"},
		{"{\"op\":\"delete\",\"id\":7,\"filter\":\"age>=0s\"}", "id: a text belongs here"},
		{"{\"op\":\"delete\",\"id\":\"\",\"filter\":\"age>=0s\"}", "id"},
		{"{\"op\":\"delete\",\"id\":\"0000000000001\",\"filter\":\"age>=0s\"}", "one of"},
		{"{\"op\":\"list\",\"filter\":[]}", "filter: a text belongs here"},
		{"{\"op\":\"reroute\",\"filter\":\"age>0s\",\"transport\":7}", "transport: a text"},
		{"{\"op\":\"delete\",\"filter\":\"no such=1\"}", "filter"},
		{"{\"op\":\"list\",\"filter\":\"((\"}", "filter"},
		{"{\"op\":\"list\",\"after\":\"x\"}", "after"},
		{"{\"op\":\"reroute\",\"filter\":\"age>0s\",\"transport\":\"none\"}", "transport"},
	};

	world_send(w, "a@client.example", "b@site.example", BODY);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_refused(w, bad[i].request, bad[i].part);
	assert_int_equal(world_queued(w), 1);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 0);
	world_sound(w);
}

/* A filter that is too long to be read must not pass for none, which means everything. */
static void a_long_filter_is_not_an_empty_one(void **state)
{
	struct world *w = *state;
	static const char *const ops[] = {"list", "delete", "count"};
	char *request = malloc(20000);

	world_send(w, "a@client.example", "b@site.example", BODY);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		char *at = request + sprintf(request, "{\"op\":\"%s\",\"filter\":\"", ops[i]);

		for (int k = 0; k < 300; k++)
			at += sprintf(at, "sender=someone@%d.example ", k);
		strcpy(at, "\"}");
		assert_refused(w, request, "longer than 4096 bytes");
	}
	assert_int_equal(world_queued(w), 1);
	free(request);
}

static void odd_numbers_do_no_harm(void **state)
{
	struct world *w = *state;
	static const char *const odd[] = {"-1", "-9223372036854775808", "9223372036854775807",
		"1e300", "4294967296", "true", "\"7\"", "null", "{}"};
	char request[200];

	world_send(w, "a@client.example", "b@site.example", BODY);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		snprintf(request, sizeof(request), "{\"op\":\"list\",\"limit\":%s}", odd[i]);
		json_t *reply = ask(w, request);
		assert_int_equal(json_array_size(json_object_get(reply, "messages")), 1);
		json_decref(reply);
		snprintf(request, sizeof(request), "{\"op\":\"summary\",\"after\":%s}", odd[i]);
		json_decref(ask(w, request));
		snprintf(request, sizeof(request),
			"{\"op\":\"summary\",\"by\":\"transport\",\"after\":%s}", odd[i]);
		json_decref(ask(w, request));
	}
}

static void a_list_goes_on_after_its_limit(void **state)
{
	struct world *w = *state;
	char request[200] = "{\"op\":\"list\",\"limit\":2}";
	size_t seen = 0;

	for (int i = 0; i < 5; i++)
		world_send(w, "a@client.example", "b@site.example", BODY);
	for (int page = 0; page < 10; page++) {
		json_t *reply = ask(w, request);
		json_t *messages = json_object_get(reply, "messages");

		assert_true(json_array_size(messages) <= 2);
		seen += json_array_size(messages);
		const char *after = text_at(reply, "after");
		bool more = *after;
		snprintf(request, sizeof(request), "{\"op\":\"list\",\"limit\":2,\"after\":\"%s\"}",
			after);
		json_decref(reply);
		if (!more)
			break;
	}
	assert_int_equal(seen, 5);
}

static void a_listing_of_huge_messages_comes_in_pages(void **state)
{
	struct world *w = *state;
	char *rcpts = malloc(300000), *at = rcpts;

	for (int i = 0; i < 1500; i++)
		at += sprintf(at,
			"a-recipient-with-a-rather-long-local-part-that-takes-its-"
			"room-number-%06d-of-all-those-that-there-are@site.example ",
			i);
	for (int i = 0; i < 100; i++)
		world_send(w, "a@client.example", rcpts, BODY);
	json_t *reply = ask(w, "{\"op\":\"list\",\"limit\":500}");
	assert_true(json_array_size(json_object_get(reply, "messages")) < 100);
	assert_true(*text_at(reply, "after"));
	json_decref(reply);
	free(rcpts);
}

static void show_tells_all_that_is_known(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "b@site.example c@box.example", BODY);
	json_t *reply = ask(w, with_id("show", id));

	assert_string_equal(text_at(reply, "sender"), "a@client.example");
	assert_string_equal(text_at(reply, "client"), "203.0.113.7");
	assert_string_equal(text_at(reply, "helo"), "client.example");
	assert_null(json_object_get(reply, "user"));
	json_t *unit = json_array_get(json_object_get(reply, "units"), 0);
	assert_string_equal(text_at(unit, "state"), "down");
	assert_string_equal(text_at(unit, "transport"), "site");
	assert_non_null(strstr(text_at(unit, "why"), "down"));
	assert_int_equal(json_integer_value(json_object_get(unit, "recipient_count")), 1);
	json_decref(reply);
}

static void says_which_files_it_cannot_read(void **state)
{
	struct world *w = *state;
	json_t *reply = ask(
		w, "{\"op\":\"tls-ca\",\"files\":[\"/etc/ssl/b.pem\",\"/etc/ssl/gone.pem\",7]}");
	json_t *problems = json_object_get(reply, "problems");

	assert_int_equal(json_object_size(problems), 1);
	assert_string_equal(text_at(problems, "/etc/ssl/gone.pem"), "is not there");
	json_decref(reply);
	assert_refused(w, "{\"op\":\"tls-ca\",\"files\":\"/etc/ssl/b.pem\"}", "a list");
}

/* An account whose password somebody else has: all of it is found, and nothing else, whatever
 * senders it was given. */
static void found_by_who_logged_in(void **state)
{
	struct world *w = *state;
	uint64_t other = world_send(w, "joe@client.example", "b@site.example", BODY);

	w->user = "joe@client.example";
	uint64_t id = world_send(w, "joe@client.example", "b@site.example", BODY);
	world_send(w, "win@client.example", "c@site.example d@box.example", BODY);
	assert_int_equal(number_of(w, "{\"op\":\"hold\",\"filter\":\"user=joe@client.example\"}",
				 "messages"),
		2);
	json_t *reply = ask(w, with_id("show", id));
	assert_string_equal(text_at(reply, "user"), "joe@client.example");
	json_decref(reply);
	reply = ask(w, "{\"op\":\"list\",\"filter\":\"user=*@client.example state=held\"}");
	assert_int_equal(json_array_size(json_object_get(reply, "messages")), 2);
	json_decref(reply);
	assert_int_equal(number_of(w, "{\"op\":\"delete\",\"filter\":\"user=joe@client.example\"}",
				 "messages"),
		2);
	assert_refused(w, with_id("show", id), "no such message");
	assert_int_equal(number_of(w, with_id("hold", other), "messages"), 1);
}

static void hold_and_release(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "b@site.example", BODY);

	assert_refused(w, with_id("release", id), "nothing of that message is held");
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 0);
	assert_int_equal(number_of(w, with_id("hold", id), "messages"), 1);
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 0)->action, "hold");
	w->dead[0][0] = '\0';
	world_pass(w, 48 * HOUR);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(number_of(w, with_id("release", id), "messages"), 1);
	world_pass(w, 11 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_refused(w, with_id("hold", id), "no such message");
}

static void retry_is_at_once(void **state)
{
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "b@site.example", BODY);

	w->dead[0][0] = '\0';
	free(world_control(w, with_id("retry", id)));
	assert_int_equal(w->taken_count, 1);
}

static void reroute_there_and_back(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(number_of(w,
				 "{\"op\":\"reroute\",\"filter\":\"domain=site.example\","
				 "\"transport\":\"one\"}",
				 "messages"),
		1);
	assert_int_equal(w->taken_count, 1);
	assert_string_equal(w->taken[0].ip, "192.0.2.3");
	assert_int_equal(world_queued(w), 0);
}

static void delete_by_filter_goes_through_the_whole_queue(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 5; i++)
		world_send(w, "a@client.example", "b@site.example later@one.example", BODY);
	assert_int_equal(
		number_of(w, "{\"op\":\"delete\",\"filter\":\"transport=site\"}", "messages"), 5);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 5);
	assert_int_equal(world_events(w, EVENT_DISCARD), 5);
	assert_int_equal(world_queued(w), 5);
	assert_int_equal(number_of(w, "{\"op\":\"delete\",\"filter\":\"age>=0s\"}", "messages"), 5);
	assert_int_equal(world_queued(w), 0);
	world_sound(w);
}

/* Returned mail is large and the disk slow: notifications are not lost, the work goes on later. */
static void a_flood_of_notifications_is_held_back(void **state)
{
	struct world *w = *state;
	static char big[600000];
	const char head[] = "Subject: big\r\n\r\n";

	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, head, sizeof(head) - 1);
	for (size_t i = 70; i + 2 < sizeof(big); i += 72)
		memcpy(big + i, "\r\n", 2);
	memcpy(big + sizeof(big) - 3, "\r\n", 2);
	w->config->limits.dsn_return_bytes = sizeof(big) * 2;
	for (int i = 0; i < 200; i++)
		world_send(w, "a@one.example", "b@site.example", big);
	w->jobs_wait = true; /* the disk is busy */
	json_t *reply = ask(w, "{\"op\":\"bounce\",\"filter\":\"domain=site.example\"}");
	long long done = json_integer_value(json_object_get(reply, "messages"));
	assert_true(done > 10 && done < 200);
	assert_true(*text_at(reply, "after"));
	json_decref(reply);
	assert_refused(w, "{\"op\":\"bounce\",\"filter\":\"domain=site.example\"}", "in a moment");
	w->jobs_wait = false;
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, done);
	assert_int_equal(world_queued(w), 200 - done);
	assert_int_equal(
		number_of(w, "{\"op\":\"delete\",\"filter\":\"domain=site.example\"}", "messages"),
		200 - done);
}

static void status_counts(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", BODY);
	json_t *reply = ask(w, "{\"op\":\"status\"}");
	json_t *queue = json_object_get(reply, "queue");

	assert_true(json_is_true(json_object_get(reply, "loaded")));
	assert_string_equal(text_at(reply, "journal"), "well");
	assert_int_equal(json_integer_value(json_object_get(queue, "messages")), 1);
	assert_int_equal(json_integer_value(json_object_get(queue, "down")), 1);
	json_decref(reply);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(bad_requests_are_refused),
		TEST(a_long_filter_is_not_an_empty_one),
		TEST(odd_numbers_do_no_harm),
		TEST(a_list_goes_on_after_its_limit),
		TEST(a_listing_of_huge_messages_comes_in_pages),
		TEST(show_tells_all_that_is_known),
		TEST(says_which_files_it_cannot_read),
		TEST(found_by_who_logged_in),
		TEST(hold_and_release),
		TEST(retry_is_at_once),
		TEST(reroute_there_and_back),
		TEST(delete_by_filter_goes_through_the_whole_queue),
		TEST(a_flood_of_notifications_is_held_back),
		TEST(status_counts),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
