#include "io/tls_key.h"

#include "base/err.h"
#include "io/tls_impl.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct tls_private_key {
	EVP_PKEY *key;
};

static const struct {
	size_t bytes;
	const char *name;
} hashes[] = {
	[TLS_SHA256] = {32, "SHA256"},
	[TLS_SHA384] = {48, "SHA384"},
	[TLS_SHA512] = {64, "SHA512"},
};

static bool is_known(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") ||
	       EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "ED25519");
}

int tls_private_key_new(struct span pem, struct tls_private_key **out, struct buf *problem)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	EVP_PKEY *key = tls_pem_key(pem, problem);
	if (!key)
		return ERR_SYNTAX;
	int err = 0;
	if (!is_known(key)) {
		buf_add_str(problem, "the key is neither RSA, ECDSA nor Ed25519");
		err = ERR_SYNTAX;
	} else if (EVP_PKEY_get_size(key) > TLS_SIGN_OUT) {
		buf_printf(problem, "the key has more than %d bits", TLS_SIGN_OUT * 8);
		err = ERR_SYNTAX;
	}
	struct tls_private_key *made = err ? NULL : calloc(1, sizeof(*made));
	if (!made) {
		EVP_PKEY_free(key);
		return err ? err : ERR_NOMEM;
	}
	made->key = key;
	*out = made;
	return 0;
}

void tls_private_key_free(struct tls_private_key **at)
{
	struct tls_private_key *key = *at;

	*at = NULL;
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	free(key);
}

static int sign_message(EVP_PKEY *key, struct span in, uint8_t *out, size_t *n)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fine = context &&
		    EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
		    EVP_DigestSign(context, out, n, (const unsigned char *)in.p, in.n) == 1;

	EVP_MD_CTX_free(context);
	return fine ? 0 : ERR_IO;
}

static bool set_padding(EVP_PKEY_CTX *context, enum tls_signature kind)
{
	switch (kind) {
	case TLS_SIGN_RSA_PKCS1:
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
	case TLS_SIGN_RSA_PSS:
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
	default: return true;
	}
}

static int sign_digest(EVP_PKEY *key, enum tls_signature kind, enum tls_hash hash, struct span in,
	uint8_t *out, size_t *n)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	EVP_MD *digest = EVP_MD_fetch(NULL, hashes[hash].name, NULL);
	bool fine = context && digest && EVP_PKEY_sign_init(context) == 1 &&
		    set_padding(context, kind) &&
		    EVP_PKEY_CTX_set_signature_md(context, digest) == 1 &&
		    EVP_PKEY_sign(context, out, n, (const unsigned char *)in.p, in.n) == 1;

	EVP_MD_free(digest);
	EVP_PKEY_CTX_free(context);
	return fine ? 0 : ERR_IO;
}

static bool fits(const EVP_PKEY *key, enum tls_signature kind, enum tls_hash hash, struct span in)
{
	switch (kind) {
	case TLS_SIGN_RSA_PKCS1:
		if (!EVP_PKEY_is_a(key, "RSA"))
			return false;
		break;
	case TLS_SIGN_RSA_PSS:
		if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "RSA-PSS"))
			return false;
		break;
	case TLS_SIGN_ECDSA:
		if (!EVP_PKEY_is_a(key, "EC"))
			return false;
		break;
	case TLS_SIGN_ED25519:
		return EVP_PKEY_is_a(key, "ED25519") && hash == TLS_NO_HASH &&
		       in.n <= TLS_SIGN_MESSAGE;
	default: return false;
	}
	return hash <= TLS_SHA512 && in.n == hashes[hash].bytes;
}

int tls_key_sign(struct tls_private_key *key, enum tls_signature kind, enum tls_hash hash,
	struct span in, uint8_t out[TLS_SIGN_OUT], size_t *out_bytes)
{
	size_t n = TLS_SIGN_OUT;

	if (!fits(key->key, kind, hash, in))
		return ERR_DENIED;
	ERR_clear_error();
	int err = kind == TLS_SIGN_ED25519 ? sign_message(key->key, in, out, &n)
					   : sign_digest(key->key, kind, hash, in, out, &n);
	ERR_clear_error();
	if (err == 0)
		*out_bytes = n;
	return err;
}
