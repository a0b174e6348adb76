#include "smtpd/clients.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define SITE_BYTES 6 /* of an IPv6 address: a /48, the most that one customer is given */

int clients_init(struct clients *clients, uint32_t most, uint64_t seed)
{
	uint32_t slots = 16;

	/* At most half full, so that a search is short and always finds a free slot; with each
	 * client there may be a site. */
	while (slots / 4 < most && slots < (1u << 30))
		slots *= 2;
	struct clients_slot *room = calloc(slots, sizeof(*room));
	if (!room)
		return ERR_NOMEM;
	*clients = (struct clients){room, slots - 1, 0, MIN(most, slots / 4), seed};
	return 0;
}

void clients_done(struct clients *clients)
{
	free(clients->slots);
	*clients = (struct clients){0};
}

/* What is counted: a client, or a site. */
struct key {
	uint64_t prefix;
	uint8_t family;
};

static struct key key_of(const struct netaddr *client)
{
	struct key key = {.family = client->family};

	memcpy(&key.prefix, client->ip, sizeof(key.prefix));
	return key;
}

static struct key site_of(const struct netaddr *client)
{
	struct key key = {.family = CLIENTS_SITE};

	memcpy(&key.prefix, client->ip, SITE_BYTES);
	return key;
}

static bool has_site(const struct netaddr *client)
{
	return client->family == NETADDR_V6;
}

/* The finalizer of splitmix64 over the seeded address. */
static uint32_t home_of(const struct clients *clients, uint64_t prefix, uint8_t family)
{
	uint64_t h = prefix ^ clients->seed ^ (uint64_t)family << 56;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(h ^ h >> 31) & clients->mask;
}

/* Its slot, or the free one where it would go. */
static uint32_t slot_of(const struct clients *clients, struct key key)
{
	uint32_t at = home_of(clients, key.prefix, key.family);

	while (clients->slots[at].count && (clients->slots[at].prefix != key.prefix ||
						   clients->slots[at].family != key.family))
		at = (at + 1) & clients->mask;
	return at;
}

static bool is_full(const struct clients_slot *slot, uint32_t limit)
{
	return limit && slot->count >= limit;
}

static void count_one(struct clients *clients, struct key key)
{
	struct clients_slot *slot = &clients->slots[slot_of(clients, key)];

	slot->prefix = key.prefix;
	slot->family = key.family;
	slot->count++;
}

int clients_add(
	struct clients *clients, const struct netaddr *client, const struct clients_limits *limits)
{
	const struct clients_slot *slot = &clients->slots[slot_of(clients, key_of(client))];

	if (is_full(slot, limits->per_client) || (!slot->count && clients->used >= clients->most))
		return ERR_LIMIT;
	if (has_site(client) &&
		is_full(&clients->slots[slot_of(clients, site_of(client))], limits->per_site))
		return ERR_LIMIT;
	clients->used += !slot->count;
	count_one(clients, key_of(client));
	if (has_site(client))
		count_one(clients, site_of(client));
	return 0;
}

/* True: it was the last one. */
static bool count_off(struct clients *clients, struct key key)
{
	uint32_t hole = slot_of(clients, key);

	CHECK(clients->slots[hole].count > 0);
	if (--clients->slots[hole].count)
		return false;
	/* Moves later entries of the run back, so that no search stops at the hole before its
	 * entry. */
	for (uint32_t at = (hole + 1) & clients->mask; clients->slots[at].count;
		at = (at + 1) & clients->mask) {
		struct clients_slot *slot = &clients->slots[at];
		uint32_t home = home_of(clients, slot->prefix, slot->family);

		if (((at - home) & clients->mask) < ((at - hole) & clients->mask))
			continue;
		clients->slots[hole] = *slot;
		slot->count = 0;
		hole = at;
	}
	return true;
}

void clients_remove(struct clients *clients, const struct netaddr *client)
{
	clients->used -= count_off(clients, key_of(client));
	if (has_site(client))
		(void)count_off(clients, site_of(client));
}

uint32_t clients_count(const struct clients *clients, const struct netaddr *client)
{
	return clients->slots[slot_of(clients, key_of(client))].count;
}
