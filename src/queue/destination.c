/*
 * Destinations and their transports: found, made, forgotten, and after every change put where the
 * scheduler finds them.
 */
#include "queue/internal.h"

#include <xxhash.h>

#define DESTINATION_TABLE_FIRST 64
#define MINUTE_US		60000000ll

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
		t->freeze = q->pausing_freeze;
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

uint32_t destination_get(struct queue *q, struct span transport, struct span next_hop)
{
	struct transport_record *t = transport_get(q, transport);
	uint32_t hop;
	if (!t || !intern_take(&q->domains, &q->mem, next_hop, &hop))
		return 0;
	uint32_t position = position_of(q, t);
	uint32_t at = q->table_room ? q->table[bucket_of(q, position, hop)] : 0;
	for (; at; at = destination_at(q, at)->hash_next) {
		const struct destination *d = destination_at(q, at);
		if (d->transport == position && d->next_hop == hop) {
			intern_give(&q->domains, &q->mem, hop);
			return at;
		}
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
	list_remove(&d->runnable);
	list_remove(&d->of_transport);
	for (int class = 0; class < 2; class ++) {
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

/* ---- what can start ------------------------------------------------------------------------- */

uint32_t destination_limit(const struct queue *q, const struct destination *d)
{
	uint32_t most = MAX(1, transport_of(q, d)->connections);
	return d->ramp ? MIN(d->ramp, most) : most;
}

uint32_t destination_ready(const struct destination *d, int class)
{
	return d->ready[class].count + d->waiting[class].count;
}

/* The rate is kept by the time at which the next start is due at even spacing; a second's worth
 * may start early. */
static int64_t rate_gap_us(const struct transport_record *t)
{
	return MINUTE_US / t->rate_per_minute;
}

int64_t destination_rate_time(const struct queue *q, const struct destination *d)
{
	const struct transport_record *t = transport_of(q, d);
	if (!t->rate_per_minute)
		return INT64_MIN;
	int64_t early_us = rate_gap_us(t) * (MAX(1, t->rate_per_minute / 60) - 1);
	return (d->rate_at_us - early_us + 999) / 1000;
}

void destination_count_rate(struct queue *q, struct destination *d)
{
	const struct transport_record *t = transport_of(q, d);
	if (t->rate_per_minute)
		d->rate_at_us = MAX(d->rate_at_us, q->clock * 1000) + rate_gap_us(t);
}

enum blocker destination_blocker(const struct queue *q, const struct destination *d)
{
	if (transport_of(q, d)->blockers)
		return BLOCKER_PAUSED;
	if (!destination_ready(d, 0) && !destination_ready(d, 1))
		return BLOCKER_EMPTY;
	if (d->down && d->probe_unit)
		return BLOCKER_PROBING;
	if (d->down && d->next_probe > q->clock)
		return BLOCKER_PROBE_WAIT;
	if (!d->down && d->active >= destination_limit(q, d))
		return BLOCKER_LIMIT;
	if (destination_rate_time(q, d) > q->clock)
		return BLOCKER_RATE;
	return BLOCKER_NONE;
}

/* When it has to be looked at next, by the queue's clock. */
static int64_t wake_time(const struct queue *q, const struct destination *d, enum blocker blocker)
{
	const struct transport_record *t = transport_of(q, d);
	int64_t own = INT64_MAX; /* vclock */
	if (t->blockers)
		return INT64_MAX;
	if (d->deferred.count)
		own = heap_first(&d->deferred)->key;
	if (d->warn.count)
		own = MIN(own, heap_first(&d->warn)->key);
	for (int class = 0; d->down && class < 2; class ++) {
		uint32_t first = ring_first(&d->ready[class]);
		if (first && unit_at(q, first)->seen != d->failures)
			return q->clock; /* it has an attempt to be counted */
		if (d->waiting[class].count)
			own = MIN(own, heap_first(&d->waiting[class])->key);
	}
	int64_t wake = own == INT64_MAX ? own : own + t->shift;
	if (blocker == BLOCKER_PROBE_WAIT)
		wake = MIN(wake, d->next_probe);
	if (blocker == BLOCKER_RATE)
		wake = MIN(wake, destination_rate_time(q, d));
	return wake;
}

static void set_wake(struct queue *q, uint32_t destination, int64_t wake)
{
	struct destination *d = destination_at(q, destination);
	if (wake == INT64_MAX) {
		if (d->wake_place)
			heap_remove(&q->wakes, d->wake_place, wake_moved, q);
	} else if (!d->wake_place) {
		/* Without memory it is not woken: queue_run() then looks at all of them. */
		if (!heap_push(&q->wakes, &q->mem, destination, wake, wake_moved, q))
			q->wakes_lost = true;
	} else if (q->wakes.entries[d->wake_place - 1].key != wake) {
		heap_change(&q->wakes, d->wake_place, wake, wake_moved, q);
	}
}

static void set_linger(struct queue *q, uint32_t destination)
{
	struct destination *d = destination_at(q, destination);
	if (d->units && !list_empty(&d->linger)) {
		list_remove(&d->linger);
		q->linger_count--;
	} else if (!d->units && list_empty(&d->linger)) {
		d->empty_since = q->clock;
		list_push_back(&q->linger, &d->linger);
		q->linger_count++;
	}
}

void destination_update(struct queue *q, uint32_t destination)
{
	struct destination *d = destination_at(q, destination);
	enum blocker blocker = destination_blocker(q, d);
	bool listed = !list_empty(&d->runnable);

	if (blocker == BLOCKER_NONE && !listed)
		list_push_back(&q->runnable, &d->runnable);
	else if (blocker != BLOCKER_NONE && listed)
		list_remove(&d->runnable);
	set_wake(q, destination, wake_time(q, d, blocker));
	set_linger(q, destination);
}

void linger_run(struct queue *q)
{
	for (uint32_t most = QUEUE_RUN_STEP; most; most--) {
		struct destination *d = LIST_FIRST(&q->linger, struct destination, linger);
		if (!d || (q->linger_count <= QUEUE_LINGER_MOST &&
				  q->clock - d->empty_since < QUEUE_LINGER_MS))
			break;
		destination_free(q, d->self);
	}
}
