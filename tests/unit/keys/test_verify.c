/* Right and wrong passwords and proofs, and names that nobody has. */
#include "base/err.h"
#include "keys/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounts.h"

static const uint8_t secret[VERIFY_SECRET] = {1, 2, 3}, other_secret[VERIFY_SECRET] = {9};

static const struct test_account some[] = {
	{"joe@c.example", "sesam open", QUICK_YESCRYPT, true},
	{"ann@c.example", "hunter2", QUICK_SHA512, false},
	{"eve@c.example", "only scram", NULL, true},
	{"zoe@c.example", "p\xc3\xa4ss", QUICK_YESCRYPT, true},
};

static void digest(void *context, struct span name, uint8_t out[KEYED_DIGEST])
{
	struct keyed *keyed;

	assert_int_equal(keyed_new(context, &keyed), 0);
	keyed_digest(keyed, 'n', name, out);
	keyed_free(&keyed);
}

static struct roster *roster_of(struct secrets *accounts)
{
	struct roster *roster;

	assert_int_equal(roster_new(accounts, digest, (void *)(uintptr_t)secret, &roster), 0);
	return roster;
}

static void pick(const struct roster *r, struct span name, struct verify *out)
{
	uint8_t hash[KEYED_DIGEST];
	struct roster_found found;

	digest((void *)(uintptr_t)secret, name, hash);
	roster_find(r, hash, name, &found);
	verify_pick(&found, out);
}

static int setup(void **state)
{
	*state = roster_of(make_accounts(some, 4));
	return 0;
}

static int teardown(void **state)
{
	struct roster *r = *state;
	roster_free(&r);
	return 0;
}

static bool password(const struct roster *r, const char *name, struct span given)
{
	struct verify v;

	pick(r, span_str(name), &v);
	return verify_password(&v, given);
}

static void the_right_password_and_no_other(void **state)
{
	for (size_t i = 0; i < 4; i++) {
		assert_true(password(*state, some[i].name, span_str(some[i].password)));
		assert_false(password(*state, some[i].name, SPAN("wrong")));
		assert_false(password(*state, some[i].name, SPAN("")));
		for (size_t j = 0; j < 4; j++)
			if (i != j)
				assert_false(
					password(*state, some[i].name, span_str(some[j].password)));
	}
}

static void nobody_has_no_password(void **state)
{
	char name[32];

	/* Whoever the stand-in is: not even that one's password opens. */
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "nobody%d@c.example", i);
		for (size_t j = 0; j < 4; j++)
			assert_false(password(*state, name, span_str(some[j].password)));
	}
	struct roster *none = roster_of(make_accounts(some, 0));
	assert_false(password(none, "joe@c.example", SPAN("sesam open")));
	roster_free(&none);
}

/* Spellings of the same password that RFC 4013 makes one. */
static void passwords_are_prepared(void **state)
{
	assert_true(password(*state, "zoe@c.example", SPAN("pa\xcc\x88ss")));
	assert_true(password(*state, "joe@c.example", SPAN("sesam\xc2\xa0open")));
	/* What is no UTF-8 is taken as it is. */
	const struct test_account old = {"old@c.example", "latin\xe4", QUICK_SHA512, false};
	struct roster *r = roster_of(make_accounts(&old, 1));
	assert_true(password(r, "old@c.example", SPAN("latin\xe4")));
	assert_false(password(r, "old@c.example", SPAN("latin\xe5")));
	roster_free(&r);
}

static void what_crypt_does_not_see_whole_is_wrong(void **state)
{
	char longest[1024];

	assert_false(password(*state, "ann@c.example", span_of("hunter2\0", 8)));
	assert_false(password(*state, "ann@c.example", span_of("hunter2\0more", 12)));
	memset(longest, 'x', sizeof(longest));
	assert_false(password(*state, "ann@c.example", span_of(longest, sizeof(longest))));
}

static void a_damaged_verifier_opens_to_nobody(void **state)
{
	static const char *const values[] = {"", "crypt:", "crypt:*0", "crypt:!",
		"crypt:$9$nonsense", "nonsense", "scram-sha-256:1:x:y:z"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const struct secret one = {SPAN("joe@c.example"), span_str(values[i])};
		struct secrets *s;
		int memfd;
		if (secrets_make_memfd(&one, 1, &memfd) != 0 || secrets_open(memfd, &s) != 0)
			continue;
		struct roster *r = roster_of(s);
		assert_false(password(r, "joe@c.example", SPAN("")));
		assert_false(password(r, "joe@c.example", SPAN("*0")));
		assert_false(password(r, "joe@c.example", SPAN("!")));
		roster_free(&r);
	}
}

static void salt_of(const struct roster *r, const uint8_t key[VERIFY_SECRET], const char *name,
	uint32_t *iterations, uint8_t salt[SCRAM_SALT_MOST])
{
	struct verify v;
	uint32_t bytes;

	pick(r, span_str(name), &v);
	verify_salt(&v, key, span_str(name), iterations, &bytes, salt);
	assert_int_equal(bytes, SCRAM_SALT);
}

