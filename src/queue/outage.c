/*
 * How destinations fail and come back, and what that does to their units.
 */
#include "queue/internal.h"

static int64_t jittered(struct queue *q, int64_t step)
{
	int64_t most = step / QUEUE_PROBE_JITTER;
	return step - most + (int64_t)prng_below(&q->prng, (uint64_t)(2 * most + 1));
}

static void go_down(struct queue *q, struct destination *d, enum down why)
{
	d->down = (uint8_t)why;
	d->down_since = q->clock;
	d->probe_step = QUEUE_PROBE_FIRST_MS;
	d->next_probe = q->clock + jittered(q, d->probe_step);
	d->ramp = 1;
	d->ramp_credit = 0;
}

static void come_up(struct queue *q, struct destination *d)
{
	d->down = DOWN_NOT;
	d->up_since = q->clock;
	d->ramp = 1;
	d->ramp_credit = 0;
	d->probe_unit = 0;
}

/* As in slow start: each round of successes at a limit doubles it. */
static void ramp_up(struct queue *q, struct destination *d)
{
	if (!d->ramp || ++d->ramp_credit < d->ramp)
		return;
	d->ramp_credit = 0;
	d->ramp *= 2;
	if (d->ramp >= transport_of(q, d)->connections)
		d->ramp = 0;
}

void destination_success(struct queue *q, struct destination *d)
{
	d->last_success = q->clock;
	d->throttled = 0;
	if (d->down)
		come_up(q, d);
	else
		ramp_up(q, d);
}

/* A failure of the destination itself. A probe that fails makes the next one wait longer. */
static void real_failure(struct queue *q, struct destination *d, enum down why, bool probe,
	const struct verdict *verdict)
{
	d->failures++;
	if (verdict)
		last_reply_set(q, &d->reply, last_reply_take(q, verdict));
	if (!d->down) {
		go_down(q, d, why);
	} else if (probe) {
		d->probe_step = MIN(d->probe_step * 2, QUEUE_PROBE_MOST_MS);
		d->next_probe = q->clock + jittered(q, d->probe_step);
	}
}

/* due as a distance */
static bool count_attempt(struct queue *q, struct unit *u)
{
	const struct destination *d = destination_at(q, u->destination);
	const struct transport_record *t = transport_of(q, d);
	if (u->attempts < UINT32_MAX)
		u->attempts++;
	u->seen = d->failures;
	u->due = retry_delay_s(t->retry, t->retry_steps, u->attempts) * 1000ll;
	return u->attempts <= t->retry_count;
}

bool unit_attempted(struct queue *q, uint32_t unit)
{
	if (count_attempt(q, unit_at(q, unit)))
		return true;
	unit_end(q, unit, QUEUE_EXPIRED);
	return false;
}

void unit_virtual_attempt(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	uint32_t reply = destination_at(q, u->destination)->reply;
	unit_lift(q, unit);
	intern_hold(&q->replies, reply);
	last_reply_set(q, &u->reply, reply);
	u->flags |= UNIT_WAITS;
	if (unit_attempted(q, unit))
		unit_place(q, unit, false);
}

/* ---- what an attempt brings ----------------------------------------------------------------- */

static struct unit *active_unit(const struct queue *q, uint32_t unit)
{
	CHECK(unit && unit < q->units.top);
	struct unit *u = unit_at(q, unit);
	CHECK(u->place == PLACE_ACTIVE);
	return u;
}

/* Was this the probe? It is no longer. */
static bool end_probe(struct destination *d, uint32_t unit)
{
	if (d->probe_unit != unit)
		return false;
	d->probe_unit = 0;
	return d->down != DOWN_NOT;
}

/* What an administrator asked for while it was active; true: it is gone. */
static bool apply_wishes(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	if (!(u->flags & (UNIT_BOUNCE | UNIT_DELETE)))
		return false;
	unit_end(q, unit, u->flags & UNIT_DELETE ? QUEUE_DELETED : QUEUE_BOUNCED);
	return true;
}

enum back { BACK_COUNTED, BACK_UNCOUNTED, BACK_FRONT };

/* An active unit goes back. Counted: that was an attempt of its own. Front: as if it had not been
 * started, before others, and nothing of it needs to be saved. */
static void go_back(struct queue *q, uint32_t unit, enum back back, const struct verdict *verdict)
{
	struct unit *u = unit_at(q, unit);
	uint64_t id = message_at(q, u->message)->id;
	bool reroute = u->flags & UNIT_REROUTE;

	unit_lift(q, unit);
	u->flags &= (uint16_t)~UNIT_DNS;
	if (apply_wishes(q, unit))
		return;
	if (verdict)
		last_reply_set(q, &u->reply, last_reply_take(q, verdict));
	if (back == BACK_COUNTED && !unit_attempted(q, unit))
		return;
	unit_place(q, unit, back == BACK_FRONT);
	if (back != BACK_FRONT)
		q->ops->changed(q->context, id);
	if (reroute)
		q->ops->reroute(q->context, id);
}

static bool due_has_come(const struct queue *q, const struct unit *u)
{
	return u->due <= vclock(q, transport_of(q, destination_at(q, u->destination)));
}

/* Every recipient got a 4xx. A destination that was down for its connection is there again; one
 * that throttles goes down, or stays so. */
