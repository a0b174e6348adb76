/* Bytes between smtpd and keys: what goes in comes out, and nothing else is taken. */
#include "base/check.h"
#include "base/err.h"
#include "keys/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each shorter one, each longer one. */
static void only_whole(struct span good, int (*get)(struct span in, void *out), void *out)
{
	char *copy = malloc(good.n + 1);

	memcpy(copy, good.p, good.n);
	copy[good.n] = 0;
	assert_int_equal(get(good, out), 0);
	for (size_t n = 0; n < good.n; n++) {
		char *exact = malloc(n + 1);
		memcpy(exact, copy, n);
		assert_int_equal(get(span_of(exact, n), out), ERR_CORRUPT);
		free(exact);
	}
	assert_int_equal(get(span_of(copy, good.n + 1), out), ERR_CORRUPT);
	free(copy);
}

static int get_query(struct span in, void *out)
{
	return keys_get_query(in, out);
}

static int get_answer(struct span in, void *out)
{
	return keys_get_answer(in, out);
}

/* One alone. */
static int get_sign(struct span in, void *out)
{
	struct cursor at = cursor_of(in);
	int err = keys_get_sign(&at, out);

	return err == 0 && cursor_left(&at) ? ERR_CORRUPT : err;
}

static int get_signed(struct span in, void *out)
{
	struct cursor at = cursor_of(in);
	int err = keys_get_signed(&at, out);

	return err == 0 && cursor_left(&at) ? ERR_CORRUPT : err;
}

static void queries(void **state)
{
	struct auth_query query = {.step = AUTH_SCRAM_PROOF,
		.user = SPAN("joe@c.example"),
		.password = SPAN("pw"),
		.auth_message = SPAN("n=joe,r=…"),
		.proof = {1, 2, 3}};
	struct auth_query got;
	struct buf buf;
	char most[KEYS_AUTH_MESSAGE + 1] = {0};
	(void)state;

	buf_init(&buf, 65536);
	assert_int_equal(netaddr_parse_ip(SPAN("2001:db8::1"), &query.client), 0);
	keys_put_query(&buf, &query);
	only_whole(buf_span(&buf), get_query, &got);
	assert_int_equal(keys_get_query(buf_span(&buf), &got), 0);
	assert_int_equal(got.step, AUTH_SCRAM_PROOF);
	assert_true(netaddr_same_ip(&got.client, &query.client));
	assert_true(span_equal(got.user, query.user));
	assert_true(span_equal(got.password, query.password));
	assert_true(span_equal(got.auth_message, query.auth_message));
	assert_memory_equal(got.proof, query.proof, SCRAM_HASH);

	buf.p[0] = 3;
	assert_int_equal(keys_get_query(buf_span(&buf), &got), ERR_CORRUPT);
	buf.p[0] = AUTH_BY_PASSWORD;
	buf.p[1] = 5;
	assert_int_equal(keys_get_query(buf_span(&buf), &got), ERR_CORRUPT);
	/* One byte more than there may be of each. */
	struct auth_query longer[] = {query, query, query};
	longer[0].user = span_of(most, AUTH_USER + 1);
	longer[1].password = span_of(most, AUTH_PASSWORD + 1);
	longer[2].auth_message = span_of(most, sizeof(most));
	for (size_t i = 0; i < ARRAY_SIZE(longer); i++) {
		buf_clear(&buf);
		keys_put_query(&buf, &longer[i]);
		assert_int_equal(keys_get_query(buf_span(&buf), &got), ERR_CORRUPT);
	}
	buf_done(&buf);
}

static int get_locks(struct span in, void *out)
{
	return keys_get_locks(in, out);
}

static void what_admin_asks_of_locks(void **state)
{
	struct keys_locks got,
		wrong[] = {{.op = 2}, {.op = KEYS_LOCKS_LIFT},
			{.op = KEYS_LOCKS_LIFT,
				.account = SPAN("a"),
				.address = {.family = NETADDR_V4}},
			{.op = KEYS_LOCKS_LIFT, .address = {.family = NETADDR_V4}, .bits = 24},
			{.op = KEYS_LOCKS_LIFT, .address = {.family = NETADDR_V6}, .bits = 63},
			{.op = KEYS_LOCKS_LIST, .address = {.family = 5}}};
	struct keys_locks locks = {.op = KEYS_LOCKS_LIFT, .bits = 48};
	struct buf buf;
	(void)state;

	buf_init(&buf, 4096);
	assert_int_equal(netaddr_parse_ip(SPAN("2001:db8::1"), &locks.address), 0);
	keys_put_locks(&buf, &locks);
	only_whole(buf_span(&buf), get_locks, &got);
	assert_int_equal(keys_get_locks(buf_span(&buf), &got), 0);
	assert_true(netaddr_same_ip(&got.address, &locks.address));
	assert_int_equal(got.bits, 48);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		buf_clear(&buf);
		keys_put_locks(&buf, &wrong[i]);
		assert_int_equal(keys_get_locks(buf_span(&buf), &got), ERR_CORRUPT);
	}
	buf_done(&buf);
}

static void answers(void **state)
{
	const struct auth_answer answer = {.result = AUTH_YES,
		.delay_ms = 12345678901,
		.account = SPAN("joe@c.example"),
		.iterations = 10000,
		.salt_bytes = 4,
		.salt = "salt",
		.signature = {9, 8, 7}};
	struct auth_answer got;
	struct buf buf;
	(void)state;

	buf_init(&buf, 4096);
	keys_put_answer(&buf, &answer);
	only_whole(buf_span(&buf), get_answer, &got);
	assert_int_equal(keys_get_answer(buf_span(&buf), &got), 0);
	assert_int_equal(got.result, AUTH_YES);
	assert_true(got.delay_ms == answer.delay_ms);
	assert_true(span_equal(got.account, answer.account));
	assert_int_equal(got.iterations, 10000);
	assert_int_equal(got.salt_bytes, 4);
	assert_memory_equal(got.salt, "salt", 4);
	assert_memory_equal(got.signature, answer.signature, SCRAM_HASH);
	buf.p[0] = AUTH_BROKEN + 1;
	assert_int_equal(keys_get_answer(buf_span(&buf), &got), ERR_CORRUPT);
	buf_done(&buf);
}

