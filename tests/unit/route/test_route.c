#include "fake_snapshot.h"
#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct transport transports[] = {
	{.index = 0, .name = SPAN("site-a"), .host = SPAN("127.0.0.1"), .port = 2626},
	{.index = 1, .name = SPAN("outbound"), .port = 25},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("broken.example"), .kind = DOMAIN_TRANSPORT, .transport = 99},
};
static const struct span accounts[] = {
	SPAN("ann@c.example"),
	SPAN("postmaster@c.example"),
	SPAN("Case@c.example"),
	SPAN("\"a@b\"@c.example"),
};
static const struct domain with_host[] = {
	{.name = SPAN("gw.example.test"), .kind = DOMAIN_MAILBOXES},
};
static const struct span host_accounts[] = {SPAN("postmaster@gw.example.test")};

static const struct snapshot directory = {domains, 3, accounts, 4, transports, 2, 1, 0};
static const struct snapshot no_default = {domains, 3, accounts, 4, transports, 2, -1, 0};
static const struct snapshot hosted = {with_host, 1, host_accounts, 1, transports, 2, 1, 0};
static const struct snapshot damaged = {domains, 3, accounts, 4, transports, 2, 1, ERR_CORRUPT};

static struct netaddr address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_str(text), 0, &a), 0);
	return a;
}

static struct netaddr listeners[2];
static const struct route_config config = {
	.hostname = SPAN("gw.example.test"), .listeners = listeners, .listener_count = 2};

static int setup(void **state)
{
	(void)state;
	listeners[0] = address("127.0.0.1:2525");
	listeners[1] = address("[2001:db8::25]:25");
	return 0;
}

/* Not for recipients at a domain alias: their address lies in the decision. */
static struct route_decision decide(const struct snapshot *s, const char *client, const char *to)
{
	struct route_query query = {.client = address(client), .recipient = span_str(to)};
	struct route_decision d;

	memset(&d, 0xaa, sizeof(d)); /* nothing may be taken for granted */
	route_decide(s, &config, &query, NULL, &d);
	return d;
}

static void assert_refused(
	const struct route_decision *d, unsigned code, unsigned subject, unsigned detail)
{
	assert_int_equal(d->kind, ROUTE_REFUSED);
	assert_int_equal(d->verdict.code, code);
	assert_int_equal(d->verdict.kind, code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT);
	assert_int_equal(d->verdict.enhanced.class, code / 100);
	assert_int_equal(d->verdict.enhanced.subject, subject);
	assert_int_equal(d->verdict.enhanced.detail, detail);
	assert_false(d->verdict.remote);
	assert_true(d->verdict.length > 10);
}

static void assert_span(struct span is, const char *should)
{
	assert_int_equal(is.n, strlen(should));
	assert_memory_equal(is.p, should, is.n);
}

static void test_served_domains_need_no_right(void **state)
{
	static const char *const clients[] = {"127.0.0.1", "192.0.2.1", "2001:db8::1"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct route_decision d = decide(&directory, clients[i], "any.body@a.example");
		assert_int_equal(d.kind, ROUTE_TRANSPORT);
		assert_true(d.served);
		assert_span(d.domain, "a.example");
		assert_span(d.transport.name, "site-a");
		assert_span(d.served_domain.name, "a.example");

		d = decide(&directory, clients[i], "ann@c.example");
		assert_int_equal(d.kind, ROUTE_MAILBOX);
		assert_true(d.served);
		assert_span(d.account.address, "ann@c.example");
	}
}

static void test_unknown_mailbox(void **state)
{
	(void)state;
	struct route_decision d = decide(&directory, "127.0.0.1", "bob@c.example");
	assert_refused(&d, 550, 1, 1);
	/* The local part stays out of the reply: it may hold anything. */
	assert_null(memmem(d.verdict.text, d.verdict.length, "bob", 3));
	d = decide(&directory, "192.0.2.1", "@c.example");
	assert_refused(&d, 550, 1, 1);
}

static void test_local_part_case(void **state)
{
	(void)state;
	struct route_decision d = decide(&directory, "192.0.2.1", "ANN@c.example");
	assert_span(d.account.address, "ann@c.example");
	d = decide(&directory, "192.0.2.1", "Case@c.example");
	assert_span(d.account.address, "Case@c.example");
	d = decide(&directory, "192.0.2.1", "case@c.example");
	assert_refused(&d, 550, 1, 1);
	d = decide(&directory, "192.0.2.1", "PostMaster@c.example");
	assert_span(d.account.address, "postmaster@c.example");
}

