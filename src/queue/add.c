/*
 * Messages come in: new ones, and those that a former life left.
 */
#include "queue/internal.h"

/* The first unit of a group of recipients, before they are spread over their destinations. */
static uint32_t unit_new(struct queue *q, uint32_t message, uint32_t destination)
{
	uint32_t at = slab_take(&q->units, &q->mem);
	if (!at)
		return 0;
	struct unit *u = unit_at(q, at);
	u->message = message;
	u->destination = destination;
	struct destination *d = destination_at(q, destination);
	d->units++;
	transport_of(q, d)->units++;
	u->seen = d->failures;
	return at;
}

static int set_name(struct queue *q, uint32_t *name, struct span text)
{
	return intern_take(&q->names, &q->mem, text, name) ? 0 : ERR_NOMEM;
}

static int unit_restore(struct queue *q, struct unit *u, const struct saved_unit *saved)
{
	u->flags |= (uint16_t)saved->flags;
	u->attempts = saved->attempts;
	if (saved->has_reply)
		u->reply = last_reply_take(q, &saved->reply);
	if (!(saved->flags & UNIT_HOLD) && !saved->reroute.n)
		return 0;
	struct extra *extra = unit_extra(q, u);
	if (!extra)
		return ERR_NOMEM;
	extra->hold_since = saved->hold_since;
	int err = set_name(q, &extra->by, saved->by);
	if (!err)
		err = set_name(q, &extra->reason, saved->reason);
	if (!err)
		err = set_name(q, &extra->reroute, saved->reroute);
	return err;
}

/* Wall times become distances: none is longer than the schedule can make it, so that a clock that
 * was set back meanwhile stalls nothing. */
static void set_clocks(struct queue *q, struct unit *u, const struct saved_unit *saved)
{
	const struct message *m = message_at(q, u->message);
	const struct transport_record *t = transport_of(q, destination_at(q, u->destination));
	int64_t wall = unit_wall(q, u);
	int64_t paused = past_between(q, u, saved ? saved->read_wall : m->arrived, wall);
	int64_t age = sub_clamped(wall, m->arrived) - paused;
	u->due = 0;
	if (saved) {
		int64_t longest = retry_longest_s(t->retry, t->retry_steps) * 1000ll;
		age -= saved->correction;
		if (u->attempts)
			u->due = MAX(0, MIN(sub_clamped(saved->due_wall, wall) + paused, longest));
	}
	u->born = MAX(0, age);
}

/* Units for recipients that share a saved state (NULL: new), linked in at *tail, in no place. */
static int add_units(struct queue *q, uint32_t message, const struct envelope *envelope,
	struct unit_rcpt *rcpts, uint32_t count, const struct saved_unit *saved, uint32_t **tail)
{
	int err = route_rcpts(q, envelope, saved ? saved->reroute : SPAN_NONE, rcpts, count);
	if (err)
		return err;
	uint32_t unit = unit_new(q, message, rcpts[0].destination), last;
	if (!unit) {
		route_give(q, rcpts, count);
		return ERR_NOMEM;
	}
	**tail = unit;
	if (!envelope->sender.n)
		unit_at(q, unit)->flags |= UNIT_NULL;
	for (uint32_t i = 0; i < count && envelope->flags & ENVELOPE_PRIORITY; i++)
		rcpts[i].priority = true;
	err = saved ? unit_restore(q, unit_at(q, unit), saved) : 0;
	if (!err)
		err = route_spread(q, unit, rcpts, count, &last);
	if (err) {
		route_give(q, rcpts, count);
		unit_free(q, unit);
		return err;
	}
	for (uint32_t at = unit; at; at = unit_at(q, at)->next)
		set_clocks(q, unit_at(q, at), saved);
	*tail = &unit_at(q, last)->next;
	return 0;
}

static int add_saved(struct queue *q, uint32_t message, const struct envelope *envelope,
	struct span state, struct unit_rcpt *rcpts)
{
	struct saved saved;
	struct saved_unit unit;
	uint32_t *tail = &message_at(q, message)->first_unit;

	int err = saved_open(&saved, state, envelope);
	while (!err) {
		err = saved_next(&saved, &unit, rcpts);
		if (!err)
			err = add_units(q, message, envelope, rcpts, unit.count, &unit, &tail);
	}
	saved_close(&saved);
	if (err == ERR_NOT_FOUND && message_at(q, message)->first_unit)
		return 0;
	return err;
}

static int add_new(
	struct queue *q, uint32_t message, const struct envelope *envelope, struct unit_rcpt *rcpts)
{
	uint32_t *tail = &message_at(q, message)->first_unit;
	for (uint32_t i = 0; i < envelope->rcpt_count; i++)
		rcpts[i] = (struct unit_rcpt){.rcpt = i};
	return add_units(q, message, envelope, rcpts, envelope->rcpt_count, NULL, &tail);
}

static void forget(struct queue *q, uint32_t message)
{
	while (message_at(q, message)->first_unit)
		unit_free(q, message_at(q, message)->first_unit);
	slab_give(&q->messages, message);
}

/* The attempt that it was in when the former life ended is over: what was wanted for after it is
 * done now. */
static void enter(struct queue *q, uint32_t unit)
{
	uint32_t destination = unit_at(q, unit)->destination;
	uint16_t flags = unit_at(q, unit)->flags;

	if (flags & UNIT_DELETE)
		unit_end(q, unit, QUEUE_DELETED);
	else if (flags & UNIT_BOUNCE)
		unit_end(q, unit, QUEUE_BOUNCED);
	else
		unit_place(q, unit, false);
	destination_update(q, destination);
}

static int add(struct queue *q, const struct envelope *envelope, struct span state,
	struct unit_rcpt *rcpts)
{
	uint32_t message = slab_take(&q->messages, &q->mem);
	if (!message)
		return ERR_NOMEM;
	*message_at(q, message) = (struct message){.id = envelope->id,
		.arrived = envelope->arrived_ms,
		.size = envelope->body_bytes,
		.rcpt_count = envelope->rcpt_count};
	int err = state.n ? add_saved(q, message, envelope, state, rcpts)
			  : add_new(q, message, envelope, rcpts);
	if (!err && !idtree_add(&q->ids, &q->mem, envelope->id, message))
		err = ERR_NOMEM;
	if (err) {
		forget(q, message);
		return err;
	}
	for (uint32_t at = message_at(q, message)->first_unit, next; at; at = next) {
		next = unit_at(q, at)->next;
		enter(q, at);
	}
	return 0;
}

int queue_add(struct queue *q, const struct envelope *envelope, struct span state, int64_t now)
{
	queue_clock_set(q, now);
	if (!envelope->rcpt_count || !envelope->id)
		return ERR_SYNTAX;
	if (idtree_find(&q->ids, envelope->id))
		return ERR_EXISTS;
	struct unit_rcpt few[8], *rcpts = few;
	if (envelope->rcpt_count > ARRAY_SIZE(few))
		rcpts = malloc(envelope->rcpt_count * sizeof(*rcpts));
	int err = rcpts ? add(q, envelope, state, rcpts) : ERR_NOMEM;
	if (rcpts != few)
		free(rcpts);
	return err;
}