static bool takes(enum tls_signature kind, enum tls_hash hash, size_t bytes)
{
	static const char zeros[TLS_SIGN_MESSAGE + 1];
	const struct keys_sign sign = {
		.serial = 1, .key = 2, .kind = kind, .hash = hash, .in = span_of(zeros, bytes)};
	struct keys_sign got;
	struct buf buf;

	buf_init(&buf, KEYS_SIGN_BYTES);
	keys_put_sign(&buf, &sign);
	int err = get_sign(buf_span(&buf), &got);
	buf_done(&buf);
	return err == 0;
}

static void questions_lie_behind_each_other(void **state)
{
	struct keys_sign sign = {.kind = TLS_SIGN_RSA_PSS,
		.hash = TLS_SHA256,
		.in = SPAN("0123456789abcdef0123456789abcdef")};
	static const char signature[TLS_SIGN_OUT];
	struct keys_signed answer = {.done = true, .signature = span_of(signature, TLS_SIGN_OUT)};
	struct buf buf;
	(void)state;

	buf_init(&buf, KEYS_SIGN_BYTES);
	for (sign.serial = 0; sign.serial < KEYS_SIGN_TOGETHER; sign.serial++)
		keys_put_sign(&buf, &sign);
	struct cursor at = cursor_of(buf_span(&buf));
	for (uint32_t i = 0; i < KEYS_SIGN_TOGETHER; i++) {
		assert_int_equal(keys_get_sign(&at, &sign), 0);
		assert_int_equal(sign.serial, i);
	}
	assert_int_equal(cursor_left(&at), 0);
	assert_int_equal(keys_get_sign(&at, &sign), ERR_CORRUPT);
	/* The longest answers fit. */
	buf_clear(&buf);
	for (answer.serial = 0; answer.serial < KEYS_SIGN_TOGETHER; answer.serial++)
		keys_put_signed(&buf, &answer);
	assert_true(buf_ok(&buf));
	at = cursor_of(buf_span(&buf));
	for (uint32_t i = 0; i < KEYS_SIGN_TOGETHER; i++) {
		assert_int_equal(keys_get_signed(&at, &answer), 0);
		assert_int_equal(answer.serial, i);
	}
	assert_int_equal(cursor_left(&at), 0);
	buf_done(&buf);
}

static void signatures(void **state)
{
	const struct keys_sign sign = {.serial = 77,
		.key = 3,
		.until_ns = 1ull << 40,
		.kind = TLS_SIGN_ECDSA,
		.hash = TLS_SHA256,
		.in = SPAN("0123456789abcdef0123456789abcdef")};
	const struct keys_signed answer = {77, true, SPAN("signature")};
	struct keys_sign got;
	struct keys_signed got_answer;
	struct buf buf;
	(void)state;

	buf_init(&buf, KEYS_SIGN_BYTES);
	keys_put_sign(&buf, &sign);
	only_whole(buf_span(&buf), get_sign, &got);
	assert_int_equal(get_sign(buf_span(&buf), &got), 0);
	assert_int_equal(got.serial, 77);
	assert_int_equal(got.key, 3);
	assert_int_equal(got.until_ns, 1ull << 40);
	assert_int_equal(got.kind, TLS_SIGN_ECDSA);
	assert_true(span_equal(got.in, sign.in));
	buf_clear(&buf);
	keys_put_signed(&buf, &answer);
	only_whole(buf_span(&buf), get_signed, &got_answer);
	assert_int_equal(get_signed(buf_span(&buf), &got_answer), 0);
	assert_true(got_answer.done && span_equal(got_answer.signature, answer.signature));
	/* "Not done", with a signature; "done" without one. */
	buf.p[4] = 0;
	assert_int_equal(get_signed(buf_span(&buf), &got_answer), ERR_CORRUPT);
	buf_done(&buf);

	/* A digest is as long as its hash says. */
	assert_true(takes(TLS_SIGN_RSA_PSS, TLS_SHA512, 64));
	assert_true(takes(TLS_SIGN_RSA_PKCS1, TLS_SHA384, 48));
	assert_true(takes(TLS_SIGN_RSA_PKCS1, TLS_SHA1, 20));
	assert_false(takes(TLS_SIGN_RSA_PSS, TLS_SHA256, 31));
	assert_false(takes(TLS_SIGN_RSA_PSS, TLS_NO_HASH, 32));
	assert_false(takes(TLS_SIGN_RSA_PSS, (enum tls_hash)9, 0));
	assert_true(takes(TLS_SIGN_ED25519, TLS_NO_HASH, TLS_SIGN_MESSAGE));
	assert_false(takes(TLS_SIGN_ED25519, TLS_NO_HASH, TLS_SIGN_MESSAGE + 1));
	assert_false(takes(TLS_SIGN_ED25519, TLS_NO_HASH, 0));
	assert_false(takes(TLS_SIGN_ED25519, TLS_SHA256, 32));
	assert_false(takes(TLS_SIGNATURES, TLS_SHA256, 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries),
		cmocka_unit_test(what_admin_asks_of_locks),
		cmocka_unit_test(answers),
		cmocka_unit_test(signatures),
		cmocka_unit_test(questions_lie_behind_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
