/*
 * Things of one kind that strangers can cause at will, summed up: refused clients, connections that
 * are lost. Of one client a number of them a minute is told one by one, the rest as "and so many
 * more"; and of all clients together no more than a total. Without that whoever is refused fast
 * enough fills the disk and the log with it, and pushes out what came before.
 *
 * A client is an IPv4 address or an IPv6 /64. Where there are too many to be told apart, those of
 * one IPv6 /48 become one, since a single customer is given that many; the others count as one.
 */
#ifndef TRACE_FLOOD_H
#define TRACE_FLOOD_H

#include "base/netaddr.h"

#include <stdbool.h>
#include <stddef.h>

#define FLOOD_MINUTE_MS 60000
#define FLOOD_SHOWN	100  /* of one client that are told in a minute */
#define FLOOD_CLIENTS	256  /* told apart in a minute */
#define FLOOD_TOTAL	5000 /* of all clients that are told in a minute */

struct flood {
	struct flood_client {
		struct netaddr client; /* NETADDR_NONE: all others */
		bool site;	       /* its whole /48 */
		uint32_t seen;	       /* in this minute */
		uint64_t more;	       /* that were not told yet */
	} clients[FLOOD_CLIENTS + 1];  /* the last one: all others */
	size_t count;
	uint32_t total; /* told in this minute */
};

/* May this one be told by itself? */
bool flood_may_tell(struct flood *flood, const struct netaddr *client);
/* Tells what was kept back. Of a site, `client` is an address that begins with its /48. */
void flood_sum(struct flood *flood,
	void (*tell)(void *context, const struct netaddr *client, uint64_t more), void *context);
/* A new minute, after flood_sum(). */
void flood_begin(struct flood *flood);

#endif
