/*
 * Is a password, or a SCRAM proof, the right one for a name? The same work is done, and as much
 * time taken, for names that nobody has: each of these has a stand-in (roster.h), whose kind of
 * hash, iterations and length of salt are shown for it.
 *
 * The salt that SCRAM shows for a name without verifier is made from the name and a secret that is
 * kept for good (struct keys_config), so that it stays the same.
 */
#ifndef KEYS_VERIFY_H
#define KEYS_VERIFY_H

#include "base/span.h"
#include "codec/scram.h"
#include "keys/keyed.h"
#include "keys/roster.h"

#include <stdbool.h>
#include <stdint.h>

#define VERIFY_SECRET KEYED_SECRET

/* A copy of what is needed, for a helper thread. */
struct verify {
	bool known;	/* the name is an account's, which has a password */
	bool by_scram;	/* no hash of crypt(3): passwords are checked by `scram` */
	bool has_scram; /* `scram` is what SCRAM is to be checked against */
	char crypt[SECRET_CRYPT + 1];
	struct scram_verifier scram;
};

void verify_pick(const struct roster_found *found, struct verify *out);
/* Takes long: on a helper thread. The password as the client gave it. */
bool verify_password(const struct verify *verify, struct span password);
/* What the challenge shows. `name`: canonical where it is an account's; whatever it is else. */
void verify_salt(const struct verify *verify, const uint8_t secret[VERIFY_SECRET], struct span name,
	uint32_t *iterations, uint32_t *salt_bytes, uint8_t salt[SCRAM_SALT_MOST]);
bool verify_proof(const struct verify *verify, struct span auth_message,
	const uint8_t proof[SCRAM_HASH], uint8_t signature[SCRAM_HASH]);

#endif
