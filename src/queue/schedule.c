/*
 * Time: what becomes due, and when to look again.
 */
#include "queue/internal.h"

/* ---- what becomes due ----------------------------------------------------------------------- */

/* A unit whose time came: an attempt is counted where its destination cannot be reached, and was
 * tried since the last one; else it lines up. */
static void come_due(struct queue *q, const struct destination *d, uint32_t unit)
{
	if (d->down == DOWN_FAILED && unit_at(q, unit)->seen != d->failures)
		unit_virtual_attempt(q, unit);
	else
		unit_ready(q, unit);
}

static uint32_t run_heap(struct queue *q, uint32_t destination, struct heap *heap, uint32_t budget)
{
	const struct destination *d = destination_at(q, destination);
	while (budget && heap->count && heap_first(heap)->key <= vclock(q, transport_of(q, d))) {
		come_due(q, d, heap_first(heap)->item);
		budget--;
	}
	return budget;
}

/* Those in line when their destination could not be reached: that counts as their attempt. */
static uint32_t run_line(struct queue *q, uint32_t destination, int class, uint32_t budget)
{
	const struct destination *d = destination_at(q, destination);
	if (d->down != DOWN_FAILED)
		return budget;
	for (; budget; budget--) {
		uint32_t first = ring_first(&d->ready[class]);
		if (!first || unit_at(q, first)->seen == d->failures)
			break;
		unit_virtual_attempt(q, first);
	}
	return budget;
}

int64_t retries_left_ms(const struct transport_record *t, uint32_t attempts)
{
	uint64_t all_s = retry_total_s(t->retry, t->retry_steps, t->retry_count);
	uint64_t past_s = retry_total_s(t->retry, t->retry_steps, MIN(attempts, t->retry_count));

	return (int64_t)(all_s - past_s) * 1000;
}

static void warn(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	const struct destination *d = destination_at(q, u->destination);
	struct verdict verdict;
	struct queue_end end;

	u->flags |= UNIT_WARNED;
	unit_describe_end(q, u, QUEUE_EXPIRED, &verdict, &end);
	int64_t in = MAX(0, u->due - vclock(q, transport_of(q, d)));
	end.next_try_ms = in ? q->wall + in : 0;
	end.give_up_ms = q->wall + in + retries_left_ms(transport_of(q, d), u->attempts);
	q->ops->warned(q->context, &end);
	q->ops->changed(q->context, end.id);
}

static uint32_t run_warnings(struct queue *q, uint32_t destination, uint32_t budget)
{
	struct destination *d = destination_at(q, destination);
	while (budget && d->warn.count &&
		heap_first(&d->warn)->key <= vclock(q, transport_of(q, d))) {
		uint32_t unit = heap_first(&d->warn)->item;
		heap_remove(&d->warn, 1, warn_moved, q);
		/* One that is being tried may be delivered in a moment; if not, it is armed
		 * anew. */
		if (unit_at(q, unit)->place != PLACE_ACTIVE)
			warn(q, unit);
		budget--;
	}
	return budget;
}

static uint32_t run_destination(struct queue *q, uint32_t destination, uint32_t budget)
{
	struct destination *d = destination_at(q, destination);
	if (!transport_of(q, d)->blockers) {
		budget = run_heap(q, destination, &d->deferred, budget);
		for (int class = CLASSES - 1; d->down && class >= 0; class --) {
			budget = run_line(q, destination, class, budget);
			budget = run_heap(q, destination, &d->waiting[class], budget);
		}
		budget = run_warnings(q, destination, budget);
	}
	destination_update(q, destination);
	return budget;
}

void find_lost_wakes(struct queue *q)
{
	q->wakes_lost = false;
	for (uint32_t at = 1; at < q->destinations.top; at++)
		if (destination_at(q, at)->of_transport.next)
			destination_update(q, at);
}

void queue_run(struct queue *q, int64_t now)
{
	queue_clock_set(q, now);
	uint32_t budget = QUEUE_RUN_STEP;
	if (q->wakes_lost)
		find_lost_wakes(q);
	if (q->limbo)
		limbo_retry(q);
	/* Each turn costs at least one step, so that this ends whatever a destination says. */
	while (budget && q->wakes.count && heap_first(&q->wakes)->key <= q->clock) {
		budget = run_destination(q, heap_first(&q->wakes)->item, budget);
		budget -= budget != 0;
	}
	linger_run(q);
}

int64_t queue_next_time(struct queue *q, int64_t now)
{
	queue_clock_set(q, now);
	int64_t next = INT64_MAX;
	if (turn_next(q)) {
		if (!queue_is_short(q))
			return now;
		next = q->short_until;
	}
	if (q->wakes.count)
		next = MIN(next, heap_first(&q->wakes)->key);
	const struct destination *empty = LIST_FIRST(&q->linger, struct destination, linger);
	if (empty)
		next = MIN(next, empty->empty_since + QUEUE_LINGER_MS);
	/* Something that is paused or held needs the tick for the clock alone. */
	if (q->units.used || next != INT64_MAX)
		next = MIN(next, q->clock + QUEUE_TICK_MS);
	return next == INT64_MAX ? QUEUE_NEVER : now + MAX(0, next - q->clock);
}
