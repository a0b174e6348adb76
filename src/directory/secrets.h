/*
 * What must not be shown: password verifiers of accounts, and the secrets of transports. They are
 * in a table of their own in the database, are never part of an object's text, the audit, an export
 * (unless it is asked for) or the snapshot, and reach the one role that needs them in a sealed
 * memfd: accounts' role keys, transports' delivery.
 *
 * Formats of the values (text, one line):
 *   account    verifiers, a space between: "crypt:<hash of crypt(3)>" and
 *              "scram-sha-256:<iterations>:<salt>:<stored key>:<server key>", base64
 *   transport  the secret itself
 */
#ifndef DIRECTORY_SECRETS_H
#define DIRECTORY_SECRETS_H

#include "base/buf.h"
#include "base/span.h"
#include "codec/scram.h"

#include <stdbool.h>
#include <stdint.h>

#define SECRET_BYTES 1024 /* of a value */
#define SECRET_CRYPT 384  /* of a hash as crypt(3) makes it */

enum secret_kind { SECRET_ACCOUNT, SECRET_TRANSPORT, SECRET_KINDS };

/* ---- for the roles that use them ------------------------------------------------------------- */

struct secrets; /* one generation of one kind, mapped read-only */

/* Takes the descriptor over in any case. ERR_CORRUPT. */
int secrets_open(int memfd, struct secrets **out);
void secrets_free(struct secrets **secrets);
/* By canonical name (an address, a transport's name). The span lives as long as `secrets`.
 * ERR_NOT_FOUND. */
int secrets_find(const struct secrets *secrets, struct span name, struct span *value);
uint32_t secrets_count(const struct secrets *secrets);
/* By place, 0 first, in the order of their names. ERR_NOT_FOUND: no more. */
int secrets_at(
	const struct secrets *secrets, uint32_t place, struct span *name, struct span *value);

/* ---- for admin ------------------------------------------------------------------------------- */

struct secret {
	struct span name, value;
};

/* The bytes of these; names need no order. ERR_EXISTS: one name twice; ERR_LIMIT. Wiping the buffer
 * is the caller's. */
int secrets_encode(const struct secret *list, uint32_t count, struct buf *out);
/* In a sealed memfd, which is the caller's. */
int secrets_make_memfd(const struct secret *list, uint32_t count, int *out);

/* ---- a value of an account ------------------------------------------------------------------- */

struct password_verifiers {
	struct span crypt; /* empty: none */
	bool has_scram;
	struct scram_verifier scram;
};

/* ERR_SYNTAX. Spans point into `value`; keys are copied: wiping *out is the caller's. */
int verifiers_parse(struct span value, struct password_verifiers *out);
void verifiers_add(struct buf *out, const struct password_verifiers *verifiers);

#endif
