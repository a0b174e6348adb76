/*
 * TLS as the rest of the program sees it: plain data in, plain data out. OpenSSL is known to
 * io/tls_*.c and io/loop_tls.c only; the simulator has a handshake of its own behind the same face.
 *
 * A connection is secured by io_conn_secure_server() or _client() (io/io.h); after its secured()
 * callback said 0 every call on the connection means what it meant before, on the protected bytes.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/buf.h"
#include "base/list.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_HASH_BYTES	  32	     /* SHA-256 */
#define TLS_BINDING_BYTES 32	     /* tls-exporter, RFC 9266 */
#define TLS_NAMES	  8	     /* that a server's certificate may bear, for one connection */
#define TLS_PINS	  16	     /* of one transport */
#define TLS_TLSA	  32	     /* records that are looked at (RFC 7672) */
#define TLS_SERVER_NAMES  65	     /* certificates of one listener: its own, and by server name */
#define TLS_PEM_BYTES	  (1u << 20) /* of a file with certificates or a key */
#define TLS_CHAIN	  10	     /* certificates of a peer's chain that are looked at */
#define TLS_HELLO_BYTES	  16384	     /* of a client's hello */
#define TLS_CLIENT_CHAIN  32768	     /* bytes of the certificates that a client shows */
#define TLS_TICKET_BYTES  80 /* of a key for session tickets: name 16, AES-256 32, HMAC 32 */

/* ---- what became of a handshake ------------------------------------------------------------- */

/* In the order of how far it came; RFC 8460 section 4.3 has names for most of them. */
enum tls_failure {
	TLS_FINE,
	TLS_HANDSHAKE, /* no common version or cipher, an alert, nonsense: "validation-failure" */
	TLS_LOST,      /* the connection ended meanwhile */
	TLS_TIMEOUT,
	TLS_NO_CERTIFICATE, /* the server showed none */
	TLS_EXPIRED,	    /* "certificate-expired" */
	TLS_UNTRUSTED,	    /* no chain to a trusted root: "certificate-not-trusted" */
	TLS_NAME,	    /* "certificate-host-mismatch" */
	TLS_PIN,	    /* no pinned certificate or key among it */
	TLS_NO_MATCH,	    /* no TLSA record matches: "validation-failure" */
	TLS_OURS,	    /* memory, a key that cannot be used: says nothing of the peer */
	TLS_FAILURES
};

/* "handshake failed", … for people; ours. */
const char *tls_failure_text(enum tls_failure failure);

/* Of an established connection, or as much as is known of one that failed. Valid as long as the
 * connection; spans point into it. */
struct tls_info {
	enum tls_failure failure;
	struct span
		detail; /* of a failure: what OpenSSL or the alert says, printable; may be empty */
	struct span version; /* "TLSv1.3" */
	struct span cipher;  /* "TLS_AES_256_GCM_SHA384" */
	struct span sni;     /* server side: the name that the client asked for; lower case */
	bool resumed;
	bool has_binding;
	uint8_t binding[TLS_BINDING_BYTES]; /* tls-exporter (RFC 9266): TLS 1.3, or 1.2 with the
					       extended master secret */
	/* The peer's certificate. */
	bool peer_certificate;	  /* it showed one */
	bool peer_verified;	  /* as was asked for: its chain (server side: to client_ca) */
	struct span peer_subject; /* printable, cut */
	uint8_t peer_certificate_hash[TLS_HASH_BYTES]; /* SHA-256 of its DER form … */
	uint8_t peer_key_hash[TLS_HASH_BYTES];	       /* … and of its SubjectPublicKeyInfo */
};

/* ---- client side ---------------------------------------------------------------------------- */

enum tls_check {
	TLS_CHECK_NOTHING, /* opportunistic, require: any certificate will do */
	TLS_CHECK_CHAIN,   /* chain to the trust anchors, dates, and one of `names` */
	TLS_CHECK_PINS, /* one of `pins` is the SHA-256 of the server's certificate or of its key;
			 * neither chain, dates nor names matter then */
	TLS_CHECK_DANE, /* `tlsa`, RFC 7672 section 3: DANE-TA(2) with `names`, DANE-EE(3) without
			 * names and dates; 0 and 1 are unusable */
};

struct tls_tlsa {
	uint8_t usage, selector, type;
	struct span data;
};

/* Used during the call only, and copied. */
struct tls_client {
	struct span sni; /* a DNS name; empty: none is sent */
	enum tls_check check;
	const struct span *names; /* a leading dot matches one label more: ".example.org" */
	size_t name_count;
	bool alternative_only; /* a subject's common name is no name */
	struct span ca_pem;    /* CHAIN: trust anchors; empty: the system's */
	const uint8_t (*pins)[TLS_HASH_BYTES];
	size_t pin_count;
	const struct tls_tlsa *tlsa;
	size_t tlsa_count;
	/* Sessions are kept and resumed among connections with the same text here: destination,
	 * host and all that was asked of the certificate. Empty: none. A resumed session was
	 * checked when it began; a change of what is asked is another text. */
	struct span session_key;
};

