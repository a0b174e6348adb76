/*
 * The check at run time: a slice at a time, and what becomes of what it finds. A unit in no place,
 * or a destination that nobody wakes, would wait for ever without a word; so everything is put into
 * its place anew, and what was wrong is tried.
 */
#include "queue/internal.h"

/* ---- everything into its place anew ---------------------------------------------------------- */

static void empty_destination(struct queue *q, struct destination *d)
{
	for (int class = 0; class < CLASSES; class ++) {
		ring_done(&d->ready[class], &q->mem);
		heap_done(&d->waiting[class], &q->mem);
		d->ready[class] = (struct ring){0};
		d->waiting[class] = (struct heap){0};
	}
	heap_done(&d->deferred, &q->mem);
	heap_done(&d->warn, &q->mem);
	d->deferred = d->warn = (struct heap){0};
	d->units = d->active = d->held = d->paused = d->limbo = d->joined = 0;
	d->wake_place = 0;
	runnable_remove(q, d);
}

static void empty_places(struct queue *q)
{
	for (uint32_t i = 0; i < q->transport_count; i++) {
		q->transports[i]->units = 0;
		LIST_FOR_EACH(node, &q->transports[i]->destinations)
		empty_destination(q, CONTAINER_OF(node, struct destination, of_transport));
	}
	heap_done(&q->wakes, &q->mem);
	q->wakes = (struct heap){0};
	q->limbo = 0;
	q->active = q->active_looked_up = q->active_null = 0;
}

static bool still_joined(const struct queue *q, const struct unit *u)
{
	if (u->place != PLACE_JOINED || !u->slot || u->slot >= q->units.top)
		return false;
	const struct unit *leader = unit_at(q, u->slot);

	return leader->place == PLACE_ACTIVE && leader->message == u->message && leader->rcpt_count;
}

static void count_active(struct queue *q, struct unit *u)
{
	struct destination *d = destination_at(q, u->destination);

	d->active++;
	q->active++;
	q->active_looked_up += (u->flags & UNIT_LOOKED_UP) != 0;
	q->active_null += (u->flags & UNIT_OF_NULL_SHARE) != 0;
}

/* Out of whatever place it says it is in, which is gone; what is being tried stays so. */
static void take_out(struct queue *q, struct unit *u)
{
	struct destination *d = destination_at(q, u->destination);

	d->units++;
	transport_of(q, d)->units++;
	u->warn_place = 0;
	if (u->place == PLACE_ACTIVE) {
		count_active(q, u);
		return;
	}
	if (still_joined(q, u)) {
		d->joined++;
		return;
	}
	u->due = MAX(MIN(unit_due_in(q, u), QUEUE_AGE_MOST_MS), -QUEUE_AGE_MOST_MS);
	u->born = MAX(MIN(unit_age(q, u), QUEUE_AGE_MOST_MS), 0);
	u->flags &= (uint16_t)~UNIT_ASKED;
	u->place = PLACE_NONE;
	u->slot = 0;
	u->flags &= (uint16_t) ~(
		UNIT_DNS | UNIT_BOUNCE | UNIT_DELETE | UNIT_LOOKED_UP | UNIT_OF_NULL_SHARE);
	if (!u->extra)
		u->flags &= (uint16_t)~UNIT_HOLD;
}

/* The units of the message `wrong` (0: none) are ready at once. */
static void rebuild(struct queue *q, uint32_t wrong)
{
	empty_places(q);
	for (uint32_t at = 1; at < q->units.top; at++)
		if (unit_at(q, at)->rcpt_count)
			take_out(q, unit_at(q, at));
	/* Some may be split and so come to stand behind `top`: these are in their place. */
	for (uint32_t at = 1, top = q->units.top; at < top; at++) {
		struct unit *u = unit_at(q, at);

		if (!u->rcpt_count || u->place != PLACE_NONE)
			continue;
		if (wrong && u->message == wrong)
			u->due = MIN(u->due, 0);
		unit_place(q, at, false);
	}
	find_lost_wakes(q);
}

/* ---- a slice at a time ----------------------------------------------------------------------- */

static int repair(struct queue *q, uint32_t message)
{
	struct buf still;

	rebuild(q, message);
	buf_init(&still, 1000);
	int err = queue_check(q, &still);
	buf_done(&still);
	/* The spool has all that is queued: a new start knows better. */
	CHECK(err != ERR_CORRUPT);
	return ERR_CORRUPT;
}

static int guard_messages(struct queue *q, uint32_t *steps, uint64_t *id, struct buf *problem)
{
	uint64_t ids[64];
	uint32_t numbers[64];

	while (*steps) {
		size_t n = idtree_after(&q->ids, q->guard_after, ids, numbers, ARRAY_SIZE(ids));

		if (!n)
			return 0;
		for (size_t i = 0; i < n && *steps; i++) {
			const struct message *m = message_at(q, numbers[i]);

			q->guard_after = ids[i];
			*steps -= MIN(*steps, 1 + m->rcpt_count);
			if (check_message(q, numbers[i], problem))
				continue;
			*id = ids[i];
			return repair(q, numbers[i]);
		}
	}
	return ERR_AGAIN;
}

static int guard_destinations(struct queue *q, uint32_t *steps, struct buf *problem)
{
	for (; *steps; --*steps) {
		uint32_t at = ++q->guard_destination;

		if (at >= q->destinations.top)
			return 0;
		if (destination_at(q, at)->of_transport.next &&
			!check_destination_goes_on(q, at, problem))
			return repair(q, 0);
	}
	return ERR_AGAIN;
}

int queue_guard(struct queue *q, uint32_t steps, int64_t now, uint64_t *id, struct buf *problem)
{
	queue_clock_set(q, now);
	*id = 0;
	int err = guard_messages(q, &steps, id, problem);

	if (!err)
		err = guard_destinations(q, &steps, problem);
	if (!err) {
		q->guard_after = 0;
		q->guard_destination = 0;
	}
	return err;
}
