#include "delivery/peers.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PEERS_FIRST  64
#define PEERS_PREFIX 8 /* bytes of an IPv6 address that tell hosts apart */

static struct netaddr host_of(const struct netaddr *address)
{
	struct netaddr host = {.family = address->family};

	memcpy(host.ip, address->ip, address->family == NETADDR_V6 ? PEERS_PREFIX : 4);
	return host;
}

static size_t start_of(const struct peers *peers, const struct netaddr *host)
{
	return (size_t)XXH3_64bits_withSeed(host->ip, sizeof(host->ip), host->family) &
	       (peers->room - 1);
}

/* Where it is, or would be. */
static struct peer_count *place_of(const struct peers *peers, const struct netaddr *host)
{
	size_t at = start_of(peers, host);

	while (peers->table[at].sessions && !netaddr_same_ip(&peers->table[at].host, host))
		at = (at + 1) & (peers->room - 1);
	return &peers->table[at];
}

static int grow(struct peers *peers)
{
	struct peers grown = {.room = peers->room ? peers->room * 2 : PEERS_FIRST};

	grown.table = calloc(grown.room, sizeof(*grown.table));
	if (!grown.table)
		return ERR_NOMEM;
	for (size_t i = 0; i < peers->room; i++)
		if (peers->table[i].sessions)
			*place_of(&grown, &peers->table[i].host) = peers->table[i];
	grown.used = peers->used;
	free(peers->table);
	*peers = grown;
	return 0;
}

int peers_add(struct peers *peers, const struct netaddr *address)
{
	struct netaddr host = host_of(address);

	if (peers->used * 2 >= peers->room) {
		int err = grow(peers);
		if (err)
			return err;
	}
	struct peer_count *count = place_of(peers, &host);

	if (!count->sessions++) {
		count->host = host;
		peers->used++;
	}
	return 0;
}

/* Those behind it move up, so that no search ends too early. */
static void close_gap(struct peers *peers, size_t gap)
{
	size_t mask = peers->room - 1;

	for (size_t at = (gap + 1) & mask; peers->table[at].sessions; at = (at + 1) & mask) {
		size_t start = start_of(peers, &peers->table[at].host);

		if (((at - start) & mask) < ((at - gap) & mask))
			continue;
		peers->table[gap] = peers->table[at];
		peers->table[at].sessions = 0;
		gap = at;
	}
}

void peers_remove(struct peers *peers, const struct netaddr *address)
{
	struct netaddr host = host_of(address);

	CHECK(peers->room);
	struct peer_count *count = place_of(peers, &host);

	CHECK(count->sessions);
	if (--count->sessions)
		return;
	peers->used--;
	close_gap(peers, (size_t)(count - peers->table));
}

uint32_t peers_sessions(const struct peers *peers, const struct netaddr *address)
{
	struct netaddr host = host_of(address);

	return peers->room ? place_of(peers, &host)->sessions : 0;
}

void peers_done(struct peers *peers)
{
	free(peers->table);
	*peers = (struct peers){0};
}