/* ---- server side ---------------------------------------------------------------------------- */

enum tls_signature {
	TLS_SIGN_RSA_PKCS1, /* in: DigestInfo is added here; hash says of what */
	TLS_SIGN_RSA_PSS,   /* salt as long as the hash (RFC 8446 section 4.2.3) */
	TLS_SIGN_ECDSA,	    /* out: DER */
	TLS_SIGN_ED25519,
	TLS_SIGNATURES
};
enum tls_hash { TLS_SHA256, TLS_SHA384, TLS_SHA512, TLS_NO_HASH, TLS_SHA1 };
#define TLS_SIGN_IN	 64 /* bytes of a digest; of a message for Ed25519 TLS_SIGN_MESSAGE */
#define TLS_SIGN_MESSAGE 256
#define TLS_SIGN_OUT	 1024 /* bytes of a signature: RSA up to 8192 bits */
#define TLS_SIGNINGS	 128  /* handshakes of a loop that wait for one; others wait to begin */

/* A signature that a handshake waits for; it and what `in` points to stay until done() or
 * forget(). */
struct tls_signing {
	uint32_t key; /* number */
	enum tls_signature kind;
	enum tls_hash hash;
	struct span in; /* the digest for RSA and ECDSA, the message for Ed25519 */
	/* The answer: the signature, or why there is none (ERR_IO, ERR_DENIED, ERR_TIMEOUT). From
	 * the loop, never within ask() or forget(); the handshake goes on within it. */
	void (*done)(struct tls_signing *signing, int err, struct span signature);
	/* The signer's. */
	struct list place;
	uint32_t serial;
	uint64_t until_ns;
};

/* How a private key is used that is not in this process: it is asked, and answers when it can. */
struct tls_signer {
	/* 0: done() is called once, within a time that the signer sets, unless forget() is called
	 * before. An error: it never is. */
	int (*ask)(struct tls_signer *signer, struct tls_signing *signing);
	void (*forget)(struct tls_signer *signer, struct tls_signing *signing);
};

struct tls_certificate {
	struct span name;  /* the server name it is for, lower case, "*.example.org" too; empty: all
			    * others */
	struct span chain; /* PEM, the server's own first */
	struct span key;   /* PEM; empty: signer and key_number are used */
	uint32_t key_number;
};

struct tls_server_config {
	const struct tls_certificate *certificates; /* the first: clients that name no server, or
						     * another one */
	size_t certificate_count;
	struct tls_signer *signer; /* outlives every connection */
	struct span client_ca; /* PEM: a certificate is asked for (never insisted on), and verified
				* by these; empty: none is asked for */
};

struct tls_server; /* immutable; connections hold it while they need it */

/* Everything is copied. ERR_SYNTAX (with a sentence in `problem`: which certificate, what is wrong
 * with it), ERR_NOMEM. */
int tls_server_new(
	const struct tls_server_config *config, struct tls_server **out, struct buf *problem);
struct tls_server *tls_server_hold(struct tls_server *server);
void tls_server_release(struct tls_server **server);

/*
 * Keys for session tickets, the same in all workers and across reloads: the first encrypts, both
 * decrypt (the other is the one before). Without keys no tickets are given. May be set again at any
 * time (rotation); applies to all handshakes from then on.
 */
struct tls_tickets {
	uint8_t keys[2][TLS_TICKET_BYTES];
	uint32_t count; /* 0, 1 or 2 */
};
void tls_server_set_tickets(struct tls_server *server, const struct tls_tickets *tickets);

/* When the certificate of this place ends, wall clock ms; ERR_NOT_FOUND. For warnings. */
int tls_server_expiry(const struct tls_server *server, size_t certificate, int64_t *out_ms);

/* ---- memory --------------------------------------------------------------------------------- */

/* For processes that see private keys: from now on OpenSSL overwrites all that it frees. ERR_BUSY:
 * it has begun to work already. */
int tls_wipe_freed(void);

/* ---- looking at files ----------------------------------------------------------------------- */

/* Does the key (PEM) belong to the first certificate of the chain (PEM), and can both be used? 0,
 * or ERR_SYNTAX with a sentence. *expires_ms (may be NULL): of that certificate. */
int tls_check_pair(struct span chain, struct span key, int64_t *expires_ms, struct buf *problem);
/* The certificates of a PEM file: how many there are. ERR_SYNTAX. */
int tls_check_ca(struct span pem, size_t *count, struct buf *problem);
/* Does a certificate of this chain bear the DNS name (RFC 6125)? */
bool tls_chain_has_name(struct span chain, struct span name);

#endif