static void test_quoted_local_part_with_at(void **state)
{
	(void)state;
	struct route_decision d = decide(&directory, "192.0.2.1", "\"a@b\"@c.example");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_span(d.domain, "c.example");
}

static void test_relaying(void **state)
{
	(void)state;
	static const char *const inside[] = {"127.0.0.1", "127.3.2.1", "::1"};
	static const char *const outside[] = {"192.0.2.1", "10.0.0.1", "2001:db8::25", "128.0.0.1"};

	for (size_t i = 0; i < 3; i++) {
		struct route_decision d = decide(&directory, inside[i], "x@far.example");
		assert_int_equal(d.kind, ROUTE_TRANSPORT);
		assert_false(d.served);
		assert_span(d.transport.name, "outbound");
		assert_span(d.domain, "far.example");
	}
	for (size_t i = 0; i < 4; i++) {
		struct route_decision d = decide(&directory, outside[i], "x@far.example");
		assert_refused(&d, 550, 7, 1);
		assert_non_null(
			memmem(d.verdict.text, d.verdict.length, outside[i], strlen(outside[i])));
		assert_non_null(memmem(d.verdict.text, d.verdict.length, "far.example", 11));
	}
}

static void test_subdomain_is_not_served(void **state)
{
	(void)state;
	struct route_decision d = decide(&directory, "192.0.2.1", "x@sub.a.example");
	assert_refused(&d, 550, 7, 1);
}

static void test_no_default_transport(void **state)
{
	(void)state;
	struct route_decision d = decide(&no_default, "127.0.0.1", "x@far.example");
	assert_refused(&d, 550, 4, 4);
	/* Who may not relay is not told how we are set up. */
	d = decide(&no_default, "192.0.2.1", "x@far.example");
	assert_refused(&d, 550, 7, 1);
}

static void test_own_name(void **state)
{
	(void)state;
	struct route_decision d = decide(&directory, "127.0.0.1", "root@gw.example.test");
	assert_refused(&d, 550, 1, 2);
	d = decide(&directory, "192.0.2.1", "postmaster");
	assert_refused(&d, 550, 1, 2);
	d = decide(&hosted, "192.0.2.1", "postmaster");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_span(d.account.address, "postmaster@gw.example.test");
	d = decide(&hosted, "192.0.2.1", "POSTMASTER");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	d = decide(&hosted, "192.0.2.1", "postmaster@gw.example.test");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
}

static struct snapshot with_postmaster(const struct snapshot *base, const char *address)
{
	struct snapshot s = *base;

	s.postmaster = span_str(address);
	return s;
}

/* RFC 5321 section 4.5.1: <postmaster> and postmaster of every domain with mailboxes here must be
 * taken, from anybody. */
static void test_postmaster_setting(void **state)
{
	static const struct domain lone[] = {{.name = SPAN("l.example"), .kind = DOMAIN_MAILBOXES}};
	static const char *const ours[] = {
		"postmaster", "POSTMASTER", "PostMaster@gw.example.test", "postmaster@[127.0.0.1]"};
	struct snapshot s = with_postmaster(&directory, "ann@c.example");

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		struct route_decision d = decide(&s, "192.0.2.1", ours[i]);
		assert_int_equal(d.kind, ROUTE_MAILBOX);
		assert_span(d.account.address, "ann@c.example");
		assert_span(d.recipient, "ann@c.example");
		assert_span(d.domain, "c.example");
		assert_true(d.served);
	}
	/* A served domain by its transport, and one elsewhere, for which nobody needs a right. */
	s.postmaster = SPAN("ops@a.example");
	struct route_decision d = decide(&s, "192.0.2.1", "postmaster");
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.transport.name, "site-a");
	s.postmaster = SPAN("ops@far.example");
	d = decide(&s, "192.0.2.1", "postmaster@gw.example.test");
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.transport.name, "outbound");
	assert_span(d.recipient, "ops@far.example");
	assert_span(d.domain, "far.example");
	assert_false(d.served);
	/* That is no right for anything else. */
	d = decide(&s, "192.0.2.1", "ops@far.example");
	assert_refused(&d, 550, 7, 1);
	d = decide(&s, "192.0.2.1", "root@gw.example.test");
	assert_refused(&d, 550, 1, 2);
	/* Domains with mailboxes: their own account comes first. */
	d = decide(&s, "192.0.2.1", "postmaster@c.example");
	assert_span(d.account.address, "postmaster@c.example");
	assert_span(d.recipient, "postmaster@c.example");
	d = decide(&s, "192.0.2.1", "webmaster@c.example");
	assert_refused(&d, 550, 1, 1);
	s = (struct snapshot){.domains = lone,
		.domain_count = 1,
		.transports = transports,
		.transport_count = 2,
		.default_transport = 1,
		.postmaster = SPAN("ops@far.example")};
	d = decide(&s, "192.0.2.1", "Postmaster@l.example");
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.recipient, "ops@far.example");
	/* Those by a transport take care of theirs. */
	s = with_postmaster(&directory, "ann@c.example");
	d = decide(&s, "192.0.2.1", "postmaster@a.example");
	assert_span(d.recipient, "postmaster@a.example");
	assert_span(d.transport.name, "site-a");
	/* The host name as a domain with its own. */
	s = with_postmaster(&hosted, "ops@far.example");
	d = decide(&s, "192.0.2.1", "postmaster");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_span(d.account.address, "postmaster@gw.example.test");
	assert_span(d.recipient, "postmaster");
}

