#include "base/err.h"
#include "io/dns_rdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static char name[DNS_NAME + 1];
static size_t length;

static void test_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".a", "a..b", "a b", "a\tb", "a\\046b",
		"b\xc3\xbc.x", "a@b", "*.x", "a/b", "a,b", "[::1]"};
	char label[70];
	char most[256];
	(void)state;
	assert_int_equal(dns_name_normal(SPAN("MX1.Example.Org."), name, &length), 0);
	assert_string_equal(name, "mx1.example.org");
	assert_int_equal(length, 15);
	assert_int_equal(dns_name_normal(SPAN("_25._tcp.mx-1.example"), name, &length), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dns_name_normal(span_str(bad[i]), name, &length), ERR_SYNTAX);
	memset(label, 'a', sizeof(label));
	assert_int_equal(dns_name_normal(span_of(label, 63), name, &length), 0);
	assert_int_equal(dns_name_normal(span_of(label, 64), name, &length), ERR_SYNTAX);
	for (size_t i = 0; i < sizeof(most); i++)
		most[i] = i % 2 ? '.' : 'a';
	assert_int_equal(dns_name_normal(span_of(most, 253), name, &length), 0);
	assert_int_equal(length, 253);
	assert_int_equal(dns_name_normal(span_of(most, 254), name, &length), 0); /* a final dot */
	assert_int_equal(dns_name_normal(span_of(most, 255), name, &length), ERR_SYNTAX);
}

static void test_wire_names(void **state)
{
	(void)state;
	assert_int_equal(dns_name_from_wire(SPAN("\3Mx1\7example\0"), name, &length), 0);
	assert_string_equal(name, "mx1.example");
	assert_int_equal(dns_name_from_wire(SPAN("\0"), name, &length), 0);
	assert_int_equal(length, 0);
	static const struct span bad[] = {SPAN(""), SPAN("\3mx1"), SPAN("\4mx1\0"),
		SPAN("\3mx1\xc0\x0c"), SPAN("\xc0\x0c"), SPAN("\3mx1\0x"), SPAN("\0\0"),
		SPAN("\3a.b\0"), SPAN("\3a\0b\0"), SPAN("\1 \0"), SPAN("\x40\0"), SPAN("\xff")};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dns_name_from_wire(bad[i], name, &length), ERR_SYNTAX);
}

static void test_longest_wire_name(void **state)
{
	char wire[300];
	(void)state;
	for (size_t i = 0; i < sizeof(wire); i += 2) {
		wire[i] = 1;
		wire[i + 1] = 'a';
	}
	wire[254] = 0; /* 127 labels of one: 253 bytes as text */
	assert_int_equal(dns_name_from_wire(span_of(wire, 255), name, &length), 0);
	assert_int_equal(length, 253);
	wire[254] = 1;
	wire[256] = 0;
	assert_int_equal(dns_name_from_wire(span_of(wire, 257), name, &length), ERR_SYNTAX);
}

