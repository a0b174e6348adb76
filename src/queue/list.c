/*
 * Listings and sums.
 */
#include "queue/internal.h"

uint64_t queue_messages(const struct queue *q)
{
	return q->ids.entries;
}

size_t queue_page(const struct queue *q, uint64_t after, uint64_t *ids, size_t room)
{
	return idtree_after(&q->ids, after, ids, NULL, room);
}

int queue_message_info(const struct queue *q, uint64_t id, struct queue_message_info *out)
{
	uint32_t at = idtree_find(&q->ids, id), waiting = 0;
	if (!at)
		return ERR_NOT_FOUND;
	const struct message *m = message_at(q, at);
	for (uint32_t unit = m->first_unit; unit; unit = unit_at(q, unit)->next)
		waiting += unit_at(q, unit)->rcpt_count;
	*out = (struct queue_message_info){
		.id = id,
		.arrived_ms = m->arrived,
		.size = m->size,
		.rcpt_count = m->rcpt_count,
		.waiting = waiting,
		.first_unit = m->first_unit,
	};
	return 0;
}

static bool unit_exists(const struct queue *q, uint32_t unit)
{
	return unit && unit < q->units.top && unit_at(q, unit)->rcpt_count;
}

static int64_t next_probe(const struct queue *q, const struct destination *d)
{
	int64_t at = d->planned_probe ? MIN(d->planned_probe, d->next_probe) : d->next_probe;
	return queue_clock_wall(q, MAX(at, q->clock));
}

/* While its destination is down that is asked first, whatever the unit's own time is. */
static int64_t next_try(const struct queue *q, const struct unit *u, enum queue_state state)
{
	int64_t in = unit_due_in(q, u);

	if (state == QUEUE_DOWN)
		return next_probe(q, destination_at(q, u->destination));
	return state == QUEUE_DEFERRED && in > 0 ? q->wall + in : 0;
}

static int64_t give_up(const struct queue *q, const struct unit *u, enum queue_state state)
{
	const struct destination *d = destination_at(q, u->destination);
	int64_t next = MAX(0, unit_own_due_in(q, u));

	if (state == QUEUE_HELD || state == QUEUE_PAUSED)
		return 0;
	/* Not without a failure after its last attempt, or, where others' failures count for
	 * nothing, an attempt of its own. */
	if (d->down == DOWN_THROTTLED || (d->down && u->seen == d->failures))
		next = MAX(next, (d->planned_probe ? d->planned_probe : d->next_probe) - q->clock);
	return q->wall + next + retries_left_ms(transport_of(q, d), u->attempts);
}

int queue_unit_info(struct queue *q, uint32_t unit, int64_t now, struct queue_unit_info *out)
{
	queue_clock_set(q, now);
	if (!unit_exists(q, unit))
		return ERR_NOT_FOUND;
	const struct unit *u = unit_at(q, unit);
	const struct destination *d = destination_at(q, u->destination);
	enum queue_state state = unit_state(q, u);
	*out = (struct queue_unit_info){
		.unit = unit,
		.next = u->next,
		.destination = u->destination,
		.id = message_at(q, u->message)->id,
		.state = state,
		.priority = (u->flags & UNIT_PRIORITY) != 0,
		.warned = (u->flags & UNIT_WARNED) != 0,
		.held = (u->flags & UNIT_HOLD) != 0,
		.attempts = u->attempts,
		.since_ms = queue_clock_wall(q, u->since),
		.next_try_ms = next_try(q, u, state),
		.give_up_ms = give_up(q, u, state),
		.transport = intern_text(&q->names, transport_of(q, d)->name),
		.next_hop = intern_text(&q->domains, d->next_hop),
		.reroute = intern_text(&q->names, u->extra ? extra_at(q, u->extra)->reroute : 0),
		.domain = intern_text(&q->domains, u->domain == DOMAIN_MIXED ? 0 : u->domain),
		.rcpts = unit_rcpts(u),
		.rcpt_count = u->rcpt_count,
	};
	return 0;
}

