#include "directory/server_syntax.h"

#include "common.h"

static void assert_server(
	const char *text, const char *host, uint16_t port, const char *zone, const char *query)
{
	struct arena arena;
	struct server server;
	struct buf why;

	arena_init(&arena, 100000);
	buf_init(&why, 1000);
	int err = server_parse(span_str(text), &arena, &server, &why);
	if (err < 0)
		fail_msg("%s: %s", text, text_of(&why));
	assert_span(server.host, host);
	assert_int_equal(server.port, port);
	assert_span(server.zone, zone);
	assert_span(server.query, query);
	buf_done(&why);
	arena_reset(&arena);
}

static void fixed_servers(void **state)
{
	(void)state;
	assert_server("mail.example.org", "mail.example.org", 25, "", "");
	assert_server("Mail.Example.ORG.", "mail.example.org", 25, "", "");
	assert_server("mail.example.org:2525", "mail.example.org", 2525, "", "");
	assert_server("localhost", "localhost", 25, "", "");
	assert_server("192.0.2.1", "192.0.2.1", 25, "", "");
	assert_server("127.0.0.1:2626", "127.0.0.1", 2626, "", "");
	assert_server("[2001:db8::1]", "2001:db8::1", 25, "", "");
	assert_server("[2001:db8::1]:2525", "2001:db8::1", 2525, "", "");
	assert_server("2001:db8::1", "2001:db8::1", 25, "", "");
	assert_server("[192.0.2.1]:26", "192.0.2.1", 26, "", "");
	assert_server("b\xc3\xbc"
		      "cher.example:26",
		"xn--bcher-kva.example", 26, "", "");
	assert_server("  mail.example.org  ", "mail.example.org", 25, "", "");
	/* a host that only begins like the word */
	assert_server("lookup-mx.example.org", "lookup-mx.example.org", 25, "", "");
}

static void lookups_as_the_manual_shows_them(void **state)
{
	(void)state;
	assert_server("lookup-mx", "", 25, "", "");
	assert_server("lookup-mx:zone=customer.example.org", "", 25, "customer.example.org", "");
	assert_server("lookup-mx:query=ns1.example.org,ns2.example.org", "", 25, "",
		"ns1.example.org,ns2.example.org");
	assert_server("lookup-mx:zone=customer.example.org;query=ns1.example.org,ns2.example.org",
		"", 25, "customer.example.org", "ns1.example.org,ns2.example.org");
	assert_server("lookup-mx:query=127.0.0.1:5353,[2001:db8::53]:5353;zone=Z.example", "", 25,
		"z.example", "127.0.0.1:5353,[2001:db8::53]:5353");
	assert_server("lookup-mx:port=2525", "", 2525, "", "");
}

static void refused(void **state)
{
	static const char *const bad[] = {"", " ", ":25", "host:", "host:0", "host:65536",
		"host:25:26", "host:smtp", "host name", "-host.example", "host-.example", "a..b",
		".a", "a_b.example", "1.2.3", "300.1.1.1", "[2001:db8::1", "[2001:db8::1]x",
		"[2001:db8::1]:", "[mail.example]", "[]", "lookup-mx:", "lookup-mx:zone",
		"lookup-mx:zone=", "lookup-mx:zone=a b", "lookup-mx:zone=a.example;",
		"lookup-mx:zone=a.example;zone=b.example",
		"lookup-mx:query=", "lookup-mx:query=a,,b", "lookup-mx:query=a:0",
		"lookup-mx:server=a", "lookup-mx:query=a,b,c,d,e,f,g,h,i", "lookup-mx:port=0",
		"lookup-mx:ZONE=a.example", "ma\xff.example", "mail\x01.example"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena arena;
		struct server server = {.port = 7};
		struct buf why;
		arena_init(&arena, 100000);
		buf_init(&why, 1000);
		if (server_parse(span_str(bad[i]), &arena, &server, &why) != ERR_SYNTAX)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(why.n > 0);
		assert_int_equal(server.port, 7);
		buf_done(&why);
		arena_reset(&arena);
	}
}

static void ports_out_of_range_are_named(void **state)
{
	static const struct {
		const char *server, *why;
	} table[] = {{"127.0.0.1:99999", "the port is a number from 1 to 65535"},
		{"host:0", "the port is a number from 1 to 65535"},
		{"[2001:db8::1]:smtp", "the port is a number from 1 to 65535"},
		{"lookup-mx:port=99999", "port= takes a number from 1 to 65535"},
		{"lookup-mx:query=127.0.0.1:99999", "the port is a number from 1 to 65535"},
		{"host:25:26", "neither host[:port]"}};
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arena arena;
		struct server server;
		struct buf why;
		arena_init(&arena, 100000);
		buf_init(&why, 1000);
		assert_int_equal(
			server_parse(span_str(table[i].server), &arena, &server, &why), ERR_SYNTAX);
		assert_has(&why, table[i].why);
		buf_done(&why);
		arena_reset(&arena);
	}
}

static void too_long(void **state)
{
	char text[SERVER_TEXT_BYTES + 2];
	struct arena arena;
	struct server server;

	(void)state;
	memset(text, 'a', sizeof(text));
	arena_init(&arena, 100000);
	assert_int_equal(
		server_parse(span_of(text, sizeof(text)), &arena, &server, NULL), ERR_SYNTAX);
	arena_reset(&arena);
	arena_init(&arena, 16);
	assert_int_equal(
		server_parse(SPAN("mail.example.org:2525"), &arena, &server, NULL), ERR_NOMEM);
	arena_reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_servers),
		cmocka_unit_test(lookups_as_the_manual_shows_them),
		cmocka_unit_test(refused),
		cmocka_unit_test(ports_out_of_range_are_named),
		cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
