/*
 * What role keys is asked and what it answers, as bytes. A worker that was taken over sends what it
 * likes: every length is checked here, once.
 */
#ifndef KEYS_MESSAGE_H
#define KEYS_MESSAGE_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/span.h"
#include "io/tls.h"
#include "smtpd/auth.h"

#include <stdint.h>

/* ---- passwords ------------------------------------------------------------------------------ */

#define KEYS_AUTH_MESSAGE ((size_t)3 * SCRAM_MESSAGE) /* three messages, or parts of them */

/* The listener is not told: no limit depends on it. */
void keys_put_query(struct buf *out, const struct auth_query *query);
/* ERR_CORRUPT. Spans point into `in`. */
int keys_get_query(struct span in, struct auth_query *out);

void keys_put_answer(struct buf *out, const struct auth_answer *answer);
int keys_get_answer(struct span in, struct auth_answer *out);

/* ---- who is blocked ------------------------------------------------------------------------- */

enum keys_locks_op {
	KEYS_LOCKS_LIST, /* all, or those of an account */
	KEYS_LOCKS_LIFT, /* of an account, or of an address */
};

/* Of admin (keys/locks.h). */
struct keys_locks {
	enum keys_locks_op op;
	struct span account; /* canonical; empty: none */
	struct netaddr address;
	uint8_t bits; /* 0: the address alone; else limits_lift_address() */
};

void keys_put_locks(struct buf *out, const struct keys_locks *locks);
/* ERR_CORRUPT. */
int keys_get_locks(struct span in, struct keys_locks *out);

/* ---- signatures ----------------------------------------------------------------------------- */

/* A datagram has up to KEYS_SIGN_TOGETHER questions, those of one turn of a worker's loop, and no
 * more than these bytes; likewise one with answers. The serial says what is answered. */
#define KEYS_SIGN_TOGETHER 8
#define KEYS_SIGN_BYTES	   ((size_t)KEYS_SIGN_TOGETHER * (24 + TLS_SIGN_OUT))

struct keys_sign {
	uint32_t serial;
	uint32_t key;
	uint64_t until_ns; /* of the machine's monotonic clock: then nobody waits any more */
	enum tls_signature kind;
	enum tls_hash hash;
	struct span in;
};

struct keys_signed {
	uint32_t serial;
	bool done;
	struct span signature;
};

void keys_put_sign(struct buf *out, const struct keys_sign *sign);
/* The next one. ERR_CORRUPT: also a digest of another length than its hash has. */
int keys_get_sign(struct cursor *in, struct keys_sign *out);
void keys_put_signed(struct buf *out, const struct keys_signed *answer);
int keys_get_signed(struct cursor *in, struct keys_signed *out);

#endif
