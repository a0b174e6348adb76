/* Aliases and other names of domains: for recipients, for senders, and in the queue. */
#include "fake_snapshot.h"
#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST	     1100 /* more addresses than one alias may mean */

static const struct transport transports[] = {
	{.index = 0, .name = SPAN("site-a"), .host = SPAN("127.0.0.1"), .port = 2626},
	{.index = 1, .name = SPAN("outbound"), .port = 25},
};
static char long_domain[251];
static struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("a2.example"),
		.kind = DOMAIN_TRANSPORT,
		.transport = 0,
		.alias_of = SPAN("a.example")},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("c2.example"),
		.kind = DOMAIN_MAILBOXES,
		.pause = {.since_ms = 7},
		.alias_of = SPAN("c.example")},
	{.name = SPAN("l.example"), .kind = DOMAIN_TRANSPORT, .alias_of = {long_domain, 250}},
};
static const struct span accounts[] = {SPAN("ann@c.example"), SPAN("bob@c.example"),
	SPAN("Eve@c.example"), SPAN("eve@c.example"), SPAN("joe@a.example")};
static struct span targets_of_many[MOST];
static const struct span of_nick[] = {SPAN("ann@c.example")};
static const struct span of_jj[] = {SPAN("joe@a.example")};
static const struct span of_deep[] = {SPAN("Nick@c2.example")};
static const struct span of_both[] = {SPAN("ann@c.example"), SPAN("bob@c.example")};
static const struct span of_list[] = {SPAN("both@c.example"), SPAN("nick@c.example"),
	SPAN("ANN@c.example"), SPAN("x@a2.example"), SPAN("x@a.example"), SPAN("y@far.example")};
static const struct span of_loop[] = {SPAN("ann@c.example"), SPAN("loop2@c.example")};
static const struct span of_loop2[] = {SPAN("loop@c2.example")};
static const struct span of_gone[] = {SPAN("ann@c.example"), SPAN("gone@c.example")};
static const struct span of_mixed[] = {SPAN("gone@c.example"), SPAN("loop@c.example")};
static const struct span of_routed[] = {SPAN("x%y@a.example")};
static const struct span of_chain[][1] = {{SPAN("c1@c.example")}, {SPAN("c2@c.example")},
	{SPAN("c3@c.example")}, {SPAN("c4@c.example")}, {SPAN("c5@c.example")},
	{SPAN("c6@c.example")}, {SPAN("c7@c.example")}, {SPAN("c8@c.example")},
	{SPAN("c9@c.example")}, {SPAN("c10@c.example")}, {SPAN("ann@c.example")}};
static const struct fake_alias aliases[] = {
	{SPAN("nick@c.example"), of_nick, 1},
	{SPAN("jj@a.example"), of_jj, 1},
	{SPAN("deep@c.example"), of_deep, 1},
	{SPAN("both@c.example"), of_both, 2},
	{SPAN("list@c.example"), of_list, 6},
	{SPAN("loop@c.example"), of_loop, 2},
	{SPAN("loop2@c.example"), of_loop2, 1},
	{SPAN("gone2@c.example"), of_gone, 2},
	{SPAN("mixed@c.example"), of_mixed, 2},
	{SPAN("routed@c.example"), of_routed, 1},
	{SPAN("many@c.example"), targets_of_many, 1000},
	{SPAN("toomany@c.example"), targets_of_many, 1001},
	{SPAN("empty@c.example"), NULL, 0},
	{SPAN("root@gw.example.test"), of_nick, 1},
	{SPAN("desk@a.example"), of_both, 2},
	{SPAN("c0@c.example"), of_chain[0], 1},
	{SPAN("c1@c.example"), of_chain[1], 1},
	{SPAN("c2@c.example"), of_chain[2], 1},
	{SPAN("c3@c.example"), of_chain[3], 1},
	{SPAN("c4@c.example"), of_chain[4], 1},
	{SPAN("c5@c.example"), of_chain[5], 1},
	{SPAN("c6@c.example"), of_chain[6], 1},
	{SPAN("c7@c.example"), of_chain[7], 1},
	{SPAN("c8@c.example"), of_chain[8], 1},
	{SPAN("c9@c.example"), of_chain[9], 1},
	{SPAN("c10@c.example"), of_chain[10], 1},
};
static const struct fake_relay relays[] = {
	{.relay = {.listener = SPAN("free"), .senders = RELAY_SENDERS_ANY}},
};
static struct snapshot directory = {
	.domains = domains,
	.domain_count = COUNT(domains),
	.accounts = accounts,
	.account_count = COUNT(accounts),
	.transports = transports,
	.transport_count = COUNT(transports),
	.default_transport = 1,
	.relays = relays,
	.relay_count = COUNT(relays),
	.aliases = aliases,
	.alias_count = COUNT(aliases),
	.send_as = SPAN("sales@a.example\n@b.example\ninfo@c.example"),
};
static struct netaddr listener;
static const struct route_config config = {
	.hostname = SPAN("gw.example.test"), .listeners = &listener, .listener_count = 1};