static void test_addresses(void **state)
{
	struct dns_records *r = malloc(sizeof(*r));
	struct dns_answer answer = {0};
	struct buf text;
	(void)state;
	dns_records_clear(r);
	dns_records_add(r, DNS_A, SPAN("\xc0\0\2\1"));
	dns_records_add(r, DNS_A, SPAN("\xc0\0\2"));
	dns_records_add(r, DNS_A, SPAN("\xc0\0\2\1\1"));
	dns_records_add(r, DNS_A, SPAN(""));
	dns_records_into(r, DNS_A, &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.dropped, 3);
	buf_init(&text, 100);
	netaddr_add_ip(&text, &answer.addresses[0]);
	assert_true(span_equal(buf_span(&text), SPAN("192.0.2.1")));
	buf_clear(&text);

	dns_records_clear(r);
	dns_records_add(r, DNS_AAAA, SPAN("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
	dns_records_add(r, DNS_AAAA, SPAN("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"));
	dns_records_add(r, DNS_AAAA, SPAN("\xc0\0\2\1"));
	dns_records_into(r, DNS_AAAA, &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.dropped, 2);
	netaddr_add_ip(&text, &answer.addresses[0]);
	assert_true(span_equal(buf_span(&text), SPAN("2001:db8::1")));
	buf_done(&text);
	free(r);
}

static void test_mx(void **state)
{
	struct dns_records *r = malloc(sizeof(*r));
	struct dns_answer answer = {0};
	(void)state;
	dns_records_clear(r);
	dns_records_add(r, DNS_MX, SPAN("\0\x0a\3mx1\7example\0"));
	dns_records_add(r, DNS_MX, SPAN("\xff\xff\3mx2\7example\0"));
	dns_records_add(r, DNS_MX, SPAN("\0\0\0"));
	dns_records_add(r, DNS_MX, SPAN("\0\0"));
	dns_records_add(r, DNS_MX, SPAN(""));
	dns_records_add(r, DNS_MX, SPAN("\0\x0a\3mx1\7example"));
	dns_records_into(r, DNS_MX, &answer);
	assert_int_equal(answer.count, 3);
	assert_int_equal(answer.dropped, 3);
	assert_int_equal(answer.mx[0].preference, 10);
	assert_true(span_equal(answer.mx[0].name, SPAN("mx1.example")));
	assert_int_equal(answer.mx[1].preference, 65535);
	assert_true(span_equal(answer.mx[1].name, SPAN("mx2.example")));
	assert_int_equal(answer.mx[2].name.n, 0);
	free(r);
}

static void test_too_many(void **state)
{
	struct dns_records *r = malloc(sizeof(*r));
	struct dns_answer answer = {0};
	(void)state;
	dns_records_clear(r);
	for (int i = 0; i < 1000; i++)
		dns_records_add(r, DNS_TXT, SPAN("\1x"));
	dns_records_into(r, DNS_TXT, &answer);
	assert_int_equal(answer.count, DNS_RECORDS);
	assert_int_equal(answer.dropped, 1000 - DNS_RECORDS);
	assert_true(span_equal(answer.rdata[0], SPAN("\1x")));
	free(r);
}

static void test_servers(void **state)
{
	static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a:", "a:0", "a:65536",
		"a:b", "a b", "[::1", "[::1]:x", "a:53:53"};
	struct dns_server s[DNS_SERVERS];
	uint32_t count;
	(void)state;
	assert_int_equal(
		dns_servers_parse(
			SPAN("ns1.example.org, 192.0.2.53 ,127.0.0.1:5353,[::1]:53,::1,NS2.x:54"),
			s, &count),
		0);
	assert_int_equal(count, 6);
	assert_true(span_equal(s[0].name, SPAN("ns1.example.org")));
	assert_int_equal(s[0].port, 53);
	assert_int_equal(s[0].address.family, NETADDR_NONE);
	assert_int_equal(s[1].address.family, NETADDR_V4);
	assert_int_equal(s[1].address.port, 53);
	assert_int_equal(s[2].address.port, 5353);
	assert_int_equal(s[3].address.family, NETADDR_V6);
	assert_int_equal(s[4].address.family, NETADDR_V6);
	assert_int_equal(s[5].port, 54);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dns_servers_parse(span_str(bad[i]), s, &count), ERR_SYNTAX);
	assert_int_equal(dns_servers_parse(SPAN("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"), s, &count), 0);
	assert_int_equal(
		dns_servers_parse(SPAN("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"), s, &count), ERR_LIMIT);
}

static void test_resolv_conf(void **state)
{
	static const char text[] = "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\n"
				   "domain example.org\nnameserver 192.0.2.3\n"
				   "\tNAMESERVER\t2001:db8::1   # ours\r\nnameserver\nnameserver \n"
				   "nameservers 192.0.2.4\nnameserver fe80::1%eth0\n"
				   "nameserver ns.example.org\noptions edns0\n\n"
				   "nameserver 192.0.2.5;\nnameserver 192.0.2.6";
	struct netaddr a[DNS_SERVERS];
	struct buf many, shown;
	(void)state;

	assert_int_equal(dns_resolv_conf_parse(span_of(text, sizeof(text) - 1), a), 4);
	buf_init(&shown, 1000);
	for (int i = 0; i < 4; i++) {
		netaddr_add(&shown, &a[i]);
		buf_add_char(&shown, i < 3 ? ' ' : '\0');
	}
	assert_string_equal(shown.p, "192.0.2.3:53 [2001:db8::1]:53 192.0.2.5:53 192.0.2.6:53");
	buf_done(&shown);
	buf_init(&many, 10000);
	for (int i = 0; i < 100; i++)
		buf_add_str(&many, "nameserver 192.0.2.1\n");
	assert_int_equal(dns_resolv_conf_parse(buf_span(&many), a), DNS_SERVERS);
	buf_done(&many);
	assert_int_equal(dns_resolv_conf_parse(SPAN_NONE, a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_wire_names),
		cmocka_unit_test(test_longest_wire_name),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_resolv_conf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
