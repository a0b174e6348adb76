/* The keys of SCRAM (RFC 5802 section 3), from libcrypto. */
#include "base/err.h"
#include "codec/scram_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

int scram_hmac(const uint8_t key[SCRAM_HASH], struct span data, uint8_t out[SCRAM_HASH])
{
	const unsigned char *bytes = (const unsigned char *)(data.n ? data.p : "");

	return HMAC(EVP_sha256(), key, SCRAM_HASH, bytes, data.n, out, NULL) ? 0 : ERR_NOMEM;
}

int scram_derive(
	struct span password, struct span salt, uint32_t iterations, struct scram_keys *out)
{
	uint8_t salted[SCRAM_HASH];
	struct scram_keys keys;
	int err = ERR_NOMEM;

	if (PKCS5_PBKDF2_HMAC(password.n ? password.p : "", (int)password.n,
		    (const unsigned char *)salt.p, (int)salt.n, (int)iterations, EVP_sha256(),
		    SCRAM_HASH, salted) == 1 &&
		scram_hmac(salted, SPAN("Client Key"), keys.client) == 0 &&
		scram_hmac(salted, SPAN("Server Key"), keys.server) == 0 &&
		SHA256(keys.client, SCRAM_HASH, keys.stored)) {
		*out = keys;
		err = 0;
	}
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(&keys, sizeof(keys));
	return err;
}

int scram_verifier_make(struct span password, const uint8_t *salt, uint32_t salt_bytes,
	uint32_t iterations, struct scram_verifier *out)
{
	struct scram_verifier made = {.iterations = iterations, .salt_bytes = salt_bytes};
	struct scram_keys keys;

	if (!salt_bytes || salt_bytes > SCRAM_SALT_MOST || iterations < SCRAM_ITERATIONS_LEAST ||
		iterations > SCRAM_ITERATIONS_MOST || password.n > SCRAM_PREPARED)
		return ERR_LIMIT;
	int err = scram_derive(password, span_of(salt, salt_bytes), iterations, &keys);
	if (err)
		return err;
	memcpy(made.salt, salt, salt_bytes);
	memcpy(made.stored_key, keys.stored, SCRAM_HASH);
	memcpy(made.server_key, keys.server, SCRAM_HASH);
	OPENSSL_cleanse(&keys, sizeof(keys));
	*out = made;
	return 0;
}

bool scram_server_check(const struct scram_verifier *verifier, struct span auth_message,
	const uint8_t proof[SCRAM_HASH], uint8_t signature[SCRAM_HASH])
{
	uint8_t ours[SCRAM_HASH], key[SCRAM_HASH], stored[SCRAM_HASH] = {0}, answer[SCRAM_HASH];
	bool able = scram_hmac(verifier->stored_key, auth_message, ours) == 0 &&
		    scram_hmac(verifier->server_key, auth_message, answer) == 0;

	if (able) {
		for (size_t i = 0; i < SCRAM_HASH; i++)
			key[i] = proof[i] ^ ours[i];
		able = SHA256(key, SCRAM_HASH, stored) != NULL;
	}
	bool right = able && CRYPTO_memcmp(stored, verifier->stored_key, SCRAM_HASH) == 0;
	if (right)
		memcpy(signature, answer, SCRAM_HASH);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(answer, sizeof(answer));
	return right;
}
