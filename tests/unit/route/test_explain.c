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
		.retry_text = SPAN("60,120,180"),
		.retry_count = 30},
	{.index = 1,
		.name = SPAN("mx-only"),
		.port = 25,
		.zone = SPAN("customer.example.org"),
		.query = SPAN("127.0.0.1:5353"),
		.retry = {{60, 1}, {300, 2}, {3600, 1}},
		.retry_steps = 3,
		.retry_text = SPAN("1m, 5m*2, 1h"),
		.retry_count = 3,
		.give_up = GIVE_UP_DISCARD,
		.pause = {1, SPAN("ann"), SPAN("moving house")}},
	{.index = 2,
		.name = SPAN("self"),
		.host = SPAN("127.0.0.1"),
		.port = 2525,
		.retry = {{60, 1}},
		.retry_steps = 1},
	{.index = 3,
		.name = SPAN("named"),
		.host = SPAN("mail.site.example"),
		.port = 2525,
		.retry = {{60, 1}},
		.retry_steps = 1},
	{.index = 4, .name = SPAN("world"), .port = 25, .retry = {{60, 1}}, .retry_steps = 1},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("b.example"), .kind = DOMAIN_TRANSPORT, .transport = 1},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("s.example"), .kind = DOMAIN_TRANSPORT, .transport = 2},
	{.name = SPAN("n.example"), .kind = DOMAIN_TRANSPORT, .transport = 3},
	{.name = SPAN("w.example"), .kind = DOMAIN_TRANSPORT, .transport = 4},
};
static const struct span accounts[] = {SPAN("ann@c.example")};
static const struct priority_rule rules[] = {
	{.sender = SPAN("boss@*"), .client = SPAN("192.0.2.0/24")},
	{.transport = SPAN("mx-only")},
};
static const struct snapshot directory = {
	domains, 6, accounts, 1, transports, 5, -1, 0, false, rules, 2};

static struct netaddr listener;
static struct route_config config = {SPAN("gw.example.test"), &listener, 1, NULL, 0};
static struct config start = {
	.listeners = {{.name = SPAN("mx")}, {.name = SPAN("inside")}}, .listener_count = 2};
static struct explain explain;
static char text[16384];

static const char *show(void)
{
	struct buf out;

	buf_init(&out, sizeof(text) - 1);
	explain_text(&explain, &out);
	assert_true(buf_ok(&out));
	memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_done(&out);
	return text;
}

static const char *run_query(struct explain_query query)
{
	struct buf why;

	buf_init(&why, 1000);
	assert_int_equal(netaddr_parse(SPAN("127.0.0.1:2525"), 0, &listener), 0);
	assert_int_equal(explain_run(&directory, &config, &start, &query, &explain, &why), 0);
	assert_int_equal(why.n, 0);
	buf_done(&why);
	return show();
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
	json_open_object(&json, NULL);
	explain_json(&explain, &json);
	json_close_object(&json);
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
	assert_int_equal(json_integer_value(json_object_get(retry, "total_seconds")), 87 * 3600);
	assert_string_equal(string_of(retry, "delay"), "60,120,180");
	assert_string_equal(string_of(root, "next"), "delivered");
	assert_true(json_is_null(json_object_get(root, "priority")));
	assert_int_equal(json_array_size(json_object_get(root, "pauses")), 0);
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
	assert_says("The transport is paused since 1970-01-01T00:00:00.001Z by ann: moving house.");
	assert_says("3 retries, 1m, 5m*2, 1h, together");
	assert_says(
		"outcome    accepted, and kept in the queue while the transport is paused, then "
		"sent by transport mx-only\n");
	assert_true(explain_wants_hosts(&explain));
	assert_says("then the message is discarded");
}

