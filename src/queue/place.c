/*
 * Every move of a unit from one place to another. Whoever moves units calls destination_update()
 * afterwards.
 */
#include "queue/internal.h"

static void set_slot(void *owner, uint32_t item, uint32_t place)
{
	unit_at(owner, item)->slot = place;
}

static void set_warn_place(void *owner, uint32_t item, uint32_t place)
{
	unit_at(owner, item)->warn_place = place;
}

static void set_wake_place(void *owner, uint32_t item, uint32_t place)
{
	destination_at(owner, item)->wake_place = place;
}

const heap_moved unit_moved = set_slot, warn_moved = set_warn_place, wake_moved = set_wake_place;

static void enter(struct queue *q, struct unit *u, enum place place)
{
	u->place = (uint8_t)place;
	u->since = q->clock;
}

static void limbo_enter(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	u->slot = q->limbo;
	q->limbo = unit;
	destination_at(q, u->destination)->limbo++;
	enter(q, u, PLACE_LIMBO);
}

static void limbo_leave(struct queue *q, uint32_t unit)
{
	uint32_t *link = &q->limbo;
	while (*link != unit)
		link = &unit_at(q, *link)->slot;
	*link = unit_at(q, unit)->slot;
	destination_at(q, unit_at(q, unit)->destination)->limbo--;
}

/* Out of the structure that its place stands for; its clocks stay as they are. */
static void leave(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);

	switch ((enum place)u->place) {
	case PLACE_NONE: break;
	case PLACE_READY: ring_remove(&d->ready[unit_class(u)], u->slot); break;
	case PLACE_WAITING: heap_remove(&d->waiting[unit_class(u)], u->slot, unit_moved, q); break;
	case PLACE_DEFERRED: heap_remove(&d->deferred, u->slot, unit_moved, q); break;
	case PLACE_ACTIVE:
		CHECK(d->active && q->active);
		d->active--;
		q->active--;
		q->active_looked_up -= (u->flags & UNIT_LOOKED_UP) != 0;
		q->active_null -= (u->flags & UNIT_OF_NULL_SHARE) != 0;
		u->flags &= (uint16_t) ~(UNIT_LOOKED_UP | UNIT_OF_NULL_SHARE);
		break;
	case PLACE_HELD: d->held--; break;
	case PLACE_PAUSED: d->paused--; break;
	case PLACE_LIMBO: limbo_leave(q, unit); break;
	case PLACE_JOINED: d->joined--; break;
	}
	u->place = PLACE_NONE;
	u->slot = 0;
}

static bool clock_stands(const struct unit *u)
{
	return u->place == PLACE_NONE || u->place == PLACE_HELD || u->place == PLACE_PAUSED ||
	       u->place == PLACE_LIMBO;
}

/* due and born become distances … */
static void clocks_stop(struct queue *q, struct unit *u, int64_t v)
{
	u->due -= v;
	u->born = v - u->born;
	if (u->flags & UNIT_ASKED)
		extra_at(q, u->extra)->own_due -= v;
}

/* … and times again. */
static void clocks_go(struct queue *q, struct unit *u, int64_t v)
{
	u->due += v;
	u->born = v - u->born;
	if (u->flags & UNIT_ASKED)
		extra_at(q, u->extra)->own_due += v;
}

void unit_lift(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	bool stood = clock_stands(u);

	leave(q, unit);
	if (u->warn_place)
		heap_remove(&d->warn, u->warn_place, warn_moved, q);
	if (!stood)
		clocks_stop(q, u, vclock(q, transport_of(q, d)));
}

static bool is_kept(const void *with, uint32_t at)
{
	return ((const bool *)with)[at];
}

/* Recipients of paused domains go to a unit of their own, so that the others can go on. Without
 * memory all of the unit waits. */
static void split_paused(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	uint32_t paused = 0, n = u->rcpt_count, count = 0;

	if (u->domain != DOMAIN_MIXED || !q->domain_pause_count)
		return;
	for (uint32_t i = 0; i < n; i++)
		paused += domain_pausing(q, unit_domain(u, i)) != NULL;
	if (!paused || paused == n)
		return;
	bool *keep = malloc(n * sizeof(*keep));
	struct unit_rcpt *apart = malloc(paused * sizeof(*apart));
	uint32_t other = keep && apart ? unit_clone(q, unit, unit) : 0;
	for (uint32_t i = 0; other && i < n; i++) {
		uint32_t domain = unit_domain(u, i);
		keep[i] = domain_pausing(q, domain) == NULL;
		if (!keep[i])
			apart[count++] =
				(struct unit_rcpt){.rcpt = u->rcpts.many[i], .domain = domain};
	}
	for (uint32_t i = 0; i < count; i++)
		intern_hold(&q->domains, apart[i].domain);
	if (other && unit_set_rcpts(q, unit_at(q, other), apart, count) != 0) {
		route_give(q, apart, count);
		unit_free(q, other);
		other = 0;
	}
	if (other) {
		unit_keep_rcpts(q, u, is_kept, keep);
		unit_place(q, other, false);
	}
	free(keep);
	free(apart);
}

