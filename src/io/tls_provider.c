/*
 * Private keys that are in another process, as keys of OpenSSL: a provider whose key objects know
 * the public key and whom to ask for signatures. All else is left to OpenSSL's own provider, in a
 * library context where that one is preferred; ours is found through its keys alone.
 */
#include "io/tls_provider.h"

#include "base/check.h"
#include "base/err.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>

#define PARAM_ORIGIN "postern-origin" /* a struct origin: how our own code makes a key */

struct origin {
	EVP_PKEY *open;
	struct tls_remote *remote;
	uint32_t number;
};

struct tls_remote {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *openssl, *ours;
	struct tls_signer *signer;
	struct tls_link *shakes;
};

static const char *const kinds[REMOTE_KINDS] = {
	[REMOTE_RSA] = "RSA",
	[REMOTE_EC] = "EC",
	[REMOTE_ED25519] = "ED25519",
};

/* ---- keys ----------------------------------------------------------------------------------- */

static void *key_new(void *provider, enum remote_kind kind)
{
	struct remote_key *key = calloc(1, sizeof(*key));

	if (key) {
		key->provider = provider;
		key->kind = kind;
	}
	return key;
}

static void *rsa_new(void *provider)
{
	return key_new(provider, REMOTE_RSA);
}

static void *ec_new(void *provider)
{
	return key_new(provider, REMOTE_EC);
}

static void *ed25519_new(void *provider)
{
	return key_new(provider, REMOTE_ED25519);
}

static void key_free(void *at)
{
	struct remote_key *key = at;

	if (key)
		EVP_PKEY_free(key->open);
	free(key);
}

static int key_has(const void *at, int selection)
{
	const struct remote_key *key = at;

	return key->open && (key->remote || !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY));
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *one = a, *other = b;
	(void)selection;

	return one->open && other->open && EVP_PKEY_eq(one->open, other->open) == 1;
}

/* The public key of somebody's, for comparing. */
static int import_open(struct remote_key *key, OSSL_PARAM params[])
{
	EVP_PKEY_CTX *context =
		EVP_PKEY_CTX_new_from_name(key->provider->library, kinds[key->kind], NULL);
	int fine = context && EVP_PKEY_fromdata_init(context) == 1 &&
		   EVP_PKEY_fromdata(context, &key->open, EVP_PKEY_PUBLIC_KEY, params) == 1;

	EVP_PKEY_CTX_free(context);
	return fine;
}

static int key_import(void *at, int selection, const OSSL_PARAM params[])
{
	struct remote_key *key = at;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_ORIGIN);
	(void)selection;

	if (!p)
		return import_open(key, (OSSL_PARAM *)(uintptr_t)params);
	if (p->data_size != sizeof(struct origin))
		return 0;
	struct origin origin;
	memcpy(&origin, p->data, sizeof(origin));
	if (!EVP_PKEY_up_ref(origin.open))
		return 0;
	key->open = origin.open;
	key->remote = origin.remote;
	key->number = origin.number;
	return 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_string(PARAM_ORIGIN, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)selection;

	return types;
}

static int key_get_params(void *at, OSSL_PARAM params[])
{
	const struct remote_key *key = at;

	return key->open && EVP_PKEY_get_params(key->open, params);
}

static const OSSL_PARAM *key_gettable(void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};
	(void)provider;

	return types;
}

static const char *ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define FUNCTION(id, f)                 \
	{                               \
		id, (void (*)(void))(f) \
	}
#define KEY_FUNCTIONS(maker)                                                                \
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, maker), FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free), \
		FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                                   \
		FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                               \
		FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                             \
		FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                 \
		FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                     \
		FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable)

static const OSSL_DISPATCH rsa_functions[] = {KEY_FUNCTIONS(rsa_new), {0, NULL}};
static const OSSL_DISPATCH ed25519_functions[] = {KEY_FUNCTIONS(ed25519_new), {0, NULL}};
static const OSSL_DISPATCH ec_functions[] = {
	KEY_FUNCTIONS(ec_new),
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
	{0, NULL},
};

/* ---- the provider --------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{"RSA", "provider=" REMOTE_PROVIDER, rsa_functions, NULL},
		{"EC", "provider=" REMOTE_PROVIDER, ec_functions, NULL},
		{"ED25519", "provider=" REMOTE_PROVIDER, ed25519_functions, NULL},
		{NULL, NULL, NULL, NULL},
	};
	(void)provider;

	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT: return keys;
	case OSSL_OP_SIGNATURE: return remote_signatures;
	default: return NULL;
	}
}

static void teardown(void *provider)
{
	free(provider);
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	void **context)
{
	static const OSSL_DISPATCH functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{0, NULL},
	};
	struct remote_provider *provider = calloc(1, sizeof(*provider));

	if (!provider)
		return 0;
	for (; in->function_id; in++)
		if (in->function_id == OSSL_FUNC_CORE_GET_LIBCTX)
			/* Of a provider that is built in, it is the library context itself. */
			provider->library = (OSSL_LIB_CTX *)OSSL_FUNC_core_get_libctx(in)(handle);
	*context = provider;
	*out = functions;
	return 1;
}

/* ---- for tls_server.c ----------------------------------------------------------------------- */

int tls_remote_new(struct tls_signer *signer, struct tls_remote **out)
{
	struct tls_remote *remote = calloc(1, sizeof(*remote));

	if (!remote)
		return ERR_NOMEM;
	remote->signer = signer;
	remote->library = OSSL_LIB_CTX_new();
	if (remote->library && OSSL_PROVIDER_add_builtin(remote->library, REMOTE_PROVIDER, init)) {
		remote->openssl = OSSL_PROVIDER_load(remote->library, "default");
		remote->ours = OSSL_PROVIDER_load(remote->library, REMOTE_PROVIDER);
	}
	if (!remote->openssl || !remote->ours ||
		!EVP_set_default_properties(remote->library, "?provider=default")) {
		tls_remote_free(&remote);
		ERR_clear_error();
		return ERR_NOMEM;
	}
	*out = remote;
	return 0;
}

void tls_remote_free(struct tls_remote **at)
{
	struct tls_remote *remote = *at;

	*at = NULL;
	if (!remote)
		return;
	if (remote->ours)
		OSSL_PROVIDER_unload(remote->ours);
	if (remote->openssl)
		OSSL_PROVIDER_unload(remote->openssl);
	OSSL_LIB_CTX_free(remote->library);
	free(remote);
}

OSSL_LIB_CTX *tls_remote_library(const struct tls_remote *remote)
{
	return remote->library;
}

struct tls_signer *tls_remote_signer(const struct tls_remote *remote)
{
	return remote->signer;
}

void tls_remote_shakes(struct tls_remote *remote, struct tls_link *link)
{
	CHECK(!link || !remote->shakes);
	remote->shakes = link;
}

struct tls_link *tls_remote_shaking(const struct tls_remote *remote)
{
	return remote->shakes;
}

EVP_PKEY *tls_remote_key(struct tls_remote *remote, uint32_t number, X509 *certificate)
{
	struct origin origin = {
		.open = X509_get0_pubkey(certificate), .remote = remote, .number = number};
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(PARAM_ORIGIN, &origin, sizeof(origin)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *key = NULL;

	for (size_t i = 0; i < REMOTE_KINDS && origin.open; i++) {
		if (!EVP_PKEY_is_a(origin.open, kinds[i]))
			continue;
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
			remote->library, kinds[i], "provider=" REMOTE_PROVIDER);
		if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
			EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
			key = NULL;
		EVP_PKEY_CTX_free(context);
	}
	return key;
}
