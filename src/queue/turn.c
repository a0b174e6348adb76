/*
 * Turns: which destination, and which of its units, starts next.
 *
 * All outbound connections are there for everybody, but who can choose where mail goes cannot have
 * them all. A part is kept for fixed servers and mailboxes, which an administrator named; of the
 * rest, which mail by lookup-mx may have, only a part is for mail from the null sender: a stranger
 * makes us send notifications wherever he likes, to hosts that take a connection and then say
 * nothing for minutes, say.
 */
#include "queue/internal.h"

/* ---- shares --------------------------------------------------------------------------------- */

uint32_t share_most(const struct queue *q, enum share share)
{
	switch (share) {
	case SHARE_LOOKED_UP: return q->connections - q->connections / QUEUE_SHARE_KEPT;
	case SHARE_NULL: return MAX(1, q->connections / QUEUE_SHARE_NULL);
	case SHARE_ALL:
	case SHARES: break;
	}
	return q->connections;
}

static uint32_t share_used(const struct queue *q, enum share share)
{
	switch (share) {
	case SHARE_LOOKED_UP: return q->active_looked_up;
	case SHARE_NULL: return q->active_null;
	case SHARE_ALL:
	case SHARES: break;
	}
	return q->active;
}

/* Each share is part of the one before. */
enum share share_full(const struct queue *q, enum share share, bool *full)
{
	*full = true;
	for (int at = SHARE_ALL; at <= (int)share; at++)
		if (share_used(q, (enum share)at) >= share_most(q, (enum share)at))
			return (enum share)at;
	*full = false;
	return share;
}

static bool has_room(const struct queue *q, enum share share)
{
	bool full;

	share_full(q, share, &full);
	return !full;
}

static void share_take(struct queue *q, const struct destination *d, struct unit *u)
{
	if (!destination_looked_up(d))
		return;
	q->active_looked_up++;
	u->flags |= UNIT_LOOKED_UP;
	if (unit_class(u) != CLASS_NULL)
		return;
	q->active_null++;
	u->flags |= UNIT_OF_NULL_SHARE;
}

/* ---- within a destination ------------------------------------------------------------------- */

static bool null_may_go(const struct queue *q, const struct destination *d)
{
	return destination_ready(d, CLASS_NULL) &&
	       (!destination_looked_up(d) || has_room(q, SHARE_NULL));
}

static int pick_class(const struct queue *q, struct destination *d)
{
	bool prioritised = destination_ready(d, CLASS_PRIORITY) != 0;
	bool ordinary = destination_ready(d, CLASS_ORDINARY) != 0, null = null_may_go(q, d);

	if (!prioritised || !(ordinary || null))
		d->turn = 0;
	else if (++d->turn >= QUEUE_ORDINARY_TURN)
		d->turn = prioritised = 0;
	if (prioritised)
		return CLASS_PRIORITY;
	if (!ordinary || !null)
		return ordinary ? CLASS_ORDINARY : CLASS_NULL;
	d->null_turn = !d->null_turn;
	return d->null_turn ? CLASS_ORDINARY : CLASS_NULL;
}

static bool is_untried(const void *with, uint32_t unit)
{
	return !unit_at(with, unit)->attempts;
}

/* Of all that could find out whether a destination is back, one that was never tried. What has been
 * a probe before may be what fails, always; it has its turn when there is nothing else. */
static uint32_t pick_untried(const struct queue *q, const struct destination *d)
{
	static const int order[CLASSES] = {CLASS_PRIORITY, CLASS_ORDINARY, CLASS_NULL};

	for (int i = 0; i < CLASSES; i++) {
		if (order[i] == CLASS_NULL && !null_may_go(q, d))
			continue;
		uint32_t unit = ring_find(&d->ready[order[i]], QUEUE_PROBE_LOOK, is_untried, q);
		if (unit)
			return unit;
	}
	return 0;
}

