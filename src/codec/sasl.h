/*
 * SASL mechanisms: names, and the messages of PLAIN (RFC 4616) and LOGIN; SCRAM is in
 * codec/scram.h. Messages are without their base64.
 */
#ifndef CODEC_SASL_H
#define CODEC_SASL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define SASL_RESPONSE 12288 /* bytes of a line in base64 (RFC 4954 section 4) */

/* The bits of a set; the stronger one is higher. */
enum sasl_mechanism {
	SASL_LOGIN = 1 << 0,
	SASL_PLAIN = 1 << 1,
	SASL_SCRAM_SHA_256 = 1 << 2,
	SASL_SCRAM_SHA_256_PLUS = 1 << 3,
};
#define SASL_MECHANISMS 4

/* "PLAIN", …; of one bit. */
const char *sasl_name(enum sasl_mechanism mechanism);
/* In any case; 0: unknown. */
unsigned sasl_parse_name(struct span name);
/* "SCRAM-SHA-256 PLAIN LOGIN", strongest first, as in an EHLO line. */
void sasl_add_names(struct buf *out, unsigned set);
/* The known ones of such a list. */
unsigned sasl_parse_names(struct span list);

/* [authzid] NUL authcid NUL password. ERR_SYNTAX: not so, no UTF-8, or a part is empty that must
 * not be. */
int sasl_plain_parse(
	struct span message, struct span *authzid, struct span *user, struct span *password);
void sasl_plain_add(struct buf *out, struct span user, struct span password);

/* Base64 without spaces, whole (RFC 4648 section 4); "=" alone is the empty message (RFC 4954
 * section 4). ERR_SYNTAX, ERR_LIMIT: longer than `most` bytes, ERR_NOMEM. In the arena. */
int sasl_decode(struct span text, size_t most, struct arena *arena, struct span *out);

#endif
