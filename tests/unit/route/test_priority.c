/* Which messages the prioritised queue takes. */
#include "route/priority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool pattern(const char *p, const char *text)
{
	return priority_pattern_matches(span_str(p), span_str(text));
}

static void patterns(void **state)
{
	(void)state;
	assert_true(pattern("ann@c.example", "Ann@C.example"));
	assert_false(pattern("ann@c.example", "ann@c.example.org"));
	assert_false(pattern("ann@c.example", "joann@c.example"));
	assert_true(pattern("*", ""));
	assert_true(pattern("**", "x"));
	assert_true(pattern("*@*.example", "ann@mail.example"));
	assert_false(pattern("*@*.example", "ann@example"));
	assert_true(pattern("a*b*c", "aXbbYc"));
	assert_false(pattern("a*b*c", "aXbbYcd"));
	assert_false(pattern("", "x"));
	assert_true(pattern("", ""));
}

static bool network(const char *n, const char *client)
{
	struct netaddr a;

	assert_int_equal(netaddr_parse_ip(span_str(client), &a), 0);
	return priority_network_matches(span_str(n), &a);
}

static void networks(void **state)
{
	(void)state;
	assert_true(network("192.0.2.0/24", "192.0.2.255"));
	assert_false(network("192.0.2.0/24", "192.0.3.0"));
	assert_true(network("192.0.2.128/25", "192.0.2.129"));
	assert_false(network("192.0.2.128/25", "192.0.2.127"));
	assert_true(network("192.0.2.7", "192.0.2.7"));
	assert_false(network("192.0.2.7", "192.0.2.6"));
	assert_true(network("0.0.0.0/0", "203.0.113.9"));
	assert_false(network("0.0.0.0/0", "2001:db8::1"));
	assert_true(network("2001:db8::/32", "2001:db8:ffff::1"));
	assert_false(network("2001:db8::/33", "2001:db8:ffff::1"));
	assert_true(network("2001:db8::1/128", "2001:db8::1"));
	assert_false(network("192.0.2.0/33", "192.0.2.0"));
	assert_false(network("192.0.2.0/", "192.0.2.0"));
	assert_false(network("here", "192.0.2.0"));
}

static const struct priority_subject subject = {
	.client = {.family = NETADDR_V4, .ip = {192, 0, 2, 7}},
	.sender = SPAN("bob@b.example"),
	.recipient = SPAN("ann@c.example"),
	.domain = SPAN("c.example"),
	.transport = SPAN("site-a"),
};

static void every_field_that_is_given_must_match(void **state)
{
	(void)state;
	struct priority_rule rule = {0};

	assert_true(priority_rule_matches(&rule, &subject));
	rule.sender = SPAN("@b.example");
	rule.recipient = SPAN("ann@*");
	rule.domain = SPAN("c.example");
	rule.transport = SPAN("site-*");
	rule.client = SPAN("192.0.2.0/24");
	assert_true(priority_rule_matches(&rule, &subject));

	struct priority_rule other = rule;
	other.sender = SPAN("@sub.b.example");
	assert_false(priority_rule_matches(&other, &subject));
	other = rule;
	other.recipient = SPAN("bob@*");
	assert_false(priority_rule_matches(&other, &subject));
	other = rule;
	other.domain = SPAN("a.example");
	assert_false(priority_rule_matches(&other, &subject));
	other = rule;
	other.transport = SPAN("site-b");
	assert_false(priority_rule_matches(&other, &subject));
	other = rule;
	other.client = SPAN("192.0.3.0/24");
	assert_false(priority_rule_matches(&other, &subject));
}

static void the_null_sender_has_no_domain(void **state)
{
	(void)state;
	struct priority_subject null = subject;
	struct priority_rule rule = {.sender = SPAN("@b.example")};

	null.sender = SPAN_NONE;
	assert_false(priority_rule_matches(&rule, &null));
	rule.sender = SPAN("*");
	assert_true(priority_rule_matches(&rule, &null));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),
		cmocka_unit_test(networks),
		cmocka_unit_test(every_field_that_is_given_must_match),
		cmocka_unit_test(the_null_sender_has_no_domain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
