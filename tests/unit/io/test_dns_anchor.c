/* Files with trust anchors. */
#include "base/err.h"
#include "io/dns_anchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SHA256_HEX "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"
#define ED25519	   "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="

static int add(struct dns_anchors *anchors, const char *text)
{
	dns_anchors_init(anchors);
	return dns_anchors_add(anchors, span_str(text), NULL);
}

static void test_records(void **state)
{
	struct dns_anchors a;
	(void)state;

	assert_int_equal(add(&a, "; of the inside\n\n"
				 "Corp.Example. 3600 IN DS 1 13 2 683D2D0ACB8C9B712A1948B27F741219 "
				 "298D0A450D612C483AF444A4C0FB2B16 ; key 1\r\n"
				 ". DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZ HJpBoRQwAQEX1SxZJA4=\n"
				 "\tin.example\tIN\t60\tds\t2\t8\t4\t" SHA256_HEX
				 "00112233445566778899aabbccddeeff\n"
				 "insecure lab.example"),
		0);
	assert_int_equal(a.count, 4);
	assert_int_equal(a.list[0].kind, DNS_ANCHOR_ZONE);
	assert_string_equal(a.list[0].text, "corp.example. IN DS 1 13 2 " SHA256_HEX);
	assert_int_equal(a.list[1].kind, DNS_ANCHOR_ROOT);
	assert_string_equal(a.list[1].text, ". IN DNSKEY 257 3 15 " ED25519);
	assert_int_equal(a.list[2].kind, DNS_ANCHOR_ZONE);
	assert_string_equal(a.list[2].text,
		"in.example. IN DS 2 8 4 " SHA256_HEX "00112233445566778899aabbccddeeff");
	assert_int_equal(a.list[3].kind, DNS_ANCHOR_INSECURE);
	assert_string_equal(a.list[3].text, "lab.example.");
	assert_true(dns_anchors_have_root(&a));
	dns_anchors_done(&a);
	assert_int_equal(a.count, 0);
}

/* As dns-root-data writes it. */
static void test_the_systems_own_file(void **state)
{
	struct dns_anchors a;
	(void)state;

	assert_int_equal(add(&a, ". IN DNSKEY 257 3 15 " ED25519 " ; keytag 20326\n"
				 ".\t172800\tIN\tDNSKEY\t257 3 15 " ED25519
				 " ;{id = 1 (ksk), size = 2048b} ;;state=2 [  VALID  ]\n"),
		0);
	assert_int_equal(a.count, 2);
	assert_true(dns_anchors_have_root(&a));
	dns_anchors_done(&a);
}

static void test_what_is_built_in(void **state)
{
	struct dns_anchors a;
	(void)state;

	assert_int_equal(add(&a, "corp. IN DS 1 13 2 " SHA256_HEX), 0);
	assert_false(dns_anchors_have_root(&a));
	assert_int_equal(dns_anchors_add_root(&a), 0);
	assert_true(dns_anchors_have_root(&a));
	assert_int_equal(a.count, 3);
	assert_int_equal(dns_anchors_add_inside(&a), 0);
	for (uint32_t i = 3; i < a.count; i++) {
		assert_int_equal(a.list[i].kind, DNS_ANCHOR_INSECURE);
		/* Who has keys for it means them. */
		assert_string_not_equal(a.list[i].text, "corp.");
	}
	/* All of it reads as what it is. */
	for (uint32_t i = 0; i < 3; i++) {
		struct dns_anchors again;

		assert_int_equal(add(&again, a.list[i].text), 0);
		assert_string_equal(again.list[0].text, a.list[i].text);
		assert_int_equal(again.list[0].kind, a.list[i].kind);
		dns_anchors_done(&again);
	}
	dns_anchors_done(&a);
}

static void test_mistakes_are_named(void **state)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{"a..b IN DS 1 8 2 " SHA256_HEX, "name of a zone"},
		{"corp.example.", "neither a DS nor a DNSKEY"},
		{"corp.example. IN A 192.0.2.1", "neither a DS nor a DNSKEY"},
		{"corp.example. IN DS 1 8", "have to follow DS"},
		{"corp.example. IN DS 65536 8 2 " SHA256_HEX, "have to follow DS"},
		{"corp.example. IN DS 1 8 1 683D2D0ACB8C9B712A1948B27F741219298D0A45",
			"digest type"},
		{"corp.example. IN DS 1 8 2 " SHA256_HEX "00", "not as long"},
		{"corp.example. IN DS 1 8 2 G8" SHA256_HEX, "not as long"},
		{"corp.example. IN DS 1 8 4 " SHA256_HEX, "not as long"},
		{"corp.example. IN DNSKEY 257 3", "have to follow DNSKEY"},
		{"corp.example. IN DNSKEY 0 3 15 " ED25519, "zone's key"},
		{"corp.example. IN DNSKEY 385 3 15 " ED25519, "revoked"},
		{"corp.example. IN DNSKEY 257 2 15 " ED25519, "protocol 3"},
		{"corp.example. IN DNSKEY 257 3 15 AAAA", "too short"},
		{"corp.example. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZ!", "no base64"},
		{"corp.example. IN DNSKEY 257 3 15", "too short"},
		{"insecure .", "name of a zone"},
		{"insecure a b", "name of a zone"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct dns_anchors a;
		struct buf text, problem;

		buf_init(&text, 4096);
		buf_init(&problem, 256);
		buf_add_str(&text, "; first\n. IN DS 1 8 2 " SHA256_HEX "\n");
		buf_add_str(&text, wrong[i].line);
		dns_anchors_init(&a);
		assert_int_equal(dns_anchors_add(&a, buf_span(&text), &problem), ERR_SYNTAX);
		assert_int_equal(a.count, 0); /* all or none */
		buf_add_char(&problem, '\0');
		assert_non_null(strstr(problem.p, "line 3: "));
		assert_non_null(strstr(problem.p, wrong[i].says));
		buf_done(&text);
		buf_done(&problem);
	}
}

static void test_bounds(void **state)
{
	struct dns_anchors a;
	struct buf text;
	(void)state;

	buf_init(&text, 1 << 20);
	for (int i = 0; i < DNS_ANCHORS; i++)
		buf_add_str(&text, "corp.example. IN DS 1 8 2 " SHA256_HEX "\n");
	dns_anchors_init(&a);
	assert_int_equal(dns_anchors_add(&a, buf_span(&text), NULL), 0);
	assert_int_equal(dns_anchors_add_root(&a), 0);
	assert_int_equal(dns_anchors_add_inside(&a), 0);
	dns_anchors_done(&a);
	buf_add_str(&text, "corp.example. IN DS 1 8 2 " SHA256_HEX "\n");
	dns_anchors_init(&a);
	assert_int_equal(dns_anchors_add(&a, buf_span(&text), NULL), ERR_LIMIT);
	assert_int_equal(a.count, 0);
	buf_clear(&text);
	buf_add_str(&text, ". IN DNSKEY 257 3 8 ");
	for (int i = 0; i < DNS_ANCHOR_TEXT; i++)
		buf_add_str(&text, "AAAA");
	assert_true(dns_anchors_add(&a, buf_span(&text), NULL) < 0);
	assert_int_equal(dns_anchors_add(&a, SPAN_NONE, NULL), 0);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_the_systems_own_file),
		cmocka_unit_test(test_what_is_built_in),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
