/*
 * RFC 5321 section 5.1 as a table: a small world of DNS records, a question, and the list or
 * verdict that must come out, with the answers taken in every order.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/prng.h"
#include "route/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORLD 80

/* "name TYPE value": MX "10 host", A and AAAA an address; NXDOMAIN, SERVFAIL, BOGUS, NODATA have no
 * value and stand for every type (TYPE "*") or one. What is not in the world does not exist. */
struct record {
	const char *name, *type, *value;
	uint32_t ttl;
};

static const struct record *world;
static uint32_t asked;
static bool shuffle_answers;
static struct netaddr listeners[3];
static struct route_config self = {SPAN("gw.example.test"), listeners, 3, NULL, 0};

static struct netaddr address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_str(text), 0, &a), 0);
	return a;
}

static int setup(void **state)
{
	(void)state;
	listeners[0] = address("127.0.0.1:2525");
	listeners[1] = address("192.0.2.25:25");
	listeners[2] = address("[2001:db8::25]:25");
	return 0;
}

static const char *type_name(enum dns_type type)
{
	return type == DNS_MX ? "MX" : type == DNS_A ? "A" : "AAAA";
}

static void answer(struct mx *mx, const struct mx_question *q)
{
	struct netaddr addresses[WORLD];
	struct dns_mx exchangers[WORLD];
	struct dns_answer a = {.status = DNS_NXDOMAIN, .ttl_s = 3600};

	for (const struct record *r = world; r->name; r++) {
		if (!span_equal(span_str(r->name), q->name))
			continue;
		if (a.status == DNS_NXDOMAIN)
			a.status = DNS_NODATA;
		if (strcmp(r->type, "*") != 0 && strcmp(r->type, type_name(q->type)) != 0)
			continue;
		if (r->ttl)
			a.ttl_s = MIN(a.ttl_s, r->ttl);
		if (!r->value) {
			continue;
		} else if (!strcmp(r->value, "SERVFAIL")) {
			a = (struct dns_answer){
				.status = DNS_TEMPORARY, .ttl_s = 1, .reason = SPAN("SERVFAIL")};
			break;
		} else if (!strcmp(r->value, "BOGUS")) {
			a = (struct dns_answer){
				.status = DNS_BOGUS, .ttl_s = 1, .reason = SPAN("forged")};
			break;
		} else if (!strcmp(r->value, "NXDOMAIN")) {
			a.status = DNS_NXDOMAIN;
			break;
		} else if (!strcmp(r->value, "GARBAGE")) {
			a.dropped++;
		} else if (q->type == DNS_MX) {
			char *name;
			exchangers[a.count].preference = (uint16_t)strtoul(r->value, &name, 10);
			exchangers[a.count++].name = span_str(*name ? name + 1 : name);
			a.status = DNS_OK;
		} else {
			addresses[a.count++] = address(r->value);
			a.status = DNS_OK;
		}
	}
	a.mx = exchangers;
	a.addresses = addresses;
	mx_answer(mx, q->id, &a);
}

static struct mx_result *look_up_query(const struct mx_query *query)
{
	struct mx_question open[1 + 2 * MX_HOSTS];
	struct mx_result *result = NULL;
	struct prng prng;
	struct mx *mx;
	uint32_t count = 0;

	asked = 0;
	prng_seed(&prng, query->random);
	assert_int_equal(mx_new(query, &mx), 0);
	for (;;) {
		while (count < sizeof(open) / sizeof(open[0]) && mx_next(mx, &open[count])) {
			asked++;
			count++;
		}
		if (!count)
			break;
		assert_false(mx_finished(mx));
		uint32_t pick = shuffle_answers ? (uint32_t)prng_below(&prng, count) : 0;
		struct mx_question q = open[pick];
		open[pick] = open[--count];
		answer(mx, &q);
		answer(mx, &q); /* told twice: no harm */
	}
	assert_true(mx_finished(mx));
	assert_int_equal(mx_finish(mx, &result), 0);
	mx_free(&mx);
	assert_null(mx);
	assert_in_range(result->ttl_s, DNS_TTL_LEAST, DNS_TTL_MOST);
	return result;
}