static void a_made_up_salt_stays_the_same(void **state)
{
	uint8_t a[SCRAM_SALT_MOST], b[SCRAM_SALT_MOST];
	uint32_t iterations;

	salt_of(*state, secret, "joe@c.example", &iterations, a);
	assert_int_equal(iterations, SCRAM_ITERATIONS_LEAST);
	assert_int_equal(a[1], 1);
	salt_of(*state, secret, "nobody@c.example", &iterations, a);
	salt_of(*state, secret, "nobody@c.example", &iterations, b);
	assert_memory_equal(a, b, sizeof(a));
	/* Also when accounts come and go. */
	struct roster *less = roster_of(make_accounts(some, 1));
	salt_of(less, secret, "nobody@c.example", &iterations, b);
	assert_memory_equal(a, b, sizeof(a));
	roster_free(&less);
	/* Of each name and each gateway another one; who has no SCRAM looks like nobody. */
	salt_of(*state, secret, "nobody2@c.example", &iterations, b);
	assert_memory_not_equal(a, b, SCRAM_SALT);
	salt_of(*state, other_secret, "nobody@c.example", &iterations, b);
	assert_memory_not_equal(a, b, SCRAM_SALT);
	salt_of(*state, secret, "ann@c.example", &iterations, a);
	salt_of(*state, secret, "ann@c.example", &iterations, b);
	assert_memory_equal(a, b, sizeof(a));
}

/* Accounts that came from elsewhere have salts of another length, and other iterations: were those
 * of made-up names always ours, all real names could be told. */
static void a_made_up_salt_is_like_those_of_accounts(void **state)
{
	struct password_verifiers v = {.has_scram = true};
	uint8_t salt[SCRAM_SALT_MOST] = {5}, shown[SCRAM_SALT_MOST];
	uint32_t iterations, bytes;
	struct secret one = {.name = SPAN("joe@c.example")};
	struct secrets *accounts;
	struct verify picked;
	struct buf value;
	int memfd;
	(void)state;

	assert_int_equal(scram_verifier_make(SPAN("x"), salt, 48, 5000, &v.scram), 0);
	buf_init(&value, SECRET_BYTES);
	verifiers_add(&value, &v);
	one.value = buf_span(&value);
	assert_int_equal(secrets_make_memfd(&one, 1, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &accounts), 0);
	struct roster *r = roster_of(accounts);
	pick(r, SPAN("nobody@c.example"), &picked);
	verify_salt(&picked, secret, SPAN("nobody@c.example"), &iterations, &bytes, shown);
	assert_int_equal(iterations, 5000);
	assert_int_equal(bytes, 48);
	assert_memory_not_equal(shown, salt, 48);
	assert_memory_not_equal(shown, shown + SCRAM_HASH, 16);
	roster_free(&r);
	buf_done(&value);
}

/* A whole exchange, by the functions of both sides. */
static bool scram(const struct roster *r, const char *name, const char *pass)
{
	static const uint8_t nonce[SCRAM_NONCE] = {7};
	struct scram_client client;
	struct scram_server server;
	struct arena arena;
	struct buf first, challenge, final, last;
	uint8_t salt[SCRAM_SALT_MOST], proof[SCRAM_HASH], signature[SCRAM_HASH];
	uint32_t iterations, salt_bytes;
	struct span auth_message;
	struct verify v;

	arena_init(&arena, 65536);
	buf_init(&first, SCRAM_MESSAGE);
	buf_init(&challenge, SCRAM_MESSAGE);
	buf_init(&final, SCRAM_MESSAGE);
	buf_init(&last, SCRAM_MESSAGE);
	assert_int_equal(
		scram_client_first(&client, span_str(name), NULL, false, nonce, &arena, &first), 0);
	assert_int_equal(scram_server_first(&server, buf_span(&first), false, &arena), 0);
	pick(r, server.user, &v);
	verify_salt(&v, secret, server.user, &iterations, &salt_bytes, salt);
	assert_int_equal(scram_server_challenge(
				 &server, nonce, salt, salt_bytes, iterations, &arena, &challenge),
		0);
	assert_int_equal(
		scram_client_final(&client, span_str(pass), buf_span(&challenge), &arena, &final),
		0);
	assert_int_equal(
		scram_server_final(&server, buf_span(&final), NULL, &arena, &auth_message, proof),
		0);
	bool right = verify_proof(&v, auth_message, proof, signature);
	if (right) {
		scram_server_success(signature, &last);
		assert_int_equal(scram_client_verify(&client, buf_span(&last)), 0);
	}
	buf_done(&first);
	buf_done(&challenge);
	buf_done(&final);
	buf_done(&last);
	arena_reset(&arena);
	return right;
}

static void a_proof_is_right_for_its_password_alone(void **state)
{
	assert_true(scram(*state, "joe@c.example", "sesam open"));
	assert_true(scram(*state, "eve@c.example", "only scram"));
	assert_false(scram(*state, "joe@c.example", "sesam opem"));
	assert_false(scram(*state, "eve@c.example", "sesam open"));
	/* A hash of crypt(3) alone is of no use to SCRAM. */
	assert_false(scram(*state, "ann@c.example", "hunter2"));
	assert_false(scram(*state, "nobody@c.example", "sesam open"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_password_and_no_other),
		cmocka_unit_test(nobody_has_no_password),
		cmocka_unit_test(passwords_are_prepared),
		cmocka_unit_test(what_crypt_does_not_see_whole_is_wrong),
		cmocka_unit_test(a_damaged_verifier_opens_to_nobody),
		cmocka_unit_test(a_made_up_salt_stays_the_same),
		cmocka_unit_test(a_made_up_salt_is_like_those_of_accounts),
		cmocka_unit_test(a_proof_is_right_for_its_password_alone),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