int queue_unit_verdict(const struct queue *q, uint32_t unit, struct verdict *out)
{
	if (!unit_exists(q, unit) || !last_reply_verdict(q, unit_at(q, unit)->reply, out))
		return ERR_NOT_FOUND;
	return 0;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static void add_counts(
	const struct queue *q, const struct destination *d, struct queue_counts *counts)
{
	uint64_t lined_up = destination_lined_up(d);
	uint64_t *units = counts->units;
	units[QUEUE_ACTIVE] += d->active + (uint64_t)d->joined;
	counts->joined += d->joined;
	units[QUEUE_HELD] += d->held;
	units[QUEUE_PAUSED] += d->paused;
	if (transport_of(q, d)->blockers) {
		units[QUEUE_PAUSED] += lined_up + d->deferred.count + d->limbo;
		return;
	}
	units[QUEUE_DEFERRED] += d->deferred.count;
	units[QUEUE_READY] += d->limbo;
	units[d->down ? QUEUE_DOWN : QUEUE_READY] += lined_up;
}

void queue_totals(struct queue *q, struct queue_counts *out)
{
	*out = (struct queue_counts){.messages = q->ids.entries};
	for (uint32_t i = 0; i < q->transport_count; i++)
		LIST_FOR_EACH(node, &q->transports[i]->destinations)
	add_counts(q, CONTAINER_OF(node, struct destination, of_transport), out);
}

int queue_destination_info(
	struct queue *q, uint32_t destination, struct queue_destination_info *out)
{
	if (!destination || destination >= q->destinations.top ||
		!destination_at(q, destination)->of_transport.next)
		return ERR_NOT_FOUND;
	const struct destination *d = destination_at(q, destination);
	*out = (struct queue_destination_info){
		.destination = destination,
		.transport = intern_text(&q->names, transport_of(q, d)->name),
		.next_hop = intern_text(&q->domains, d->next_hop),
		.down = d->down != DOWN_NOT,
		.probing = d->down && d->probe_unit,
		.limit = d->down ? 1 : destination_limit(q, d),
		.active = d->active,
	};
	if (d->down) {
		out->down_since_ms = queue_clock_wall(q, d->down_since);
		out->next_probe_ms = next_probe(q, d);
	}
	out->has_verdict = (d->down || d->last_success < d->last_failure) &&
			   last_reply_verdict(q, d->reply, &out->verdict);
	if (out->has_verdict)
		out->failed_ms = queue_clock_wall(q, d->last_failure);
	add_counts(q, d, &out->counts);
	return 0;
}

int queue_destination_find(struct queue *q, struct span transport, struct span next_hop,
	struct queue_destination_info *out)
{
	return queue_destination_info(q, destination_find(q, transport, next_hop), out);
}

int queue_destination_next(struct queue *q, uint32_t after, struct queue_destination_info *out)
{
	for (uint64_t at = (uint64_t)after + 1; at < q->destinations.top; at++) {
		const struct destination *d = destination_at(q, (uint32_t)at);
		if (d->of_transport.next && d->units)
			return queue_destination_info(q, (uint32_t)at, out);
	}
	return ERR_NOT_FOUND;
}

int queue_transport_info(struct queue *q, uint32_t at, struct queue_transport_info *out)
{
	if (at >= q->transport_count)
		return ERR_NOT_FOUND;
	const struct transport_record *t = q->transports[at];
	*out = (struct queue_transport_info){.name = intern_text(&q->names, t->name)};
	LIST_FOR_EACH(node, &t->destinations)
	{
		const struct destination *d = CONTAINER_OF(node, struct destination, of_transport);
		out->destinations += d->units != 0;
		out->down += d->units && d->down;
		add_counts(q, d, &out->counts);
	}
	return 0;
}
