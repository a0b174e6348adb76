/* A few accounts, as admin hands them over. */
#ifndef TEST_KEYS_ACCOUNTS_H
#define TEST_KEYS_ACCOUNTS_H

#include "base/check.h"
#include "codec/scram.h"
#include "directory/secrets.h"

#include <crypt.h>
#include <stdio.h>

#define ACCOUNTS_MOST 8

struct test_account {
	const char *name, *password;
	const char *setting; /* of crypt(3); NULL: no hash of that kind */
	bool scram;
};

/* Quick ones: what they cost is no matter here. */
#define QUICK_YESCRYPT "$y$j75$saltsaltsaltsalt"
#define QUICK_SHA512   "$6$rounds=1000$saltsalt"

static struct secrets *make_accounts(const struct test_account *accounts, uint32_t count)
{
	struct secret list[ACCOUNTS_MOST] = {0};
	struct buf values[ACCOUNTS_MOST];
	struct secrets *secrets = NULL;
	int memfd;

	for (uint32_t i = 0; i < count; i++) {
		struct password_verifiers v = {.has_scram = accounts[i].scram};
		struct crypt_data data = {0};
		struct span password = span_str(accounts[i].password);

		if (accounts[i].setting) {
			const char *hash = crypt_rn(
				accounts[i].password, accounts[i].setting, &data, sizeof(data));
			assert_non_null(hash);
			v.crypt = span_str(hash);
		}
		if (v.has_scram) {
			uint8_t salt[SCRAM_SALT] = {(uint8_t)i, 1, 2, 3};
			assert_int_equal(scram_verifier_make(password, salt, sizeof(salt),
						 SCRAM_ITERATIONS_LEAST, &v.scram),
				0);
		}
		buf_init(&values[i], SECRET_BYTES);
		verifiers_add(&values[i], &v);
		list[i] = (struct secret){span_str(accounts[i].name), buf_span(&values[i])};
	}
	assert_int_equal(secrets_make_memfd(list, count, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &secrets), 0);
	for (uint32_t i = 0; i < count; i++)
		buf_done(&values[i]);
	return secrets;
}

#endif
