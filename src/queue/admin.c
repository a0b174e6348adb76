/*
 * What administrators do to messages.
 */
#include "queue/internal.h"

/* The units that are meant: calls act() for each; the message may be gone after the last. */
typedef int (*unit_act)(struct queue *q, uint32_t unit, const void *with);

static int each_unit(struct queue *q, uint64_t id, uint32_t unit, unit_act act, const void *with)
{
	uint32_t message, done = 0;
	int err = unit_find(q, id, unit, &message);
	if (err)
		return err;
	uint32_t next;
	for (uint32_t at = unit ? unit : message_at(q, message)->first_unit; at; at = next) {
		next = unit ? 0 : unit_at(q, at)->next;
		uint32_t destination = unit_at(q, at)->destination;
		err = act(q, at, with);
		destination_update(q, destination);
		if (err && err != ERR_NOT_FOUND)
			return err;
		done += !err;
	}
	return done ? 0 : ERR_NOT_FOUND;
}

static void tell_changed(struct queue *q, uint32_t unit)
{
	q->ops->changed(q->context, message_at(q, unit_at(q, unit)->message)->id);
}

/* ---- hold, release -------------------------------------------------------------------------- */

static int hold_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	bool held = u->flags & UNIT_HOLD;
	int err = unit_set_hold(q, u, with);

	if (err)
		return err;
	if (!held && u->place != PLACE_ACTIVE) {
		unit_lift(q, unit);
		unit_place(q, unit, false);
	}
	tell_changed(q, unit);
	return 0;
}

int queue_hold(struct queue *q, uint64_t id, uint32_t unit, struct span by, struct span reason,
	int64_t now)
{
	queue_clock_set(q, now);
	struct pause hold = {.since_ms = now, .by = by, .reason = reason};
	return each_unit(q, id, unit, hold_unit, &hold);
}

static int release_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	(void)with;
	if (!(u->flags & UNIT_HOLD))
		return ERR_NOT_FOUND;
	if (u->place == PLACE_ACTIVE) {
		unit_drop_hold(q, u);
	} else {
		unit_lift(q, unit);
		unit_drop_hold(q, u);
		unit_place(q, unit, false);
	}
	tell_changed(q, unit);
	return 0;
}

int queue_release(struct queue *q, uint64_t id, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	return each_unit(q, id, unit, release_unit, NULL);
}

/* ---- retry, priority ------------------------------------------------------------------------ */

static int retry_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	(void)with;
	if (u->place == PLACE_ACTIVE)
		return 0;
	unit_lift(q, unit);
	u->due = MIN(u->due, 0);
	unit_place(q, unit, false);
	if (d->down && !d->probe_unit)
		d->next_probe = MIN(d->next_probe, q->clock);
	tell_changed(q, unit);
	return 0;
}

int queue_retry(struct queue *q, uint64_t id, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	return each_unit(q, id, unit, retry_unit, NULL);
}

static int prioritise_unit(struct queue *q, uint32_t unit, const void *with)
{
	const bool *priority = with;
	struct unit *u = unit_at(q, unit);
	uint16_t flags = (uint16_t)((u->flags & ~UNIT_PRIORITY) | UNIT_PRIORITY_SET);
	if (*priority)
		flags |= UNIT_PRIORITY;
	if (u->place == PLACE_ACTIVE) {
		u->flags = flags;
	} else {
		unit_lift(q, unit);
		u->flags = flags;
		unit_place(q, unit, false);
	}
	tell_changed(q, unit);
	return 0;
}

int queue_prioritise(struct queue *q, uint64_t id, uint32_t unit, bool priority, int64_t now)
{
	queue_clock_set(q, now);
	return each_unit(q, id, unit, prioritise_unit, &priority);
}

/* ---- bounce, delete ------------------------------------------------------------------------- */

static int bounce_unit(struct queue *q, uint32_t unit, const void *with)
{
	const struct verdict *verdict = with;
	struct unit *u = unit_at(q, unit);
	if (verdict)
		last_reply_set(q, &u->reply, last_reply_take(q, verdict));
	if (u->place == PLACE_ACTIVE) {
		u->flags |= UNIT_BOUNCE;
		tell_changed(q, unit);
		return 0;
	}
	unit_lift(q, unit);
	unit_end(q, unit, QUEUE_BOUNCED);
	return 0;
}

int queue_bounce(
	struct queue *q, uint64_t id, uint32_t unit, const struct verdict *verdict, int64_t now)
{
	queue_clock_set(q, now);
	return each_unit(q, id, unit, bounce_unit, verdict);
}

static int delete_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	(void)with;
	if (u->place == PLACE_ACTIVE) {
		u->flags |= UNIT_DELETE;
		tell_changed(q, unit);
		return 0;
	}
	unit_lift(q, unit);
	unit_end(q, unit, QUEUE_DELETED);
	return 0;
}

int queue_delete(struct queue *q, uint64_t id, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	return each_unit(q, id, unit, delete_unit, NULL);
}

