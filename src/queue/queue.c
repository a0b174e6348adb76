/*
 * The queue as a whole: made, set up, taken down.
 */
#include "queue/internal.h"

int queue_new(const struct queue_ops *ops, void *context, uint64_t seed, uint32_t connections,
	int64_t now, struct queue **out)
{
	struct queue *q = calloc(1, sizeof(*q));
	if (!q)
		return ERR_NOMEM;
	q->mem.bytes = sizeof(*q);
	q->ops = ops;
	q->context = context;
	prng_seed(&q->prng, seed);
	q->wall = q->clock = now;
	q->connections = connections;
	slab_init(&q->messages, sizeof(struct message));
	slab_init(&q->units, sizeof(struct unit));
	slab_init(&q->extras, sizeof(struct extra));
	slab_init(&q->destinations, sizeof(struct destination));
	q->names.seed = prng_u64(&q->prng);
	q->domains.seed = prng_u64(&q->prng);
	q->replies.seed = prng_u64(&q->prng);
	for (int share = 0; share < SHARES; share++)
		list_init(&q->runnable[share]);
	list_init(&q->linger);
	*out = q;
	return 0;
}

static void free_units(struct queue *q)
{
	for (uint32_t at = 1; at < q->units.top; at++) {
		struct unit *u = unit_at(q, at);
		if (!u->rcpt_count)
			continue;
		split_attempt_over(q, at);
		unit_drop_rcpts(q, u);
	}
}

static void free_destinations(struct queue *q)
{
	for (uint32_t at = 1; at < q->destinations.top; at++) {
		struct destination *d = destination_at(q, at);
		if (!d->of_transport.next)
			continue;
		d->units = 0;
		destination_free(q, at);
	}
}

void queue_free(struct queue **queue)
{
	struct queue *q = *queue;
	if (!q)
		return;
	*queue = NULL;
	free_units(q);
	free_destinations(q);
	past_done(q);
	for (uint32_t i = 0; i < q->transport_count; i++)
		mem_free(&q->mem, q->transports[i], sizeof(struct transport_record));
	mem_free(&q->mem, q->transports, q->transport_room * sizeof(*q->transports));
	mem_free(&q->mem, q->table, q->table_room * sizeof(*q->table));
	mem_free(&q->mem, q->domain_pauses, q->domain_pause_room * sizeof(*q->domain_pauses));
	heap_done(&q->wakes, &q->mem);
	idtree_done(&q->ids, &q->mem);
	slab_done(&q->messages, &q->mem);
	slab_done(&q->units, &q->mem);
	slab_done(&q->extras, &q->mem);
	slab_done(&q->destinations, &q->mem);
	intern_done(&q->names, &q->mem);
	intern_done(&q->domains, &q->mem);
	intern_done(&q->replies, &q->mem);
	CHECK(q->mem.bytes == sizeof(*q)); /* the accounts are right */
	free(q);
}

size_t queue_memory(const struct queue *q)
{
	return q->mem.bytes;
}

void queue_set_connections(struct queue *q, uint32_t connections, int64_t now)
{
	queue_clock_set(q, now);
	q->connections = connections;
}

/* ---- transports ----------------------------------------------------------------------------- */

/* Every warning of the transport anew. */
static void rearm_warnings(struct queue *q, struct transport_record *t)
{
	LIST_FOR_EACH(node, &t->destinations)
	{
		struct destination *d = CONTAINER_OF(node, struct destination, of_transport);
		while (d->warn.count)
			heap_remove(&d->warn, d->warn.count, warn_moved, q);
	}
	for (uint32_t at = 1; t->delay_warning_s && at < q->units.top; at++) {
		const struct unit *u = unit_at(q, at);
		if (!u->rcpt_count || transport_of(q, destination_at(q, u->destination)) != t)
			continue;
		if (u->place == PLACE_READY || u->place == PLACE_WAITING ||
			u->place == PLACE_DEFERRED)
			unit_arm_warning(q, at);
	}
}

int queue_set_transport(struct queue *q, const struct transport *transport, int64_t now)
{
	queue_clock_set(q, now);
	struct transport_record *t = transport_get(q, transport->name);
	if (!t)
		return ERR_NOMEM;
	bool rearm = t->delay_warning_s != transport->delay_warning_s;
	/* No parser gives a schedule without steps; whatever was known stays, then. */
	if (transport->retry_steps) {
		memcpy(t->retry, transport->retry, sizeof(t->retry));
		t->retry_steps = MIN(transport->retry_steps, RETRY_STEPS);
	}
	t->retry_count = transport->retry_count;
	t->delay_warning_s = transport->delay_warning_s;
	t->connections = transport->connections;
	t->rate_per_minute = transport->rate_per_minute;
	if (rearm)
		rearm_warnings(q, t);
	int err =
		queue_set_pause(q, QUEUE_SCOPE_TRANSPORT, transport->name, &transport->pause, now);
	LIST_FOR_EACH(node, &t->destinations)
	destination_update(q, CONTAINER_OF(node, struct destination, of_transport)->self);
	return err;
}

/* ---- the core's own record of a destination -------------------------------------------------- */

void queue_destination_set_user(struct queue *q, uint32_t destination, void *user)
{
	CHECK(destination && destination < q->destinations.top);
	struct destination *d = destination_at(q, destination);
	CHECK(d->of_transport.next);
	d->user = user;
}

void *queue_destination_user(const struct queue *q, uint32_t destination)
{
	CHECK(destination && destination < q->destinations.top);
	const struct destination *d = destination_at(q, destination);
	CHECK(d->of_transport.next);
	return d->user;
}
