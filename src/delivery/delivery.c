/*
 * Life of the delivery core, and the pump.
 *
 * Everything that may have made work possible (a message, a result, a timer, a new directory)
 * calls delivery_wake(); the pump then runs once, at the end of the turn, asks the queue for what
 * may start, and arms one timer for when to ask again.
 */
#include "delivery/link.h"
#include "delivery/report.h"
#include "directory/secrets.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

static void pump(struct io_turn *turn);
static void timer_fired(struct timer *timer);

int delivery_new(const struct delivery_config *config, struct delivery **out)
{
	struct delivery *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return ERR_NOMEM;
	d->magic = DELIVERY_MAGIC;
	d->config = *config;
	d->io = config->io;
	d->pump.end = pump;
	d->timer.fire = timer_fired;
	d->load_timer.fire = load_step;
	d->stop_timer.fire = stop_now;
	d->guard_timer.fire = guard_step;
	kept_init(&d->pauses, d, &pauses_kept, d);
	kept_init(&d->dnssec, d, &dnssec_kept, d);
	d->started_ms = delivery_now(d);
	d->started_ns = d->io->now_ns;
	list_init(&d->owed);
	list_init(&d->questions);
	list_init(&d->links);
	list_init(&d->idle);
	list_init(&d->attempts);
	list_init(&d->spare);
	prng_seed(&d->prng, io_random(d->io));

	struct spool_store_config store = {
		.io = config->io,
		.disk = config->spool,
		.segment_bytes = config->config->segment_bytes,
		.sync_ms = config->config->journal_ms,
		.handler = &intake_store_handler,
		.context = d,
	};
	err = spool_store_new(&store, &d->store);
	if (!err)
		err = queue_new(&intake_queue_ops, d, prng_u64(&d->prng),
			config->config->limits.outbound_connections, delivery_now(d), &d->queue);
	if (!err)
		err = sts_new(d, &d->sts);
	if (!err)
		err = report_new(d, &d->report);
	if (err) {
		report_free(&d->report);
		sts_free(&d->sts);
		queue_free(&d->queue);
		spool_store_free(&d->store);
		free(d);
		return err;
	}
	*out = d;
	return 0;
}

void delivery_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;

	if (!d)
		return;
	CHECK_MAGIC(d, DELIVERY_MAGIC);
	*delivery = NULL;
	d->stopping = true;
	io_timer_stop(d->io, &d->timer);
	io_timer_stop(d->io, &d->load_timer);
	io_timer_stop(d->io, &d->stop_timer);
	io_timer_stop(d->io, &d->guard_timer);
	io_turn_forget(d->io, &d->pump);
	kept_done(&d->pauses);
	kept_done(&d->dnssec);
	hosts_forget(d);
	LIST_FOR_EACH(node, &d->attempts)
	attempt_drop(CONTAINER_OF(node, struct attempt, node));
	queue_free(&d->queue); /* and each destination's link with it */
	CHECK(list_empty(&d->links));
	report_free(&d->report);
	sts_free(&d->sts);
	secrets_free(&d->secrets);
	peers_done(&d->peers);
	for (size_t i = 0; i < d->note_count; i++)
		note_done(&d->notes[i]);
	owed_forget(d);
	spool_store_free(&d->store);
	LIST_FOR_EACH(node, &d->spare)
	{
		struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);

		list_remove(&attempt->node);
		buf_done(&attempt->bytes);
		arena_reset(&attempt->arena);
		free(attempt);
	}
	snapshot_release(&d->snapshot);
	free(d->notes);
	free(d->live);
	free(d->held);
	free(d->damaged);
	d->magic = 0;
	free(d);
}

int delivery_envelope(struct delivery *d, uint64_t id, struct buf *bytes, struct arena *arena,
	struct envelope *out)
{
	return spool_store_envelope(d->store, id, bytes, arena, out);
}

/* ---- the pump ------------------------------------------------------------------------------- */

void delivery_wake(struct delivery *d)
{
	io_turn_end(d->io, &d->pump);
}

static void tell_queue_full(struct delivery *d)
{
	uint64_t most = d->config.config->limits.queue_messages;
	bool full = most && queue_messages(d->queue) >= most;

	if (full != d->full_told) {
		d->full_told = full;
		if (d->config.queue_full)
			d->config.queue_full(d->config.context, full);
	}
}

