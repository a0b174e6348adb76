/* Looking at what is queued: what it says, how old it is, where it waits; asking what is down. */
#include "world.h"

#include <jansson.h>

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

static const char *id_text(uint64_t id)
{
	static char out[TEXT_ID_LENGTH + 1];
	struct buf name;

	buf_init(&name, 20);
	text_add_id(&name, id);
	memcpy(out, name.p, name.n);
	out[name.n] = '\0';
	buf_done(&name);
	return out;
}

/* ---- what it says --------------------------------------------------------------------------- */

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return c == '=' ? 0 : (int)(strchr(digits, c) - digits);
}

static void decode(const char *text, struct buf *out)
{
	size_t n = strlen(text);

	assert_true(n % 4 == 0);
	for (size_t i = 0; i < n; i += 4) {
		uint32_t group = 0;

		for (size_t k = 0; k < 4; k++)
			group = group << 6 | (uint32_t)digit_of(text[i + k]);
		for (unsigned k = 0; k < 3; k++)
			if (text[i + k + 1] != '=')
				buf_add_char(out, (char)(group >> (16 - 8 * k)));
	}
}

/* All pieces together; how many there were. */
static unsigned read_part(struct world *w, uint64_t id, const char *part, struct buf *out)
{
	json_int_t offset = 0;
	unsigned pieces = 0;

	do {
		json_t *reply =
			ask(w, "{\"op\":\"content\",\"id\":\"%s\",\"part\":\"%s\",\"offset\":%lld}",
				id_text(id), part, (long long)offset);
		const char *data = json_string_value(json_object_get(reply, "data"));

		assert_non_null(data);
		decode(data, out);
		offset = json_integer_value(json_object_get(reply, "next"));
		json_decref(reply);
		pieces++;
	} while (offset);
	return pieces;
}

static void header_and_body_of_a_message(void **state)
{
	static const char header[] = "Received: from client.example by gw.example.test;\r\n"
				     "\tSat, 1 Jan 2028 00:00:00 +0000\r\n"
				     "Subject: hello\r\n\r\n";
	static const char body[] = "hello\r\n\xff\x01 bytes\r\n";
	struct world *w = *state;
	uint64_t id = world_send(w, "a@client.example", "b@site.example",
		"Subject: hello\r\n\r\nhello\r\n\xff\x01 bytes\r\n");
	struct buf out;

	buf_init(&out, 1u << 20);
	assert_int_equal(read_part(w, id, "body", &out), 1);
	assert_true(span_equal(buf_span(&out), span_str(body)));
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 0)->action, "read-body");
	buf_clear(&out);
	read_part(w, id, "header", &out);
	assert_true(span_equal(buf_span(&out), span_str(header)));
	/* each reading is told once */
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 2);
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 1)->action, "read-header");
	buf_clear(&out);
	read_part(w, id, "message", &out);
	assert_int_equal(out.n, strlen(header) + strlen(body));
	buf_done(&out);
}

static void ask_content(
	struct world *w, uint64_t id, const char *part, const char *by, json_int_t offset)
{
	json_t *reply = ask(w,
		"{\"op\":\"content\",\"id\":\"%s\",\"part\":\"%s\",\"by\":\"%s\",\"offset\":%lld}",
		id_text(id), part, by, (long long)offset);

	assert_non_null(json_object_get(reply, "data"));
	json_decref(reply);
}

/* Wherever who reads begins: only what goes on where his last piece ended is the same reading. */
static void a_reading_is_told_wherever_it_begins(void **state)
{
	struct world *w = *state;
	static char text[300000];

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "Subject: x\r\n\r\n", 14);
	for (size_t i = 100; i + 2 < sizeof(text); i += 100)
		memcpy(text + i, "\r\n", 2);
	memcpy(text + sizeof(text) - 3, "\r\n", 2);
	uint64_t id = world_send(w, "a@client.example", "b@site.example", text);
	json_t *first = ask(w,
		"{\"op\":\"content\",\"id\":\"%s\",\"part\":\"body\",\"by\":\"eve\","
		"\"offset\":1}",
		id_text(id));
	json_int_t next = json_integer_value(json_object_get(first, "next"));

	json_decref(first);
	assert_true(next > 0);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 1);
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 0)->action, "read-body");
	ask_content(w, id, "body", "eve", next);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 1);
	/* again, another reader, another part, another place: each is a reading */
	ask_content(w, id, "body", "eve", next);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 2);
	ask_content(w, id, "body", "eve", 0);
	ask_content(w, id, "body", "bob", next);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 4);
	ask_content(w, id, "body", "eve", 0);
	ask_content(w, id, "message", "eve", next);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 6);
	ask_content(w, id, "body", "eve", 0);
	ask_content(w, id, "body", "eve", next - 1);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 8);
}

