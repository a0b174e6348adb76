/*
 * What the files of TLS share; nobody else includes it. OpenSSL is known here, and behind.
 */
#ifndef IO_TLS_IMPL_H
#define IO_TLS_IMPL_H

#include "base/list.h"
#include "io/fiber.h"
#include "io/tls.h"

#include <openssl/ssl.h>

#define TLS_RECORD	   16384 /* plaintext bytes of a record */
#define TLS_DETAIL	   160	 /* characters of a failure's detail, of a subject */
#define TLS_CONTEXTS	   16	 /* sets of trust anchors whose client context is kept */
#define TLS_SESSIONS	   512	 /* that clients keep */
#define TLS_SESSION_S	   7200	 /* after which a session is not resumed */
#define TLS_SESSION_KEY	   1024	 /* characters of the text a session is kept under */
#define TLS_SECURITY_LEVEL 2	 /* of OpenSSL: 112 bits */

struct tls_clients; /* contexts and sessions of the client side; a loop has one */

/* How far the records of a client have been looked at (tls_hello.c). */
struct tls_hello {
	uint8_t record[5], message[4]; /* headers: of the record that goes on, of its message */
	uint8_t record_n, message_n;   /* bytes of them, while they come */
	uint16_t record_left;
	uint32_t message_left;
	bool begun; /* the first message */
	bool over;  /* no other hello can come */
};

/* One protected connection, as OpenSSL's callbacks find it. */
struct tls_link {
	SSL *ssl;
	struct tls_server *server;   /* held; NULL on the client side */
	struct tls_clients *clients; /* NULL on the server side */
	enum tls_check check;
	uint8_t (*pins)[TLS_HASH_BYTES];
	size_t pin_count;
	X509 *refused; /* the server's certificate, where it did not pass */
	char *session_key;
	/* What a callback of ours found; else OpenSSL's verify result and errors are asked. */
	enum tls_failure found;
	const char *why; /* of what we found, where OpenSSL knows nothing; NULL */
	struct tls_hello hello;
	/* Of a handshake that waits for a signature (tls_shake.c). */
	struct fiber *fiber;
	struct fibers *fibers;
	struct tls_signing signing;
	void (*signed_now)(struct tls_link *link); /* it can go on: from the loop */
	uint8_t *signature;			   /* where it goes, while it is waited for */
	size_t signature_bytes;
	int step_err, sign_err;
	bool waits, has_signed;
	bool established;
	bool again; /* a client of 1.2 has begun another handshake since */
	struct tls_info info;
	char *sni, *subject, *detail; /* behind the spans of info */
};

/* The link becomes one of the server's side. */
int tls_link_serve(struct tls_link *link, struct tls_server *server);
/* … of the client's. */
int tls_link_call(
	struct tls_link *link, struct tls_clients *clients, const struct tls_client *request);
void tls_link_done(struct tls_link *link);
/* Fills info in, when the handshake has come to its end. */
void tls_link_established(struct tls_link *link);
/* Fills info in. `failure` TLS_FINE: OpenSSL's errors say what it was. */
void tls_link_failed(struct tls_link *link, enum tls_failure failure);

/*
 * One step of the handshake. 0: it is done; ERR_DENIED: it failed, as OpenSSL's errors say;
 * ERR_AGAIN: the peer has its turn; ERR_BUSY: a signature is waited for, and nothing may be done
 * with the link before signed_now() was called, but tls_link_give_up(). ERR_NOMEM.
 */
int tls_link_shake(struct tls_link *link, struct fibers *fibers);
/* May a step begin now? Else it is to be tried again when a handshake has come to its end. */
bool tls_link_may_shake(const struct tls_link *link, const struct fibers *fibers);
/* Does it wait for a signature? */
bool tls_link_waits(const struct tls_link *link);
/* The handshake is of no more use, whatever it does: none waits after that. */
void tls_link_give_up(struct tls_link *link);

/* On the server side, before OpenSSL has these bytes of a handshake; it may ask for no more than
 * that. False: the client must get no further. */
bool tls_hello_fits(struct tls_link *link, const char *p, size_t n);

/* What contexts of both sides have in common: versions, options, modes. ERR_NOMEM. */
int tls_context_common(SSL_CTX *context, int security_level);

int tls_clients_new(struct tls_clients **out);
void tls_clients_free(struct tls_clients **clients);
/* The system's trust anchors, into memory; once. */
int tls_clients_load(struct tls_clients *clients);
/* For what this connection asks; the clients'. NULL: no memory. */
SSL_CTX *tls_clients_context(struct tls_clients *clients, const struct tls_client *request);
struct tls_sessions *tls_clients_sessions(struct tls_clients *clients);

/* Sessions by their text (tls_sessions.c). */
struct tls_sessions {
	struct list order; /* the one used last is first */
	size_t count;
};
void tls_sessions_init(struct tls_sessions *sessions);
void tls_sessions_done(struct tls_sessions *sessions);
/* Takes over one reference where it says true. */
bool tls_sessions_put(struct tls_sessions *sessions, const char *key, SSL_SESSION *session);
/* A reference of the caller's, or NULL. One of TLS 1.3 is used once. */
SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions, const char *key);

/* Certificates and keys from PEM (tls_pem.c). No pass phrase is ever asked for. */
struct tls_pem_chain {
	X509 *leaf;
	STACK_OF(X509) * rest;
};
int tls_pem_chain(struct span pem, struct tls_pem_chain *out, struct buf *problem);
void tls_pem_chain_done(struct tls_pem_chain *chain);
EVP_PKEY *tls_pem_key(struct span pem, struct buf *problem);
/* All certificates, into a store that can verify; *count may be NULL. */
int tls_pem_store(struct span pem, X509_STORE **out, size_t *count, struct buf *problem);
/* What OpenSSL says of its last errors, which are forgotten; printable. */
const char *tls_openssl_reason(char text[TLS_DETAIL]);
int64_t tls_time_ms(const ASN1_TIME *time);

/* A private key object that signs by the signer, for the public key of this certificate. */
struct tls_remote; /* a library context with the provider in it (tls_provider.c) */
int tls_remote_new(struct tls_signer *signer, struct tls_remote **out);
void tls_remote_free(struct tls_remote **remote);
OSSL_LIB_CTX *tls_remote_library(const struct tls_remote *remote);
struct tls_signer *tls_remote_signer(const struct tls_remote *remote);
/* Whose handshake runs, so that it can wait; NULL: none that could. */
void tls_remote_shakes(struct tls_remote *remote, struct tls_link *link);
struct tls_link *tls_remote_shaking(const struct tls_remote *remote);
EVP_PKEY *tls_remote_key(struct tls_remote *remote, uint32_t number, X509 *certificate);

/* For a private key object: the handshake that runs waits for its signature (tls_shake.c). */
int tls_shake_sign(struct tls_remote *remote, const struct tls_signing *signing,
	uint8_t out[TLS_SIGN_OUT], size_t *out_bytes);

/* Session tickets (tls_tickets.c). */
int tls_tickets_attach(SSL_CTX *context);

#endif
