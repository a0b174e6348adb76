/*
 * What an attempt brings: for the unit that was tried, for those that were split from it meanwhile
 * (split.c), and for its destination.
 */
#include "queue/internal.h"

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

/* ---- how it goes on ------------------------------------------------------------------------- */

enum back { BACK_COUNTED, BACK_UNCOUNTED, BACK_LATER, BACK_FRONT };

/* How the attempt ended, for everything that was in it. Counted: that was an attempt of its own.
 * Later: not an attempt, but not to be made again before a retry would be. Front: as if it had not
 * been started, before others, and nothing of it needs to be saved. */
struct ending {
	enum back back;
	bool waits;			/* what is left waits for its destination */
	const enum verdict_kind *kinds; /* of the attempt's recipients; NULL: all stay */
	const struct verdict *verdict;	/* to those that stay */
};

/* What an administrator asked for while it was active; true: it is gone. */
static bool apply_wishes(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	if (!(u->flags & (UNIT_BOUNCE | UNIT_DELETE)))
		return false;
	unit_end(q, unit, u->flags & UNIT_DELETE ? QUEUE_DELETED : QUEUE_BOUNCED);
	return true;
}

/* A unit of the attempt with something left goes back. */
static void go_back(struct queue *q, uint32_t unit, const struct ending *ending)
{
	struct unit *u = unit_at(q, unit);
	uint64_t id = message_at(q, u->message)->id;
	bool reroute = u->flags & UNIT_REROUTE;

	unit_lift(q, unit);
	u->flags &= (uint16_t)~UNIT_DNS;
	if (apply_wishes(q, unit))
		return;
	if (ending->verdict)
		last_reply_set(q, &u->reply, last_reply_take(q, ending->verdict));
	bool counts = ending->back == BACK_COUNTED;
	if (ending->back != BACK_FRONT && unit_asked_over(q, u))
		counts = false;
	if (counts && !unit_attempted(q, unit))
		return;
	if (ending->back == BACK_LATER)
		unit_put_off(q, u);
	unit_place(q, unit, ending->back == BACK_FRONT);
	if (ending->back != BACK_FRONT)
		q->ops->changed(q->context, id);
	if (reroute)
		q->ops->reroute(q->context, id);
}

static void part_over(struct queue *q, uint32_t unit, uint32_t leader, const struct ending *ending)
{
	struct unit *u = unit_at(q, unit);

	if (ending->kinds && !split_keep_left(q, unit, leader, ending->kinds)) {
		unit_lift(q, unit);
		unit_forget(q, unit);
		return;
	}
	if (unit == leader)
		split_attempt_over(q, leader);
	if (ending->back != BACK_FRONT) {
		if (ending->waits)
			u->flags |= UNIT_WAITS;
		else
			u->flags &= (uint16_t)~UNIT_WAITS;
	}
	go_back(q, unit, ending);
}

static void attempt_over(struct queue *q, uint32_t unit, const struct ending *ending)
{
	for (uint32_t joined; (joined = split_joined(q, unit)) != 0;)
		part_over(q, joined, unit, ending);
	part_over(q, unit, unit, ending);
}

static bool due_has_come(const struct queue *q, const struct unit *u)
{
	return u->due <= vclock(q, transport_of(q, destination_at(q, u->destination)));
}

/* What was tried before its own time, as a probe or as its destination was back, has that still to
 * come: it would be given up too early else. */
static enum back back_of(const struct queue *q, uint32_t unit)
{
	return due_has_come(q, unit_at(q, unit)) ? BACK_COUNTED : BACK_UNCOUNTED;
}

/* ---- an answer about the message ------------------------------------------------------------ */

/* Every recipient stays, for reasons of this mail. What says so is there, whatever it was before.
 * It is no end of a row of QUEUE_THROTTLED, which such mail in between would hide. */
static void answered_mail(struct queue *q, uint32_t unit, const struct verdict *verdict)
{
	struct destination *d = destination_at(q, unit_at(q, unit)->destination);

	if (d->down)
		destination_come_up(q, d);
	attempt_over(q, unit, &(struct ending){.back = back_of(q, unit), .verdict = verdict});
}

/* Every recipient stays, as the server takes nothing now. A destination that was down for its
 * connection is there again; one that throttles goes down, or stays so. */
