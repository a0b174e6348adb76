/*
 * The private keys that role keys holds: the present set, and the one before it, with which
 * handshakes that have begun come to their end.
 */
#ifndef ROLE_KEY_RING_H
#define ROLE_KEY_RING_H

#include "base/log.h"
#include "io/tls_key.h"

#include <stdint.h>

struct key_set {
	uint32_t count;
	struct key_entry {
		uint32_t number;
		struct tls_private_key *key;
	} * keys;
};

struct key_ring {
	struct key_set now, before;
};

/* A new set, in the form of role/tls_set.h. One that cannot be used is logged and left out. */
void key_ring_take(struct key_ring *ring, struct span set, struct log *log);
/* NULL: there is none of that number. */
struct tls_private_key *key_ring_find(const struct key_ring *ring, uint32_t number);
/* Questions for signatures (keys/message.h) and their answers, which have room in KEYS_SIGN_BYTES.
 * One whose time is over is said not to be done: under a flood, signing for those who have gone
 * would leave no time for those who wait. False: one cannot be read, or there are too many; those
 * before it are answered. */
bool key_ring_answer(
	const struct key_ring *ring, uint64_t now_ns, struct span questions, struct buf *answers);
void key_ring_done(struct key_ring *ring);

#endif