/* ---- reroute -------------------------------------------------------------------------------- */

static bool route_same(const struct unit *u, const struct unit_rcpt *rcpts)
{
	for (uint32_t i = 0; i < u->rcpt_count; i++)
		if (rcpts[i].destination != u->destination || rcpts[i].domain != unit_domain(u, i))
			return false;
	return true;
}

/* Makes new units of a lifted one, each for its destination, and forgets it. On a new way it is
 * tried at once: what the old one said no longer matters. */
static int replace_unit(struct queue *q, uint32_t unit, struct unit_rcpt *rcpts)
{
	struct unit *u = unit_at(q, unit);
	uint32_t count = u->rcpt_count, last, old = u->destination;
	uint32_t fresh = unit_clone(q, unit, unit);
	if (!fresh)
		return ERR_NOMEM;
	int err = route_spread(q, fresh, rcpts, count, &last);
	if (err) {
		unit_free(q, fresh);
		return err;
	}
	uint32_t end = unit_at(q, last)->next;
	unit_free(q, unit);
	for (uint32_t at = fresh, next; at != end; at = next) {
		next = unit_at(q, at)->next;
		uint32_t destination = unit_at(q, at)->destination;
		if (destination != old)
			unit_at(q, at)->due = MIN(unit_at(q, at)->due, 0);
		unit_place(q, at, false);
		destination_update(q, destination);
	}
	return 0;
}

/* Asks for its route anew; the unit is not active. */
static int route_unit(struct queue *q, uint32_t unit, const struct envelope *envelope)
{
	struct unit *u = unit_at(q, unit);
	uint32_t count = u->rcpt_count;
	struct unit_rcpt few[8], *rcpts = few;
	if (count > ARRAY_SIZE(few))
		rcpts = malloc(count * sizeof(*rcpts));
	if (!rcpts)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++)
		rcpts[i] = (struct unit_rcpt){.rcpt = unit_rcpts(u)[i]};
	struct span name = intern_text(&q->names, u->extra ? extra_at(q, u->extra)->reroute : 0);
	int err = route_rcpts(q, envelope, name, rcpts, count);
	if (!err && route_same(u, rcpts)) {
		route_give(q, rcpts, count);
		u->flags &= (uint16_t)~UNIT_REROUTE;
	} else if (!err) {
		u->flags &= (uint16_t)~UNIT_REROUTE;
		unit_lift(q, unit);
		err = replace_unit(q, unit, rcpts);
		if (err) {
			route_give(q, rcpts, count);
			unit_place(q, unit, false);
		}
	}
	if (rcpts != few)
		free(rcpts);
	return err;
}

static int set_reroute(struct queue *q, struct unit *u, struct span transport)
{
	uint32_t name;
	if (!transport.n && !u->extra)
		return 0;
	struct extra *extra = unit_extra(q, u);
	if (!extra || !intern_take(&q->names, &q->mem, transport, &name))
		return ERR_NOMEM;
	intern_give(&q->names, &q->mem, extra->reroute);
	extra->reroute = name;
	return 0;
}

/* An envelope that does not have all recipients is not this message's. */
static bool envelope_fits(const struct queue *q, const struct envelope *envelope, uint32_t message)
{
	return message_at(q, message)->rcpt_count == envelope->rcpt_count;
}

struct reroute {
	const struct envelope *envelope;
	struct span transport;
	bool again;
};

static int reroute_unit(struct queue *q, uint32_t unit, const void *with)
{
	const struct reroute *reroute = with;
	struct unit *u = unit_at(q, unit);
	uint64_t id = message_at(q, u->message)->id;
	int err = 0;
	if (!reroute->again)
		err = set_reroute(q, u, reroute->transport);
	if (err)
		return err;
	if (u->place == PLACE_ACTIVE)
		u->flags |= UNIT_REROUTE;
	else
		err = route_unit(q, unit, reroute->envelope);
	if (!err && !reroute->again)
		q->ops->changed(q->context, id);
	return err;
}

static int reroute(struct queue *q, const struct reroute *with, uint32_t unit)
{
	uint32_t message;
	int err = unit_find(q, with->envelope->id, unit, &message);
	if (err)
		return err;
	if (!envelope_fits(q, with->envelope, message))
		return ERR_CORRUPT;
	return each_unit(q, with->envelope->id, unit, reroute_unit, with);
}

int queue_reroute(struct queue *q, const struct envelope *envelope, uint32_t unit,
	struct span transport, int64_t now)
{
	queue_clock_set(q, now);
	return reroute(q,
		&(struct reroute){.envelope = envelope, .transport = unit_text(transport)}, unit);
}

int queue_reroute_again(struct queue *q, const struct envelope *envelope, int64_t now)
{
	queue_clock_set(q, now);
	return reroute(q, &(struct reroute){.envelope = envelope, .again = true}, QUEUE_ALL_UNITS);
}
