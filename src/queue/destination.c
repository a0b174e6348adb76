/*
 * Destinations and their transports: found, made, forgotten.
 */
#include "queue/internal.h"

#include <xxhash.h>

#define DESTINATION_TABLE_FIRST 64

/* ---- transports ----------------------------------------------------------------------------- */

/* For a transport that nobody described: as an administrator would expect by RFC 5321 4.5.4.1. */
static const struct transport_record TRANSPORT_DEFAULT = {
	.retry = {{300, 3}, {1800, 3}, {3600, 4}, {14400, 1}},
	.retry_steps = 4,
	.retry_count = 36,
	.connections = 10,
};

struct transport_record *transport_find(const struct queue *q, struct span name)
{
	uint32_t number = intern_find(&q->names, name);
	uint32_t at = number ? *intern_tag(&q->names, number) : 0;
	if (!number)
		for (uint32_t i = 0; !name.n && i < q->transport_count; i++)
			if (!q->transports[i]->name)
				return q->transports[i];
	return at ? q->transports[at - 1] : NULL;
}

struct transport_record *transport_get(struct queue *q, struct span name)
{
	struct transport_record *t = transport_find(q, name);
	uint32_t number;
	if (t)
		return t;
	if (q->transport_count == q->transport_room) {
		uint32_t room = q->transport_room ? q->transport_room * 2 : 8;
		struct transport_record **grown = mem_resize(
			&q->mem, q->transports, q->transport_room * sizeof(t), room * sizeof(t));
		if (!grown)
			return NULL;
		q->transports = grown;
		q->transport_room = room;
	}
	if (q->transport_count == QUEUE_TRANSPORTS_MOST ||
		!intern_take(&q->names, &q->mem, name, &number))
		return NULL;
	t = mem_zero(&q->mem, sizeof(*t));
	if (!t) {
		intern_give(&q->names, &q->mem, number);
		return NULL;
	}
	*t = TRANSPORT_DEFAULT;
	t->name = number;
	list_init(&t->destinations);
	if (q->pausing.since) {
		t->blockers = 1;
		t->freeze = q->pausing.clock;
	}
	q->transports[q->transport_count++] = t;
	if (number)
		*intern_tag(&q->names, number) = q->transport_count;
	return t;
}

/* ---- the table ------------------------------------------------------------------------------ */

static uint32_t bucket_of(const struct queue *q, uint32_t transport, uint32_t next_hop)
{
	uint32_t key[2] = {transport, next_hop};
	return (uint32_t)XXH3_64bits(key, sizeof(key)) & (q->table_room - 1);
}

static bool table_grow(struct queue *q)
{
	if (q->destinations.used < q->table_room)
		return true;
	uint32_t had = q->table_room, room = had ? had * 2 : DESTINATION_TABLE_FIRST;
	uint32_t *table = mem_zero(&q->mem, room * sizeof(uint32_t)), *old = q->table;
	if (!table)
		return had != 0; /* longer chains, then */
	q->table = table;
	q->table_room = room;
	for (uint32_t i = 0; i < had; i++) {
		for (uint32_t at = old[i], next; at; at = next) {
			struct destination *d = destination_at(q, at);
			next = d->hash_next;
			uint32_t bucket = bucket_of(q, d->transport, d->next_hop);
			d->hash_next = table[bucket];
			table[bucket] = at;
		}
	}
	mem_free(&q->mem, old, had * sizeof(uint32_t));
	return true;
}

static uint32_t position_of(const struct queue *q, const struct transport_record *t)
{
	if (t->name)
		return *intern_tag(&q->names, t->name);
	uint32_t at = 0;
	while (q->transports[at] != t)
		at++;
	return at + 1;
}

static uint32_t destination_new(
	struct queue *q, struct transport_record *t, uint32_t transport, uint32_t next_hop)
{
	uint32_t at = table_grow(q) ? slab_take(&q->destinations, &q->mem) : 0;
	if (!at)
		return 0;
	struct destination *d = destination_at(q, at);
	d->self = at;
	d->transport = transport;
	d->next_hop = next_hop;
	d->empty_since = q->clock;
	d->last_success = INT64_MIN;
	list_init(&d->runnable);
	list_init(&d->linger);
	list_push_back(&t->destinations, &d->of_transport);
	uint32_t bucket = bucket_of(q, transport, next_hop);
	d->hash_next = q->table[bucket];
	q->table[bucket] = at;
	list_push_back(&q->linger, &d->linger); /* until it gets a unit */
	q->linger_count++;
	return at;
}

static uint32_t destination_of(const struct queue *q, uint32_t transport, uint32_t next_hop)
{
	uint32_t at = q->table_room ? q->table[bucket_of(q, transport, next_hop)] : 0;
	for (; at; at = destination_at(q, at)->hash_next) {
		const struct destination *d = destination_at(q, at);
		if (d->transport == transport && d->next_hop == next_hop)
			break;
	}
	return at;
}

uint32_t destination_find(const struct queue *q, struct span transport, struct span next_hop)
{
	const struct transport_record *t = transport_find(q, transport);
	uint32_t hop = next_hop.n ? intern_find(&q->domains, next_hop) : 0;
	return t && (hop || !next_hop.n) ? destination_of(q, position_of(q, t), hop) : 0;
}

uint32_t destination_get(struct queue *q, struct span transport, struct span next_hop)
{
	struct transport_record *t = transport_get(q, transport);
	uint32_t hop;
	if (!t || !intern_take(&q->domains, &q->mem, next_hop, &hop))
		return 0;
	uint32_t position = position_of(q, t);
	uint32_t at = destination_of(q, position, hop);
	if (at) {
		intern_give(&q->domains, &q->mem, hop);
		return at;
	}
	at = destination_new(q, t, position, hop);
	if (!at)
		intern_give(&q->domains, &q->mem, hop);
	return at;
}

void destination_free(struct queue *q, uint32_t destination)
{
	struct destination *d = destination_at(q, destination);
	CHECK(!d->units);
	uint32_t *link = &q->table[bucket_of(q, d->transport, d->next_hop)];
	while (*link != destination)
		link = &destination_at(q, *link)->hash_next;
	*link = d->hash_next;
	if (d->wake_place)
		heap_remove(&q->wakes, d->wake_place, wake_moved, q);
	if (!list_empty(&d->linger))
		q->linger_count--;
	list_remove(&d->linger);
	runnable_remove(q, d);
	list_remove(&d->of_transport);
	for (int class = 0; class < CLASSES; class ++) {
		ring_done(&d->ready[class], &q->mem);
		heap_done(&d->waiting[class], &q->mem);
	}
	heap_done(&d->deferred, &q->mem);
	heap_done(&d->warn, &q->mem);
	last_reply_set(q, &d->reply, 0);
	intern_give(&q->domains, &q->mem, d->next_hop);
	void *user = d->user;
	slab_give(&q->destinations, destination);
	q->ops->destination_gone(q->context, destination, user);
}