static void test_postmaster_setting_goes_round_once(void **state)
{
	(void)state;
	struct snapshot s = with_postmaster(&directory, "postmaster@gw.example.test");
	struct route_decision d = decide(&s, "192.0.2.1", "postmaster");
	assert_refused(&d, 550, 1, 2);
	s.postmaster = SPAN("nobody@c.example");
	d = decide(&s, "192.0.2.1", "postmaster");
	assert_refused(&d, 550, 1, 1);
	s = with_postmaster(&no_default, "ops@far.example");
	d = decide(&s, "192.0.2.1", "postmaster");
	assert_refused(&d, 550, 4, 4);
	s = with_postmaster(&damaged, "ops@far.example");
	d = decide(&s, "192.0.2.1", "postmaster");
	assert_refused(&d, 451, 3, 5);
}

static void test_no_domain(void **state)
{
	static const char *const bad[] = {"", "ann", "ann@", "@", "postmaster@"};
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct route_decision d = decide(&directory, "127.0.0.1", bad[i]);
		assert_refused(&d, 550, 1, 3);
		route_for_delivery(&directory, &config, span_str(bad[i]), SPAN_NONE, &d);
		assert_refused(&d, 550, 1, 3);
	}
}

static void test_literals(void **state)
{
	(void)state;
	/* Ours: the host name is meant. */
	struct route_decision d = decide(&hosted, "192.0.2.1", "postmaster@[127.0.0.1]");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	assert_span(d.domain, "gw.example.test");
	d = decide(&hosted, "192.0.2.1", "postmaster@[IPv6:2001:db8::25]");
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	d = decide(&directory, "127.0.0.1", "x@[127.0.0.1]");
	assert_refused(&d, 550, 1, 2);
	/* Not ours: relaying like any other domain. */
	d = decide(&directory, "192.0.2.1", "x@[192.0.2.77]");
	assert_refused(&d, 550, 7, 1);
	d = decide(&directory, "127.0.0.1", "x@[192.0.2.77]");
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.domain, "[192.0.2.77]");
}

static void test_literal_grammar(void **state)
{
	static const char *const bad[] = {"192.0.2.1", "[192.0.2.1", "[]", "[192.0.2]",
		"[2001:db8::1]", "[IPv6:192.0.2.1]", "[IPv6:fe80::1%1]", "[IPv6:]", "[x:y]",
		"[192.0.2.1]x", "", "["};
	struct netaddr a;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(route_literal(span_str(bad[i]), &a), ERR_SYNTAX);
	assert_int_equal(route_literal(SPAN("[192.0.2.1]"), &a), 0);
	assert_int_equal(a.family, NETADDR_V4);
	assert_int_equal(route_literal(SPAN("[ipv6:2001:DB8::1]"), &a), 0);
	assert_int_equal(a.family, NETADDR_V6);
	assert_int_equal(route_literal(SPAN("[IPv6:::ffff:192.0.2.1]"), &a), 0);
	assert_int_equal(a.family, NETADDR_V4);
}

static void test_damaged_directory_defers(void **state)
{
	(void)state;
	struct route_decision d = decide(&damaged, "192.0.2.1", "ann@c.example");
	assert_refused(&d, 451, 3, 5);
	d = decide(&directory, "192.0.2.1", "ann@broken.example");
	assert_refused(&d, 451, 3, 5);
	route_for_delivery(&damaged, &config, SPAN("ann@c.example"), SPAN("site-a"), &d);
	assert_refused(&d, 451, 3, 5);
}

