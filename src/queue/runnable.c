/*
 * After every change a destination is put where the scheduler finds it: what can start, what keeps
 * it, and when to look again.
 */
#include "queue/internal.h"

#define MINUTE_US 60000000ll

uint32_t destination_limit(const struct queue *q, const struct destination *d)
{
	uint32_t most = MAX(1, transport_of(q, d)->connections);
	return d->ramp ? MIN(d->ramp, most) : most;
}

uint32_t destination_ready(const struct destination *d, int class)
{
	return d->ready[class].count + d->waiting[class].count;
}

/* The rate is kept by the time at which the next start is due at even spacing; a second's worth
 * may start early. */
static int64_t rate_gap_us(const struct transport_record *t)
{
	return MINUTE_US / t->rate_per_minute;
}

int64_t destination_rate_time(const struct queue *q, const struct destination *d)
{
	const struct transport_record *t = transport_of(q, d);
	if (!t->rate_per_minute)
		return INT64_MIN;
	int64_t early_us = rate_gap_us(t) * (MAX(1, t->rate_per_minute / 60) - 1);
	return (d->rate_at_us - early_us + 999) / 1000;
}

void destination_count_rate(struct queue *q, struct destination *d)
{
	const struct transport_record *t = transport_of(q, d);
	if (t->rate_per_minute)
		d->rate_at_us = MAX(d->rate_at_us, q->clock * 1000) + rate_gap_us(t);
}

uint32_t destination_lined_up(const struct destination *d)
{
	uint32_t count = 0;

	for (int class = 0; class < CLASSES; class ++)
		count += destination_ready(d, class);
	return count;
}

enum blocker destination_blocker(const struct queue *q, const struct destination *d)
{
	if (transport_of(q, d)->blockers)
		return BLOCKER_PAUSED;
	if (!destination_lined_up(d))
		return BLOCKER_EMPTY;
	if (d->down && d->probe_unit)
		return BLOCKER_PROBING;
	if (d->down && d->next_probe > q->clock)
		return BLOCKER_PROBE_WAIT;
	if (!d->down && d->active >= destination_limit(q, d))
		return BLOCKER_LIMIT;
	if (destination_rate_time(q, d) > q->clock)
		return BLOCKER_RATE;
	if (!d->down && d->busy_until > q->clock)
		return BLOCKER_BUSY;
	return BLOCKER_NONE;
}

/* When it has to be looked at next, by the queue's clock. */
static int64_t wake_time(const struct queue *q, const struct destination *d, enum blocker blocker)
{
	const struct transport_record *t = transport_of(q, d);
	int64_t own = INT64_MAX; /* vclock */
	if (t->blockers)
		return INT64_MAX;
	if (d->deferred.count)
		own = heap_first(&d->deferred)->key;
	if (d->warn.count)
		own = MIN(own, heap_first(&d->warn)->key);
	for (int class = 0; d->down && class < CLASSES; class ++) {
		uint32_t first = ring_first(&d->ready[class]);
		if (d->down == DOWN_FAILED && first && unit_at(q, first)->seen != d->failures)
			return q->clock; /* it has an attempt to be counted */
		if (d->waiting[class].count)
			own = MIN(own, heap_first(&d->waiting[class])->key);
	}
	int64_t wake = own == INT64_MAX ? own : own + t->shift;
	if (blocker == BLOCKER_PROBE_WAIT)
		wake = MIN(wake, d->next_probe);
	if (blocker == BLOCKER_RATE)
		wake = MIN(wake, destination_rate_time(q, d));
	if (blocker == BLOCKER_BUSY)
		wake = MIN(wake, d->busy_until);
	return wake;
}

static void set_wake(struct queue *q, uint32_t destination, int64_t wake)
{
	struct destination *d = destination_at(q, destination);
	if (wake == INT64_MAX) {
		if (d->wake_place)
			heap_remove(&q->wakes, d->wake_place, wake_moved, q);
	} else if (!d->wake_place) {
		/* Without memory it is not woken: queue_run() then looks at all of them. */
		if (!heap_push(&q->wakes, &q->mem, destination, wake, wake_moved, q))
			q->wakes_lost = true;
	} else if (q->wakes.entries[d->wake_place - 1].key != wake) {
		heap_change(&q->wakes, d->wake_place, wake, wake_moved, q);
	}
}

static void set_linger(struct queue *q, uint32_t destination)
{
	struct destination *d = destination_at(q, destination);
	if (d->units && !list_empty(&d->linger)) {
		list_remove(&d->linger);
		q->linger_count--;
	} else if (!d->units && list_empty(&d->linger)) {
		d->empty_since = q->clock;
		list_push_back(&q->linger, &d->linger);
		q->linger_count++;
	}
}

/* ---- lists of those that can start ------------------------------------------------------------
 */

enum share destination_share(const struct destination *d)
{
	if (!destination_looked_up(d))
		return SHARE_ALL;
	return destination_ready(d, CLASS_ORDINARY) || destination_ready(d, CLASS_PRIORITY)
		       ? SHARE_LOOKED_UP
		       : SHARE_NULL;
}

void runnable_remove(struct queue *q, struct destination *d)
{
	if (list_empty(&d->runnable))
		return;
	list_remove(&d->runnable);
	q->runnable_count--;
}

/* One that is in the list stays at its place there. */
static void runnable_add(struct queue *q, struct destination *d)
{
	enum share share = destination_share(d);

	if (!list_empty(&d->runnable) && d->runnable_share == share)
		return;
	runnable_remove(q, d);
	d->runnable_share = (uint8_t)share;
	d->runnable_serial = ++q->runnable_serial;
	list_push_back(&q->runnable[share], &d->runnable);
	q->runnable_count++;
}

void destination_update(struct queue *q, uint32_t destination)
{
	struct destination *d = destination_at(q, destination);
	enum blocker blocker = destination_blocker(q, d);

	if (blocker == BLOCKER_NONE)
		runnable_add(q, d);
	else
		runnable_remove(q, d);
	set_wake(q, destination, wake_time(q, d, blocker));
	set_linger(q, destination);
}

void linger_run(struct queue *q)
{
	for (uint32_t most = QUEUE_RUN_STEP; most; most--) {
		struct destination *d = LIST_FIRST(&q->linger, struct destination, linger);
		if (!d || (q->linger_count <= QUEUE_LINGER_MOST &&
				  q->clock - d->empty_since < QUEUE_LINGER_MS))
			break;
		destination_free(q, d->self);
	}
}
