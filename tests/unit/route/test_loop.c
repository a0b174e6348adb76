#include "base/err.h"
#include "route/loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct netaddr address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_str(text), 0, &a), 0);
	return a;
}

static bool contains(const struct verdict *v, const char *text)
{
	return memmem(v->text, v->length, text, strlen(text)) != NULL;
}

static void assert_loop(const struct verdict *v)
{
	assert_int_equal(v->kind, VERDICT_PERMANENT);
	assert_int_equal(v->code, 554);
	assert_int_equal(v->enhanced.class, 5);
	assert_int_equal(v->enhanced.subject, 4);
	assert_int_equal(v->enhanced.detail, 6);
}

static void test_hops(void **state)
{
	struct verdict v;
	(void)state;
	assert_false(loop_hops(50, 50, &v));
	assert_true(loop_hops(51, 50, &v));
	assert_loop(&v);
	assert_true(contains(&v, "51"));
}

static void test_delivered_to(void **state)
{
	static const char *const same[] = {"Delivered-To: ann@c.example",
		"delivered-to:ANN@C.example\r\n", "Delivered-To:\r\n ann@c.example\r\n",
		"Delivered-To : <ann@c.example>", "DELIVERED-TO:\tann@c.example \t"};
	static const char *const other[] = {"Delivered-To: ann@c.example.org",
		"Delivered-To: xann@c.example", "Delivered-To:", "Delivered-To", "",
		"Delivered-Too: ann@c.example", "X-Delivered-To: ann@c.example",
		"Delivered-To: bob@c.example", "Delivered-To: <>",
		"Delivered-To: ann@c.example, bob@c.example", "To: ann@c.example"};
	struct verdict v;
	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		memset(&v, 0, sizeof(v));
		assert_true(loop_delivered_to(span_str(same[i]), SPAN("ann@c.example"), &v));
		assert_loop(&v);
		assert_true(contains(&v, "ann@c.example"));
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_false(loop_delivered_to(span_str(other[i]), SPAN("ann@c.example"), &v));
	assert_false(loop_delivered_to(SPAN("Delivered-To:"), SPAN_NONE, &v));
}

static void test_delivered_to_header(void **state)
{
	struct verdict v;
	struct span ann = SPAN("ann@c.example");
	(void)state;
	assert_true(loop_delivered_to_header(
		SPAN("Received: from x\r\n\tby y\r\nDelivered-To: ann@c.example\r\n"
		     "Subject: hi\r\n\r\nbody\r\n"),
		ann, &v));
	assert_true(loop_delivered_to_header(SPAN("Delivered-To:\r\n\tann@c.example"), ann, &v));
	/* In a folded line, in the body, or of somebody else: no loop. */
	assert_false(loop_delivered_to_header(
		SPAN("Subject: a\r\n Delivered-To: ann@c.example\r\n\r\n"), ann, &v));
	assert_false(loop_delivered_to_header(
		SPAN("Subject: a\r\n\r\nDelivered-To: ann@c.example\r\n"), ann, &v));
	assert_false(
		loop_delivered_to_header(SPAN("\r\nDelivered-To: ann@c.example\r\n"), ann, &v));
	assert_false(
		loop_delivered_to_header(SPAN("Delivered-To: bob@c.example\r\n\r\n"), ann, &v));
	assert_false(loop_delivered_to_header(SPAN_NONE, ann, &v));
}

static void test_fixed_server(void **state)
{
	struct netaddr listeners[] = {address("127.0.0.1:2525"), address("192.0.2.5:25"),
		address("0.0.0.0:587"), address("[::]:465")};
	struct netaddr interfaces[] = {address("192.0.2.9"), address("2001:db8::9")};
	struct route_config config = {SPAN("gw.example.test"), listeners, 4, interfaces, 2};
	struct transport transport = {.name = SPAN("site-a"), .host = SPAN("mail.a.example")};
	static const char *const ours[] = {"127.0.0.1:2525", "192.0.2.5:25", "127.0.0.1:587",
		"127.8.8.8:587", "192.0.2.9:587", "[2001:db8::9]:465", "[::1]:465", "192.0.2.9:465",
		"0.0.0.0:2525", "192.0.2.5"};
	static const char *const others[] = {"127.0.0.1:2626", "127.0.0.2:2525", "192.0.2.5:2525",
		"192.0.2.7:587", "[2001:db8::1]:465", "[::1]:2525", "[2001:db8::9]:587"};
	struct verdict v;
	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		struct netaddr a = address(ours[i]);
		assert_true(loop_fixed_server(&config, &transport, &a, &v));
		assert_loop(&v);
		assert_true(contains(&v, "site-a"));
		assert_true(contains(&v, "mail.a.example"));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct netaddr a = address(others[i]);
		assert_false(loop_fixed_server(&config, &transport, &a, &v));
	}
}

static void test_own_address(void **state)
{
	struct netaddr listeners[] = {address("127.0.0.1:2525"), address("192.0.2.5:2525")};
	struct netaddr any[] = {address("0.0.0.0:2525")};
	struct netaddr interfaces[] = {address("192.0.2.9"), address("127.0.0.1")};
	struct route_config named = {SPAN("gw.example.test"), listeners, 2, interfaces, 2};
	struct route_config wild = {SPAN("gw.example.test."), any, 1, interfaces, 2};
	struct netaddr a;
	(void)state;
	/* Whatever the port: 25 may be redirected. */
	a = address("192.0.2.5:25");
	assert_true(route_is_own_address(&named, &a));
	a = address("127.0.0.1:25");
	assert_true(route_is_own_address(&named, &a));
	a = address("127.0.0.2:25");
	assert_false(route_is_own_address(&named, &a));
	/* An interface without a listener is another server's. */
	a = address("192.0.2.9:25");
	assert_false(route_is_own_address(&named, &a));
	assert_true(route_is_own_address(&wild, &a));
	/* Loopback servers beside a listener on every address. */
	a = address("127.0.0.1:25");
	assert_false(route_is_own_address(&wild, &a));
	a = address("127.0.0.7:2525");
	assert_true(route_is_own_address(&wild, &a));
	assert_true(route_is_own_name(&wild, SPAN("GW.example.TEST")));
	assert_true(route_is_own_name(&named, SPAN("gw.example.test.")));
	assert_false(route_is_own_name(&named, SPAN("gw.example")));
	assert_false(route_is_own_name(&named, SPAN_NONE));
	named.hostname = SPAN_NONE;
	assert_false(route_is_own_name(&named, SPAN_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hops),
		cmocka_unit_test(test_delivered_to),
		cmocka_unit_test(test_delivered_to_header),
		cmocka_unit_test(test_fixed_server),
		cmocka_unit_test(test_own_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
