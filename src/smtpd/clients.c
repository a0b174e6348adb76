#include "smtpd/clients.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int clients_init(struct clients *clients, uint32_t most, uint64_t seed)
{
	uint32_t slots = 16;

	/* At most half full, so that a search is short and always finds a free slot. */
	while (slots / 2 < most && slots < (1u << 30))
		slots *= 2;
	struct clients_slot *room = calloc(slots, sizeof(*room));
	if (!room)
		return ERR_NOMEM;
	*clients = (struct clients){room, slots - 1, 0, MIN(most, slots / 2), seed};
	return 0;
}

void clients_done(struct clients *clients)
{
	free(clients->slots);
	*clients = (struct clients){0};
}

static uint64_t client_prefix(const struct netaddr *client)
{
	uint64_t prefix;

	memcpy(&prefix, client->ip, sizeof(prefix));
	return prefix;
}

/* The finalizer of splitmix64 over the seeded address. */
static uint32_t home_of(const struct clients *clients, uint64_t prefix, uint8_t family)
{
	uint64_t h = prefix ^ clients->seed ^ (uint64_t)family << 56;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(h ^ h >> 31) & clients->mask;
}

/* The client's slot, or the free one where it would go. */
static uint32_t slot_of(const struct clients *clients, const struct netaddr *client)
{
	uint64_t prefix = client_prefix(client);
	uint32_t at = home_of(clients, prefix, client->family);

	while (clients->slots[at].count && (clients->slots[at].prefix != prefix ||
						   clients->slots[at].family != client->family))
		at = (at + 1) & clients->mask;
	return at;
}

int clients_add(struct clients *clients, const struct netaddr *client, uint32_t limit)
{
	struct clients_slot *slot = &clients->slots[slot_of(clients, client)];

	if (limit && slot->count >= limit)
		return ERR_LIMIT;
	if (!slot->count) {
		if (clients->used >= clients->most)
			return ERR_LIMIT;
		clients->used++;
		slot->prefix = client_prefix(client);
		slot->family = client->family;
	}
	slot->count++;
	return 0;
}

void clients_remove(struct clients *clients, const struct netaddr *client)
{
	uint32_t hole = slot_of(clients, client);

	CHECK(clients->slots[hole].count > 0);
	if (--clients->slots[hole].count)
		return;
	clients->used--;
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
}

uint32_t clients_count(const struct clients *clients, const struct netaddr *client)
{
	return clients->slots[slot_of(clients, client)].count;
}
