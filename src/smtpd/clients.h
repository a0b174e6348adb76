/*
 * How many sessions each client address has: a hash table of fixed size, made for as many clients
 * as there can be sessions. An IPv6 client is its /64, since that is what one host is given; as one
 * customer is given 65,536 of these, they are counted by /48 (a site), too.
 *
 * Owner: struct smtpd. The hash is seeded, so that nobody can choose addresses that collide.
 */
#ifndef SMTPD_CLIENTS_H
#define SMTPD_CLIENTS_H

#include "base/netaddr.h"

#include <stdint.h>

#define CLIENTS_SITE 0xff /* stands for a family */

struct clients_slot {
	uint64_t prefix; /* the address, or its first 8 bytes; of a site 6 */
	uint32_t count;	 /* 0: the slot is free */
	uint8_t family;	 /* or CLIENTS_SITE */
};

struct clients {
	struct clients_slot *slots;
	uint32_t mask; /* slots - 1 */
	uint32_t used; /* of clients; sites are no more than these */
	uint32_t most; /* different clients */
	uint64_t seed;
};

/* 0: no limit. */
struct clients_limits {
	uint32_t per_client, per_site;
};

/* ERR_NOMEM. */
int clients_init(struct clients *clients, uint32_t most, uint64_t seed);
void clients_done(struct clients *clients);

/* One session more: ERR_LIMIT where the client or its site has as many as it may, or the table is
 * full. */
int clients_add(
	struct clients *clients, const struct netaddr *client, const struct clients_limits *limits);

/* One less; it was added before. */
void clients_remove(struct clients *clients, const struct netaddr *client);

uint32_t clients_count(const struct clients *clients, const struct netaddr *client);

#endif