static void answered_temporary(
	struct queue *q, uint32_t unit, bool probe, const struct verdict *verdict)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);

	if (d->throttled < UINT32_MAX)
		d->throttled++;
	if (d->down == DOWN_FAILED)
		come_up(q, d);
	bool throttles = d->down == DOWN_THROTTLED || d->throttled >= QUEUE_THROTTLED;
	bool counts = d->down != DOWN_THROTTLED || due_has_come(q, u);
	if (throttles)
		real_failure(q, d, DOWN_THROTTLED, probe, verdict);
	if (d->down)
		u->flags |= UNIT_WAITS;
	else
		u->flags &= (uint16_t)~UNIT_WAITS;
	go_back(q, unit, counts ? BACK_COUNTED : BACK_UNCOUNTED, verdict);
}

/* Trouble of our own says nothing about the destination; a probe has to be made again, later. */
static void own_trouble(struct queue *q, uint32_t unit, bool probe, const struct verdict *verdict)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	if (probe)
		d->next_probe = q->clock + jittered(q, d->probe_step);
	u->flags &= (uint16_t)~UNIT_WAITS;
	go_back(q, unit, BACK_COUNTED, verdict);
}

static bool is_left(const void *with, uint32_t at)
{
	return ((const enum verdict_kind *)with)[at] == VERDICT_TEMPORARY;
}

void queue_unit_partly(struct queue *q, uint32_t unit, const enum verdict_kind *kinds, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination, left = 0;

	for (uint32_t i = 0; i < u->rcpt_count; i++)
		left += kinds[i] == VERDICT_TEMPORARY;
	CHECK(left && left < u->rcpt_count);
	destination_success(q, destination_at(q, destination));
	unit_keep_rcpts(q, u, is_left, kinds);
	q->ops->changed(q->context, message_at(q, u->message)->id);
	destination_update(q, destination);
}

void queue_unit_result(struct queue *q, uint32_t unit, const enum verdict_kind *kinds,
	const struct verdict *verdict, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination, left = 0;
	struct destination *d = destination_at(q, destination);
	bool probe = end_probe(d, unit);

	for (uint32_t i = 0; i < u->rcpt_count; i++)
		left += kinds[i] == VERDICT_TEMPORARY;
	if (left < u->rcpt_count)
		destination_success(q, d);
	if (!left) {
		unit_lift(q, unit);
		unit_forget(q, unit);
	} else if (left < u->rcpt_count) {
		unit_keep_rcpts(q, u, is_left, kinds);
		u->flags &= (uint16_t)~UNIT_WAITS;
		go_back(q, unit, BACK_COUNTED, verdict);
	} else if (verdict && verdict->remote) {
		answered_temporary(q, unit, probe, verdict);
	} else {
		own_trouble(q, unit, probe, verdict);
	}
	destination_update(q, destination);
}

void queue_destination_failed(
	struct queue *q, uint32_t unit, const struct verdict *verdict, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination;
	struct destination *d = destination_at(q, destination);
	bool probe = end_probe(d, unit);

	if (!d->down && d->last_success > u->since) {
		/* Others got through meanwhile: it is there, but does not take so many. */
		d->ramp = MAX(1, destination_limit(q, d) / 2);
		d->ramp_credit = 0;
		go_back(q, unit, BACK_FRONT, verdict);
	} else {
		bool counts = due_has_come(q, u);
		real_failure(q, d, DOWN_FAILED, probe, verdict);
		u->flags |= UNIT_WAITS;
		go_back(q, unit, counts ? BACK_COUNTED : BACK_UNCOUNTED, verdict);
	}
	destination_update(q, destination);
}

void queue_unit_put_back(struct queue *q, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination;
	end_probe(destination_at(q, destination), unit);
	go_back(q, unit, BACK_FRONT, NULL);
	destination_update(q, destination);
}

void queue_unit_short(struct queue *q, uint32_t unit, const struct verdict *verdict, int64_t now)
{
	queue_unit_put_back(q, unit, now);
	if (q->clock > q->short_until + QUEUE_SHORTAGE_MS)
		q->short_since = q->clock;
	q->short_until = q->clock + QUEUE_SHORTAGE_MS;
	last_reply_set(q, &q->short_reply, last_reply_take(q, verdict));
}

void queue_unit_set_dns(struct queue *q, uint32_t unit, bool waits, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	u->flags = waits ? u->flags | UNIT_DNS : u->flags & (uint16_t)~UNIT_DNS;
}

/* ---- another way ---------------------------------------------------------------------------- */

static void start_anew(struct queue *q, struct destination *d)
{
	uint32_t destination = d->self;

	if (d->down)
		come_up(q, d);
	d->throttled = 0;
	last_reply_set(q, &d->reply, 0);
	while (d->deferred.count) {
		uint32_t unit = heap_first(&d->deferred)->item;

		unit_at(q, unit)->due = vclock(q, transport_of(q, d));
		unit_ready(q, unit);
	}
	destination_update(q, destination);
}

void queue_transport_moved(struct queue *q, struct span name, int64_t now)
{
	queue_clock_set(q, now);
	struct transport_record *t = transport_find(q, name);

	if (!t)
		return;
	LIST_FOR_EACH(node, &t->destinations)
	start_anew(q, CONTAINER_OF(node, struct destination, of_transport));
}
