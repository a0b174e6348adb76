/*
 * Refused clients, summed up: of one client a number of refusals a minute is told one by one, the
 * rest as "and so many more". Without that whoever is refused fast enough fills the disk and the
 * log with it, and pushes out what came before.
 *
 * A client is an IPv4 address or an IPv6 /64. Where there are too many to be told apart, the others
 * count as one.
 */
#ifndef TRACE_FLOOD_H
#define TRACE_FLOOD_H

#include "base/netaddr.h"

#include <stdbool.h>
#include <stddef.h>

#define FLOOD_MINUTE_MS 60000
#define FLOOD_SHOWN	100 /* refusals of one client that are told in a minute */
#define FLOOD_CLIENTS	256 /* told apart in a minute */

struct flood {
	struct flood_client {
		struct netaddr client; /* NETADDR_NONE: all others */
		uint32_t seen;	       /* in this minute */
		uint64_t more;	       /* that were not told yet */
	} clients[FLOOD_CLIENTS + 1];  /* the last one: all others */
	size_t count;
};

/* May this one be told by itself? */
bool flood_may_tell(struct flood *flood, const struct netaddr *client);
/* Tells what was kept back. */
void flood_sum(struct flood *flood,
	void (*tell)(void *context, const struct netaddr *client, uint64_t more), void *context);
/* A new minute, after flood_sum(). */
void flood_begin(struct flood *flood);

#endif