/* Whoever lost the database must not lose mail for it: neither what waits nor what comes. */
static void test_a_directory_that_was_never_filled_defers(void **state)
{
	static const struct snapshot fresh = {.default_transport = -1, .never_filled = true};
	struct route_decision d = decide(&fresh, "192.0.2.1", "joe@a.example");

	(void)state;
	assert_refused(&d, 451, 3, 5);
	d = decide(&fresh, "127.0.0.1", "joe@a.example");
	assert_refused(&d, 451, 3, 5);
	route_for_delivery(&fresh, &config, SPAN("joe@a.example"), SPAN_NONE, &d);
	assert_refused(&d, 451, 3, 5);
}

static void test_long_address(void **state)
{
	char to[700];
	(void)state;
	memset(to, 'a', sizeof(to));
	memcpy(to + sizeof(to) - 11, "@c.example", 11);
	struct route_decision d = decide(&directory, "192.0.2.1", to);
	assert_refused(&d, 550, 1, 1);
}

static void test_delivery(void **state)
{
	struct route_decision d;
	(void)state;
	/* The right to relay was decided long ago. */
	route_for_delivery(&directory, &config, SPAN("x@far.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.transport.name, "outbound");
	assert_false(d.served);
	route_for_delivery(&no_default, &config, SPAN("x@gone.example"), SPAN_NONE, &d);
	assert_refused(&d, 550, 4, 4);
	route_for_delivery(&directory, &config, SPAN("ann@c.example"), SPAN_NONE, &d);
	assert_int_equal(d.kind, ROUTE_MAILBOX);
	route_for_delivery(&directory, &config, SPAN("gone@c.example"), SPAN_NONE, &d);
	assert_refused(&d, 550, 1, 1);
	/* Rerouted by an administrator, even away from a mailbox. */
	route_for_delivery(&directory, &config, SPAN("gone@c.example"), SPAN("site-a"), &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.transport.name, "site-a");
	assert_true(d.served);
	/* To a transport that was removed since. */
	route_for_delivery(&directory, &config, SPAN("x@a.example"), SPAN("removed"), &d);
	assert_int_equal(d.kind, ROUTE_TRANSPORT);
	assert_span(d.transport.name, "site-a");
}

static void test_trail(void **state)
{
	struct route_trail trail;
	struct route_decision d;
	struct route_query query = {
		.client = address("192.0.2.1"), .recipient = SPAN("x@evil\x1b[31m.example")};
	(void)state;
	route_trail_init(&trail);
	route_decide(&directory, &config, &query, &trail, &d);
	assert_string_equal(trail.steps[0].rule, "domain");
	assert_string_equal(trail.steps[0].result, "no");
	assert_string_equal(trail.steps[trail.count - 1].rule, "relay");
	assert_string_equal(trail.steps[trail.count - 1].result, "refused");
	for (uint32_t i = 0; i < trail.used; i++)
		assert_in_range((unsigned char)trail.text[i], 0x20, 0x7e);
	assert_non_null(memmem(trail.text, trail.used, "evil\\x1b[31m.example", 19));
}

static void test_trail_is_bounded(void **state)
{
	struct route_trail trail;
	char text[2000];
	(void)state;
	memset(text, 1, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	route_trail_init(&trail);
	for (int i = 0; i < 100; i++)
		route_trail_add(&trail, "rule", "result", "%s", text);
	assert_true(trail.cut);
	assert_true(trail.count > 1 && trail.count <= ROUTE_STEPS);
	assert_true(trail.used <= ROUTE_TRAIL_TEXT);
	route_trail_init(&trail);
	for (int i = 0; i < 100; i++)
		route_trail_add(&trail, "rule", "result", "short");
	assert_int_equal(trail.count, ROUTE_STEPS);
	assert_true(trail.cut);
	route_trail_add(NULL, "rule", "result", "short");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served_domains_need_no_right),
		cmocka_unit_test(test_unknown_mailbox),
		cmocka_unit_test(test_local_part_case),
		cmocka_unit_test(test_quoted_local_part_with_at),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_subdomain_is_not_served),
		cmocka_unit_test(test_no_default_transport),
		cmocka_unit_test(test_own_name),
		cmocka_unit_test(test_postmaster_setting),
		cmocka_unit_test(test_postmaster_setting_goes_round_once),
		cmocka_unit_test(test_no_domain),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_literal_grammar),
		cmocka_unit_test(test_damaged_directory_defers),
		cmocka_unit_test(test_a_directory_that_was_never_filled_defers),
		cmocka_unit_test(test_long_address),
		cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_trail),
		cmocka_unit_test(test_trail_is_bounded),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
