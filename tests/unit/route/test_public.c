/* The registries of special addresses of IANA, as their borders. */
#include "route/public.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void check(const char *const *addresses, bool should)
{
	for (; *addresses; addresses++) {
		struct netaddr a;

		assert_int_equal(netaddr_parse_ip(span_str(*addresses), &a), 0);
		if (route_is_public(&a) != should)
			fail_msg("%s should %sbe public", *addresses, should ? "" : "not ");
	}
}

static void test_public(void **state)
{
	static const char *const some[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255",
		"100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
		"192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
		"198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
		"223.255.255.255", "::ffff:8.8.8.8", "2000::1", "2001:200::", "2001:4860::8888",
		"2001:db7:ffff::1", "2001:db9::", "2a00:1450::1", "3ffe::1", "3fff:1000::1",
		/* a public IPv4 address in another dress */
		"2002:808:808::1", "64:ff9b::8.8.8.8", NULL};
	(void)state;
	check(some, true);
}

static void test_not_public(void **state)
{
	static const char *const some[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
		"100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0",
		"169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255",
		"192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.0",
		"198.19.255.255", "198.51.100.1", "203.0.113.255", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::2", "::7f00:1", "::ffff:127.0.0.1",
		"::ffff:10.1.2.3", "64:ff9b::127.0.0.1", "64:ff9b::192.168.1.1",
		"64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:808:808::1", "2001:2::1",
		"2001:10::1", "2001:1ff:ffff::1", "2001:db8::1", "2001:db8:ffff::1",
		"2002:7f00:1::1", "2002:a01:203::1", "2002:c0a8:101::1", "3fff::1", "3fff:fff::1",
		"4000::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%2", "febf::1",
		"fec0::1", "ff02::1", NULL};
	static const struct netaddr none;
	/* As a packet may bring it: not through the parser, which makes it IPv4. */
	static const struct netaddr mapped = {
		.family = NETADDR_V6, .ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}};
	(void)state;
	check(some, false);
	assert_false(route_is_public(&none));
	assert_false(route_is_public(&mapped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_not_public),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
