#include "trace/flood.h"

#include "base/check.h"

#include <string.h>

#define V6_NETWORK_BYTES 8 /* a site's, at least: it has all the addresses in it */
#define V6_SITE_BYTES	 6

static bool begins_alike(const struct netaddr *a, const struct netaddr *b, size_t bytes)
{
	return a->family == b->family && memcmp(a->ip, b->ip, bytes) == 0;
}

static bool is_of(const struct netaddr *client, const struct flood_client *entry)
{
	size_t bytes = entry->site		      ? V6_SITE_BYTES
		       : client->family == NETADDR_V6 ? V6_NETWORK_BYTES
						      : sizeof(client->ip);

	return begins_alike(client, &entry->client, bytes);
}

static void drop(struct flood *f, size_t place)
{
	f->clients[place] = f->clients[--f->count];
	f->clients[f->count] = (struct flood_client){0};
}

/* The entries of its /48 become one. NULL: there are none. */
static struct flood_client *gather_site(struct flood *f, const struct netaddr *client)
{
	struct flood_client *site = NULL;

	for (size_t i = 0; client->family == NETADDR_V6 && i < f->count;) {
		struct flood_client *c = &f->clients[i];

		if (!begins_alike(client, &c->client, V6_SITE_BYTES)) {
			i++;
		} else if (!site) {
			site = c;
			i++;
		} else {
			site->seen = MIN(site->seen + c->seen, FLOOD_SHOWN);
			site->more += c->more;
			drop(f, i);
		}
	}
	if (!site)
		return NULL;
	site->site = true;
	memset(site->client.ip + V6_SITE_BYTES, 0, sizeof(site->client.ip) - V6_SITE_BYTES);
	return site;
}

static struct flood_client *entry_of(struct flood *f, const struct netaddr *client)
{
	for (size_t i = 0; i < f->count; i++)
		if (is_of(client, &f->clients[i]))
			return &f->clients[i];
	if (f->count == FLOOD_CLIENTS) {
		struct flood_client *site = gather_site(f, client);

		return site ? site : &f->clients[FLOOD_CLIENTS];
	}
	f->clients[f->count].client = *client;
	return &f->clients[f->count++];
}

bool flood_may_tell(struct flood *f, const struct netaddr *client)
{
	struct flood_client *c = entry_of(f, client);

	if (c->seen < FLOOD_SHOWN && f->total < FLOOD_TOTAL) {
		c->seen++;
		f->total++;
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