/* What waited for the destination is older than what came since, and goes first; for a probe, one
 * whose own time has come is best, since a failure then is its attempt. */
static uint32_t pick(const struct queue *q, struct destination *d)
{
	uint32_t untried = d->down ? pick_untried(q, d) : 0;

	if (untried)
		return untried;
	int class = pick_class(q, d);
	uint32_t line = ring_first(&d->ready[class]);
	if (line && (d->down || !d->waiting[class].count))
		return line;
	return heap_first(&d->waiting[class])->item;
}

static void start(struct queue *q, uint32_t destination, struct queue_start *out)
{
	struct destination *d = destination_at(q, destination);
	uint32_t unit = pick(q, d);
	struct unit *u = unit_at(q, unit);
	int64_t ready = u->place == PLACE_WAITING ? MAX(u->since, d->up_since) : u->since;

	unit_activate(q, unit);
	share_take(q, d, u);
	if (d->down)
		d->probe_unit = unit;
	destination_count_rate(q, d);
	const struct message *m = message_at(q, u->message);
	*out = (struct queue_start){
		.unit = unit,
		.destination = destination,
		.id = m->id,
		.transport = intern_text(&q->names, transport_of(q, d)->name),
		.next_hop = intern_text(&q->domains, d->next_hop),
		.reroute = intern_text(&q->names, u->extra ? extra_at(q, u->extra)->reroute : 0),
		.rcpts = unit_rcpts(u),
		.rcpt_count = u->rcpt_count,
		.attempts = u->attempts,
		.priority = (u->flags & UNIT_PRIORITY) != 0,
		.probe = d->down != DOWN_NOT,
		.arrived_ms = m->arrived,
		.ready_ms = queue_clock_wall(q, ready),
		.size = m->size,
	};
}

/* ---- among destinations --------------------------------------------------------------------- */

struct destination *turn_next(const struct queue *q)
{
	struct destination *next = NULL;

	for (int share = 0; share < SHARES; share++) {
		struct destination *d =
			LIST_FIRST(&q->runnable[share], struct destination, runnable);
		if (!d || !has_room(q, (enum share)share))
			continue;
		if (!next || d->runnable_serial < next->runnable_serial)
			next = d;
	}
	return next;
}

int queue_next(struct queue *q, int64_t now, struct queue_start *out)
{
	queue_clock_set(q, now);
	struct destination *d = queue_is_short(q) ? NULL : turn_next(q);
	if (!d)
		return ERR_AGAIN;
	uint32_t destination = d->self;
	runnable_remove(q, d); /* to the end, if it can go on */
	d->reused = 0;
	start(q, destination, out);
	destination_update(q, destination);
	return 0;
}

/* Others want a connection, and this one's would be the last that may be had. */
static bool takes_the_last(const struct queue *q, const struct destination *d)
{
	bool others = q->runnable_count > (list_empty(&d->runnable) ? 0u : 1u);
	bool last = q->active + 1 >= q->connections ||
		    (destination_looked_up(d) &&
			    q->active_looked_up + 1 >= share_most(q, SHARE_LOOKED_UP));
	return others && last;
}

int queue_next_for(struct queue *q, uint32_t destination, int64_t now, struct queue_start *out)
{
	queue_clock_set(q, now);
	struct destination *d = destination_at(q, destination);
	CHECK(d->of_transport.next);
	enum blocker blocker = destination_blocker(q, d);
	/* A host that takes no further session goes on with those that it has. */
	if (blocker != BLOCKER_NONE && blocker != BLOCKER_BUSY)
		return ERR_AGAIN;
	if (!has_room(q, destination_share(d)))
		return ERR_AGAIN;
	if (takes_the_last(q, d) && d->reused >= QUEUE_REUSE_FULL)
		return ERR_AGAIN;
	if (d->reused < UINT8_MAX)
		d->reused++;
	start(q, destination, out);
	destination_update(q, destination);
	return 0;
}
