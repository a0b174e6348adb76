/* The server side's inside, for tls_server.c and tls_tickets.c. */
#ifndef IO_TLS_SERVER_IMPL_H
#define IO_TLS_SERVER_IMPL_H

#include "base/check.h"
#include "base/err.h"
#include "io/tls_impl.h"

#define TLS_SERVER_MAGIC 0x746c7373u

/* The certificates for one name: one per kind of key. */
struct tls_identity {
	char *name; /* lower case; NULL: none of its own */
	SSL_CTX *context;
};

struct tls_server {
	uint32_t magic;
	uint32_t holders;
	OSSL_LIB_CTX *library; /* NULL: the program's */
	struct tls_remote *remote;
	EVP_CIPHER *ticket_cipher;
	struct tls_tickets tickets;
	X509_STORE *client_ca;
	STACK_OF(X509_NAME) * client_names;
	uint8_t scope[TLS_HASH_BYTES]; /* a session of another one is not resumed */
	struct tls_identity *identities;
	size_t identity_count; /* the first is for all others */
	int64_t *expires_ms;
	size_t certificate_count;
};

#endif