static int setup(void **state)
{
	static char texts[MOST][32];
	(void)state;
	assert_int_equal(netaddr_parse(SPAN("127.0.0.1:25"), 0, &listener), 0);
	for (size_t i = 0; i < MOST; i++) {
		snprintf(texts[i], sizeof(texts[i]), "u%zu@a.example", i);
		targets_of_many[i] = span_str(texts[i]);
	}
	memset(long_domain, 'd', sizeof(long_domain));
	return 0;
}

/* ---- recipients ------------------------------------------------------------------------- */

static struct buf seen; /* "ann@c.example mailbox\n" */
static uint32_t room;

static bool each(void *context, const struct route_decision *d)
{
	(void)context;
	if (!room)
		return false;
	room--;
	buf_add_span(&seen, d->recipient);
	buf_add_char(&seen, ' ');
	buf_add_span(&seen, d->kind == ROUTE_MAILBOX ? d->account.address : d->transport.name);
	buf_add_char(&seen, '\n');
	return true;
}

/* From a stranger; aliases need no right to relay. */
static void expand(const char *to, struct route_decision *d)
{
	struct route_query query = {.recipient = span_str(to)};

	assert_int_equal(netaddr_parse_ip(SPAN("192.0.2.1"), &query.client), 0);
	memset(d, 0xaa, sizeof(*d));
	buf_done(&seen);
	buf_init(&seen, 1 << 20);
	route_expand(&directory, &config, &query, NULL, each, NULL, d);
}

static void assert_means(const char *to, const char *what)
{
	struct route_decision d;

	room = MOST;
	expand(to, &d);
	if (d.kind == ROUTE_REFUSED)
		fail_msg("%s: %.*s", to, (int)d.verdict.length, d.verdict.text);
	if (!span_equal(buf_span(&seen), span_str(what)))
		fail_msg("%s means:\n%.*s", to, (int)seen.n, seen.p);
	buf_done(&seen);
}

static void assert_refused(const char *to, unsigned code, unsigned subject, unsigned detail)
{
	struct route_decision d;

	room = MOST;
	expand(to, &d);
	if (d.kind != ROUTE_REFUSED)
		fail_msg("%s is taken", to);
	assert_int_equal(d.verdict.code, code);
	assert_int_equal(d.verdict.kind, code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT);
	assert_int_equal(d.verdict.enhanced.subject, subject);
	assert_int_equal(d.verdict.enhanced.detail, detail);
	buf_done(&seen);
}

static void test_no_alias(void **state)
{
	(void)state;
	assert_means("ann@c.example", "ann@c.example ann@c.example\n");
	assert_means("x@a.example", "x@a.example site-a\n");
	assert_refused("x@far.example", 550, 7, 1);
}