/* In pieces, without the dots that only the transport needs, wherever a piece ends. */
static void a_long_message_comes_in_pieces(void **state)
{
	struct world *w = *state;
	static char text[400000];
	size_t n = (size_t)sprintf(text, "Subject: dots\r\n\r\n"), head = n;
	struct buf out, want;

	for (int i = 0; n < 300000; i++)
		n += (size_t)sprintf(text + n, "%s%.*s\r\n", i % 3 ? "" : "..", i % 71,
			"................................................................."
			"......");
	w->stuffed = true;
	uint64_t id = world_send(w, "a@client.example", "b@site.example", text);
	buf_init(&out, 1u << 20);
	buf_init(&want, 1u << 20);
	for (size_t i = head; i < n; i++)
		if (text[i] != '.' || text[i - 1] != '\n')
			buf_add_char(&want, text[i]);
	assert_int_equal(read_part(w, id, "body", &out), 4);
	assert_int_equal(out.n, want.n);
	assert_memory_equal(out.p, want.p, want.n);
	buf_done(&out);
	buf_done(&want);
}

static void odd_requests_for_content_are_refused(void **state)
{
	struct world *w = *state;
	uint64_t id =
		world_send(w, "a@client.example", "b@site.example", "Subject: x\r\n\r\nx\r\n");
	static const char *const odd[] = {"\"part\":\"header\",\"offset\":-1",
		"\"part\":\"header\",\"offset\":999999999", "\"part\":\"soul\"", "\"offset\":0",
		"\"part\":7"};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *reply =
			ask(w, "{\"op\":\"content\",\"id\":\"%s\",%s}", id_text(id), odd[i]);

		assert_non_null(json_object_get(reply, "error"));
		json_decref(reply);
	}
	json_t *reply = ask(w, "{\"op\":\"content\",\"id\":\"0000000000001\",\"part\":\"body\"}");
	assert_non_null(json_object_get(reply, "error"));
	json_decref(reply);
	assert_int_equal(world_events(w, EVENT_ADMIN_ACTION), 0);
}

/* ---- where, and how old --------------------------------------------------------------------- */

static const json_t *group(const json_t *reply, const char *transport)
{
	const json_t *groups = json_object_get(reply, "groups");

	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *one = json_array_get(groups, i);

		if (strcmp(json_string_value(json_object_get(one, "transport")), transport) == 0)
			return one;
	}
	fail_msg("no group of transport %s", transport);
	return NULL;
}

static void a_failure_is_shown_until_it_works_again(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", "Subject: x\r\n\r\nx\r\n");
	json_t *reply = ask(w, "{\"op\":\"summary\"}");
	const json_t *site = group(reply, "site");
	assert_string_equal(json_string_value(json_object_get(site, "server")), "192.0.2.1:2626");
	assert_non_null(json_object_get(site, "last_failure"));
	assert_non_null(json_object_get(site, "last_failure_at"));
	json_decref(reply);
	w->dead[0][0] = '\0';
	world_pass(w, MINUTE);
	world_send(w, "a@client.example", "later@site.example", "Subject: x\r\n\r\nx\r\n");
	reply = ask(w, "{\"op\":\"summary\"}");
	assert_null(json_object_get(group(reply, "site"), "last_failure"));
	json_decref(reply);
}

static void ages_of_what_waits(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++) {
		world_send(w, "a@client.example", "later@one.example", "Subject: x\r\n\r\nx\r\n");
		world_pass(w, 10 * MINUTE);
	}
	world_send(w, "a@client.example", "later@one.example", "Subject: x\r\n\r\nx\r\n");
	json_t *reply = ask(w, "{\"op\":\"ages\"}");
	json_t *ages = json_object_get(group(reply, "one"), "ages");
	assert_int_equal(json_array_size(ages), 7);
	assert_int_equal(json_integer_value(json_array_get(ages, 0)), 1);
	assert_int_equal(json_integer_value(json_array_get(ages, 1)), 2);
	assert_int_equal(json_integer_value(json_array_get(ages, 2)), 1);
	assert_null(json_object_get(reply, "after"));
	json_decref(reply);
}

/* ---- asking what is down -------------------------------------------------------------------- */

static void what_is_down_is_asked_by_name(void **state)
{
	struct world *w = *state;

	world_send(w, "a@client.example", "b@site.example", "Subject: x\r\n\r\nx\r\n");
	world_pass(w, 8 * MINUTE);
	w->dead[0][0] = '\0';
	json_t *reply = ask(w, "{\"op\":\"probe\",\"destination\":\"site\",\"by\":\"ann\"}");
	assert_int_equal(json_integer_value(json_object_get(reply, "probed")), 1);
	json_decref(reply);
	assert_int_equal(w->taken_count, 1);
	assert_string_equal(world_event(w, EVENT_ADMIN_ACTION, 0)->action, "probe");
	reply = ask(w, "{\"op\":\"probe\",\"destination\":\"nowhere.example\"}");
	assert_non_null(json_object_get(reply, "error"));
	json_decref(reply);
	reply = ask(w, "{\"op\":\"probe\"}");
	assert_non_null(json_object_get(reply, "error"));
	json_decref(reply);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(header_and_body_of_a_message),
		TEST(a_long_message_comes_in_pieces),
		TEST(a_reading_is_told_wherever_it_begins),
		TEST(odd_requests_for_content_are_refused),
		TEST(a_failure_is_shown_until_it_works_again),
		TEST(ages_of_what_waits),
		TEST(what_is_down_is_asked_by_name),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