/* Who is asked: the transport's own servers, those of the start file, or the system's. */
static void test_dns_servers(void **state)
{
	(void)state;
	run("192.0.2.1", "<>", "x@w.example");
	assert_says("Asks the system's DNS servers for the mail exchangers of w.example, and "
		    "connects to port 25.");
	start.dns_servers = SPAN("192.0.2.53, 192.0.2.54");
	run("192.0.2.1", "<>", "x@w.example");
	assert_says("Asks the DNS servers 192.0.2.53, 192.0.2.54 of the start file for the mail "
		    "exchangers of w.example, and connects to port 25.");
	run("192.0.2.1", "<>", "x@b.example");
	assert_says("Asks the DNS servers 127.0.0.1:5353 for the mail exchangers of ");
	start.dns_servers = SPAN_NONE;
}

static void test_mailbox_and_pause(void **state)
{
	(void)state;
	everything = (struct pause){1, SPAN("bob"), SPAN("disk full")};
	run("192.0.2.1", "", "ann@c.example");
	everything = (struct pause){0};
	assert_says("Everything is paused since 1970-01-01T00:00:00.001Z by bob: disk full.");
	assert_says("outcome    accepted, and kept in the queue while everything is paused, then "
		    "delivered into the mailbox ann@c.example\n");
	assert_false(explain_wants_hosts(&explain));
	json_t *root = as_json();
	assert_string_equal(string_of(root, "next"), "paused");
	json_t *pause = json_array_get(json_object_get(root, "pauses"), 0);
	assert_string_equal(string_of(pause, "what"), "everything");
	assert_string_equal(string_of(pause, "reason"), "disk full");
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
	json_t *refusal = json_object_get(root, "refusal");
	assert_string_equal(string_of(refusal, "enhanced"), "5.7.1");
	assert_int_equal(json_integer_value(json_object_get(refusal, "code")), 550);
	assert_non_null(strstr(string_of(refusal, "text"), "relaying denied"));
	assert_null(json_object_get(root, "next"));
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
	assert_says("outcome    accepted, and given up at once: 554 5.4.6 mail loop");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "next"), "bounces");
	assert_string_equal(string_of(json_object_get(root, "failure"), "enhanced"), "5.4.6");
	json_decref(root);
}

static void test_priority(void **state)
{
	(void)state;
	run("192.0.2.1", "Boss@B.example", "x@a.example");
	assert_says(
		"The rule sender=boss@* client=192.0.2.0/24 puts it into the prioritised queue");
	json_t *root = as_json();
	assert_string_equal(string_of(json_object_get(root, "priority"), "client"), "192.0.2.0/24");
	json_decref(root);
	run("192.0.3.1", "boss@b.example", "x@a.example");
	assert_says("No rule puts it into the prioritised queue.");
	run("192.0.3.1", "x@b.example", "x@b.example");
	assert_says("The rule transport=mx-only puts");
	run("192.0.2.1", "boss@b.example", "x@far.example");
	assert_null(strstr(text, "prioritised")); /* it is refused */
}

static void test_unknown_listener(void **state)
{
	struct explain_query query = {.client = SPAN("192.0.2.1"),
		.listener = SPAN("nope"),
		.recipient = SPAN("ann@c.example")};
	struct buf why;
	(void)state;
	buf_init(&why, 1000);
	assert_int_equal(
		explain_run(&directory, &config, &start, &query, &explain, &why), ERR_NOT_FOUND);
	static const char said[] = "there is no listener \"nope\"; the start file has: mx, inside";
	assert_true(span_equal(buf_span(&why), SPAN(said)));
	buf_done(&why);
}

/* ---- what the DNS says: as delivery writes it, so admin reads it ----------------------------- */

static void answer(const struct mx_result *result)
{
	static char json[65536];
	struct json_write out;
	struct buf buf;

	buf_init(&buf, sizeof(json));
	json_write_init(&out, &buf);
	json_open_object(&out, NULL);
	explain_put_hosts(result, &out);
	json_close_object(&out);
	assert_true(buf_ok(&buf));
	memcpy(json, buf.p, buf.n);
	explain_hosts(&explain, span_of(json, buf.n));
	buf_done(&buf);
	show();
}

