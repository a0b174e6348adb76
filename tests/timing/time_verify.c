/*
 * Does the time that role keys takes tell whether there is an account? Known name with a wrong
 * password, against a name that nobody has: inside the process, where nothing else is in the way.
 * Beside many accounts of two kinds, as after an import.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "keys/verify.h"
#include "welch.h"

#include <crypt.h>

#define ACCOUNTS 300
#define NAMES	 64 /* that are tried, of each kind */

struct fixture {
	struct secrets *accounts;
	char names[2][NAMES][32]; /* of nobody, of somebody */
	unsigned at;
};

static const uint8_t secret[VERIFY_SECRET] = "a secret";

/* `setting` of crypt(3), all with SCRAM beside it. */
static struct secrets *make_accounts(const char *setting)
{
	static struct secret list[ACCOUNTS];
	static char names[ACCOUNTS][32];
	static struct buf value;
	struct password_verifiers v = {.has_scram = true};
	struct crypt_data data = {0};
	uint8_t salt[SCRAM_SALT] = {1};
	struct secrets *out;
	int memfd;

	v.crypt = span_str(crypt_rn("a password", setting, &data, sizeof(data)));
	assert_non_null(v.crypt.p);
	assert_int_equal(scram_verifier_make(SPAN("a password"), salt, sizeof(salt),
				 SCRAM_ITERATIONS, &v.scram),
		0);
	buf_init(&value, SECRET_BYTES);
	verifiers_add(&value, &v);
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		snprintf(names[i], sizeof(names[i]), "user%03u@c.example", i);
		list[i] = (struct secret){span_str(names[i]), buf_span(&value)};
	}
	assert_int_equal(secrets_make_memfd(list, ACCOUNTS, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &out), 0);
	buf_done(&value);
	return out;
}

static void begin(struct fixture *f, const char *setting)
{
	*f = (struct fixture){.accounts = make_accounts(setting)};
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(f->names[1][i], sizeof(f->names[1][i]), "user%03u@c.example",
			i * ACCOUNTS / NAMES);
		snprintf(f->names[0][i], sizeof(f->names[0][i]), "none%03u@c.example", i);
	}
}

static struct span name_of(struct fixture *f, int which)
{
	unsigned i = f->at++ % NAMES;

	return span_str(f->names[which][i]);
}

static void try_password(void *context, int which)
{
	struct verify v;

	verify_pick(((struct fixture *)context)->accounts, secret, name_of(context, which), &v);
	assert_false(verify_password(&v, SPAN("a wrong one")));
}

static void try_salt(void *context, int which)
{
	struct span name = name_of(context, which);
	uint8_t salt[SCRAM_SALT_MOST];
	uint32_t iterations, bytes;
	struct verify v;

	verify_pick(((struct fixture *)context)->accounts, secret, name, &v);
	verify_salt(&v, secret, name, &iterations, &bytes, salt);
}

static void try_proof(void *context, int which)
{
	uint8_t proof[SCRAM_HASH] = {0}, signature[SCRAM_HASH];
	struct verify v;

	verify_pick(((struct fixture *)context)->accounts, secret, name_of(context, which), &v);
	assert_false(verify_proof(
		&v, SPAN("n=user,r=nonce,r=nonce,s=salt,i=1,c=biws,r=nonce"), proof, signature));
}

static void passwords(const char *name, const char *setting, size_t tries)
{
	struct fixture f;

	begin(&f, setting);
	assert_true(welch_median(name, tries, try_password, &f) < WELCH_MOST);
	secrets_free(&f.accounts);
}

static void the_time_of_a_password_tells_nothing(void **state)
{
	(void)state;
	passwords("password, yescrypt", "$y$j9T$saltsaltsaltsalt", 400);
	passwords("password, quick yescrypt", "$y$j75$saltsaltsaltsalt", 10000);
	passwords("password, sha512crypt", "$6$rounds=1000$saltsalt", 10000);
}

static void the_time_of_scram_tells_nothing(void **state)
{
	struct fixture f;
	(void)state;

	begin(&f, "$6$rounds=1000$saltsalt");
	double salt = welch_median("SCRAM, salt", 20000, try_salt, &f);
	double proof = welch_median("SCRAM, proof", 20000, try_proof, &f);
	secrets_free(&f.accounts);
	assert_true(salt < WELCH_MOST && proof < WELCH_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_of_a_password_tells_nothing),
		cmocka_unit_test(the_time_of_scram_tells_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
