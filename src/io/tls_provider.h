/* The inside of the provider for keys of another process: tls_provider.c and tls_provider_sign.c.
 */
#ifndef IO_TLS_PROVIDER_H
#define IO_TLS_PROVIDER_H

#include "io/tls_impl.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#define REMOTE_PROVIDER "postern-keys"

struct remote_provider {
	OSSL_LIB_CTX *library;
};

enum remote_kind { REMOTE_RSA, REMOTE_EC, REMOTE_ED25519, REMOTE_KINDS };

/* What OpenSSL holds for a private key. */
struct remote_key {
	struct remote_provider *provider;
	enum remote_kind kind;
	EVP_PKEY *open;		   /* the public key, of OpenSSL's own provider */
	struct tls_remote *remote; /* who knows whom to ask; NULL: there is no private one */
	uint32_t number;
};

extern const OSSL_ALGORITHM remote_signatures[];

#endif