static void test_hosts(void **state)
{
	struct mx_host hosts[12];
	struct mx_address addresses[13];
	struct mx_result result = {.ttl_s = 60,
		.host_count = 12,
		.hosts = hosts,
		.address_count = 13,
		.addresses = addresses};
	(void)state;
	for (uint16_t i = 0; i < 13; i++) {
		if (i < 12)
			hosts[i] =
				(struct mx_host){SPAN("mx.b.example"), (uint16_t)(10 * i), false};
		assert_int_equal(netaddr_parse_ip(SPAN("8.8.8.1"), &addresses[i].address), 0);
		addresses[i].address.ip[3] = (uint8_t)i;
		addresses[i].host = i ? (uint16_t)(i - 1) : 0;
	}
	run("192.0.2.1", "x@b.example", "x@b.example");
	answer(&result);
	assert_says("host       first      mx.b.example, preference 0: 8.8.8.0, 8.8.8.1.\n");
	assert_says("host       next       mx.b.example, preference 10: 8.8.8.2.\n");
	assert_says("host       next       and 4 more.\n");
	json_t *root = as_json();
	json_t *all = json_object_get(json_object_get(root, "dns"), "hosts");
	assert_int_equal(json_array_size(all), 12);
	assert_string_equal(string_of(json_array_get(all, 0), "name"), "mx.b.example");
	json_decref(root);
	run("192.0.2.1", "x@b.example", "x@n.example");
	assert_true(explain_wants_hosts(&explain));
	result.host_count = result.address_count = 1;
	answer(&result);
	assert_says("host       first      mx.b.example: 8.8.8.0.\n"); /* fixed: no preference */
}

static void test_what_dns_forbids(void **state)
{
	struct mx_result result = {0};
	(void)state;
	run("192.0.2.1", "x@b.example", "x@n.example");
	verdict_set(&result.verdict, VERDICT_PERMANENT, 554, (struct enhanced_code){5, 4, 6}, false,
		SPAN("mail for n.example loops back to me: it is an address of this gateway"));
	answer(&result);
	assert_says("dns        bounces    554 5.4.6 mail for n.example loops back to me");
	assert_says(
		"outcome    accepted, and given up at once: 554 5.4.6 mail for n.example loops");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "next"), "bounces");
	json_decref(root);
	run("192.0.2.1", "x@b.example", "x@n.example");
	verdict_set(&result.verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 4, 3}, false,
		SPAN("the DNS cannot say"));
	answer(&result);
	assert_says(
		"outcome    accepted, and kept in the queue for as long as this lasts: 451 4.4.3 "
		"the DNS cannot say");
	root = as_json();
	assert_string_equal(string_of(root, "next"), "waits");
	json_decref(root);
	/* Paused is said first, and what comes then. */
	run("192.0.2.1", "x@b.example", "x@b.example");
	answer(&result);
	assert_says(
		"while the transport is paused, then kept in the queue for as long as this lasts");
}

static void down(const char *json)
{
	explain_hosts(&explain, span_str(json));
	show();
}

