#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/envelope.h"

static struct buf buf;
static struct arena arena;
static struct envelope back;

static struct envelope_rcpt rcpts[] = {
	{{"ann@a.example", 13}, {"rfc822;ann@a.example", 20}, NOTIFY_SUCCESS | NOTIFY_DELAY},
	{{"\"b@c\"@b.example", 15}, {NULL, 0}, NOTIFY_NEVER},
	{{"j\xc3\xbcrgen@c.example", 17}, {NULL, 0}, NOTIFY_DEFAULT},
};

static struct envelope sample(void)
{
	return (struct envelope){
		.id = 0x65a1b2c3ff000001,
		.arrived_ms = 1795298077123,
		.client = {.family = NETADDR_V6,
			.ip = {0xfe, 0x80, [15] = 1},
			.port = 4711,
			.scope = 2},
		.helo = SPAN("mail.example.org"),
		.listener = SPAN("mx"),
		.protocol = SPAN("UTF8SMTP"),
		.user = SPAN("bob"),
		.sender = SPAN("joe@example.org"),
		.envid = SPAN("QQ+2B314"),
		.ret = RETURN_HEADERS,
		.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_BODY_LONG_LINES | ENVELOPE_PRIORITY,
		.hops = 7,
		.body_bytes = 1ull << 40,
		.header_bytes = 1234,
		.body_hash = UINT64_MAX - 5,
		.prepend = SPAN("Received: from x\r\n\tby y\r\n"),
		.rcpts = rcpts,
		.rcpt_count = 3,
	};
}

static int setup(void **state)
{
	(void)state;
	buf_init(&buf, ENVELOPE_BYTES);
	arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_done(&buf);
	arena_reset(&arena);
	return 0;
}

static void everything_comes_back(void **state)
{
	(void)state;
	struct envelope e = sample();
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), 0);
	assert_true(back.id == e.id);
	assert_int_equal(back.arrived_ms, e.arrived_ms);
	assert_true(netaddr_same_ip(&back.client, &e.client));
	assert_int_equal(back.client.port, 4711);
	assert_true(span_equal(back.helo, e.helo));
	assert_true(span_equal(back.listener, e.listener));
	assert_true(span_equal(back.protocol, e.protocol));
	assert_true(span_equal(back.user, e.user));
	assert_true(span_equal(back.sender, e.sender));
	assert_true(span_equal(back.envid, e.envid));
	assert_int_equal(back.ret, e.ret);
	assert_int_equal(back.flags, e.flags);
	assert_int_equal(back.hops, e.hops);
	assert_true(back.body_bytes == e.body_bytes);
	assert_true(back.header_bytes == e.header_bytes);
	assert_true(back.body_hash == e.body_hash);
	assert_true(span_equal(back.prepend, e.prepend));
	assert_int_equal(back.rcpt_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(span_equal(back.rcpts[i].address, rcpts[i].address));
		assert_true(span_equal(back.rcpts[i].orcpt, rcpts[i].orcpt));
		assert_int_equal(back.rcpts[i].notify, rcpts[i].notify);
	}
	/* The same envelope has one encoding. */
	struct buf again;
	buf_init(&again, ENVELOPE_BYTES);
	envelope_encode(&again, &back);
	assert_true(span_equal(buf_span(&again), buf_span(&buf)));
	buf_done(&again);
}

static void the_least_one_and_ipv4(void **state)
{
	(void)state;
	struct envelope e = {0};
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), 0);
	assert_int_equal(back.client.family, NETADDR_NONE);
	assert_int_equal(back.sender.n, 0);
	assert_int_equal(back.rcpt_count, 0);
	buf_clear(&buf);
	e.client = (struct netaddr){.family = NETADDR_V4, .ip = {192, 0, 2, 1}, .port = 9};
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), 0);
	assert_true(netaddr_same_ip(&back.client, &e.client));
}

static void what_is_cut_or_longer_is_damaged(void **state)
{
	(void)state;
	struct envelope e = sample();
	envelope_encode(&buf, &e);
	for (size_t n = 0; n < buf.n; n++) {
		struct arena own;
		arena_init(&own, 1 << 20);
		assert_int_equal(envelope_decode(span_of(buf.p, n), &own, &back), ERR_CORRUPT);
		arena_reset(&own);
	}
	buf_add_char(&buf, 'x');
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
}

static void what_makes_no_sense_is_damaged(void **state)
{
	(void)state;
	struct envelope e = sample();
	envelope_encode(&buf, &e);
	buf.p[0] = 77; /* a version from the future */
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
	buf_clear(&buf);
	e.ret = 3;
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
	buf_clear(&buf);
	e = sample();
	e.header_bytes = e.body_bytes + 1;
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
	buf_clear(&buf);
	e = sample();
	e.client.family = 5;
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
	buf_clear(&buf);
	struct envelope_rcpt odd = {.address = SPAN("a@b"), .notify = NOTIFY_NEVER | NOTIFY_DELAY};
	e = sample();
	e.rcpts = &odd;
	e.rcpt_count = 1;
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
}

static void a_lie_about_the_count_takes_no_memory(void **state)
{
	(void)state;
	struct envelope e = {0};
	envelope_encode(&buf, &e);
	memset(buf.p + buf.n - 4, 0xff, 4);
	assert_int_equal(envelope_decode(buf_span(&buf), &arena, &back), ERR_CORRUPT);
	assert_int_equal(arena.used, 0);
}

static void a_small_arena_is_told_from_damage(void **state)
{
	(void)state;
	struct envelope e = sample();
	struct arena small;
	arena_init(&small, 16);
	envelope_encode(&buf, &e);
	assert_int_equal(envelope_decode(buf_span(&buf), &small, &back), ERR_NOMEM);
	arena_reset(&small);
}

static void domains_of_mailboxes(void **state)
{
	(void)state;
	assert_true(span_equal(envelope_domain(SPAN("a@b.example")), SPAN("b.example")));
	assert_true(span_equal(envelope_domain(SPAN("\"a@c\"@b.example")), SPAN("b.example")));
	assert_int_equal(envelope_domain(SPAN("postmaster")).n, 0);
	assert_int_equal(envelope_domain(SPAN_NONE).n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_comes_back),
		TEST(the_least_one_and_ipv4),
		TEST(what_is_cut_or_longer_is_damaged),
		TEST(what_makes_no_sense_is_damaged),
		TEST(a_lie_about_the_count_takes_no_memory),
		TEST(a_small_arena_is_told_from_damage),
		TEST(domains_of_mailboxes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
