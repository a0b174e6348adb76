/*
 * Signatures of keys in another process: what is hashed is hashed here, the rest is asked for. In
 * one go, as TLS does it: there is no signing bit by bit.
 */
#include "io/tls_provider.h"

#include "base/check.h"
#include "base/err.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#define REASON_SIGNER 1 /* of ERR_LIB_USER: the other process did not sign */

struct signing {
	struct remote_provider *provider;
	const struct remote_key *key; /* lives as long as the EVP_PKEY that OpenSSL holds */
	enum tls_signature kind;
	enum tls_hash hash;
	EVP_MD *digest;
};

static void *signing_new(void *provider, const char *properties)
{
	struct signing *s = calloc(1, sizeof(*s));
	(void)properties;

	if (s)
		s->provider = provider;
	return s;
}

static void signing_free(void *at)
{
	struct signing *s = at;

	if (!s)
		return;
	EVP_MD_free(s->digest);
	free(s);
}

static bool choose_hash(struct signing *s, const char *name)
{
	static const struct {
		const char *name;
		enum tls_hash hash;
	} known[] = {{"SHA256", TLS_SHA256}, {"SHA384", TLS_SHA384}, {"SHA512", TLS_SHA512},
		{"SHA1", TLS_SHA1}};

	EVP_MD_free(s->digest);
	s->digest = name ? EVP_MD_fetch(s->provider->library, name, NULL) : NULL;
	for (size_t i = 0; s->digest && i < ARRAY_SIZE(known); i++) {
		if (EVP_MD_is_a(s->digest, known[i].name)) {
			s->hash = known[i].hash;
			return true;
		}
	}
	return false;
}

static int set_padding(struct signing *s, const OSSL_PARAM *p)
{
	int mode = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		bool pss = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
		bool pkcs1 = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0;
		mode = pss ? RSA_PKCS1_PSS_PADDING : pkcs1 ? RSA_PKCS1_PADDING : 0;
	} else if (!OSSL_PARAM_get_int(p, &mode)) {
		return 0;
	}
	if (mode != RSA_PKCS1_PSS_PADDING && mode != RSA_PKCS1_PADDING)
		return 0;
	s->kind = mode == RSA_PKCS1_PSS_PADDING ? TLS_SIGN_RSA_PSS : TLS_SIGN_RSA_PKCS1;
	return 1;
}

/* A salt as long as the hash is the only one that TLS knows, and that the signer makes. */
static int check_salt(const OSSL_PARAM *p)
{
	int bytes;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return OSSL_PARAM_get_int(p, &bytes) && bytes == RSA_PSS_SALTLEN_DIGEST;
}

static int signing_set(void *at, const OSSL_PARAM params[])
{
	struct signing *s = at;
	const OSSL_PARAM *p;

	if (!params)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p && (s->key->kind != REMOTE_RSA || !set_padding(s, p)))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return !p || check_salt(p);
}

static const OSSL_PARAM *signing_settable(void *at, void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)at;
	(void)provider;

	return types;
}

static int hashing_begin(void *at, const char *hash, void *key, const OSSL_PARAM params[])
{
	struct signing *s = at;

	s->key = key ? key : s->key;
	if (!s->key || !s->key->remote || !choose_hash(s, hash))
		return 0;
	s->kind = s->key->kind == REMOTE_EC ? TLS_SIGN_ECDSA : TLS_SIGN_RSA_PKCS1;
	return signing_set(s, params);
}

/* OpenSSL asks how much room is needed before it asks for the signature. */
static int ask(struct signing *s, struct span in, unsigned char *to, size_t *n, size_t room)
{
	const struct remote_key *key = s->key;
	uint8_t made[TLS_SIGN_OUT];
	size_t bytes = 0;
	int size = EVP_PKEY_get_size(key->open);

	if (!to) {
		*n = (size_t)MAX(size, 0);
		return size > 0;
	}
	const struct tls_signing signing = {
		.key = key->number, .kind = s->kind, .hash = s->hash, .in = in};
	int err = tls_shake_sign(key->remote, &signing, made, &bytes);
	if (err == 0 && bytes <= room && bytes <= sizeof(made)) {
		memcpy(to, made, bytes);
		*n = bytes;
		return 1;
	}
	ERR_raise_data(ERR_LIB_USER, REASON_SIGNER, "%s", err_text(err ? err : ERR_LIMIT));
	return 0;
}

static int hashing_sign(void *at, unsigned char *to, size_t *n, size_t room,
	const unsigned char *message, size_t message_n)
{
	struct signing *s = at;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	if (to && EVP_Digest(message, message_n, digest, &bytes, s->digest, NULL) != 1)
		return 0;
	return ask(s, span_of(digest, bytes), to, n, room);
}

static int message_begin(void *at, const char *hash, void *key, const OSSL_PARAM params[])
{
	struct signing *s = at;
	(void)hash;
	(void)params;

	s->key = key ? key : s->key;
	s->kind = TLS_SIGN_ED25519;
	s->hash = TLS_NO_HASH;
	return s->key && s->key->remote;
}

static int message_sign(void *at, unsigned char *to, size_t *n, size_t room,
	const unsigned char *message, size_t message_n)
{
	if (message_n > TLS_SIGN_MESSAGE)
		return 0;
	return ask(at, span_of(message, message_n), to, n, room);
}

#define FUNCTION(id, f)                 \
	{                               \
		id, (void (*)(void))(f) \
	}

static const OSSL_DISPATCH hashing_functions[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, hashing_begin),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, hashing_sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
	{0, NULL},
};

static const OSSL_DISPATCH message_functions[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, message_begin),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, message_sign),
	{0, NULL},
};

const OSSL_ALGORITHM remote_signatures[] = {
	{"RSA", "provider=" REMOTE_PROVIDER, hashing_functions, NULL},
	{"ECDSA", "provider=" REMOTE_PROVIDER, hashing_functions, NULL},
	{"ED25519", "provider=" REMOTE_PROVIDER, message_functions, NULL},
	{NULL, NULL, NULL, NULL},
};
