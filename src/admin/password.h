/*
 * What is kept of a password: a hash of crypt(3), yescrypt, for PLAIN and LOGIN, and a verifier of
 * SCRAM-SHA-256 (directory/secrets.h). Pure: random bytes come in.
 */
#ifndef ADMIN_PASSWORD_H
#define ADMIN_PASSWORD_H

#include "base/buf.h"
#include "base/span.h"
#include "codec/scram.h"

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_LEAST	8    /* characters, unless it may be weak */
#define PASSWORD_MOST	1024 /* bytes, as SCRAM_PREPARE */
#define PASSWORD_RANDOM 32   /* bytes: half of them for each salt */

/* In the form that it is compared in (SASLprep, RFC 4013). `out` should have SCRAM_PREPARED bytes
 * of room already: what grows leaves copies behind. ERR_SYNTAX, and *why is a sentence; ERR_NOMEM.
 */
int password_prepare(struct span password, bool weak, struct buf *out, const char **why);

/* From a prepared one: takes about a tenth of a second and 16 MB, so on a helper thread. `out`
 * has SECRET_BYTES of room. One of more than 511 bytes, which crypt(3) does not take, is kept for
 * SCRAM alone, which PLAIN is checked by, too. ERR_NOMEM. */
int password_make(
	struct span prepared, const uint8_t random[PASSWORD_RANDOM], struct buf *verifiers);

#endif
