/* The Received field: RFC 5321 section 4.4, RFC 3848, and nothing of a client's in it that could
 * pass for ours. */
#include "smtpd/received.h"

#include "io/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct received sample(void)
{
	return (struct received){
		.helo = SPAN("client.example"),
		.client = {.family = NETADDR_V4, .ip = {192, 0, 2, 7}},
		.hostname = SPAN("gw.example.test"),
		.protocol = SPAN("ESMTP"),
		.id = 1,
		.recipient = SPAN("ann@c.example"),
		.wall_ms = 1795298077123,
	};
}

static void check(const struct received *received, const char *want)
{
	struct buf buf;

	buf_init(&buf, 4096);
	received_add(&buf, received);
	assert_true(buf_ok(&buf));
	buf_add_char(&buf, '\0');
	assert_string_equal(buf.p, want);
	buf_done(&buf);
}

static void the_field_as_the_rfc_has_it(void **state)
{
	(void)state;
	struct received r = sample();

	check(&r, "Received: from client.example ([192.0.2.7])\r\n"
		  "\tby gw.example.test (Postern) with ESMTP id 0000000000001\r\n"
		  "\tfor <ann@c.example>; Sat, 21 Nov 2026 21:54:37 +0000\r\n");
}

static void how_the_link_was_protected(void **state)
{
	(void)state;
	const struct tls_info tls = {
		.version = SPAN("TLSv1.3"), .cipher = SPAN("TLS_AES_128_GCM_SHA256")};
	struct received r = sample();

	r.protocol = SPAN("ESMTPSA");
	r.tls = &tls;
	check(&r, "Received: from client.example ([192.0.2.7])\r\n"
		  "\tby gw.example.test (Postern) with ESMTPSA\r\n"
		  "\t(TLSv1.3 TLS_AES_128_GCM_SHA256) id 0000000000001\r\n"
		  "\tfor <ann@c.example>; Sat, 21 Nov 2026 21:54:37 +0000\r\n");
}

static void several_recipients_do_not_learn_of_each_other(void **state)
{
	(void)state;
	struct received r = sample();

	r.recipient = SPAN_NONE;
	check(&r, "Received: from client.example ([192.0.2.7])\r\n"
		  "\tby gw.example.test (Postern) with ESMTP id 0000000000001;\r\n"
		  "\tSat, 21 Nov 2026 21:54:37 +0000\r\n");
}

static void an_ipv6_client(void **state)
{
	(void)state;
	struct received r = sample();

	r.client = (struct netaddr){.family = NETADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	r.recipient = SPAN_NONE;
	check(&r, "Received: from client.example ([IPv6:2001:db8::1])\r\n"
		  "\tby gw.example.test (Postern) with ESMTP id 0000000000001;\r\n"
		  "\tSat, 21 Nov 2026 21:54:37 +0000\r\n");
}

static void lines_stay_short_where_words_allow(void **state)
{
	(void)state;
	struct received r = sample();
	struct buf buf;
	static const char letters[] =
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg";

	buf_init(&buf, 4096);
	r.helo = span_of(letters, 60);
	r.hostname = span_of(letters, 50);
	r.recipient = span_of(letters, 60);
	received_add(&buf, &r);
	assert_true(buf_ok(&buf));
	for (struct span left = buf_span(&buf); left.n;) {
		size_t n = span_find(left, '\r');
		/* A tab counts to the next place of eight. */
		assert_true(n + (left.p[0] == '\t' ? 7 : 0) <= 78);
		assert_true(left.p[n + 1] == '\n');
		left = span_skip(left, n + 2);
		assert_true(!left.n || left.p[0] == '\t');
	}
	buf_done(&buf);
}

static void hostile_names_do_no_harm(void **state)
{
	(void)state;
	struct received r = sample();

	r.recipient = SPAN_NONE;
	r.helo = SPAN("a\r\nX-Evil: (1) b; \xff");
	check(&r, "Received: from a??X-Evil:??1??b??? ([192.0.2.7])\r\n"
		  "\tby gw.example.test (Postern) with ESMTP id 0000000000001;\r\n"
		  "\tSat, 21 Nov 2026 21:54:37 +0000\r\n");
	r.helo = SPAN_NONE;
	r.recipient = SPAN("a\r\nb@c.example");
	check(&r, "Received: from unknown ([192.0.2.7])\r\n"
		  "\tby gw.example.test (Postern) with ESMTP id 0000000000001\r\n"
		  "\tfor <a??b@c.example>; Sat, 21 Nov 2026 21:54:37 +0000\r\n");
}

static void how_it_came(void **state)
{
	(void)state;
	static const struct {
		struct received_how how;
		const char *name;
	} cases[] = {
		{{false, false, false, false}, "SMTP"},
		/* RFC 3848 has no word for HELO over TLS. */
		{{false, false, true, false}, "SMTP"},
		{{true, false, false, false}, "ESMTP"},
		{{true, false, true, false}, "ESMTPS"},
		{{true, false, false, true}, "ESMTPA"},
		{{true, false, true, true}, "ESMTPSA"},
		{{true, true, false, false}, "UTF8SMTP"},
		{{true, true, true, false}, "UTF8SMTPS"},
		{{true, true, false, true}, "UTF8SMTPA"},
		{{true, true, true, true}, "UTF8SMTPSA"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(span_equal(received_protocol(&cases[i].how), span_str(cases[i].name)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_field_as_the_rfc_has_it),
		cmocka_unit_test(how_the_link_was_protected),
		cmocka_unit_test(several_recipients_do_not_learn_of_each_other),
		cmocka_unit_test(an_ipv6_client),
		cmocka_unit_test(lines_stay_short_where_words_allow),
		cmocka_unit_test(hostile_names_do_no_harm),
		cmocka_unit_test(how_it_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
