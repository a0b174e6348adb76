/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; channel binding by tls-exporter, RFC
 * 9266), both sides, and what is kept of a password for it.
 *
 * Pure: nonces come in as bytes. The server side is in two halves, since who speaks with the client
 * must not hold the verifiers: this file parses and builds messages, and scram_server_check()
 * (which needs a verifier) works on opaque bytes and runs elsewhere (role keys).
 *
 * Bounds: messages of at most SCRAM_MESSAGE bytes, iterations SCRAM_ITERATIONS_LEAST … _MOST (a
 * server could keep a client busy otherwise).
 */
#ifndef CODEC_SCRAM_H
#define CODEC_SCRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define SCRAM_MESSAGE	       2048 /* bytes, before base64 */
#define SCRAM_HASH	       32
#define SCRAM_NONCE	       24 /* random bytes, which go as 32 base64 characters */
#define SCRAM_SALT	       16
#define SCRAM_SALT_MOST	       64 /* of a peer's */
#define SCRAM_USER	       320
#define SCRAM_PREPARE	       1024 /* of a user name or password, before it is prepared */
#define SCRAM_PREPARED	       ((size_t)11 * SCRAM_PREPARE) /* and after it: NFKC makes 33 bytes of 3 */
#define SCRAM_ITERATIONS       10000
#define SCRAM_ITERATIONS_LEAST 4096 /* RFC 7677 section 4 */
#define SCRAM_ITERATIONS_MOST  1000000

/* What is kept of a password. */
struct scram_verifier {
	uint32_t iterations;
	uint32_t salt_bytes;
	uint8_t salt[SCRAM_SALT_MOST];
	uint8_t stored_key[SCRAM_HASH];
	uint8_t server_key[SCRAM_HASH];
};

/* A password or user name as RFC 4013 (SASLprep) wants it: NFKC, other spaces become " ", what maps
 * to nothing goes. ERR_SYNTAX: control characters and others that are prohibited, letters of both
 * directions, no UTF-8, or nothing left; ERR_LIMIT: over SCRAM_PREPARE bytes; ERR_NOMEM. ASCII
 * stays as it is. */
int scram_prepare(struct span in, struct buf *out);

/* From a prepared password. Takes as long as its iterations: on a helper thread. ERR_LIMIT: salt,
 * iterations or password outside the bounds; ERR_NOMEM. */
int scram_verifier_make(struct span password, const uint8_t *salt, uint32_t salt_bytes,
	uint32_t iterations, struct scram_verifier *out);

/* ---- server ---------------------------------------------------------------------------------- */

enum scram_binding {
	SCRAM_UNBOUND,	   /* "n": the client has none */
	SCRAM_NOT_OFFERED, /* "y": the client has one and believes that we have none. Where we
			    * offered -PLUS, somebody took it out of our offer: refuse. */
	SCRAM_BOUND,	   /* "p=tls-exporter" */
};

struct scram_server {
	enum scram_binding binding;
	struct span user;	/* as the client wrote it, "=2C" and "=3D" decoded; in the arena */
	struct span authzid;	/* likewise; empty: none */
	struct span first_bare; /* in the arena */
	struct span gs2;	/* in the arena */
	struct span nonce;	/* both halves; in the arena */
	struct span server_first;
};

/* client-first-message. `plus`: the mechanism's name ended in -PLUS, which wants SCRAM_BOUND (and
 * the plain one must not have it). ERR_SYNTAX, ERR_LIMIT, ERR_UNSUPPORTED (another binding, an
 * extension "m="), ERR_NOMEM. */
int scram_server_first(struct scram_server *s, struct span message, bool plus, struct arena *arena);
/* server-first-message, appended to `out` and kept. `nonce`: SCRAM_NONCE random bytes. ERR_LIMIT:
 * no salt, or one over SCRAM_SALT_MOST; ERR_NOMEM. */
int scram_server_challenge(struct scram_server *s, const uint8_t nonce[SCRAM_NONCE],
	const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations, struct arena *arena,
	struct buf *out);
/*
 * client-final-message: its nonce and channel binding are checked (`exporter`: the 32 bytes of this
 * connection, NULL where it has none). *auth_message is in the arena. ERR_SYNTAX, ERR_LIMIT,
 * ERR_UNSUPPORTED (an extension "m="), ERR_NOMEM; ERR_DENIED: the binding or the nonce is another
 * one.
 */
int scram_server_final(struct scram_server *s, struct span message, const uint8_t *exporter,
	struct arena *arena, struct span *auth_message, uint8_t proof[SCRAM_HASH]);
/* Is the proof right? In the same time whatever it is. *signature: for the server's last word. */
bool scram_server_check(const struct scram_verifier *verifier, struct span auth_message,
	const uint8_t proof[SCRAM_HASH], uint8_t signature[SCRAM_HASH]);
/* server-final-message: "v=…". */
void scram_server_success(const uint8_t signature[SCRAM_HASH], struct buf *out);

/* ---- client ---------------------------------------------------------------------------------- */

struct scram_client {
	bool plus, can_bind;
	uint8_t exporter[SCRAM_HASH];
	struct span first_bare, nonce; /* in the arena */
	uint8_t server_signature[SCRAM_HASH];
};

/* client-first-message. `exporter`: NULL where the connection has no binding; `plus`: the mechanism
 * chosen is -PLUS. With a binding, but without -PLUS in the server's offer, "y" is said. The user
 * is prepared here. ERR_SYNTAX, ERR_LIMIT: no such user; ERR_UNSUPPORTED: -PLUS without a binding;
 * ERR_NOMEM. */
int scram_client_first(struct scram_client *c, struct span user, const uint8_t *exporter, bool plus,
	const uint8_t nonce[SCRAM_NONCE], struct arena *arena, struct buf *out);
/* server-first-message in, client-final-message out. Takes as long as the iterations that the
 * server wants: bounded by SCRAM_ITERATIONS_MOST (about 0.3 s); the caller does it on a helper
 * thread. The password is prepared here. ERR_SYNTAX (of the password, too), ERR_LIMIT (iterations,
 * salt or length outside the bounds), ERR_UNSUPPORTED ("m="), ERR_DENIED (not our nonce),
 * ERR_NOMEM. */
int scram_client_final(struct scram_client *c, struct span password, struct span server_first,
	struct arena *arena, struct buf *out);
/* server-final-message: does the server know the verifier? ERR_DENIED: no, or it said "e=";
 * ERR_SYNTAX, ERR_LIMIT, ERR_UNSUPPORTED: neither yes nor no. */
int scram_client_verify(const struct scram_client *c, struct span server_final);

#endif
