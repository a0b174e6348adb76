#include "trace/flood.h"

#include <string.h>

#define V6_NETWORK_BYTES 8 /* a site's, at least: it has all the addresses in it */

static bool same_client(const struct netaddr *a, const struct netaddr *b)
{
	if (a->family != b->family)
		return false;
	return memcmp(a->ip, b->ip, a->family == NETADDR_V6 ? V6_NETWORK_BYTES : sizeof(a->ip)) ==
	       0;
}

static struct flood_client *entry_of(struct flood *f, const struct netaddr *client)
{
	for (size_t i = 0; i < f->count; i++)
		if (same_client(&f->clients[i].client, client))
			return &f->clients[i];
	if (f->count == FLOOD_CLIENTS)
		return &f->clients[FLOOD_CLIENTS];
	f->clients[f->count].client = *client;
	return &f->clients[f->count++];
}

bool flood_may_tell(struct flood *f, const struct netaddr *client)
{
	struct flood_client *c = entry_of(f, client);

	if (c->seen < FLOOD_SHOWN) {
		c->seen++;
		return true;
	}
	c->more++;
	return false;
}

void flood_sum(struct flood *f,
	void (*tell)(void *context, const struct netaddr *client, uint64_t more), void *context)
{
	for (size_t i = 0; i <= FLOOD_CLIENTS; i++) {
		struct flood_client *c = &f->clients[i];
		uint64_t more = c->more;

		c->more = 0;
		if (more)
			tell(context, &c->client, more);
	}
}

void flood_begin(struct flood *f)
{
	*f = (struct flood){0};
}
