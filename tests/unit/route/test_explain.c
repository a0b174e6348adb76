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
		.retry_count = 30,
		.tls = TLS_VERIFY,
		.tls_ca = SPAN("/etc/ssl/b.pem")},
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
		.tls = TLS_DANE,
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
		.retry_steps = 1,
		.tls = TLS_OPPORTUNISTIC,
		.sasl_user = SPAN("gw")},
	{.index = 4,
		.name = SPAN("world"),
		.port = 25,
		.retry = {{60, 1}},
		.retry_steps = 1,
		.tls = TLS_MTA_STS},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("b.example"), .kind = DOMAIN_TRANSPORT, .transport = 1},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("s.example"), .kind = DOMAIN_TRANSPORT, .transport = 2},
	{.name = SPAN("n.example"), .kind = DOMAIN_TRANSPORT, .transport = 3},
	{.name = SPAN("w.example"), .kind = DOMAIN_TRANSPORT, .transport = 4},
	{.name = SPAN("c2.example"), .kind = DOMAIN_MAILBOXES, .alias_of = SPAN("c.example")},
};
static const struct span accounts[] = {SPAN("ann@c.example"), SPAN("old@c.example")};
static const struct span disabled[] = {SPAN("old@c.example")};
static const struct span of_nick[] = {SPAN("ann@c.example")};
static const struct span of_all[] = {
	SPAN("ann@c.example"), SPAN("bob@b.example"), SPAN("nick@c.example")};
static const struct span of_bad[] = {SPAN("ann@c.example"), SPAN("gone@c.example")};
static const struct fake_alias aliases[] = {
	{SPAN("nick@c.example"), of_nick, 1},
	{SPAN("all@c.example"), of_all, 3},
	{SPAN("bad@c.example"), of_bad, 2},
};
static const struct fake_relay relays[] = {
	{.relay = {.listener = SPAN("lan"), .policy = RELAY_ADDRESSES, .advertise_auth = true},
		.from = {"198.51.100.0/24"},
		.to = {"203.0.113.5", "203.0.113.16/28"}},
	{.relay = {.listener = SPAN("secure"), .policy = RELAY_LOCAL_HOSTS}},
};
static const struct span branch[] = {SPAN("branch.example")};
static const struct priority_rule rules[] = {
	{.sender = SPAN("boss@*"), .client = SPAN("192.0.2.0/24")},
	{.transport = SPAN("mx-only")},
};
static const struct snapshot directory = {
	.domains = domains,
	.domain_count = sizeof(domains) / sizeof(domains[0]),
	.accounts = accounts,
	.account_count = 2,
	.transports = transports,
	.transport_count = 5,
	.default_transport = -1,
	.rules = rules,
	.rule_count = 2,
	.relays = relays,
	.relay_count = 2,
	.aliases = aliases,
	.alias_count = 3,
	.accept_hosts = branch,
	.accept_host_count = 1,
	.disabled = disabled,
	.disabled_count = 1,
};
/* The same, and mail may leave. */
static struct snapshot outward;
static const struct snapshot *used = &directory;

static struct netaddr listener;
static struct route_config config = {SPAN("gw.example.test"), &listener, 1, NULL, 0, NULL};
static struct config start = {
	.listeners = {{.name = SPAN("mx")}, {.name = SPAN("inside"), .auth_without_tls = true},
		{.name = SPAN("lan")},
		{.name = SPAN("secure"),
			.tls = {.certificate = SPAN("/c"),
				.key = SPAN("/k"),
				.client_ca = SPAN("/ca"),
				.mode = CONFIG_TLS_STARTTLS}}},
	.listener_count = 4};
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
	assert_int_equal(explain_run(used, &config, &start, &query, &explain, &why), 0);
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

