#include "directory/range.h"

#include "base/check.h"
#include "base/prng.h"
#include "common.h"

#include <stdlib.h>

static struct netaddr ip(const char *text)
{
	struct netaddr a;

	if (netaddr_parse_ip(span_str(text), &a) < 0)
		fail_msg("%s is no address", text);
	return a;
}

static struct address_range range(const char *text)
{
	struct address_range r;
	struct buf why;

	buf_init(&why, 1000);
	if (range_parse(span_str(text), &r, &why) < 0)
		fail_msg("%s: %s", text, text_of(&why));
	buf_done(&why);
	return r;
}

static bool holds(const char *text, const char *address)
{
	struct address_range r = range(text);
	struct netaddr a = ip(address);

	return range_holds(&r, &a);
}

static void every_form_has_one_canonical_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{" 192.0.2.1\t", "192.0.2.1"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"192.0.2.0/24", "192.0.2.0/24"},
		{"192.0.2.0-192.0.2.255", "192.0.2.0/24"},
		{"192.0.2.1 - 192.0.2.9", "192.0.2.1-192.0.2.9"},
		{"192.0.2.7-192.0.2.7", "192.0.2.7"},
		{"192.0.2.8-192.0.2.15", "192.0.2.8/29"},
		{"192.0.2.4-192.0.2.11", "192.0.2.4-192.0.2.11"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
		{"128.0.0.0/1", "128.0.0.0/1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"2001:db8::-2001:db8::ffff", "2001:db8::/112"},
		{"2001:db8::1-2001:db8::2", "2001:db8::1-2001:db8::2"},
		{"::/0", "::/0"},
		{"::1/128", "::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.0/120", "192.0.2.0/24"},
		{"::ffff:0:0/96", "0.0.0.0/0"},
		{"::ffff:192.0.2.1-::ffff:c000:202", "192.0.2.1-192.0.2.2"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_range r = range(cases[i].in), again;
		struct buf text;
		buf_init(&text, 1000);
		range_add(&text, &r);
		assert_text(&text, cases[i].out);
		again = range(cases[i].out);
		assert_memory_equal(&again, &r, sizeof(r));
		buf_done(&text);
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *in, *why;
	} cases[] = {
		{"", "it is empty"},
		{"  ", "it is empty"},
		{"192.0.2", "\"192.0.2\" is no IP address"},
		{"192.0.2.256", "is no IP address"},
		{"192.0.2.1:25", "is no IP address"},
		{"[2001:db8::1]", "is no IP address"},
		{"gw.example", "is no IP address"},
		{"a\x01\"b", "\"a\\x01\\x22b\" is no IP address"},
		{"192.0.2.0/33", "the prefix must be 0 to 32"},
		{"192.0.2.0/", "the prefix must be 0 to 32"},
		{"192.0.2.0/-1", "is no IP address"},
		{"192.0.2.0/255.255.255.0", "the prefix must be 0 to 32"},
		{"2001:db8::/129", "the prefix must be 0 to 128"},
		{"::ffff:192.0.2.0/24", "the prefix must be 96 to 128"},
		{"::ffff:192.0.2.0/129", "the prefix must be 96 to 128"},
		{"192.0.2.1/24", "bits are set behind the prefix; the network is 192.0.2.0/24"},
		{"2001:db8::1/64", "the network is 2001:db8::/64"},
		{"::ffff:192.0.2.1/120", "the network is 192.0.2.0/24"},
		{"192.0.2.9-192.0.2.1", "the last address is before the first"},
		{"192.0.2.1-2001:db8::1", "one IP version"},
		{"192.0.2.1-", "\"\" is no IP address"},
		{"-192.0.2.1", "\"\" is no IP address"},
		{"192.0.2.1-192.0.2.2-192.0.2.3", "is no IP address"},
		{"192.0.2.0/24-192.0.3.0/24", "is no IP address"},
		{"fe80::1%2", "an interface (%)"},
		{"192.0.2.1\n192.0.2.2", "is no IP address"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_range r;
		struct buf why;
		buf_init(&why, 1000);
		memset(&r, 7, sizeof(r));
		assert_int_equal(range_parse(span_str(cases[i].in), &r, &why), ERR_SYNTAX);
		assert_has(&why, cases[i].why);
		assert_int_equal(r.first.family, 7); /* untouched */
		assert_int_equal(range_parse(span_str(cases[i].in), &r, NULL), ERR_SYNTAX);
		buf_done(&why);
	}
	struct address_range r;
	assert_int_equal(range_parse(span_of("1.2.3.4\0", 8), &r, NULL), ERR_SYNTAX);
	assert_int_equal(range_parse(SPAN_NONE, &r, NULL), ERR_SYNTAX);
}

static void edges_belong_to_it(void **state)
{
	(void)state;
	assert_true(holds("192.0.2.0/24", "192.0.2.0"));
	assert_true(holds("192.0.2.0/24", "192.0.2.255"));
	assert_false(holds("192.0.2.0/24", "192.0.1.255"));
	assert_false(holds("192.0.2.0/24", "192.0.3.0"));
	assert_true(holds("192.0.2.1-192.0.2.9", "192.0.2.9"));
	assert_false(holds("192.0.2.1-192.0.2.9", "192.0.2.10"));
	assert_true(holds("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(holds("2001:db8::/32", "2001:db9::"));
	assert_true(holds("fe80::/10", "fe80::1%4"));
}

/* One host has one form: what reached an IPv6 socket by IPv4 is IPv4. */
static void the_versions_are_apart(void **state)
{
	(void)state;
	assert_true(holds("192.0.2.0/24", "::ffff:192.0.2.1"));
	assert_true(holds("::ffff:192.0.2.0/120", "192.0.2.1"));
	assert_false(holds("::/0", "192.0.2.1"));
	assert_false(holds("::/0", "::ffff:192.0.2.1"));
	assert_false(holds("0.0.0.0/0", "2001:db8::1"));
	assert_false(holds("0.0.0.0/0", "::"));
	/* Also one that somebody put together himself. */
	struct address_range all_v6 = range("::/0"), v4 = range("192.0.2.0/24");
	struct netaddr mapped = {
		.family = NETADDR_V6, .ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
	assert_false(range_holds(&all_v6, &mapped));
	assert_true(range_holds(&v4, &mapped));
	struct netaddr none = {0};
	struct address_range zero = range("0.0.0.0/0");
	assert_false(range_holds(&zero, &none));
}

static void lists(void **state)
{
	struct netaddr a = ip("198.51.100.9"), mapped = ip("::ffff:198.51.100.9"), b = ip("::2");
	struct netaddr port = a;
	(void)state;
	port.port = 4711;
	struct span list = SPAN("192.0.2.0/24\n198.51.100.7-198.51.100.20\n::1");
	assert_true(range_list_holds(list, &a));
	assert_true(range_list_holds(list, &mapped));
	assert_true(range_list_holds(list, &port));
	assert_false(range_list_holds(list, &b));
	assert_false(range_list_holds(SPAN_NONE, &a));
	assert_false(range_list_holds(SPAN("\n\n"), &a));
	assert_true(range_list_holds(SPAN("198.51.100.9\n"), &a));
}

static void assert_merged(const char *in, const char *out)
{
	struct address_range ranges[16];
	struct span rest = span_str(in);
	uint32_t count = 0;
	struct buf text;

	while (rest.n) {
		size_t n = span_find(rest, ' ');
		assert_true(count < ARRAY_SIZE(ranges));
		assert_int_equal(range_parse(span_of(rest.p, n), &ranges[count++], NULL), 0);
		rest = span_skip(rest, n + 1);
	}
	count = range_merge(ranges, count);
	buf_init(&text, 1000);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(&text, ' ');
		range_add(&text, &ranges[i]);
	}
	assert_text(&text, out);
	buf_done(&text);
}

static void merging(void **state)
{
	(void)state;
	assert_merged("", "");
	assert_merged("192.0.2.1", "192.0.2.1");
	assert_merged("192.0.2.1 192.0.2.1", "192.0.2.1");
	assert_merged("192.0.2.128/25 192.0.2.0/25", "192.0.2.0/24");
	assert_merged("192.0.2.3 192.0.2.1", "192.0.2.1 192.0.2.3");
	assert_merged("192.0.2.0/24 192.0.2.9", "192.0.2.0/24");
	assert_merged("192.0.2.1-192.0.2.9 192.0.2.5-192.0.2.20 192.0.2.2", "192.0.2.1-192.0.2.20");
	assert_merged("255.255.255.255 0.0.0.0 255.255.255.0/24", "0.0.0.0 255.255.255.0/24");
	/* The last of version 4 and the first of version 6 are no neighbours. */
	assert_merged("::/127 255.255.255.255 ::2", "255.255.255.255 ::-::2");
	assert_merged("::/0 ffff:: 0.0.0.0/0 10.0.0.0/8", "0.0.0.0/0 ::/0");
	assert_merged("::ffff:10.0.0.0/104 11.0.0.0/8", "10.0.0.0/7");
}

/* Any ranges of a small world, merged, hold exactly what they held. */
static void merging_keeps_what_is_held(void **state)
{
	struct prng prng;
	(void)state;

	prng_seed(&prng, 7);
	for (int round = 0; round < 2000; round++) {
		struct address_range given[12], merged[12];
		uint32_t count = (uint32_t)prng_below(&prng, ARRAY_SIZE(given) + 1);
		for (uint32_t i = 0; i < count; i++) {
			bool v6 = prng_below(&prng, 2);
			struct netaddr first = {.family = v6 ? NETADDR_V6 : NETADDR_V4};
			struct netaddr last = first;
			unsigned at = v6 ? 15 : 3;
			first.ip[at] = (uint8_t)prng_below(&prng, 64);
			last.ip[at] = (uint8_t)(first.ip[at] + prng_below(&prng, 12));
			given[i] = (struct address_range){first, last};
		}
		memcpy(merged, given, sizeof(given));
		uint32_t left = range_merge(merged, count);
		for (unsigned value = 0; value < 160; value++) {
			struct netaddr a = {.family = value & 1 ? NETADDR_V6 : NETADDR_V4};
			bool before = false;
			uint32_t after = 0;
			a.ip[value & 1 ? 15 : 3] = (uint8_t)(value / 2);
			for (uint32_t i = 0; i < count; i++)
				before = before || range_holds(&given[i], &a);
			for (uint32_t i = 0; i < left; i++)
				after += range_holds(&merged[i], &a);
			assert_int_equal(after, before);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_has_one_canonical_text),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(edges_belong_to_it),
		cmocka_unit_test(the_versions_are_apart),
		cmocka_unit_test(lists),
		cmocka_unit_test(merging),
		cmocka_unit_test(merging_keeps_what_is_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
