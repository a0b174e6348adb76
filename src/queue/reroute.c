/*
 * Other ways: an administrator's choice, and what the directory says now.
 */
#include "queue/internal.h"

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
	if (unit_is_tried(u))
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
	return unit_each(q, with->envelope->id, unit, reroute_unit, with);
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
