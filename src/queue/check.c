/*
 * The proof: every unit in exactly one place, every place right about its units, and something that
 * will move it on. Goes over everything, twice: from the units, and from the structures' counts.
 */
#include "queue/internal.h"

struct checker {
	const struct queue *q;
	struct buf *problem;
	uint64_t id;
	uint32_t null_active; /* units that have part of the null sender's share */
	bool failed;
};

#define MUST(c, condition)                                   \
	do {                                                 \
		if (!(condition))                            \
			complain((c), #condition, __LINE__); \
	} while (0)

static void complain(struct checker *c, const char *condition, int line)
{
	if (!c->failed)
		buf_printf(c->problem, "queue: message %llx: line %d: not true: %s",
			(unsigned long long)c->id, line, condition);
	c->failed = true;
}

/* What a destination's counters should be, by going over its units. */
struct tally {
	uint32_t units, active, held, paused, limbo, joined, ready[CLASSES], waiting[CLASSES],
		deferred, warn;
};

static void tally_place(const struct unit *u, struct tally *t)
{
	int class = unit_class(u);
	t->units++;
	t->warn += u->warn_place != 0;
	switch ((enum place)u->place) {
	case PLACE_NONE: break;
	case PLACE_READY: t->ready[class]++; break;
	case PLACE_WAITING: t->waiting[class]++; break;
	case PLACE_DEFERRED: t->deferred++; break;
	case PLACE_ACTIVE: t->active++; break;
	case PLACE_HELD: t->held++; break;
	case PLACE_PAUSED: t->paused++; break;
	case PLACE_LIMBO: t->limbo++; break;
	case PLACE_JOINED: t->joined++; break;
	}
}

/* It ends with an attempt that knows of its recipients. */
static void check_joined(struct checker *c, const struct unit *u)
{
	const struct queue *q = c->q;

	MUST(c, u->slot && u->slot < q->units.top && !u->warn_place);
	if (c->failed)
		return;
	const struct unit *leader = unit_at(q, u->slot);
	MUST(c, leader->place == PLACE_ACTIVE && leader->message == u->message);
	MUST(c, leader->destination == u->destination && leader->extra);
	if (!c->failed)
		MUST(c, extra_at(q, leader->extra)->attempt_count >=
				leader->rcpt_count + u->rcpt_count);
}

static void check_place(struct checker *c, const struct unit *u, uint32_t unit)
{
	const struct queue *q = c->q;
	const struct destination *d = destination_at(q, u->destination);
	int class = unit_class(u);
	int64_t v = vclock(q, transport_of(q, d));

	MUST(c, u->place != PLACE_NONE);
	if (u->place == PLACE_READY) {
		MUST(c, ring_holds(&d->ready[class], u->slot, unit));
		MUST(c, u->due <= v);
	} else if (u->place == PLACE_WAITING) {
		MUST(c, heap_holds(&d->waiting[class], u->slot, unit));
		MUST(c, d->waiting[class].entries[u->slot - 1].key == u->due);
		MUST(c, u->flags & UNIT_WAITS);
	} else if (u->place == PLACE_DEFERRED) {
		MUST(c, heap_holds(&d->deferred, u->slot, unit));
		MUST(c, d->deferred.entries[u->slot - 1].key == u->due);
	} else if (u->place == PLACE_HELD) {
		MUST(c, u->flags & UNIT_HOLD && u->extra);
	} else if (u->place == PLACE_PAUSED) {
		MUST(c, unit_pausing(q, u));
	} else if (u->place == PLACE_JOINED) {
		check_joined(c, u);
	}
	if (u->warn_place)
		MUST(c, heap_holds(&d->warn, u->warn_place, unit));
	if (u->place != PLACE_HELD && !unit_is_tried(u))
		MUST(c, !(u->flags & UNIT_HOLD));
	if (u->place != PLACE_HELD && !unit_is_tried(u) && u->place != PLACE_PAUSED)
		MUST(c, !unit_pausing(q, u));
	if (!unit_is_tried(u))
		MUST(c, !(u->flags & (UNIT_DNS | UNIT_BOUNCE | UNIT_DELETE)));
}

static void check_unit(struct checker *c, uint32_t message, uint32_t unit, uint8_t *rcpts)
{
	const struct queue *q = c->q;
	const struct unit *u = unit_at(q, unit);
	const struct message *m = message_at(q, message);
	MUST(c, u->message == message && u->rcpt_count);
	MUST(c, destination_at(q, u->destination)->of_transport.next);
	for (uint32_t i = 0; !c->failed && i < u->rcpt_count; i++) {
		uint32_t rcpt = unit_rcpts(u)[i];
		MUST(c, rcpt < m->rcpt_count);
		MUST(c, !i || rcpt > unit_rcpts(u)[i - 1]);
		if (rcpt >= m->rcpt_count)
			return;
		MUST(c, !(rcpts[rcpt / 8] & 1u << rcpt % 8)); /* in one unit only */
		rcpts[rcpt / 8] |= (uint8_t)(1u << rcpt % 8);
	}
	check_place(c, u, unit);
}

/* Its units, but for what only sums can tell; true: sound. */
bool check_message(const struct queue *q, uint32_t message, struct buf *problem)
{
	const struct message *m = message_at(q, message);
	struct checker c = {.q = q, .problem = problem, .id = m->id};
	uint8_t *rcpts = calloc(1, m->rcpt_count / 8 + 1);
	uint32_t units = 0;

	if (!rcpts)
		return true; /* looked at next time */
	MUST(&c, m->first_unit);
	for (uint32_t at = m->first_unit; at && !c.failed; at = unit_at(q, at)->next) {
		MUST(&c, at < q->units.top && ++units <= m->rcpt_count);
		if (!c.failed)
			check_unit(&c, message, at, rcpts);
	}
	free(rcpts);
	return !c.failed;
}

static void check_messages(struct checker *c, struct tally *tallies)
{
	const struct queue *q = c->q;
	uint64_t after = 0, units = 0, messages = 0, ids[64];
	uint32_t numbers[64];
	size_t n;

	MUST(c, idtree_sound(&q->ids));
	while (!c->failed && (n = idtree_after(&q->ids, after, ids, numbers, ARRAY_SIZE(ids)))) {
		for (size_t i = 0; i < n && !c->failed; i++) {
			const struct message *m = message_at(q, numbers[i]);
			c->id = ids[i];
			messages++;
			MUST(c, m->id == ids[i]);
			MUST(c, m->first_unit);
			uint8_t *rcpts = calloc(1, m->rcpt_count / 8 + 1);
			MUST(c, rcpts);
			for (uint32_t at = m->first_unit; at && !c->failed;
				at = unit_at(q, at)->next) {
				units++;
				check_unit(c, numbers[i], at, rcpts);
				c->null_active += (unit_at(q, at)->flags & UNIT_OF_NULL_SHARE) != 0;
				tally_place(unit_at(q, at), &tallies[unit_at(q, at)->destination]);
			}
			free(rcpts);
		}
		after = ids[n - 1];
	}
	MUST(c, units == q->units.used);
	MUST(c, messages == q->messages.used && messages == q->ids.entries);
}

/* Somebody will look at it again: now, at a time, or when what blocks it ends. */
static void check_progress(struct checker *c, const struct destination *d)
{
	const struct queue *q = c->q;
	const struct transport_record *t = transport_of(q, d);
	enum blocker blocker = destination_blocker(q, d);
	bool runnable = !list_empty(&d->runnable);
	int64_t wake = d->wake_place ? q->wakes.entries[d->wake_place - 1].key : INT64_MAX;

	if (q->wakes_lost)
		return;
	if (d->deferred.count && !t->blockers)
		MUST(c, wake <= MAX(q->clock, heap_first(&d->deferred)->key + t->shift));
	for (int class = 0; class < CLASSES; class ++)
		if (d->down && d->waiting[class].count && !t->blockers)
			MUST(c, wake <= MAX(q->clock,
						heap_first(&d->waiting[class])->key + t->shift));
	switch (blocker) {
	case BLOCKER_NONE: MUST(c, runnable || wake <= q->clock); break;
	case BLOCKER_RATE: MUST(c, wake <= destination_rate_time(q, d)); break;
	case BLOCKER_BUSY: MUST(c, wake <= d->busy_until); break;
	case BLOCKER_PROBE_WAIT: MUST(c, wake <= d->next_probe); break;
	case BLOCKER_PROBING:
		MUST(c, unit_at(q, d->probe_unit)->place == PLACE_ACTIVE);
		MUST(c, destination_at(q, unit_at(q, d->probe_unit)->destination) == d);
		break;
	case BLOCKER_LIMIT: MUST(c, d->active > 0); break;
	case BLOCKER_PAUSED: MUST(c, q->pausing.since || t->pausing.since); break;
	case BLOCKER_EMPTY: break;
	}
	if (runnable)
		MUST(c, blocker == BLOCKER_NONE && d->runnable_share == destination_share(d));
}

bool check_destination_goes_on(const struct queue *q, uint32_t destination, struct buf *problem)
{
	const struct destination *d = destination_at(q, destination);
	struct checker c = {.q = q, .problem = problem};

	if (d->wake_place)
		MUST(&c, heap_holds(&q->wakes, d->wake_place, destination));
	if (!c.failed)
		check_progress(&c, d);
	return !c.failed;
}

static void check_destination(struct checker *c, const struct destination *d, const struct tally *t)
{
	MUST(c, d->units == t->units);
	MUST(c, d->active == t->active && d->held == t->held && d->paused == t->paused);
	MUST(c, d->limbo == t->limbo && d->joined == t->joined);
	for (int class = 0; class < CLASSES; class ++) {
		MUST(c, d->ready[class].count == t->ready[class]);
		MUST(c, d->waiting[class].count == t->waiting[class]);
		MUST(c, heap_sound(&d->waiting[class]));
	}
	MUST(c, d->deferred.count == t->deferred && heap_sound(&d->deferred));
	MUST(c, d->warn.count == t->warn && heap_sound(&d->warn));
	MUST(c, list_empty(&d->linger) == (d->units != 0));
	check_progress(c, d);
}

static void check_destinations(struct checker *c, const struct tally *tallies)
{
	const struct queue *q = c->q;
	uint32_t active = 0, lingering = 0, count = 0, limbo = 0, runnable = 0, looked_up = 0;
	for (uint32_t at = 1; at < q->destinations.top && !c->failed; at++) {
		const struct destination *d = destination_at(q, at);
		if (!d->of_transport.next)
			continue;
		count++;
		active += d->active;
		looked_up += destination_looked_up(d) ? d->active : 0;
		runnable += !list_empty(&d->runnable);
		limbo += d->limbo;
		lingering += !list_empty(&d->linger);
		MUST(c, d->self == at);
		if (d->wake_place)
			MUST(c, heap_holds(&q->wakes, d->wake_place, at));
		check_destination(c, d, &tallies[at]);
	}
	uint32_t in_limbo = 0;
	for (uint32_t at = q->limbo; at; at = unit_at(q, at)->slot)
		in_limbo++;
	MUST(c, count == q->destinations.used);
	MUST(c, active == q->active);
	MUST(c, looked_up == q->active_looked_up);
	MUST(c, c->null_active == q->active_null);
	MUST(c, runnable == q->runnable_count);
	MUST(c, lingering == q->linger_count);
	MUST(c, limbo == in_limbo);
	MUST(c, heap_sound(&q->wakes));
}

static void check_transports(struct checker *c)
{
	const struct queue *q = c->q;
	for (uint32_t i = 0; i < q->transport_count; i++) {
		const struct transport_record *t = q->transports[i];
		uint32_t units = 0;
		LIST_FOR_EACH(node, (struct list *)&t->destinations)
		units += CONTAINER_OF(node, struct destination, of_transport)->units;
		MUST(c, units == t->units);
		MUST(c, t->blockers == (uint32_t)(q->pausing.since != 0) + (t->pausing.since != 0));
		MUST(c, !t->blockers || t->freeze <= q->clock);
	}
}

int queue_check(const struct queue *q, struct buf *problem)
{
	struct checker c = {.q = q, .problem = problem};
	struct tally *tallies = calloc(q->destinations.top, sizeof(*tallies));
	if (!tallies)
		return ERR_NOMEM;
	check_messages(&c, tallies);
	c.id = 0;
	if (!c.failed)
		check_destinations(&c, tallies);
	if (!c.failed)
		check_transports(&c);
	free(tallies);
	return c.failed ? ERR_CORRUPT : 0;
}