static void start_what_may(struct delivery *d)
{
	struct queue_start start;

	if (d->starved) {
		/* Attempts that found all connections in use come first. */
		d->starved = false;
		LIST_FOR_EACH(node, &d->links)
		link_open(CONTAINER_OF(node, struct link, node));
	}
	while (!queue_next(d->queue, delivery_now(d), &start))
		attempt_start(d, &start);
}

static void timer_fired(struct timer *timer)
{
	delivery_wake(CONTAINER_OF(timer, struct delivery, timer));
}

static void pump(struct io_turn *turn)
{
	struct delivery *d = CONTAINER_OF(turn, struct delivery, pump);
	int64_t now = delivery_now(d);

	if (d->stopping) {
		stop_finish(d);
		return;
	}
	if (!d->snapshot)
		return; /* without a directory nothing can be decided */
	if (d->rerouting)
		directory_reroute_some(d);
	if (!owed_too_much(d)) {
		queue_run(d->queue, now);
		intake_settle(d);
		start_what_may(d);
	}
	intake_settle(d);
	tell_queue_full(d);
	guard_wake(d);

	int64_t next = d->rerouting ? now : queue_next_time(d->queue, now);
	if (next == QUEUE_NEVER)
		io_timer_stop(d->io, &d->timer);
	else if (io_timer_after(d->io, &d->timer, next > now ? (uint64_t)(next - now) : 1))
		CHECK(!"a timer could be armed");
}

/* ---- figures, invariants --------------------------------------------------------------------- */

void delivery_figures(const struct delivery *d, struct delivery_figures *out)
{
	*out = d->figures;
	out->sessions_now = d->sessions;
	out->queued = queue_messages(d->queue);
	out->queue_bytes = queue_memory(d->queue);
	out->attempts_now = 0;
	for (const struct list *at = d->attempts.next; at != &d->attempts; at = at->next)
		out->attempts_now++;
}

/* Whoever waits for a session has something that will come back to it. */
static int check_link(const struct delivery *d, const struct link *link, struct buf *problem)
{
	uint32_t waiting = 0, strict = 0, sessions = 0, connecting = 0;

	for (const struct list *at = link->waiting.next; at != &link->waiting; at = at->next)
		waiting++;
	for (const struct list *at = link->strict.next; at != &link->strict; at = at->next)
		strict++;
	for (const struct list *at = link->sessions.next; at != &link->sessions; at = at->next) {
		const struct session *session = CONTAINER_OF(at, const struct session, node);

		sessions += !session->strict;
		connecting += !session->strict && !session->ready;
	}
	if (waiting != link->waiting_count || strict != link->strict_count ||
		sessions != link->session_count || connecting != link->connecting) {
		buf_add_str(problem, "a link's counts are wrong");
		return ERR_CORRUPT;
	}
	if (waiting && !sessions && !link_looks_up(link) && !d->starved) {
		buf_printf(problem, "%u attempts wait for a session that nobody opens", waiting);
		return ERR_CORRUPT;
	}
	if (strict && !link->strict_session && !link_looks_up(link) && !d->starved) {
		buf_printf(problem, "%u attempts wait for a host that nobody looks for", strict);
		return ERR_CORRUPT;
	}
	return 0;
}

int delivery_check(struct delivery *d, struct buf *problem)
{
	struct queue_counts counts;
	uint64_t attempts = 0;
	int err = queue_check(d->queue, problem);

	for (const struct list *at = d->links.next; !err && at != &d->links; at = at->next)
		err = check_link(d, CONTAINER_OF(at, const struct link, node), problem);
	if (err)
		return err;
	for (const struct list *at = d->attempts.next; at != &d->attempts; at = at->next)
		attempts++;
	queue_totals(d->queue, &counts);
	if (counts.units[QUEUE_ACTIVE] - counts.joined != attempts) {
		buf_printf(problem, "%llu units are active but %llu attempts are under way",
			(unsigned long long)counts.units[QUEUE_ACTIVE],
			(unsigned long long)attempts);
		return ERR_CORRUPT;
	}
	return 0;
}
