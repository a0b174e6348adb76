/* What both sides of SCRAM share; for the scram*.c files alone. */
#ifndef CODEC_SCRAM_PRIVATE_H
#define CODEC_SCRAM_PRIVATE_H

#include "codec/scram.h"

/* A message of no more than SCRAM_MESSAGE bytes, in UTF-8, without NUL. ERR_SYNTAX, ERR_LIMIT. */
int scram_well_formed(struct span message);
/* Takes "x=value" off the front of *rest, and the comma behind it. False: there is none, its name
 * is no letter, or its value is empty. */
bool scram_next(struct span *rest, char *name, struct span *value);
/* What follows the attributes that have a meaning: more of them, which mean nothing to us, but
 * none "m=", which would change the meaning of all. ERR_SYNTAX, ERR_UNSUPPORTED. */
int scram_extensions(struct span rest);
/* Base64 of exactly `n` bytes. */
bool scram_decode(struct span text, uint8_t *bytes, size_t n);

/* "n=" and the like is not written; "," and "=" become "=2C" and "=3D". */
void scram_add_name(struct buf *out, struct span name);
/* GS2 header in base64 with the channel's bytes behind it, as "c=" has it. `exporter` NULL: none.
 */
void scram_add_binding(struct buf *out, struct span gs2, const uint8_t *exporter);
/* All three with commas between. In the arena; ERR_NOMEM. */
int scram_auth_message(struct span first_bare, struct span server_first, struct span without_proof,
	struct arena *arena, struct span *out);

/* ERR_NOMEM: libcrypto could not. */
int scram_hmac(const uint8_t key[SCRAM_HASH], struct span data, uint8_t out[SCRAM_HASH]);
struct scram_keys {
	uint8_t client[SCRAM_HASH], stored[SCRAM_HASH], server[SCRAM_HASH];
};
int scram_derive(
	struct span password, struct span salt, uint32_t iterations, struct scram_keys *out);

#define SCRAM_CHANNEL	       "tls-exporter" /* RFC 9266 */
#define SCRAM_PROOF_CHARACTERS 44	      /* SCRAM_HASH bytes in base64 */
#define SCRAM_NONCE_CHARACTERS 32

#endif