static void answered_server(
	struct queue *q, uint32_t unit, bool probe, const struct verdict *verdict)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);

	if (d->throttled < UINT32_MAX)
		d->throttled++;
	if (d->down == DOWN_FAILED)
		destination_come_up(q, d);
	bool throttles = d->down == DOWN_THROTTLED || d->throttled >= QUEUE_THROTTLED;
	if (throttles)
		destination_failure(q, d, DOWN_THROTTLED, probe, verdict);
	attempt_over(q, unit,
		&(struct ending){.back = back_of(q, unit),
			.waits = d->down != DOWN_NOT,
			.verdict = verdict});
}

/* Trouble of our own says nothing about the destination; a probe has to be made again, later. */
static void own_trouble(struct queue *q, uint32_t unit, bool probe, const struct verdict *verdict)
{
	if (probe)
		destination_probe_again(q, destination_at(q, unit_at(q, unit)->destination));
	attempt_over(q, unit, &(struct ending){.back = back_of(q, unit), .verdict = verdict});
}

static uint32_t count_left(const enum verdict_kind *kinds, uint32_t count)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < count; i++)
		left += kinds[i] == VERDICT_TEMPORARY;
	return left;
}

void queue_unit_partly(struct queue *q, uint32_t unit, const enum verdict_kind *kinds, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination, count = split_attempt_count(q, u);
	uint32_t left = count_left(kinds, count);

	CHECK(left && left < count);
	destination_success(q, destination_at(q, destination));
	split_partly(q, unit, kinds);
	q->ops->changed(q->context, message_at(q, u->message)->id);
	destination_update(q, destination);
}

void queue_unit_result(struct queue *q, uint32_t unit, const enum verdict_kind *kinds,
	enum queue_answer answer, const struct verdict *verdict, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination, count = split_attempt_count(q, u);
	struct destination *d = destination_at(q, destination);
	uint32_t left = count_left(kinds, count);
	bool probe = end_probe(d, unit);

	if (left < count) {
		destination_success(q, d);
		attempt_over(q, unit,
			&(struct ending){
				.back = back_of(q, unit), .kinds = kinds, .verdict = verdict});
	} else {
		switch (answer) {
		case QUEUE_ANSWER_NONE: own_trouble(q, unit, probe, verdict); break;
		case QUEUE_ANSWER_MAIL: answered_mail(q, unit, verdict); break;
		case QUEUE_ANSWER_SERVER: answered_server(q, unit, probe, verdict); break;
		}
	}
	destination_update(q, destination);
}

/* ---- no answer ------------------------------------------------------------------------------ */

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
		attempt_over(q, unit, &(struct ending){.back = BACK_FRONT, .verdict = verdict});
	} else {
		destination_failure(q, d, DOWN_FAILED, probe, verdict);
		attempt_over(q, unit,
			&(struct ending){
				.back = back_of(q, unit), .waits = true, .verdict = verdict});
	}
	destination_update(q, destination);
}

void queue_unit_put_back(struct queue *q, uint32_t unit, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	uint32_t destination = u->destination;
	end_probe(destination_at(q, destination), unit);
	attempt_over(q, unit, &(struct ending){.back = BACK_FRONT});
	destination_update(q, destination);
}

void queue_unit_postpone(struct queue *q, uint32_t unit, const struct verdict *verdict, int64_t now)
{
	queue_clock_set(q, now);
	uint32_t destination = active_unit(q, unit)->destination;
	struct destination *d = destination_at(q, destination);

	if (end_probe(d, unit))
		destination_probe_again(q, d);
	attempt_over(q, unit, &(struct ending){.back = BACK_LATER, .verdict = verdict});
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

void queue_unit_busy(struct queue *q, uint32_t unit, uint32_t limit, int64_t now)
{
	struct destination *d = destination_at(q, active_unit(q, unit)->destination);

	queue_clock_set(q, now);
	d->busy_until = q->clock + QUEUE_BUSY_MS;
	d->busy_limit = limit;
	if (d->down)
		d->next_probe = MAX(d->next_probe, d->busy_until);
	queue_unit_put_back(q, unit, now);
}

void queue_unit_set_dns(struct queue *q, uint32_t unit, bool waits, int64_t now)
{
	queue_clock_set(q, now);
	struct unit *u = active_unit(q, unit);
	u->flags = waits ? u->flags | UNIT_DNS : u->flags & (uint16_t)~UNIT_DNS;
}