static void test_other_names_of_a_domain(void **state)
{
	struct route_decision d;
	(void)state;
	assert_means("x@a2.example", "x@a.example site-a\n");
	assert_means("\"x y\"@a2.example", "\"x y\"@a.example site-a\n");
	assert_means("Ann@c2.example", "Ann@c.example ann@c.example\n");
	assert_refused("nobody@c2.example", 550, 1, 1);
	/* It would be longer than an address may be. */
	assert_refused("abcd@l.example", 550, 1, 3);
	room = 1;
	expand("bob@c2.example", &d);
	assert_true(span_equal(d.domain, SPAN("c.example")));
	assert_true(span_equal(d.served_domain.name, SPAN("c.example")));
	assert_int_equal(d.served_domain.pause.since_ms, 7);
	buf_done(&seen);
}

static void test_aliases(void **state)
{
	struct route_decision d;
	(void)state;
	assert_means("nick@c.example", "ann@c.example ann@c.example\n");
	assert_means("NICK@c2.example", "ann@c.example ann@c.example\n");
	assert_means("deep@c.example", "ann@c.example ann@c.example\n");
	/* Once for each, in their order, also outside, also by a transport. */
	assert_means("list@c.example", "ann@c.example ann@c.example\nbob@c.example bob@c.example\n"
				       "x@a.example site-a\ny@far.example outbound\n");
	assert_means(
		"desk@a.example", "ann@c.example ann@c.example\nbob@c.example bob@c.example\n");
	assert_means("root@gw.example.test", "ann@c.example ann@c.example\n");
	assert_means("root@[127.0.0.1]", "ann@c.example ann@c.example\n");
	/* An administrator wrote it, so it needs no right to relay. */
	assert_means("routed@c.example", "x%y@a.example site-a\n");
	room = 1;
	expand("nick@c.example", &d);
	assert_int_equal(d.kind, ROUTE_ALIAS);
	assert_int_equal(d.alias_count, 1);
	buf_done(&seen);
}

static void test_aliases_that_cannot_be_followed(void **state)
{
	(void)state;
	assert_refused("loop@c.example", 451, 3, 5);
	assert_refused("loop2@c.example", 451, 3, 5);
	assert_refused("gone2@c.example", 550, 1, 1);
	assert_refused("mixed@c.example", 451, 3, 5); /* temporary before permanent */
	/* Ten deep, and eleven. */
	assert_means("c1@c.example", "ann@c.example ann@c.example\n");
	assert_refused("c0@c.example", 451, 3, 5);
	assert_refused("toomany@c.example", 451, 3, 5);
}

static void test_a_thousand_addresses(void **state)
{
	struct route_decision d;
	uint32_t lines = 0;
	(void)state;
	room = MOST;
	expand("many@c.example", &d);
	assert_int_equal(d.kind, ROUTE_ALIAS);
	for (size_t i = 0; i < seen.n; i++)
		lines += seen.p[i] == '\n';
	assert_int_equal(lines, 1000);
	/* More than the message may have. */
	room = 999;
	expand("many@c.example", &d);
	assert_int_equal(d.kind, ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 452);
	room = 0;
	expand("ann@c.example", &d);
	assert_int_equal(d.kind, ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 452);
	buf_done(&seen);
}

/* Who gets the postmaster's mail may be an alias. */
static void test_postmaster_is_an_alias(void **state)
{
	(void)state;
	directory.postmaster = SPAN("both@c2.example");
	assert_means("postmaster", "ann@c.example ann@c.example\nbob@c.example bob@c.example\n");
	assert_means("Postmaster@c2.example",
		"ann@c.example ann@c.example\nbob@c.example bob@c.example\n");
	directory.postmaster = SPAN("postmaster@c.example");
	assert_refused("postmaster", 550, 1, 1);
	directory.postmaster = SPAN_NONE;
}

/* ---- the queue -------------------------------------------------------------------------- */