/* The warning is a courtesy: without memory there is none. */
void unit_arm_warning(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	uint32_t delay_s = transport_of(q, d)->delay_warning_s;
	if (delay_s && !(u->flags & UNIT_WARNED))
		heap_push(&d->warn, &q->mem, unit, u->born + delay_s * 1000ll, warn_moved, q);
}

static bool line_up(struct queue *q, uint32_t unit, bool front)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	int class = unit_class(u);

	if (u->due <= vclock(q, transport_of(q, d))) {
		if (!(front ? ring_push_front : ring_push)(
			    &d->ready[class], &q->mem, unit, &u->slot))
			return false;
		/* While its destination is down it waits for the next failure to count: so those
		 * that the last one counts for are together at the front of the line. */
		if (d->down == DOWN_FAILED)
			u->seen = d->failures;
		enter(q, u, PLACE_READY);
	} else if (u->flags & UNIT_WAITS) {
		if (!heap_push(&d->waiting[class], &q->mem, unit, u->due, unit_moved, q))
			return false;
		enter(q, u, PLACE_WAITING);
	} else {
		if (!heap_push(&d->deferred, &q->mem, unit, u->due, unit_moved, q))
			return false;
		enter(q, u, PLACE_DEFERRED);
	}
	return true;
}

void unit_place_whole(struct queue *q, uint32_t unit, bool front)
{
	CHECK(unit_at(q, unit)->place == PLACE_NONE);
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	if (u->flags & UNIT_HOLD) {
		d->held++;
		enter(q, u, PLACE_HELD);
		return;
	}
	if (unit_pausing(q, u)) {
		d->paused++;
		enter(q, u, PLACE_PAUSED);
		return;
	}
	int64_t v = vclock(q, transport_of(q, d));
	clocks_go(q, u, v);
	if (line_up(q, unit, front)) {
		unit_arm_warning(q, unit);
		return;
	}
	clocks_stop(q, u, v);
	limbo_enter(q, unit);
}

void unit_place(struct queue *q, uint32_t unit, bool front)
{
	CHECK(unit_at(q, unit)->place == PLACE_NONE);
	if (!(unit_at(q, unit)->flags & UNIT_HOLD))
		split_paused(q, unit);
	unit_place_whole(q, unit, front);
}

void unit_join(struct queue *q, uint32_t unit, uint32_t leader)
{
	struct unit *u = unit_at(q, unit);
	struct destination *d = destination_at(q, u->destination);
	int64_t v = vclock(q, transport_of(q, d));

	CHECK(u->place == PLACE_NONE && unit_at(q, leader)->place == PLACE_ACTIVE);
	clocks_go(q, u, v);
	d->joined++;
	enter(q, u, PLACE_JOINED);
	u->slot = leader;
	u->since = unit_at(q, leader)->since;
}

void unit_activate(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	leave(q, unit);
	destination_at(q, u->destination)->active++;
	q->active++;
	enter(q, u, PLACE_ACTIVE);
}

void unit_ready(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	leave(q, unit);
	if (!line_up(q, unit, false)) {
		int64_t v = vclock(q, transport_of(q, destination_at(q, u->destination)));
		if (u->warn_place)
			heap_remove(&destination_at(q, u->destination)->warn, u->warn_place,
				warn_moved, q);
		clocks_stop(q, u, v);
		limbo_enter(q, unit);
	}
}

void unit_move(struct queue *q, uint32_t unit, uint32_t destination)
{
	struct unit *u = unit_at(q, unit);
	uint32_t was = u->destination;
	CHECK(u->place == PLACE_NONE);
	if (was == destination)
		return;
	struct destination *from = destination_at(q, was), *to = destination_at(q, destination);
	from->units--;
	transport_of(q, from)->units--;
	to->units++;
	transport_of(q, to)->units++;
	u->destination = destination;
	/* what its old destination did says nothing about the new one */
	u->flags &= (uint16_t)~UNIT_WAITS;
	u->seen = to->failures;
	destination_update(q, was);
}

void limbo_retry(struct queue *q)
{
	uint32_t unit = q->limbo;
	for (uint32_t most = QUEUE_RUN_STEP; unit && most; most--) {
		uint32_t next = unit_at(q, unit)->slot;
		uint32_t destination = unit_at(q, unit)->destination;
		unit_lift(q, unit);
		unit_place(q, unit, false);
		destination_update(q, destination);
		/* one that came back is at the front again: there still is no memory */
		if (q->limbo == unit)
			return;
		unit = next;
	}
}