static struct mx_query query_for(const char *domain)
{
	return (struct mx_query){.domain = span_str(domain),
		.port = 25,
		.v4 = true,
		.v6 = true,
		.random = 1,
		.private_hosts = true, /* the world is made of documentation addresses */
		.self = &self};
}

/* "host=address,address host=…" in the order to try, or "code x.y.z". */
static void render(const struct mx_result *r, char *to, size_t room)
{
	struct buf buf;

	buf_init(&buf, room - 1);
	if (r->verdict.kind != VERDICT_OK) {
		assert_int_equal(r->address_count, 0);
		assert_int_equal(r->verdict.kind,
			r->verdict.code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT);
		assert_true(r->verdict.length > 0);
		buf_printf(&buf, "%u %u.%u.%u", r->verdict.code, r->verdict.enhanced.class,
			r->verdict.enhanced.subject, r->verdict.enhanced.detail);
	}
	for (uint32_t i = 0; i < r->address_count; i++) {
		const struct mx_address *a = &r->addresses[i];

		assert_true(a->host < r->host_count);
		assert_true(a->address.port != 0);
		if (i && a->host == a[-1].host) {
			buf_add_char(&buf, ',');
		} else {
			if (i) {
				assert_int_equal(a->host, a[-1].host + 1);
				buf_add_char(&buf, ' ');
			}
			buf_add_span(&buf, r->hosts[a->host].name);
			buf_add_char(&buf, '=');
		}
		netaddr_add_ip(&buf, &a->address);
	}
	if (r->incomplete)
		buf_add_str(&buf, " and others");
	assert_true(buf_ok(&buf));
	memcpy(to, buf.p, buf.n);
	to[buf.n] = '\0';
	buf_done(&buf);
}

static void expect_query(
	const struct record *records, const struct mx_query *query, const char *should)
{
	char is[4096];

	world = records;
	for (uint64_t seed = 0; seed < 8; seed++) {
		struct mx_query q = *query;
		shuffle_answers = seed > 0;
		q.random += seed;
		struct mx_result *r = look_up_query(&q);
		render(r, is, sizeof(is));
		assert_string_equal(is, should);
		mx_result_free(&r);
		assert_null(r);
	}
}

static void expect(const struct record *records, const char *domain, const char *should)
{
	struct mx_query query = query_for(domain);
	expect_query(records, &query, should);
}

static void test_by_preference(void **state)
{
	static const struct record w[] = {{"b.example", "MX", "30 mx3.b.example", 0},
		{"b.example", "MX", "10 mx1.b.example", 0},
		{"b.example", "MX", "20 mx2.b.example", 0},
		{"mx1.b.example", "A", "198.51.100.1", 0},
		{"mx2.b.example", "A", "198.51.100.2", 0},
		{"mx2.b.example", "AAAA", "2001:db8:1::2", 0},
		{"mx3.b.example", "AAAA", "2001:db8:1::3", 0}, {0}};
	(void)state;
	expect(w, "b.example",
		"mx1.b.example=198.51.100.1 mx2.b.example=2001:db8:1::2,198.51.100.2 "
		"mx3.b.example=2001:db8:1::3");
	/* Case and a final dot make no difference. */
	expect(w, "B.Example.",
		"mx1.b.example=198.51.100.1 mx2.b.example=2001:db8:1::2,198.51.100.2 "
		"mx3.b.example=2001:db8:1::3");
}

