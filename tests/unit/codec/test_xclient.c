#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "codec/xclient.h"

static int setup(void **state)
{
	static struct arena arena;
	arena_init(&arena, 1 << 16);
	*state = &arena;
	return 0;
}

static int teardown(void **state)
{
	arena_reset(*state);
	return 0;
}

static void expect_address(const struct netaddr *a, const char *text)
{
	struct buf buf;
	buf_init(&buf, 100);
	netaddr_add(&buf, a);
	assert_true(span_equal(buf_span(&buf), span_str(text)));
	buf_done(&buf);
}

static void a_client_is_described(void **state)
{
	struct xclient x;
	assert_int_equal(
		xclient_parse(SPAN("NAME=spike.porcupine.example ADDR=168.100.189.2 PORT=2525 "
				   "PROTO=ESMTP HELO=spike LOGIN=wietse+40x.example "
				   "DESTADDR=192.0.2.5 DESTPORT=25"),
			*state, &x),
		0);
	assert_true(x.has_address && x.has_helo && x.has_login && x.has_extended && x.extended);
	assert_true(span_equal(x.name, SPAN("spike.porcupine.example")));
	expect_address(&x.address, "168.100.189.2:2525");
	assert_true(span_equal(x.helo, SPAN("spike")));
	assert_true(span_equal(x.login, SPAN("wietse@x.example")));
}

static void what_is_not_said_is_left_alone(void **state)
{
	struct xclient x;
	assert_int_equal(xclient_parse(SPAN("proto=smtp"), *state, &x), 0);
	assert_true(x.has_extended && !x.extended);
	assert_true(!x.has_address && !x.has_helo && !x.has_login);
	assert_int_equal(x.name.n, 0);
	/* A port alone names nobody. */
	assert_int_equal(xclient_parse(SPAN("PORT=25"), *state, &x), 0);
	assert_false(x.has_address);
}

static void addresses_come_in_their_forms(void **state)
{
	struct xclient x;
	assert_int_equal(xclient_parse(SPAN("ADDR=IPV6:2001:db8::7 PORT=9"), *state, &x), 0);
	expect_address(&x.address, "[2001:db8::7]:9");
	assert_int_equal(xclient_parse(SPAN("PORT=9 addr=ipv6:2001:DB8::7"), *state, &x), 0);
	expect_address(&x.address, "[2001:db8::7]:9");
	assert_int_equal(xclient_parse(SPAN("ADDR=2001:db8::7"), *state, &x), 0);
	expect_address(&x.address, "2001:db8::7");
	assert_int_equal(xclient_parse(SPAN("ADDR=IPv6:::ffff:192.0.2.1"), *state, &x), 0);
	expect_address(&x.address, "192.0.2.1");
}

static void the_peer_may_not_know(void **state)
{
	struct xclient x;
	assert_int_equal(
		xclient_parse(SPAN("NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] "
				   "HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE] "
				   "DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE]"),
			*state, &x),
		0);
	assert_true(!x.has_address && !x.has_helo && !x.has_extended);
	assert_int_equal(x.name.n, 0);
	/* Said, and nobody. */
	assert_true(x.has_login);
	assert_int_equal(x.login.n, 0);
	assert_int_equal(xclient_parse(SPAN("NAME=[tempunavail] ADDR=192.0.2.1"), *state, &x), 0);
	assert_int_equal(x.name.n, 0);
	assert_true(x.has_address);
	assert_int_equal(xclient_parse(SPAN("NAME=+5BUNAVAILABLE+5D"), *state, &x), 0);
	assert_int_equal(x.name.n, 0);
}

static void xtext_is_decoded(void **state)
{
	struct xclient x;
	assert_int_equal(
		xclient_parse(SPAN("  HELO=[192.0.2.1]   LOGIN=J+C3+b6rg+20+2BX+3D  "), *state, &x),
		0);
	assert_true(span_equal(x.helo, SPAN("[192.0.2.1]")));
	assert_true(span_equal(x.login, SPAN("J\xc3\xb6rg +X=")));
}

static void bad_arguments_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"   ",
		"ADDR",
		"ADDR=",
		"=x",
		"ADDR =192.0.2.1",
		"ADDR= 192.0.2.1",
		"FOO=bar",
		"REVERSE_NAME=x",
		"ADDR=192.0.2.1 ADDR=192.0.2.1",
		"ADDR=192.0.2.1 addr=192.0.2.2",
		"LOGIN=[UNAVAILABLE] LOGIN=joe",
		"ADDR=192.0.2",
		"ADDR=IPV6:192.0.2.1",
		"ADDR=IPV6:",
		"ADDR=[192.0.2.1]",
		"ADDR=client.example",
		"ADDR=IPV6:fe80::1%1",
		"PORT=65536",
		"PORT=-1",
		"PORT=smtp",
		"DESTADDR=here",
		"DESTPORT=x",
		"PROTO=QMTP",
		"PROTO=[UNAVAILABLE]",
		"LOGIN=a=b",
		"LOGIN=a+",
		"LOGIN=a+4",
		"LOGIN=a+4g",
		"LOGIN=a+00",
		"LOGIN=a+0D+0AX",
		"LOGIN=a+FF",
		"LOGIN=a\tb",
		"LOGIN=a\x7f",
		"LOGIN=\xc3\xa4",
		"LOGIN=+E2+80+AEx", /* turns the reading direction */
		"HELO=a+20b",
		"HELO=a+0D+0AX",
		"HELO=a(b)",
		"HELO=+C3+A4",
		"NAME=a+3Cb",
		"NAME=a;b",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct xclient x = {.extended = true};
		assert_int_equal(xclient_parse(span_str(bad[i]), *state, &x), ERR_SYNTAX);
		assert_true(x.extended);
	}
}

static void lengths_are_bounded(void **state)
{
	char text[400] = "HELO=";
	struct xclient x;
	memset(text + 5, 'a', sizeof(text) - 5);
	assert_int_equal(xclient_parse(span_of(text, 5 + 255), *state, &x), 0);
	assert_int_equal(xclient_parse(span_of(text, 5 + 256), *state, &x), ERR_SYNTAX);
	memcpy(text, "LOGIN=", 6);
	assert_int_equal(xclient_parse(span_of(text, 6 + 320), *state, &x), 0);
	assert_int_equal(xclient_parse(span_of(text, 6 + 321), *state, &x), ERR_SYNTAX);
	struct arena small;
	arena_init(&small, 16);
	assert_int_equal(xclient_parse(span_of(text, 6 + 320), &small, &x), ERR_NOMEM);
	arena_reset(&small);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_client_is_described),
		CASE(what_is_not_said_is_left_alone),
		CASE(addresses_come_in_their_forms),
		CASE(the_peer_may_not_know),
		CASE(xtext_is_decoded),
		CASE(bad_arguments_are_refused),
		CASE(lengths_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
