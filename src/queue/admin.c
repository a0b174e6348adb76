/*
 * What administrators do to messages.
 */
#include "queue/internal.h"

int unit_each(struct queue *q, uint64_t id, uint32_t unit, unit_act act, const void *with)
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
	if (!held && !unit_is_tried(u)) {
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
	return unit_each(q, id, unit, hold_unit, &hold);
}

static int release_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	(void)with;
	if (!(u->flags & UNIT_HOLD))
		return ERR_NOT_FOUND;
	if (unit_is_tried(u)) {
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
	return unit_each(q, id, unit, release_unit, NULL);
}

/* ---- retry, priority ------------------------------------------------------------------------ */

static int retry_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	(void)with;
	if (unit_is_tried(u))
		return 0;
	unit_ask(q, unit);
	destination_ask(q, d);
	tell_changed(q, unit);
	return 0;
}

int queue_retry(struct queue *q, uint64_t id, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	return unit_each(q, id, unit, retry_unit, NULL);
}

static int prioritise_unit(struct queue *q, uint32_t unit, const void *with)
{
	const bool *priority = with;
	struct unit *u = unit_at(q, unit);
	uint16_t flags = (uint16_t)((u->flags & ~UNIT_PRIORITY) | UNIT_PRIORITY_SET);
	if (*priority)
		flags |= UNIT_PRIORITY;
	if (unit_is_tried(u)) {
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
	return unit_each(q, id, unit, prioritise_unit, &priority);
}

/* ---- bounce, delete ------------------------------------------------------------------------- */

static int bounce_unit(struct queue *q, uint32_t unit, const void *with)
{
	const struct verdict *verdict = with;
	struct unit *u = unit_at(q, unit);
	if (verdict)
		last_reply_set(q, &u->reply, last_reply_take(q, verdict));
	if (unit_is_tried(u)) {
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
	return unit_each(q, id, unit, bounce_unit, verdict);
}

static int delete_unit(struct queue *q, uint32_t unit, const void *with)
{
	struct unit *u = unit_at(q, unit);
	(void)with;
	if (unit_is_tried(u)) {
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
	return unit_each(q, id, unit, delete_unit, NULL);
}