static void test_how_the_link_is_protected(void **state)
{
	(void)state;
	run("192.0.2.1", "a@b.example", "x@a.example");
	assert_says("a certificate for 127.0.0.1 and a chain to the authorities in /etc/ssl/b.pem");
	run("192.0.2.1", "a@b.example", "x@b.example");
	assert_says("TLSA records of each host");
	run("192.0.2.1", "a@b.example", "x@s.example");
	assert_says("In clear: the transport has tls none.");
	run("192.0.2.1", "a@b.example", "x@n.example");
	assert_says("with any certificate; else mail waits");
	assert_says("Logs in there as gw, over TLS only.");
	run("192.0.2.1", "a@b.example", "x@w.example");
	assert_says("by the policy that w.example publishes");
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
	static const char said[] =
		"there is no listener \"nope\"; the start file has: mx, inside, lan, secure";
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
			hosts[i] = (struct mx_host){
				.name = SPAN("mx.b.example"), .preference = (uint16_t)(10 * i)};
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
	/* A long reply is told to its end. */
	run("192.0.2.1", "x@far.example", "x@a.example");
	char reply[481], answer[1000];
	memset(reply, 'x', sizeof(reply) - 1);
	reply[sizeof(reply) - 1] = '\0';
	snprintf(answer, sizeof(answer),
		"{\"hosts\":[],\"ttl\":1,\"down\":{\"since\":\"2026-11-22T10:00:00Z\",\"probing\":"
		"true,\"last_failure\":{\"temporary\":true,\"code\":421,\"enhanced\":\"4.4.1\","
		"\"text\":\"%s the end\"}}}",
		reply);
	down(answer);
	const char *line = strstr(text, "down       waits");
	assert_non_null(line);
	assert_non_null(memmem(line, strcspn(line, "\n") + 1, "xxx the end.\n", 13));
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

static void run_user(const char *at, const char *user, const char *from, bool tls)
{
	run_query((struct explain_query){.client = SPAN("192.0.2.1"),
		.listener = span_str(at),
		.user = span_str(user),
		.sender = span_str(from),
		.recipient = SPAN("x@far.example"),
		.tls = tls});
}

static void with_way_out(void)
{
	outward = directory;
	outward.default_transport = 4;
	used = &outward;
}

static void test_user_and_tls(void **state)
{
	(void)state;
	with_way_out();
	run_user("mx", "ann", "a@b.example", true);
	assert_says("192.0.2.1 on listener mx.");
	assert_says("Listener mx has no certificate and offers no STARTTLS");
	assert_says("There is no account ann; nor can anybody log in here without TLS.");
	assert_says("550 5.7.1");
	/* What the client gets is the reply to AUTH, whatever it would have sent. */
	run_user("secure", "gone@c.example", "a@b.example", true);
	assert_says("There is no account gone@c.example, so the login fails (535 5.7.8).");
	assert_says("outcome    refused at AUTH: 535 5.7.8 User and password do not match\n");
	assert_null(strstr(text, "relaying"));
	json_t *refused = as_json();
	assert_string_equal(string_of(refused, "outcome"), "refused");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(refused, "refusal"), "code")),
		535);
	json_decref(refused);
	/* Also where the mail is for a domain that is served here. */
	run_query((struct explain_query){.client = SPAN("192.0.2.1"),
		.listener = SPAN("inside"),
		.user = SPAN("ann@c.example"),
		.no_password = true,
		.sender = SPAN("ann@c.example"),
		.recipient = SPAN("ann@c.example")});
	assert_says("The account ann@c.example has no password, so the login fails (535 5.7.8).");
	assert_says("outcome    refused at AUTH: 535 5.7.8 User and password do not match\n");
	/* Nobody can log in there. */
	run_user("mx", "ann@c.example", "ann@c.example", true);
	assert_says("The account ann@c.example is there, but cannot log in here without TLS.");
	assert_says("outcome    refused: 550 5.7.1");
	/* By permission in clear, and with TLS. */
	run_user("inside", "ann@c.example", "ann@c.example", false);
	assert_says("AUTH is offered: PLAIN, LOGIN, SCRAM-SHA-256.");
	assert_says("it can log in if its password is right, and it is not locked out");
	assert_says("ann@c.example has logged in, and so may send to any domain.");
	assert_says("outcome    accepted, and sent by transport world\n");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "user"), "ann@c.example");
	assert_true(json_is_false(json_object_get(root, "tls")));
	json_decref(root);
	run_user("secure", "ANN@C.example", "Ann@c2.example", true);
	assert_says("After STARTTLS, so REQUIRETLS can be asked for.");
	assert_says("AUTH is not offered (advertise-auth: no), but understood: PLAIN, LOGIN, "
		    "SCRAM-SHA-256, SCRAM-SHA-256-PLUS.");
	assert_says("Ann@c2.example is the account ann@c.example, or leads there alone.");
	assert_says("outcome    accepted");
	run_user("secure", "ann@c.example", "ann@c.example", false);
	assert_says("AUTH is taken after STARTTLS only.");
	assert_says("cannot log in here without TLS");
	run_user("inside", "old@c.example", "a@x.example", false);
	assert_says("The account old@c.example is disabled");
	assert_says("outcome    refused at AUTH: 535 5.7.8 User and password do not match\n");
	/* As somebody else. */
	run_user("inside", "ann@c.example", "boss@b.example", false);
	assert_says("boss@b.example is neither the address of ann@c.example nor an alias");
	assert_says("outcome    refused: 553 5.7.1 ann@c.example may not send as boss@b.example");
	json_decref(as_json());
	used = &directory;
}

