/*
 * Digests under a key that nobody else has: names and addresses are found, counted and kept by
 * them, so who sees times, tables or files cannot choose or undo one. SipHash; the key is made from
 * the gateway's secret (struct keys_config), which is kept for good, so digests stay the same.
 */
#ifndef KEYS_KEYED_H
#define KEYS_KEYED_H

#include "base/span.h"

#include <stdint.h>

#define KEYED_SECRET 32
#define KEYED_DIGEST 16

struct keyed;

/* ERR_NOMEM. */
int keyed_new(const uint8_t secret[KEYED_SECRET], struct keyed **out);
void keyed_free(struct keyed **keyed);
/* `what`: what kind of thing it is, so that no two kinds share a digest. From one thread. */
void keyed_digest(struct keyed *keyed, char what, struct span text, uint8_t out[KEYED_DIGEST]);

#endif
