#include "keys/verify.h"

#include "base/check.h"
#include "base/err.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* Where there is no account at all: as posternctl makes them. Nobody knows its password. */
#define NOBODY "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$W5fxNEPK7ztn8lBaR6DuABww6sfMwaKJV1b6xsi31W5"

/* The first byte keeps the uses apart. */
static void keyed(
	const uint8_t secret[VERIFY_SECRET], char use, struct span name, uint8_t out[SCRAM_HASH])
{
	char text[1 + SCRAM_USER] = {use};
	size_t n = MIN(name.n, SCRAM_USER);

	if (n)
		memcpy(text + 1, name.p, n);
	CHECK(HMAC(EVP_sha256(), secret, VERIFY_SECRET, (const unsigned char *)text, n + 1, out,
		NULL));
}

void verify_pick(const struct roster_found *found, struct verify *out)
{
	struct password_verifiers v = {0};
	bool known = found->known;

	*out = (struct verify){0};
	if (verifiers_parse(found->value, &v) != 0) {
		v = (struct password_verifiers){0};
		known = false;
	}
	out->known = known;
	out->has_scram = v.has_scram;
	if (v.has_scram)
		out->scram = v.scram;
	out->by_scram = !v.crypt.n && v.has_scram;
	if (!v.crypt.n || v.crypt.n >= sizeof(out->crypt))
		v.crypt = SPAN(NOBODY);
	memcpy(out->crypt, v.crypt.p, v.crypt.n);
	OPENSSL_cleanse(&v, sizeof(v));
}

/* ---- passwords ------------------------------------------------------------------------------ */

static bool same_hash(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

static bool by_crypt(const struct verify *verify, struct span password)
{
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE];
	struct crypt_data data;
	/* What crypt(3) does not see whole is not compared with anything. */
	bool whole = password.n < sizeof(phrase) && !memchr(password.p, 0, password.n);
	size_t n = MIN(password.n, sizeof(phrase) - 1);

	memset(&data, 0, sizeof(data));
	memcpy(phrase, password.p, n);
	phrase[n] = 0;
	const char *hash = crypt_rn(phrase, verify->crypt, &data, sizeof(data));
	bool right = whole && hash && same_hash(hash, verify->crypt);
	OPENSSL_cleanse(phrase, sizeof(phrase));
	OPENSSL_cleanse(&data, sizeof(data));
	return right;
}

static bool by_scram(const struct verify *verify, struct span password)
{
	struct scram_verifier made;
	bool right = scram_verifier_make(password, verify->scram.salt, verify->scram.salt_bytes,
			     verify->scram.iterations, &made) == 0 &&
		     CRYPTO_memcmp(made.stored_key, verify->scram.stored_key, SCRAM_HASH) == 0;

	OPENSSL_cleanse(&made, sizeof(made));
	return right;
}

bool verify_password(const struct verify *verify, struct span password)
{
	struct buf prepared;

	if (!password.n)
		password = SPAN("");
	buf_init(&prepared, SCRAM_PREPARED);
	/* At once: it would leave copies behind as it grows. */
	(void)buf_reserve(&prepared, SCRAM_PREPARED);
	/* As posternctl prepares it when it is set. What cannot be prepared is taken as it is: a
	 * hash that was imported may be of such a one. */
	if (scram_prepare(password, &prepared) == 0 && buf_ok(&prepared))
		password = buf_span(&prepared);
	bool right = verify->by_scram ? by_scram(verify, password) : by_crypt(verify, password);
	if (prepared.p)
		OPENSSL_cleanse(prepared.p, prepared.room);
	buf_done(&prepared);
	return right & verify->known;
}

/* ---- SCRAM ---------------------------------------------------------------------------------- */

/* Without a branch: which of the two it is must not be seen. */
static void choose(uint8_t *out, bool first, const uint8_t *yes, const uint8_t *no, size_t count)
{
	uint8_t mask = (uint8_t) - (uint8_t)first;

	for (size_t i = 0; i < count; i++)
		out[i] = (uint8_t)((yes[i] & mask) | (no[i] & ~mask));
}

void verify_salt(const struct verify *verify, const uint8_t secret[VERIFY_SECRET], struct span name,
	uint32_t *iterations, uint32_t *salt_bytes, uint8_t salt[SCRAM_SALT_MOST])
{
	uint8_t made_up[SCRAM_SALT_MOST] = {0};
	bool own = verify->known & verify->has_scram;

	_Static_assert(SCRAM_SALT_MOST == 2 * SCRAM_HASH, "two of them are a salt");
	keyed(secret, 's', name, made_up);
	keyed(secret, 't', name, made_up + SCRAM_HASH);
	*iterations = verify->has_scram ? verify->scram.iterations : SCRAM_ITERATIONS;
	/* A stand-in's: accounts from elsewhere may have another length than ours. */
	*salt_bytes = verify->has_scram ? verify->scram.salt_bytes : SCRAM_SALT;
	choose(salt, own, verify->scram.salt, made_up, SCRAM_SALT_MOST);
}

bool verify_proof(const struct verify *verify, struct span auth_message,
	const uint8_t proof[SCRAM_HASH], uint8_t signature[SCRAM_HASH])
{
	/* Of all zeros where there is none: the work is done. */
	bool right = scram_server_check(&verify->scram, auth_message, proof, signature);

	return right & verify->known & verify->has_scram;
}
