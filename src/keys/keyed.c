#include "keys/keyed.h"

#include "base/check.h"
#include "base/err.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define KEY 16 /* bytes: SipHash's */

/* What is kept already beside the database serves for other things, too (verify.c). */
#define PURPOSE "digests of names and addresses"

struct keyed {
	EVP_MAC *mac;
	EVP_MAC_CTX *context;
	uint8_t key[KEY];
};

int keyed_new(const uint8_t secret[KEYED_SECRET], struct keyed **out)
{
	struct keyed *keyed = calloc(1, sizeof(*keyed));
	uint8_t whole[EVP_MAX_MD_SIZE];

	if (!keyed)
		return ERR_NOMEM;
	keyed->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	if (keyed->mac)
		keyed->context = EVP_MAC_CTX_new(keyed->mac);
	if (!keyed->context ||
		!HMAC(EVP_sha256(), secret, KEYED_SECRET, (const unsigned char *)PURPOSE,
			sizeof(PURPOSE) - 1, whole, NULL)) {
		keyed_free(&keyed);
		return ERR_NOMEM;
	}
	memcpy(keyed->key, whole, KEY);
	OPENSSL_cleanse(whole, sizeof(whole));
	*out = keyed;
	return 0;
}

void keyed_free(struct keyed **at)
{
	struct keyed *keyed = *at;

	if (!keyed)
		return;
	EVP_MAC_CTX_free(keyed->context);
	EVP_MAC_free(keyed->mac);
	OPENSSL_cleanse(keyed, sizeof(*keyed));
	free(keyed);
	*at = NULL;
}

void keyed_digest(struct keyed *keyed, char what, struct span text, uint8_t out[KEYED_DIGEST])
{
	const unsigned char *p = (const unsigned char *)(text.n ? text.p : "");
	size_t n = 0;

	/* The key each time: with none, some releases of OpenSSL go on where they were. */
	CHECK(EVP_MAC_init(keyed->context, keyed->key, sizeof(keyed->key), NULL));
	CHECK(EVP_MAC_update(keyed->context, (const unsigned char *)&what, 1));
	CHECK(EVP_MAC_update(keyed->context, p, text.n));
	CHECK(EVP_MAC_final(keyed->context, out, &n, KEYED_DIGEST) && n == KEYED_DIGEST);
}
