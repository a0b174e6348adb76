/*
 * How many sessions there are to each host, whatever destinations they are for: many domains may
 * have the same hosts, and a hostile one has as many domains as it likes. An IPv6 host is its /64.
 *
 * Bounds: one entry for each address with a session.
 */
#ifndef DELIVERY_PEERS_H
#define DELIVERY_PEERS_H

#include "base/netaddr.h"

#include <stddef.h>
#include <stdint.h>

struct peer_count {
	struct netaddr host;
	uint32_t sessions; /* 0: free */
};

struct peers {
	struct peer_count *table; /* a power of two, linear probing */
	size_t room, used;
};

/* ERR_NOMEM: not counted. */
int peers_add(struct peers *peers, const struct netaddr *address);
void peers_remove(struct peers *peers, const struct netaddr *address);
uint32_t peers_sessions(const struct peers *peers, const struct netaddr *address);
void peers_done(struct peers *peers);

#endif
