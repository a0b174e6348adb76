#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/netaddr.h"

#include <string.h>
#include <sys/socket.h>

static struct netaddr parse(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_str(text), 25, &a), 0);
	return a;
}

static void expect_ip(const char *in, const char *out)
{
	struct netaddr a;
	struct buf buf;
	buf_init(&buf, 100);
	assert_int_equal(netaddr_parse_ip(span_str(in), &a), 0);
	netaddr_add_ip(&buf, &a);
	buf_add_char(&buf, '\0');
	assert_string_equal(buf.p, out);
	buf_done(&buf);
}

static void one_host_has_one_form(void **state)
{
	(void)state;
	expect_ip("192.0.2.1", "192.0.2.1");
	expect_ip("::ffff:192.0.2.1", "192.0.2.1");
	expect_ip("::FFFF:c000:201", "192.0.2.1");
	/* RFC 5952 */
	expect_ip("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1");
	expect_ip("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	expect_ip("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	expect_ip("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	expect_ip("::", "::");
	expect_ip("::1", "::1");
	expect_ip("1::", "1::");
	expect_ip("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
	expect_ip("0:0:1::", "0:0:1::");
	expect_ip("fe80::1%7", "fe80::1%7");
}

static void what_is_no_address_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.04",
		" 1.2.3.4", "1.2.3.4 ", "::1::", "12345::", "g::1", "fe80::1%", "fe80::1%eth0",
		"::1%1", "1.2.3.4%1", "example.org",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct netaddr a = {.port = 77};
		assert_int_equal(netaddr_parse_ip(span_str(bad[i]), &a), ERR_SYNTAX);
		assert_int_equal(a.port, 77);
	}
	struct netaddr a;
	assert_int_equal(netaddr_parse_ip(SPAN("1.2.3.4\0.5"), &a), ERR_SYNTAX);
}

static void a_port_is_optional(void **state)
{
	(void)state;
	struct netaddr a = parse("192.0.2.1:2525");
	assert_int_equal(a.port, 2525);
	assert_int_equal(a.family, NETADDR_V4);
	assert_int_equal(parse("192.0.2.1").port, 25);
	assert_int_equal(parse("[2001:db8::1]:2525").port, 2525);
	assert_int_equal(parse("[2001:db8::1]").port, 25);
	a = parse("2001:db8::2525"); /* no port in this one */
	assert_int_equal(a.port, 25);
	assert_int_equal(a.ip[15], 0x25);
	static const char *const bad[] = {"192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
		"192.0.2.1:x", ":25", "[2001:db8::1]25", "[2001:db8::1]:", "[2001:db8::1", "[]:25",
		"localhost:25", "192.0.2.1:+5"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(netaddr_parse(span_str(bad[i]), 25, &a), ERR_SYNTAX);
}

static void expect_text(
	void (*add)(struct buf *, const struct netaddr *), const char *in, const char *out)
{
	struct netaddr a = parse(in);
	struct buf buf;
	buf_init(&buf, 100);
	add(&buf, &a);
	buf_add_char(&buf, '\0');
	assert_string_equal(buf.p, out);
	buf_done(&buf);
}

static void forms_for_people_and_for_mail(void **state)
{
	(void)state;
	expect_text(netaddr_add, "192.0.2.1:26", "192.0.2.1:26");
	expect_text(netaddr_add, "[2001:db8::1]:26", "[2001:db8::1]:26");
	expect_text(netaddr_add_literal, "192.0.2.1:26", "[192.0.2.1]");
	expect_text(netaddr_add_literal, "2001:DB8::1", "[IPv6:2001:db8::1]");
	expect_text(netaddr_add_literal, "fe80::1%3", "[IPv6:fe80::1]");
	struct netaddr none = {0}, bare = parse("::1");
	struct buf buf;
	buf_init(&buf, 100);
	netaddr_add(&buf, &none);
	netaddr_add_literal(&buf, &none);
	assert_int_equal(buf.n, 0);
	bare.port = 0;
	netaddr_add(&buf, &bare);
	assert_true(span_equal(buf_span(&buf), SPAN("::1")));
	buf_done(&buf);
}

static void loopback_and_sameness(void **state)
{
	(void)state;
	struct netaddr a = parse("127.0.0.1:1"), b = parse("::ffff:127.0.0.1"), c = parse("::1");
	struct netaddr d = parse("fe80::1%1"), e = parse("fe80::1%2"), none = {0};
	assert_true(netaddr_same_ip(&a, &b)); /* the port does not matter */
	assert_false(netaddr_same_ip(&a, &c));
	assert_false(netaddr_same_ip(&d, &e));
	assert_true(netaddr_is_loopback(&a));
	assert_true(netaddr_is_loopback(&c));
	a = parse("127.255.3.4");
	assert_true(netaddr_is_loopback(&a));
	a = parse("128.0.0.1");
	assert_false(netaddr_is_loopback(&a));
	assert_false(netaddr_is_loopback(&d));
	assert_false(netaddr_is_loopback(&none));
}

static void sockets_and_back(void **state)
{
	(void)state;
	static const char *const in[] = {"192.0.2.1:25", "[2001:db8::1]:26", "[fe80::1%5]:27"};
	struct sockaddr_storage s;
	struct netaddr out;
	for (size_t i = 0; i < 3; i++) {
		struct netaddr a = parse(in[i]);
		socklen_t n = netaddr_to_sockaddr(&a, &s);
		assert_true(n > 0);
		assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&s, n, &out), 0);
		assert_true(netaddr_same_ip(&a, &out));
		assert_int_equal(a.port, out.port);
	}
	/* A dual-stack socket shows IPv4 clients as mapped. */
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6,
		.sin6_addr.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9}};
	assert_int_equal(
		netaddr_from_sockaddr((struct sockaddr *)&mapped, sizeof(mapped), &out), 0);
	struct netaddr ten = parse("10.0.0.9");
	assert_true(netaddr_same_ip(&out, &ten));
	s.ss_family = AF_UNIX;
	assert_int_equal(
		netaddr_from_sockaddr((struct sockaddr *)&s, sizeof(s), &out), ERR_UNSUPPORTED);
	assert_int_equal(
		netaddr_from_sockaddr((struct sockaddr *)&mapped, 3, &out), ERR_UNSUPPORTED);
	struct netaddr none = {0};
	assert_int_equal(netaddr_to_sockaddr(&none, &s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_host_has_one_form),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_port_is_optional),
		cmocka_unit_test(forms_for_people_and_for_mail),
		cmocka_unit_test(loopback_and_sameness),
		cmocka_unit_test(sockets_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
