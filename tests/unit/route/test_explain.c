#include "fake_snapshot.h"
#include "route/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

static struct pause everything;

void snapshot_pause(const struct snapshot *s, struct pause *out)
{
	(void)s;
	*out = everything;
}

static const struct transport transports[] = {
	{.index = 0,
		.name = SPAN("site-a"),
		.host = SPAN("127.0.0.1"),
		.port = 2626,
		.retry = {{3600, 1}, {7200, 1}, {10800, 1}},
		.retry_steps = 3,
		.retry_count = 30},
	{.index = 1,
		.name = SPAN("mx-only"),
		.port = 25,
		.zone = SPAN("customer.example.org"),
		.query = SPAN("127.0.0.1:5353"),
		.retry = {{60, 1}},
		.retry_steps = 1,
		.retry_count = 3,
		.give_up = GIVE_UP_DISCARD,
		.pause = {1, SPAN("ann"), SPAN("moving house")}},
	{.index = 2,
		.name = SPAN("self"),
		.host = SPAN("127.0.0.1"),
		.port = 2525,
		.retry = {{60, 1}},
		.retry_steps = 1},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("b.example"), .kind = DOMAIN_TRANSPORT, .transport = 1},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("s.example"), .kind = DOMAIN_TRANSPORT, .transport = 2},
};
static const struct span accounts[] = {SPAN("ann@c.example")};
static const struct snapshot directory = {domains, 4, accounts, 1, transports, 3, -1, 0};

static struct netaddr listener;
static struct route_config config = {SPAN("gw.example.test"), &listener, 1, NULL, 0};
static struct explain explain;
static char text[16384];

static const char *run_query(struct explain_query query)
{
	struct buf out;

	assert_int_equal(netaddr_parse(SPAN("127.0.0.1:2525"), 0, &listener), 0);
	assert_int_equal(explain_run(&directory, &config, &query, &explain), 0);
	buf_init(&out, sizeof(text) - 1);
	explain_text(&explain, &out);
	assert_true(buf_ok(&out));
	memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_done(&out);
	return text;
}

static const char *run(const char *client, const char *from, const char *to)
{
	return run_query((struct explain_query){
		.client = span_str(client), .sender = span_str(from), .recipient = span_str(to)});
}

static void assert_says(const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in:\n%s", what, text);
}

static json_t *as_json(void)
{
	struct json_write json;
	struct buf out;
	json_error_t error;

	buf_init(&out, 65536);
	json_write_init(&json, &out);
	explain_json(&explain, &json);
	assert_true(buf_ok(&out));
	json_t *root = json_loadb(out.p, out.n, 0, &error);
	if (!root)
		fail_msg("%s: %.*s", error.text, (int)out.n, out.p);
	buf_done(&out);
	return root;
}

static const char *string_of(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void test_transport(void **state)
{
	(void)state;
	run("192.0.2.1", "x@far.example", "Ann@A.Example");
	assert_says("Ann@A.Example means Ann@a.example.");
	assert_says("no right to relay is needed");
	assert_says("Transport site-a, which the domain names.");
	assert_says("Connects to 127.0.0.1, port 2626.");
	assert_says("30 retries, 60,120,180, together 87 h");
	assert_says("the sender is told");
	assert_says("No scan is set up.");
	assert_says("outcome    accepted, and sent by transport site-a\n");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "outcome"), "transport");
	assert_string_equal(string_of(root, "client"), "192.0.2.1");
	assert_string_equal(string_of(root, "recipient"), "Ann@a.example");
	json_t *transport = json_object_get(root, "transport");
	assert_string_equal(string_of(transport, "host"), "127.0.0.1");
	json_t *retry = json_object_get(transport, "retry");
	assert_int_equal(json_integer_value(json_object_get(retry, "total-seconds")), 87 * 3600);
	assert_int_equal(json_array_size(json_object_get(root, "scans")), 0);
	assert_true(json_array_size(json_object_get(root, "steps")) >= 6);
	json_decref(root);
}

static void test_lookup_mx(void **state)
{
	(void)state;
	run("192.0.2.1", "<>", "<x@b.example>");
	assert_says("The null sender");
	assert_says("Asks the DNS servers 127.0.0.1:5353 for the mail exchangers of "
		    "b.example.customer.example.org, and connects to port 25.");
	assert_says("The transport is paused by ann: moving house");
	assert_says("then the message is discarded");
}

static void test_mailbox_and_pause(void **state)
{
	(void)state;
	everything = (struct pause){1, SPAN("bob"), SPAN("disk full")};
	run("192.0.2.1", "", "ann@c.example");
	everything = (struct pause){0};
	assert_says("Everything is paused by bob: disk full");
	assert_says("outcome    accepted, and delivered into the mailbox ann@c.example\n");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "mailbox"), "ann@c.example");
	assert_string_equal(string_of(root, "sender"), "");
	json_decref(root);
}

static void test_refusals(void **state)
{
	(void)state;
	run("192.0.2.1", "a@b.example", "x@far.example");
	assert_says("outcome    refused: 550 5.7.1 relaying denied");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "outcome"), "refused");
	assert_string_equal(string_of(root, "enhanced"), "5.7.1");
	assert_int_equal(json_integer_value(json_object_get(root, "code")), 550);
	assert_null(json_object_get(root, "transport"));
	json_decref(root);
	run("::1", "a@b.example", "x@far.example");
	assert_says("loopback");
	assert_says("550 5.4.4");
	run("192.0.2.1", "a@b.example", "bob@c.example");
	assert_says("There is no account bob@c.example.");
	assert_says("550 5.1.1");
}

static void test_loop_is_seen(void **state)
{
	(void)state;
	run("192.0.2.1", "a@b.example", "x@s.example");
	assert_says("554 5.4.6 mail loop: server 127.0.0.1 of transport self");
}

static void test_user_and_tls(void **state)
{
	(void)state;
	run_query((struct explain_query){.client = SPAN("192.0.2.1"),
		.listener = SPAN("mx"),
		.user = SPAN("ann"),
		.sender = SPAN("a@b.example"),
		.recipient = SPAN("x@far.example"),
		.tls = true});
	assert_says("192.0.2.1 on listener mx.");
	assert_says("user ann gives no further right");
	assert_says("550 5.7.1");
}

static void test_bad_input(void **state)
{
	static const char *const bad[] = {"", "ann", "ann@", "a b@c.example", "<ann@c.example",
		"ann@c.example>", "ann@c.example x", "\x1b[31m@c.example", "<>"};
	struct explain_query query = {
		.client = SPAN("nonsense"), .recipient = SPAN("ann@c.example")};
	(void)state;
	assert_int_equal(explain_run(&directory, &config, &query, &explain), ERR_SYNTAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run("192.0.2.1", "a@b.example", bad[i]);
		assert_says("outcome    refused: 501 5.1.3");
		assert_null(strchr(text, '\x1b'));
		assert_false(explain.parsed);
		json_decref(as_json());
	}
	run("192.0.2.1", "a@@b", "ann@c.example");
	assert_says("outcome    refused: 501 5.1.7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_lookup_mx),
		cmocka_unit_test(test_mailbox_and_pause),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_loop_is_seen),
		cmocka_unit_test(test_user_and_tls),
		cmocka_unit_test(test_bad_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