static void test_certificate(void **state)
{
	struct explain_query query = {.client = SPAN("192.0.2.1"),
		.listener = SPAN("secure"),
		.sender = SPAN("x@y.example"),
		.certificate = SPAN("verified"),
		.recipient = SPAN("x@far.example"),
		.tls = true};
	struct buf why;
	(void)state;
	with_way_out();
	run_query(query);
	assert_says("verified by the listener's client-ca, so it may send to any domain.");
	assert_says("outcome    accepted");
	query.tls = false;
	run_query(query);
	assert_says("Without TLS there is no certificate.");
	assert_says("outcome    refused: 550 5.7.1");
	query.certificate = SPAN("nonsense");
	buf_init(&why, 1000);
	assert_int_equal(explain_run(used, &config, &start, &query, &explain, &why), ERR_SYNTAX);
	assert_non_null(memmem(why.p, why.n, "sha256:", 7));
	buf_done(&why);
	used = &directory;
}

static void test_policies(void **state)
{
	struct explain_query query = {.client = SPAN("198.51.100.9"),
		.listener = SPAN("lan"),
		.sender = SPAN("x@branch.example"),
		.recipient = SPAN("x@far.example")};
	(void)state;
	with_way_out();
	run_query(query);
	assert_says("The client 198.51.100.9 is in 198.51.100.0/24, which from lists.");
	assert_says("outcome    accepted");
	query.client = SPAN("203.0.113.9");
	run_query(query);
	assert_says("The client 203.0.113.9 is not in the one range of from.");
	query.client = SPAN("198.51.100.9");
	query.listener = SPAN("secure");
	run_query(query);
	assert_says(
		"The sender's domain branch.example is in accept.hosts. (Anybody can write such "
		"a sender.)");
	assert_says("outcome    accepted");
	query.listener = SPAN("mx");
	run_query(query);
	assert_says(
		"By the policy none of listener mx this client may not send to domains that are "
		"not served here. It would need a login,");
	used = &directory;
}