/* What is queued for a destination that fails waits for a probe, and so would this. */
static void test_destination_is_down(void **state)
{
	static const char fixed[] =
		"{\"hosts\":[{\"name\":\"127.0.0.1\",\"preference\":0,\"addresses\":[\"127.0.0.1\"]"
		"}],"
		"\"ttl\":60,\"down\":{\"since\":\"2026-11-22T10:00:00.000Z\",\"next_probe\":"
		"\"2026-11-22T10:05:00.000Z\",\"probing\":false,\"last_failure\":{\"temporary\":"
		"true,"
		"\"code\":421,\"enhanced\":\"4.4.1\",\"text\":\"no connection to 127.0.0.1\"}}}";
	(void)state;
	run("192.0.2.1", "x@far.example", "x@a.example");
	assert_true(explain_wants_hosts(&explain));
	down(fixed);
	assert_says(
		"down       waits      transport site-a is down since 2026-11-22T10:00:00.000Z, "
		"next probe at 2026-11-22T10:05:00.000Z; it last failed with 421 4.4.1 no "
		"connection to 127.0.0.1.\n");
	assert_says("outcome    accepted, and waits: transport site-a is down since "
		    "2026-11-22T10:00:00.000Z, next probe at 2026-11-22T10:05:00.000Z;");
	assert_null(strstr(text, "host  ")); /* an address needs no look-up */
	json_t *root = as_json();
	assert_string_equal(string_of(root, "next"), "waits");
	json_t *state_of = json_object_get(root, "down");
	assert_string_equal(string_of(state_of, "since"), "2026-11-22T10:00:00.000Z");
	assert_string_equal(string_of(state_of, "next_probe"), "2026-11-22T10:05:00.000Z");
	assert_true(json_is_false(json_object_get(state_of, "probing")));
	assert_string_equal(
		string_of(json_object_get(state_of, "last_failure"), "enhanced"), "4.4.1");
	json_decref(root);
	/* Paused is said first. */
	run("192.0.2.1", "x@far.example", "x@b.example");
	down("{\"hosts\":[],\"ttl\":1,\"down\":{\"since\":\"2026-11-22T10:00:00Z\",\"probing\":"
	     "true}}");
	assert_says("while the transport is paused, then waits: transport mx-only to b.example is "
		    "down since 2026-11-22T10:00:00.000Z, and being probed right now\n");
	root = as_json();
	assert_string_equal(string_of(root, "next"), "paused");
	json_decref(root);
	/* What leads to ourselves bounces with the next probe. */
	run("192.0.2.1", "x@far.example", "x@s.example");
	down(fixed);
	assert_says("outcome    accepted, and given up at once: 554 5.4.6");
	/* It works. */
	run("192.0.2.1", "x@far.example", "x@a.example");
	down("{\"hosts\":[],\"ttl\":60}");
	assert_says("outcome    accepted, and sent by transport site-a\n");
	assert_null(strstr(text, "down"));
}

static void test_no_answer(void **state)
{
	static const char *const answers[] = {"{\"error\":\"delivery is not running\"}", "{}", "",
		"[]", "{\"hosts\":1}", "{\"down\":1}", "{\"down\":{}}",
		"{\"down\":{\"since\":\"yesterday\",\"last_failure\":[]}}",
		"{\"refused\":{\"code\":99999}}", "{\"hosts\":[1,{}]}"};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		run("192.0.2.1", "x@b.example", "x@n.example");
		explain_hosts(&explain, span_str(answers[i]));
		show();
		assert_says("outcome    accepted, and sent by transport named\n");
	}
	run("192.0.2.1", "x@b.example", "x@n.example");
	explain_hosts(&explain, span_str(answers[0]));
	show();
	assert_says("How the next hop does now is not known: delivery is not running.");
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
	struct buf why;
	buf_init(&why, 1000);
	assert_int_equal(
		explain_run(&directory, &config, &start, &query, &explain, &why), ERR_SYNTAX);
	assert_true(why.n > 0);
	buf_done(&why);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run("192.0.2.1", "a@b.example", bad[i]);
		assert_says("outcome    refused: 501 5.1.3");
		assert_null(strchr(text, '\x1b'));
		assert_false(explain.parsed);
		json_decref(as_json());
	}
	/* Letters are letters; what a terminal would obey is not sent to one. */
	run("192.0.2.1", "\xc3\xa9@b.example", "x\xc2\x9b@c.example");
	assert_says("\xc3\xa9@b.example");
	assert_null(strstr(text, "\xc2\x9b"));
	run("192.0.2.1", "a@@b", "ann@c.example");
	assert_says("outcome    refused: 501 5.1.7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_lookup_mx),
		cmocka_unit_test(test_dns_servers),
		cmocka_unit_test(test_mailbox_and_pause),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_loop_is_seen),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_unknown_listener),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_what_dns_forbids),
		cmocka_unit_test(test_destination_is_down),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_user_and_tls),
		cmocka_unit_test(test_bad_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