static void test_equal_preferences_are_shuffled(void **state)
{
	static const struct record w[] = {{"b.example", "MX", "10 one.example", 0},
		{"b.example", "MX", "10 two.example", 0},
		{"b.example", "MX", "10 three.example", 0}, {"one.example", "A", "198.51.100.1", 0},
		{"two.example", "A", "198.51.100.2", 0}, {"three.example", "A", "198.51.100.3", 0},
		{0}};
	uint32_t first[3] = {0};
	struct mx_query query = query_for("b.example");
	(void)state;
	world = w;
	for (query.random = 0; query.random < 300; query.random++) {
		struct mx_result *r = look_up_query(&query);
		assert_int_equal(r->address_count, 3);
		first[r->addresses[0].address.ip[3] - 1]++;
		mx_result_free(&r);
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(first[i], 60, 140);
}

static void test_families_alternate(void **state)
{
	static const struct record w[] = {{"b.example", "MX", "10 mx", 0},
		{"mx", "A", "198.51.100.1", 0}, {"mx", "A", "198.51.100.2", 0},
		{"mx", "A", "198.51.100.3", 0}, {"mx", "AAAA", "2001:db8:1::1", 0},
		{"mx", "AAAA", "2001:db8:1::2", 0}, {0}};
	struct mx_query query = query_for("b.example");
	(void)state;
	expect(w, "b.example",
		"mx=2001:db8:1::1,198.51.100.1,2001:db8:1::2,198.51.100.2,198.51.100.3");
	query.v6 = false;
	expect_query(w, &query, "mx=198.51.100.1,198.51.100.2,198.51.100.3");
	assert_int_equal(asked, 2);
	query.v6 = true;
	query.v4 = false;
	expect_query(w, &query, "mx=2001:db8:1::1,2001:db8:1::2");
}

static void test_implicit_mx(void **state)
{
	static const struct record w[] = {{"b.example", "A", "198.51.100.1", 0},
		{"b.example", "AAAA", "2001:db8:1::1", 0}, {"empty.example", "*", NULL, 0},
		{"six.example", "AAAA", "2001:db8:1::6", 0},
		{"half.example", "AAAA", "SERVFAIL", 0}, {"half.example", "A", "198.51.100.4", 0},
		{"fail.example", "A", "SERVFAIL", 0}, {0}};
	(void)state;
	expect(w, "b.example", "b.example=2001:db8:1::1,198.51.100.1");
	expect(w, "six.example", "six.example=2001:db8:1::6");
	expect(w, "empty.example", "550 5.4.4");
	expect(w, "none.example", "550 5.1.2");
	assert_int_equal(asked, 1);
	expect(w, "half.example", "half.example=198.51.100.4");
	expect(w, "fail.example", "451 4.4.3");
}

static void test_null_mx(void **state)
{
	static const struct record w[] = {{"null.example", "MX", "0 ", 0},
		{"null.example", "A", "198.51.100.1", 0}, {"dot.example", "MX", "0 .", 0},
		{"odd.example", "MX", "0 ", 0}, {"odd.example", "MX", "10 mx", 0},
		{"mx", "A", "198.51.100.1", 0}, {0}};
	(void)state;
	expect(w, "null.example", "556 5.1.10");
	assert_int_equal(asked, 1); /* no fall-back to the address */
	expect(w, "dot.example", "556 5.1.10");
	expect(w, "odd.example", "mx=198.51.100.1");
}

static void test_dns_failures(void **state)
{
	static const struct record w[] = {{"fail.example", "MX", "SERVFAIL", 0},
		{"fail.example", "A", "198.51.100.1", 0}, {"bogus.example", "MX", "BOGUS", 0},
		{"one.example", "MX", "10 down", 0}, {"one.example", "MX", "20 up", 0},
		{"down", "*", "SERVFAIL", 0}, {"up", "A", "198.51.100.2", 0},
		{"all.example", "MX", "10 down", 0}, {"all.example", "MX", "20 gone", 0},
		{"gone.example", "MX", "10 gone", 0}, {"gone.example", "MX", "20 empty", 0},
		{"empty", "*", NULL, 0}, {"forged.example", "MX", "10 forged", 0},
		{"forged", "*", "BOGUS", 0}, {"half.example", "MX", "10 half", 0},
		{"half", "AAAA", "SERVFAIL", 0}, {"half", "A", "198.51.100.3", 0}, {0}};
	(void)state;
	/* Without an answer about MX the address must not be used: it may take no mail. */
	expect(w, "fail.example", "451 4.4.3");
	expect(w, "bogus.example", "451 4.4.3");
	expect(w, "one.example", "up=198.51.100.2 and others");
	expect(w, "all.example", "451 4.4.3");
	expect(w, "gone.example", "550 5.4.4");
	expect(w, "forged.example", "451 4.4.3");
	expect(w, "half.example", "half=198.51.100.3");
}

static void test_own_preference(void **state)
{
	static const struct record w[] = {/* by name */
		{"backup.example", "MX", "10 primary", 0},
		{"backup.example", "MX", "20 gw.example.test", 0},
		{"backup.example", "MX", "20 peer", 0}, {"backup.example", "MX", "30 last", 0},
		{"primary", "A", "198.51.100.1", 0}, {"peer", "A", "198.51.100.2", 0},
		{"last", "A", "198.51.100.3", 0}, {"gw.example.test", "A", "203.0.113.99", 0},
		/* by address */
		{"byv4.example", "MX", "10 primary", 0}, {"byv4.example", "MX", "20 alias4", 0},
		{"byv4.example", "MX", "30 last", 0}, {"alias4", "A", "203.0.113.1", 0},
		{"alias4", "A", "192.0.2.25", 0}, {"byv6.example", "MX", "10 alias6", 0},
		{"byv6.example", "MX", "10 primary", 0}, {"byv6.example", "MX", "20 last", 0},
		{"alias6", "AAAA", "2001:db8::25", 0},
		/* best */
		{"best.example", "MX", "10 gw.example.test", 0},
		{"best.example", "MX", "20 last", 0}, {"alone.example", "MX", "10 alias4", 0},
		{"implicit.example", "A", "192.0.2.25", 0}, {"loop.example", "MX", "10 local", 0},
		{"local", "A", "127.0.0.1", 0}, {"near.example", "MX", "10 near", 0},
		{"near", "A", "127.0.0.2", 0},
		/* the primary is away */
		{"away.example", "MX", "10 silent", 0},
		{"away.example", "MX", "20 gw.example.test", 0}, {"silent", "*", "SERVFAIL", 0},
		{"missing.example", "MX", "10 nowhere", 0},
		{"missing.example", "MX", "20 alias4", 0}, {0}};
	(void)state;
	expect(w, "backup.example", "primary=198.51.100.1");
	expect(w, "byv4.example", "primary=198.51.100.1");
	expect(w, "byv6.example", "554 5.4.6");
	expect(w, "best.example", "554 5.4.6");
	expect(w, "alone.example", "554 5.4.6");
	expect(w, "implicit.example", "554 5.4.6");
	expect(w, "loop.example", "554 5.4.6");
	/* Other servers on this machine are not us. */
	expect(w, "near.example", "near=127.0.0.2");
	expect(w, "away.example", "451 4.4.3");
	expect(w, "missing.example", "550 5.4.4");
}

static void test_loop_text_names_the_domain(void **state)
{
	static const struct record w[] = {{"best.example", "MX", "10 gw.example.test", 0}, {0}};
	struct mx_query query = query_for("best.example");
	(void)state;
	world = w;
	struct mx_result *r = look_up_query(&query);
	static const char text[] = "mail for best.example loops back to me";
	assert_non_null(memmem(r->verdict.text, r->verdict.length, text, sizeof(text) - 1));
	assert_int_equal(asked, 1); /* nothing but MX had to be asked */
	mx_result_free(&r);
}

static void test_unfit_exchangers(void **state)
{
	static const struct record w[] = {{"ip.example", "MX", "10 198.51.100.7", 0},
		{"198.51.100.7", "A", "198.51.100.7", 0},
		{"both.example", "MX", "5 198.51.100.7", 0}, {"both.example", "MX", "10 mx", 0},
		{"mx", "A", "198.51.100.1", 0}, {"bad.example", "MX", "10 a b", 0},
		{"dots.example", "MX", "10 a..b", 0}, {"garbage.example", "MX", "GARBAGE", 0},
		{"garbage.example", "A", "198.51.100.1", 0}, {"zero.example", "MX", "10 zero", 0},
		{"zero", "A", "0.0.0.0", 0}, {"zero", "A", "224.0.0.1", 0},
		{"zero", "A", "255.255.255.255", 0}, {"zero", "AAAA", "::", 0},
		{"zero", "AAAA", "ff02::1", 0}, {"zero", "AAAA", "fe80::1", 0},
		{"mixed.example", "MX", "10 mixed", 0}, {"mixed", "A", "0.0.0.0", 0},
		{"mixed", "A", "198.51.100.9", 0}, {"cross.example", "MX", "10 cross", 0},
		{"cross", "AAAA", "198.51.100.9", 0}, {0}};
	(void)state;
	expect(w, "ip.example", "550 5.4.4");
	expect(w, "both.example", "mx=198.51.100.1");
	expect(w, "bad.example", "550 5.4.4");
	expect(w, "dots.example", "550 5.4.4");
	/* There are exchangers, just none that can be; the address is not meant. */
	expect(w, "garbage.example", "550 5.4.4");
	expect(w, "zero.example", "550 5.4.4");
	expect(w, "mixed.example", "mixed=198.51.100.9");
	expect(w, "cross.example", "550 5.4.4");
}

static void test_duplicates(void **state)
{
	static const struct record w[] = {{"b.example", "MX", "30 mx1", 0},
		{"b.example", "MX", "20 mx2", 0}, {"b.example", "MX", "10 MX1.", 0},
		{"mx1", "A", "198.51.100.1", 0}, {"mx2", "A", "198.51.100.2", 0}, {0}};
	(void)state;
	expect(w, "b.example", "mx1=198.51.100.1 mx2=198.51.100.2");
	assert_int_equal(asked, 5);
}

static void test_zone(void **state)
{
	static const struct record w[] = {
		{"b.example.customer.example.org", "MX", "10 mx.b.example", 0},
		{"mx.b.example", "A", "198.51.100.1", 0},
		{"mx.b.example.customer.example.org", "A", "203.0.113.66", 0},
		{"plain.example.customer.example.org", "A", "198.51.100.2", 0},
		{"b.example", "MX", "10 public", 0}, {"public", "A", "203.0.113.1", 0}, {0}};
	struct mx_query query = query_for("b.example");
	(void)state;
	query.zone = SPAN("Customer.example.org.");
	expect_query(w, &query, "mx.b.example=198.51.100.1");
	query.domain = SPAN("plain.example");
	expect_query(w, &query, "plain.example.customer.example.org=198.51.100.2");
	query.domain = SPAN("none.example");
	expect_query(w, &query, "550 5.1.2");
	query.domain = SPAN("public");
	expect_query(w, &query, "550 5.1.2");
}

static void test_literals(void **state)
{
	static const struct record w[] = {{0}};
	struct mx_query query = query_for("[198.51.100.1]");
	(void)state;
	query.port = 2600;
	expect_query(w, &query, "[198.51.100.1]=198.51.100.1");
	assert_int_equal(asked, 0);
	struct mx_result *r = look_up_query(&query);
	assert_int_equal(r->addresses[0].address.port, 2600);
	mx_result_free(&r);
	query.zone = SPAN("customer.example.org"); /* nothing is looked up */
	expect_query(w, &query, "[198.51.100.1]=198.51.100.1");
	expect(w, "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]=2001:db8::1");
	expect(w, "[192.0.2.25]", "554 5.4.6");
	expect(w, "[0.0.0.0]", "550 5.4.4");
	expect(w, "[x-odd:1]", "550 5.1.2");
}

/* RFC 5321 names no exchanger on our own network: it would be a stranger's way into it. */
static void test_private_hosts(void **state)
{
	static const struct record w[] = {{"evil.example", "MX", "10 inside", 0},
		{"evil.example", "MX", "20 here", 0}, {"inside", "A", "10.0.0.7", 0},
		{"inside", "AAAA", "fd00::7", 0}, {"here", "A", "127.0.0.3", 0},
		{"half.example", "MX", "10 inside", 0}, {"half.example", "MX", "20 mixed", 0},
		{"mixed", "A", "192.168.0.1", 0}, {"mixed", "A", "8.8.8.8", 0},
		{"mixed", "AAAA", "2002:7f00:1::1", 0}, {"mixed", "AAAA", "2a00::1", 0},
		{"plain.example", "A", "169.254.169.254", 0}, {"down.example", "MX", "10 here", 0},
		{"down.example", "MX", "20 silent", 0}, {"silent", "*", "SERVFAIL", 0},
		/* behind us, however private we are ourselves */
		{"backup.example", "MX", "10 here", 0}, {"backup.example", "MX", "20 us", 0},
		{"backup.example", "MX", "30 mixed", 0}, {"us", "A", "192.0.2.25", 0},
		{"best.example", "MX", "10 us", 0}, {"best.example", "MX", "20 mixed", 0},
		{"evil.example.customer.example.org", "MX", "10 inside", 0}, {0}};
	struct mx_query query = query_for("evil.example");
	struct mx_result *r;
	(void)state;
	query.private_hosts = false;
	expect_query(w, &query, "550 5.4.4");
	r = look_up_query(&query);
	static const char text[] =
		"the mail host inside of evil.example has the address fd00::7, which is not a "
		"public one; set private-hosts of the transport";
	assert_non_null(memmem(r->verdict.text, r->verdict.length, text, sizeof(text) - 1));
	mx_result_free(&r);
	query.domain = SPAN("half.example");
	expect_query(w, &query, "mixed=2a00::1,8.8.8.8");
	query.domain = SPAN("plain.example");
	expect_query(w, &query, "550 5.4.4");
	query.domain = SPAN("down.example"); /* the other may be public */
	expect_query(w, &query, "451 4.4.3");
	query.domain = SPAN("backup.example");
	expect_query(w, &query, "550 5.4.4");
	query.domain = SPAN("best.example");
	expect_query(w, &query, "554 5.4.6");
	query.domain = SPAN("[127.0.0.7]");
	expect_query(w, &query, "550 5.4.4");
	query.domain = SPAN("[IPv6:fe80::1]");
	expect_query(w, &query, "550 5.4.4");
	query.domain = SPAN("[8.8.8.8]");
	expect_query(w, &query, "[8.8.8.8]=8.8.8.8");
	query.domain = SPAN("evil.example");
	query.private_hosts = true;
	expect_query(w, &query, "inside=fd00::7,10.0.0.7 here=127.0.0.3");
	/* A zone is the administrator's own: the setting was forgotten, and no mail is lost by it.
	 */
	query.private_hosts = false;
	query.zone = SPAN("customer.example.org");
	expect_query(w, &query, "451 4.4.4");
	query.domain = SPAN("[127.0.0.7]"); /* but a literal is anybody's */
	expect_query(w, &query, "550 5.4.4");
	/* A fixed server may be anywhere. */
	query.zone = SPAN_NONE;
	query.host = SPAN("inside");
	expect_query(w, &query, "inside=fd00::7,10.0.0.7");
	query.host = SPAN("127.0.0.1");
	expect_query(w, &query, "127.0.0.1=127.0.0.1");
}

/* Another server on the machine of ours is not us; port 25 may be redirected to a listener. */
static void test_own_machine_other_port(void **state)
{
	static const struct record w[] = {{"near.example", "MX", "10 gw.example.test", 0},
		{"near.example", "MX", "20 last", 0}, {"gw.example.test", "A", "192.0.2.25", 0},
		{"last", "A", "198.51.100.3", 0}, {"local.example", "MX", "10 local", 0},
		{"local", "A", "127.0.0.1", 0}, {0}};
	struct mx_query query = query_for("near.example");
	(void)state;
	query.port = 4627;
	expect_query(w, &query, "gw.example.test=192.0.2.25 last=198.51.100.3");
	query.domain = SPAN("local.example");
	expect_query(w, &query, "local=127.0.0.1");
	query.domain = SPAN("[192.0.2.25]");
	expect_query(w, &query, "[192.0.2.25]=192.0.2.25");
	query.domain = SPAN("local.example");
	query.port = 2525; /* where we do listen */
	expect_query(w, &query, "554 5.4.6");
	query.port = 25;
	expect_query(w, &query, "554 5.4.6");
	query.domain = SPAN("near.example");
	expect_query(w, &query, "554 5.4.6");
	query.port = 2525;
	expect_query(w, &query, "554 5.4.6"); /* the name: port 2525 is one of ours */
}

static void test_hostile_domains(void **state)
{
	static const struct record w[] = {{0}};
	char longest[300];
	(void)state;
	expect(w, "", "550 5.1.2");
	expect(w, ".", "550 5.1.2");
	expect(w, "a..b", "550 5.1.2");
	expect(w, "-", "550 5.1.2"); /* a name for the DNS, which knows none such */
	expect(w, "a b", "550 5.1.2");
	expect(w, "a\x80", "550 5.1.2");
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	expect(w, longest, "550 5.1.2");
	for (int i = 0; i < 299; i += 2)
		longest[i] = '.';
	for (int i = 1; i < 299; i += 2)
		longest[i] = 'a';
	longest[299] = '\0';
	expect(w, longest + 1, "550 5.1.2");
	longest[254] = '\0';
	expect(w, longest + 1, "550 5.1.2");
	assert_int_equal(asked, 1);
	struct mx_query query = query_for(longest + 1);
	query.zone = SPAN("z");
	expect_query(w, &query, "550 5.1.2");
	assert_int_equal(asked, 0);
}

static void test_fixed_server(void **state)
{
	static const struct record w[] = {{"mail.site", "A", "198.51.100.1", 0},
		{"mail.site", "AAAA", "2001:db8:1::1", 0}, {"mail.site", "MX", "10 other", 0},
		{"other", "A", "203.0.113.1", 0}, {"empty", "*", NULL, 0},
		{"fail", "*", "SERVFAIL", 0}, {"us", "A", "127.0.0.1", 0}, {0}};
	struct mx_query query = query_for("b.example");
	(void)state;
	query.zone = SPAN("customer.example.org");
	query.host = SPAN("Mail.Site");
	query.port = 2626;
	expect_query(w, &query, "mail.site=2001:db8:1::1,198.51.100.1");
	assert_int_equal(asked, 2);
	query.host = SPAN("127.0.0.1");
	expect_query(w, &query, "127.0.0.1=127.0.0.1");
	assert_int_equal(asked, 0);
	query.host = SPAN("2001:db8::1");
	expect_query(w, &query, "2001:db8::1=2001:db8::1");
	query.host = SPAN("us"); /* loop_fixed_server() knows the port */
	expect_query(w, &query, "us=127.0.0.1");
	/* An administrator's mistake costs no mail. */
	query.host = SPAN("typo.site");
	expect_query(w, &query, "451 4.4.4");
	query.host = SPAN("empty");
	expect_query(w, &query, "451 4.4.4");
	query.host = SPAN("fail");
	expect_query(w, &query, "451 4.4.3");
	query.host = SPAN("bad name");
	expect_query(w, &query, "451 4.4.4");
	query.host = SPAN("0.0.0.0");
	expect_query(w, &query, "451 4.4.4");
}

static void test_ttl(void **state)
{
	static const struct record w[] = {{"b.example", "MX", "10 mx", 1000},
		{"mx", "A", "198.51.100.1", 300}, {"mx", "AAAA", NULL, 40},
		{"long.example", "A", "198.51.100.1", 0}, {"none.example", "*", NULL, 77}, {0}};
	static const struct {
		const char *domain;
		uint32_t ttl;
	} table[] = {{"b.example", 40}, {"long.example", 3600}, {"none.example", 77},
		{"nx.example", 3600}};
	(void)state;
	world = w;
	for (size_t i = 0; i < 4; i++) {
		struct mx_query query = query_for(table[i].domain);
		struct mx_result *r = look_up_query(&query);
		assert_int_equal(r->ttl_s, table[i].ttl);
		mx_result_free(&r);
	}
}

/* As many exchangers as an answer can hold, each with more addresses than are wanted. */
static void test_bounds(void **state)
{
	struct route_config config = self;
	struct mx_query query = query_for("b.example");
	struct dns_mx exchangers[DNS_RECORDS];
	struct netaddr addresses[DNS_RECORDS];
	char names[DNS_RECORDS][16];
	struct dns_answer a = {.status = DNS_OK,
		.ttl_s = 60,
		.count = DNS_RECORDS,
		.mx = exchangers,
		.addresses = addresses};
	struct mx_question q;
	struct mx_result *r;
	struct mx *mx;
	uint32_t questions = 0;
	(void)state;
	query.self = &config;
	for (uint32_t i = 0; i < DNS_RECORDS; i++) {
		snprintf(names[i], sizeof(names[i]), "mx%u", i);
		exchangers[i] = (struct dns_mx){(uint16_t)(DNS_RECORDS - i), span_str(names[i])};
		addresses[i] = address("198.51.100.1");
		addresses[i].ip[3] = (uint8_t)i;
	}
	assert_int_equal(mx_new(&query, &mx), 0);
	while (mx_next(mx, &q)) {
		questions++;
		mx_answer(mx, q.id, &a);
	}
	assert_int_equal(questions, 1 + 2 * MX_HOSTS);
	mx_answer(mx, 4000000000u, &a); /* never asked */
	mx_answer(mx, 0, &a);
	assert_int_equal(mx_finish(mx, &r), 0);
	assert_int_equal(r->address_count, MX_ADDRESSES);
	assert_int_equal(r->host_count, MX_ADDRESSES / MX_ADDRESSES_PER_HOST);
	assert_int_equal(r->hosts[0].preference, 1);
	mx_result_free(&r);
	mx_free(&mx);
}

static void test_secure(void **state)
{
	struct netaddr one = address("198.51.100.1");
	struct dns_mx record = {10, SPAN("mx")};
	struct mx_query query = query_for("b.example");
	(void)state;
	for (int bits = 0; bits < 4; bits++) {
		struct mx_question q;
		struct mx_result *r;
		struct mx *mx;
		assert_int_equal(mx_new(&query, &mx), 0);
		while (mx_next(mx, &q)) {
			struct dns_answer a = {.status = DNS_OK,
				.ttl_s = 60,
				.count = 1,
				.mx = &record,
				.addresses = &one,
				.secure = bits & (q.type == DNS_MX ? 1 : 2)};
			if (q.type == DNS_AAAA)
				a.status = DNS_NODATA;
			mx_answer(mx, q.id, &a);
		}
		assert_int_equal(mx_finish(mx, &r), 0);
		assert_int_equal(r->hosts[0].secure, bits == 3);
		mx_result_free(&r);
		mx_free(&mx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_preference),
		cmocka_unit_test(test_equal_preferences_are_shuffled),
		cmocka_unit_test(test_families_alternate),
		cmocka_unit_test(test_implicit_mx),
		cmocka_unit_test(test_null_mx),
		cmocka_unit_test(test_dns_failures),
		cmocka_unit_test(test_own_preference),
		cmocka_unit_test(test_loop_text_names_the_domain),
		cmocka_unit_test(test_unfit_exchangers),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_private_hosts),
		cmocka_unit_test(test_own_machine_other_port),
		cmocka_unit_test(test_hostile_domains),
		cmocka_unit_test(test_fixed_server),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_secure),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
