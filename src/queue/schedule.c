/*
 * Time and turns: what becomes due, and which unit starts next.
 */
#include "queue/internal.h"

/* ---- what becomes due ----------------------------------------------------------------------- */

/* A unit whose time came: an attempt is counted where its destination is down and has failed since
 * the last one; else it lines up. */
static void come_due(struct queue *q, const struct destination *d, uint32_t unit)
{
	if (d->down && unit_at(q, unit)->seen != d->failures)
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

/* Those in line when their destination failed: that counts as their attempt. */
static uint32_t run_line(struct queue *q, uint32_t destination, int class, uint32_t budget)
{
	const struct destination *d = destination_at(q, destination);
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
		for (int class = 1; d->down && class >= 0; class --) {
			budget = run_line(q, destination, class, budget);
			budget = run_heap(q, destination, &d->waiting[class], budget);
		}
		budget = run_warnings(q, destination, budget);
	}
	destination_update(q, destination);
	return budget;
}

/* There was no memory for a wake-up: every destination is looked at, until there is. */
static void find_lost_wakes(struct queue *q)
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
	if (!list_empty(&q->runnable) && q->active < q->connections) {
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

/* ---- turns ---------------------------------------------------------------------------------- */

static int pick_class(struct destination *d)
{
	if (!destination_ready(d, 1) || !destination_ready(d, 0)) {
		d->turn = 0;
		return destination_ready(d, 1) ? 1 : 0;
	}
	if (++d->turn < QUEUE_ORDINARY_TURN)
		return 1;
	d->turn = 0;
	return 0;
}

/* What waited for the destination is older than what came since, and goes first; for a probe, one
 * whose own time has come is best, since a failure then is its attempt. */
static uint32_t pick(struct destination *d)
{
	int class = pick_class(d);
	uint32_t line = ring_first(&d->ready[class]);
	if (line && (d->down || !d->waiting[class].count))
		return line;
	return heap_first(&d->waiting[class])->item;
}

static void start(struct queue *q, uint32_t destination, struct queue_start *out)
{
	struct destination *d = destination_at(q, destination);
	uint32_t unit = pick(d);
	struct unit *u = unit_at(q, unit);
	int64_t ready = u->place == PLACE_WAITING ? MAX(u->since, d->up_since) : u->since;

	unit_activate(q, unit);
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

int queue_next(struct queue *q, int64_t now, struct queue_start *out)
{
	queue_clock_set(q, now);
	if (q->active >= q->connections || queue_is_short(q))
		return ERR_AGAIN;
	struct destination *d = LIST_FIRST(&q->runnable, struct destination, runnable);
	if (!d)
		return ERR_AGAIN;
	uint32_t destination = d->self;
	list_remove(&d->runnable); /* to the end, if it can go on */
	d->reused = 0;
	start(q, destination, out);
	destination_update(q, destination);
	return 0;
}

int queue_next_for(struct queue *q, uint32_t destination, int64_t now, struct queue_start *out)
{
	queue_clock_set(q, now);
	struct destination *d = destination_at(q, destination);
	CHECK(d->of_transport.next);
	if (q->active >= q->connections || destination_blocker(q, d) != BLOCKER_NONE)
		return ERR_AGAIN;
	/* At the limit of all connections this one is taken from others that are runnable. */
	bool others = q->runnable.next != &d->runnable || q->runnable.prev != &d->runnable;
	if (q->active + 1 >= q->connections && others && d->reused >= QUEUE_REUSE_FULL)
		return ERR_AGAIN;
	if (d->reused < UINT8_MAX)
		d->reused++;
	start(q, destination, out);
	destination_update(q, destination);
	return 0;
}
