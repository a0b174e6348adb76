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
	d->planned_probe = 0;
	d->ramp = 1;
	d->ramp_credit = 0;
}

void destination_come_up(struct queue *q, struct destination *d)
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
		destination_come_up(q, d);
	else
		ramp_up(q, d);
}

/* A probe that fails makes the next one wait longer, but for one that somebody asked for. Only
 * where it cannot be reached is that a failure for all that wait (schedule.c). */
void destination_failure(struct queue *q, struct destination *d, enum down why, bool probe,
	const struct verdict *verdict)
{
	int64_t most = why == DOWN_THROTTLED ? QUEUE_PROBE_THROTTLED_MS : QUEUE_PROBE_MOST_MS;

	if (why == DOWN_FAILED)
		d->failures++;
	d->last_failure = q->clock;
	/* Never that of another failure. */
	last_reply_set(q, &d->reply, verdict ? last_reply_take(q, verdict) : 0);
	if (!d->down) {
		go_down(q, d, why);
		return;
	}
	d->down = (uint8_t)why;
	if (probe && !destination_asked_over(q, d)) {
		d->probe_step = MIN(d->probe_step * 2, most);
		d->next_probe = q->clock + jittered(q, d->probe_step);
	}
}

void destination_probe_again(struct queue *q, struct destination *d)
{
	if (!destination_asked_over(q, d))
		d->next_probe = q->clock + jittered(q, d->probe_step);
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

void unit_put_off(struct queue *q, struct unit *u)
{
	const struct transport_record *t = transport_of(q, destination_at(q, u->destination));

	u->due = MAX(u->due, retry_delay_s(t->retry, t->retry_steps, u->attempts + 1) * 1000ll);
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
	if (unit_asked_over(q, u) || unit_attempted(q, unit))
		unit_place(q, unit, false);
}

/* ---- another way ---------------------------------------------------------------------------- */

static void start_anew(struct queue *q, struct destination *d)
{
	uint32_t destination = d->self;

	if (d->down)
		destination_come_up(q, d);
	d->throttled = 0;
	last_reply_set(q, &d->reply, 0);
	while (d->deferred.count)
		unit_ask(q, heap_first(&d->deferred)->item);
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

int queue_probe(struct queue *q, uint32_t destination, int64_t now)
{
	queue_clock_set(q, now);
	CHECK(destination && destination < q->destinations.top);
	struct destination *d = destination_at(q, destination);

	CHECK(d->of_transport.next);
	if (!d->down || d->probe_unit || transport_of(q, d)->blockers)
		return ERR_NOT_FOUND;
	/* Somebody has to find out. */
	if (!destination_lined_up(d) && d->deferred.count)
		unit_ask(q, heap_first(&d->deferred)->item);
	if (!destination_lined_up(d)) {
		destination_update(q, destination);
		return ERR_NOT_FOUND;
	}
	destination_ask(q, d);
	destination_update(q, destination);
	return 0;
}