/* The policy's `to`: asked, and decided again with what delivery says. */
static void test_next_hops(void **state)
{
	static const struct {
		const char *hosts, *outcome;
	} cases[] = {
		{"{\"hosts\":[{\"name\":\"a\",\"preference\":1,\"addresses\":[\"203.0.113.5\","
		 "\"203.0.113.17\"]}],\"ttl\":60}",
			"outcome    accepted, and sent by transport world\n"},
		{"{\"hosts\":[{\"name\":\"a\",\"preference\":1,\"addresses\":[\"203.0.113.5\"]},"
		 "{\"name\":\"b\",\"preference\":9,\"addresses\":[\"203.0.113.6\"]}],\"ttl\":60}",
			"outcome    refused: 550 5.7.1"},
		{"{\"hosts\":[],\"ttl\":60}", "outcome    refused: 550 5.7.1"},
		{"{\"hosts\":[{\"addresses\":[\"203.0.113.5\",\"nonsense\"]}]}",
			"outcome    refused for now: 451 4.4.3"},
		{"{\"refused\":{\"temporary\":false,\"code\":550,\"enhanced\":\"5.1.2\",\"text\":"
		 "\"no\"}"
		 "}",
			"outcome    refused: 550 5.7.1"},
		{"{\"refused\":{\"temporary\":true,\"code\":451,\"enhanced\":\"4.4.3\",\"text\":"
		 "\"no\"}}",
			"outcome    refused for now: 451 4.4.3"},
		{"{\"error\":\"delivery is not running\"}",
			"outcome    refused for now: 451 4.4.3"},
		{"", "outcome    depends on the next hops of far.example\n"},
		{"[]", "outcome    refused for now: 451 4.4.3"},
		{"{", "outcome    refused for now: 451 4.4.3"},
	};
	struct explain_query query = {.client = SPAN("192.0.2.1"),
		.listener = SPAN("lan"),
		.sender = SPAN("x@y.example"),
		.recipient = SPAN("x@far.example")};
	(void)state;
	with_way_out();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		query.hosts = span_str(cases[i].hosts);
		run_query(query);
		assert_says(cases[i].outcome);
		json_decref(as_json());
	}
	query.hosts = SPAN_NONE;
	run_query(query);
	assert_true(explain_wants_hosts(&explain));
	assert_true(span_equal(explain.decision.transport.name, SPAN("world")));
	query.hosts = span_str(cases[1].hosts);
	run_query(query);
	assert_says("Its next hop 203.0.113.5 is in 203.0.113.5, which to lists.");
	assert_says("Its next hop 203.0.113.6 is not in to.");
	used = &directory;
}

static void test_aliases(void **state)
{
	(void)state;
	run("192.0.2.1", "x@y.example", "Nick@c2.example");
	assert_says("c2.example is another name of the domain c.example.");
	assert_says("Nick@c.example is an alias of 1 address.");
	assert_says("outcome    accepted, and delivered into the mailbox ann@c.example\n");
	json_t *root = as_json();
	assert_string_equal(string_of(root, "outcome"), "mailbox");
	assert_int_equal(json_array_size(json_object_get(root, "alias")), 1);
	json_decref(root);
	run("192.0.2.1", "x@y.example", "all@c.example");
	assert_says("means      mailbox    ann@c.example, into its mailbox.");
	assert_says("means      transport  bob@b.example, by transport mx-only, which is paused.");
	assert_says("outcome    accepted, and sent to 2 addresses that the alias means\n");
	root = as_json();
	assert_string_equal(string_of(root, "outcome"), "alias");
	json_t *second = json_array_get(json_object_get(root, "alias"), 1);
	assert_string_equal(string_of(second, "recipient"), "bob@b.example");
	assert_string_equal(string_of(second, "transport"), "mx-only");
	assert_true(json_is_true(json_object_get(second, "paused")));
	json_decref(root);
	assert_false(explain_wants_hosts(&explain));
	run("192.0.2.1", "x@y.example", "bad@c.example");
	assert_says("There is no account gone@c.example.");
	assert_says("outcome    refused: 550 5.1.1");
	json_decref(as_json());
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
		cmocka_unit_test(test_how_the_link_is_protected),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_unknown_listener),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_what_dns_forbids),
		cmocka_unit_test(test_destination_is_down),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_user_and_tls),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_next_hops),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_bad_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