static void test_delivery(void **state)
{
	struct route_decision d;
	(void)state;
	route_for_delivery(&directory, &config, SPAN("x@a2.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_true(span_equal(d.transport.name, SPAN("site-a")));
	assert_true(span_equal(d.domain, SPAN("a.example")));
	route_for_delivery(&directory, &config, SPAN("Ann@c2.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_true(span_equal(d.account.address, SPAN("ann@c.example")));
	/* An account that has become an alias of one mailbox. */
	route_for_delivery(&directory, &config, SPAN("deep@c.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_true(span_equal(d.account.address, SPAN("ann@c.example")));
	route_for_delivery(&directory, &config, SPAN("root@gw.example.test"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	route_for_delivery(&directory, &config, SPAN("both@c.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 550);
	route_for_delivery(&directory, &config, SPAN("loop@c.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_REFUSED);
	/* What the transport would have taken, it takes; and forms need no right any more. */
	route_for_delivery(&directory, &config, SPAN("desk@a.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	route_for_delivery(&directory, &config, SPAN("x%y@a.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
}

/* ---- senders ---------------------------------------------------------------------------- */

static bool may(const char *user, const char *sender, const char *at, struct verdict *verdict)
{
	const struct route_query query = {
		.user = span_str(user), .sender = span_str(sender), .listener = span_str(at)};

	memset(verdict, 0, sizeof(*verdict));
	return route_sender_allowed(&directory, &query, NULL, verdict);
}

static void test_senders(void **state)
{
	static const char *const own[] = {"ann@c.example", "ANN@c.example", "ann@c2.example",
		"nick@c.example", "Nick@c2.example", "deep@c.example", "", "sales@a.example",
		"SALES@a.example", "sales@a2.example", "any.body@b.example", "info@c2.example",
		"root@gw.example.test"};
	static const char *const others[] = {"bob@c.example", "both@c.example", "list@c.example",
		"loop@c.example", "gone@c.example", "ann@a.example", "ann@far.example",
		"x@sub.b.example", "sales@c.example", "ann", "x@xb.example",
		"\"sales@a.example\"@far.example", "ann@c.example.far.example", "ann@[127.0.0.1]",
		"empty@c.example", "\"x@b.example\"@far.example"};
	struct verdict verdict;
	(void)state;
	for (size_t i = 0; i < COUNT(own); i++)
		if (!may("ann@c.example", own[i], "mx", &verdict))
			fail_msg("%s is refused", own[i]);
	for (size_t i = 0; i < COUNT(others); i++) {
		if (may("ann@c.example", others[i], "mx", &verdict))
			fail_msg("%s is allowed", others[i]);
		bool loops = strncmp(others[i], "loop", 4) == 0;

		assert_int_equal(verdict.code, loops ? 451 : 553);
		assert_int_equal(verdict.enhanced.subject, loops ? 3 : 7);
		assert_true(may("ann@c.example", others[i], "free", &verdict));
		assert_true(may("", others[i], "mx", &verdict));
	}
	/* Two accounts that differ in case are two. */
	assert_true(may("Eve@c.example", "Eve@c.example", "mx", &verdict));
	assert_false(may("Eve@c.example", "eve@c.example", "mx", &verdict));
	assert_true(may("eve@c.example", "EVE@c.example", "mx", &verdict));
	/* One whose mail goes elsewhere is there to log in. */
	assert_true(may("joe@a.example", "joe@a.example", "mx", &verdict));
	assert_true(may("joe@a.example", "JOE@a2.example", "mx", &verdict));
	assert_true(may("joe@a.example", "jj@a.example", "mx", &verdict));
	assert_false(may("ann@c.example", "jj@a.example", "mx", &verdict));
	assert_false(may("joe@a.example", "bob@a.example", "mx", &verdict));
	assert_false(may("ann@c.example", "joe@a.example", "mx", &verdict));
	/* The list is that account's alone. */
	assert_false(may("bob@c.example", "sales@a.example", "mx", &verdict));
	assert_false(may("gone@c.example", "gone@c.example", "mx", &verdict));
	assert_int_equal(verdict.code, 553);
	directory.broken = ERR_CORRUPT;
	assert_false(may("ann@c.example", "ann@c.example", "mx", &verdict));
	assert_int_equal(verdict.code, 451);
	directory.broken = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_alias),
		cmocka_unit_test(test_other_names_of_a_domain),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_aliases_that_cannot_be_followed),
		cmocka_unit_test(test_a_thousand_addresses),
		cmocka_unit_test(test_postmaster_is_an_alias),
		cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_senders),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
