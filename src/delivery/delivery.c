/*
 * Life of the delivery core, the directory's changes, and the pump.
 *
 * Everything that may have made work possible (a message, a result, a timer, a new directory)
 * calls delivery_wake(); the pump then runs once, at the end of the turn, asks the queue for what
 * may start, and arms one timer for when to ask again.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

static void pump(struct io_turn *turn);
static void timer_fired(struct timer *timer);
static void load_step(struct timer *timer);
static void stop_now(struct timer *timer);

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
	d->started_ms = delivery_now(d);
	list_init(&d->owed);
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
	if (err) {
		spool_store_free(&d->store);
		free(d);
		return err;
	}
	*out = d;
	return 0;
}

/* A task that is queued for the end of this turn is taken back. */
static void forget_turn(struct io *io, struct io_turn *turn)
{
	struct io_turn **at = &io->turns;

	while (*at && *at != turn)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = turn->next;
	if (!turn->next)
		io->turns_tail = at;
	turn->queued = false;
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
	forget_turn(d->io, &d->pump);
	LIST_FOR_EACH(node, &d->attempts)
	attempt_drop(CONTAINER_OF(node, struct attempt, node));
	queue_free(&d->queue); /* and each destination's link with it */
	CHECK(list_empty(&d->links));
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

/* ---- directory ------------------------------------------------------------------------------ */

/* Our own destinations have settings, too: mailboxes are tried for as long as ordinary mail. */
static void own_transport(struct span name, struct transport *out)
{
	*out = (struct transport){
		.name = name,
		.retry = {{60, 1}, {300, 5}, {3600, 1}},
		.retry_steps = 3,
		.retry_count = 120,
		.give_up = GIVE_UP_DSN,
		.delay_warning_s = 4 * 3600,
		.connections = 16,
	};
}

int delivery_transport(struct delivery *d, struct span name, struct transport *out)
{
	if (name.n && name.p[0] == '(') {
		own_transport(name, out);
		return 0;
	}
	return d->snapshot ? snapshot_transport_by_name(d->snapshot, name, out) : ERR_NOT_FOUND;
}

/* Pauses of domains: those that ended and those that began. */
static int set_domain_pauses(struct delivery *d)
{
	int64_t now = delivery_now(d);
	uint32_t at = 0;

	for (;;) {
		struct span name = queue_paused_domain(d->queue, &at);
		struct domain domain;
		struct pause none = {0};

		if (!name.n)
			break;
		if (snapshot_domain(d->snapshot, name, &domain) || !domain.pause.since_ms) {
			int err = queue_set_pause(d->queue, QUEUE_SCOPE_DOMAIN, name, &none, now);

			if (err)
				return err;
			at = 0; /* the list changed under the position */
		}
	}
	for (uint32_t i = 0;; i++) {
		struct domain domain;
		int err = snapshot_paused_domain(d->snapshot, i, &domain);

		if (err)
			return err == ERR_NOT_FOUND ? 0 : err;
		err = queue_set_pause(
			d->queue, QUEUE_SCOPE_DOMAIN, domain.name, &domain.pause, now);
		if (err)
			return err;
	}
}

/* Everything is paused: by an administrator, or as deliveries whose completion cannot be recorded
 * would be repeated after a crash. */
int delivery_set_pauses(struct delivery *d)
{
	struct pause pause;

	snapshot_pause(d->snapshot, &pause);
	if (!pause.since_ms && d->journal != SPOOL_WELL)
		pause = (struct pause){
			.since_ms = d->journal_since_ms,
			.by = SPAN("postern"),
			.reason =
				SPAN("the spool's journal cannot be written: see spool in status"),
		};
	return queue_set_pause(d->queue, QUEUE_SCOPE_ALL, SPAN_NONE, &pause, delivery_now(d));
}

int delivery_set_snapshot(struct delivery *d, struct snapshot *snapshot)
{
	static const struct span own[] = {
		{DELIVERY_MAILBOXES, sizeof(DELIVERY_MAILBOXES) - 1},
		{DELIVERY_NOWHERE, sizeof(DELIVERY_NOWHERE) - 1},
	};
	struct transport transport;
	bool first = !d->snapshot;
	int err = 0;

	CHECK_MAGIC(d, DELIVERY_MAGIC);
	bool moved = first || snapshot_routes_hash(d->snapshot) != snapshot_routes_hash(snapshot);
	snapshot_release(&d->snapshot);
	d->snapshot = snapshot_hold(snapshot);
	for (uint32_t i = 0; !err && i < snapshot_transport_count(snapshot); i++) {
		err = snapshot_transport(snapshot, i, &transport);
		if (!err)
			err = queue_set_transport(d->queue, &transport, delivery_now(d));
	}
	for (size_t i = 0; !err && first && i < ARRAY_SIZE(own); i++) {
		own_transport(own[i], &transport);
		err = queue_set_transport(d->queue, &transport, delivery_now(d));
	}
	if (!err)
		err = delivery_set_pauses(d);
	if (!err)
		err = set_domain_pauses(d);
	LIST_FOR_EACH(node, &d->links)
	link_set_limits(CONTAINER_OF(node, struct link, node));
	if (moved && !first) {
		/* Hosts, ports or owners of domains may differ now: ask again for all of them. */
		LIST_FOR_EACH(node, &d->links)
		link_refresh(CONTAINER_OF(node, struct link, node));
		d->rerouting = true;
		d->reroute_after = 0;
	}
	intake_settle(d);
	delivery_wake(d);
	return err;
}

int delivery_envelope(struct delivery *d, uint64_t id, struct buf *bytes, struct arena *arena,
	struct envelope *out)
{
	return spool_store_envelope(d->store, id, bytes, arena, out);
}

/* After a change of routes every queued message is asked about again, some each turn. */
static void reroute_some(struct delivery *d)
{
	uint64_t ids[DELIVERY_REROUTE_STEP];
	size_t count = queue_page(d->queue, d->reroute_after, ids, ARRAY_SIZE(ids));
	struct buf bytes;
	struct arena arena;

	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	for (size_t i = 0; i < count; i++) {
		struct envelope envelope;

		buf_clear(&bytes);
		arena_reset(&arena);
		if (!delivery_envelope(d, ids[i], &bytes, &arena, &envelope))
			queue_reroute_again(d->queue, &envelope, delivery_now(d));
	}
	arena_reset(&arena);
	buf_done(&bytes);
	intake_settle(d);
	if (count)
		d->reroute_after = ids[count - 1];
	d->rerouting = count == ARRAY_SIZE(ids);
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

static void finish_stop(struct delivery *d)
{
	if (!d->stopped || !list_empty(&d->attempts))
		return;
	if (spool_store_busy(d->store)) {
		if (io_timer_after(d->io, &d->timer, DELIVERY_STOP_LOOK_MS))
			CHECK(!"a timer could be armed");
		return;
	}
	void (*stopped)(void *arg) = d->stopped;

	d->stopped = NULL;
	io_timer_stop(d->io, &d->timer);
	io_timer_stop(d->io, &d->stop_timer);
	stopped(d->stopped_arg);
}

static void pump(struct io_turn *turn)
{
	struct delivery *d = CONTAINER_OF(turn, struct delivery, pump);
	int64_t now = delivery_now(d);

	if (d->stopping) {
		finish_stop(d);
		return;
	}
	if (!d->snapshot)
		return; /* without a directory nothing can be decided */
	if (d->rerouting)
		reroute_some(d);
	if (!owed_too_much(d)) {
		queue_run(d->queue, now);
		intake_settle(d);
		start_what_may(d);
	}
	intake_settle(d);
	tell_queue_full(d);

	int64_t next = d->rerouting ? now : queue_next_time(d->queue, now);
	if (next == QUEUE_NEVER)
		io_timer_stop(d->io, &d->timer);
	else if (io_timer_after(d->io, &d->timer, next > now ? (uint64_t)(next - now) : 1))
		CHECK(!"a timer could be armed");
}

/* ---- loading -------------------------------------------------------------------------------- */

void delivery_start(struct delivery *d, const struct spool_notice *live, size_t live_count)
{
	CHECK(!d->loading && !d->loaded && live_count <= SPOOL_WORKERS_MOST);
	d->live = calloc(SPOOL_WORKERS_MOST, sizeof(*live));
	CHECK(d->live);
	if (live_count)
		memcpy(d->live, live, live_count * sizeof(*live));
	d->live_count = live_count;
	d->loading = true;
	load_step(&d->load_timer);
}

bool delivery_loaded(const struct delivery *d)
{
	return d->loaded;
}

static void writer_gone(struct delivery *d, uint8_t owner)
{
	int err = spool_store_writer_gone(d->store, owner);

	if (err)
		log_write(d->config.log, LOG_ERROR, "the log of a worker that died cannot be read",
			LOG_U64("worker", owner), LOG_STR("error", err_text(err)));
}

/* What came in while the queue was loading. */
static void take_held(struct delivery *d)
{
	for (size_t i = 0; i < d->held_count; i++) {
		const struct held *held = &d->held[i];

		if (held->gone)
			writer_gone(d, held->notice.owner);
		else
			intake_notice(d, &held->notice);
	}
	d->held_count = 0;
	intake_settle(d);
}

/* As long as no file was looked at, what is heard of the writers is where they stand. */
static void renew_live(struct delivery *d)
{
	for (size_t i = 0; i < d->held_count; i++) {
		const struct held *held = &d->held[i];
		size_t at = 0;

		while (at < d->live_count && d->live[at].owner != held->notice.owner)
			at++;
		if (held->gone) {
			if (at < d->live_count)
				d->live[at] = d->live[--d->live_count];
			continue;
		}
		if (at == SPOOL_WORKERS_MOST)
			continue;
		d->live_count = MAX(d->live_count, at + 1);
		d->live[at] = held->notice;
	}
	d->held_count = 0;
}

static void load_step(struct timer *timer)
{
	struct delivery *d = CONTAINER_OF(timer, struct delivery, load_timer);

	if (!spool_store_scanned(d->store))
		renew_live(d);
	int err = spool_store_load(d->store, d->live, d->live_count);
	uint64_t again_ms = 0;

	intake_settle(d);
	delivery_wake(d);
	if (!err) {
		d->loading = false;
		d->loaded = true;
		take_held(d);
		log_write(d->config.log, LOG_INFO, "queue loaded",
			LOG_U64("messages", queue_messages(d->queue)));
		return;
	}
	if (err != ERR_AGAIN) {
		log_write(d->config.log, LOG_ERROR, "the spool cannot be read; trying again",
			LOG_STR("error", err_text(err)));
		again_ms = DELIVERY_LOAD_AGAIN_MS;
	}
	if (io_timer_after(d->io, &d->load_timer, again_ms))
		CHECK(!"a timer could be armed");
}

static void hold(struct delivery *d, const struct held *held)
{
	if (d->held_count == d->held_room) {
		size_t room = d->held_room ? d->held_room * 2 : 16;
		struct held *all = realloc(d->held, room * sizeof(*all));

		CHECK(all);
		d->held = all;
		d->held_room = room;
	}
	d->held[d->held_count++] = *held;
}

static void hold_notice(struct delivery *d, const struct spool_notice *notice)
{
	/* No two writers ever have a file of the same serial. */
	for (size_t i = 0; i < d->held_count; i++) {
		struct spool_notice *held = &d->held[i].notice;

		if (!d->held[i].gone && held->owner == notice->owner &&
			held->serial == notice->serial) {
			if (notice->durable > held->durable)
				held->durable = notice->durable;
			return;
		}
	}
	hold(d, &(struct held){.notice = *notice});
}

void delivery_notice(struct delivery *d, const struct spool_notice *notice)
{
	if (!d->loaded)
		hold_notice(d, notice);
	else
		intake_notice(d, notice);
}

void delivery_writer_gone(struct delivery *d, uint8_t owner)
{
	if (!d->loaded) {
		hold(d, &(struct held){.notice.owner = owner, .gone = true});
		return;
	}
	writer_gone(d, owner);
	intake_settle(d);
	delivery_wake(d);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void stop_now(struct timer *timer)
{
	struct delivery *d = CONTAINER_OF(timer, struct delivery, stop_timer);

	d->cut = true;
	LIST_FOR_EACH(node, &d->attempts)
	attempt_put_back(CONTAINER_OF(node, struct attempt, node));
	intake_settle(d);
	delivery_wake(d);
}

void delivery_stop(struct delivery *d, uint64_t ms, void (*stopped)(void *arg), void *arg)
{
	d->stopping = true;
	d->stopped = stopped;
	d->stopped_arg = arg;
	io_timer_stop(d->io, &d->load_timer);
	/* What only waits for a session has not begun: it goes back at once. */
	LIST_FOR_EACH(node, &d->attempts)
	{
		struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);

		if (attempt->link && !attempt->session)
			attempt_put_back(attempt);
	}
	intake_settle(d);
	if (io_timer_after(d->io, &d->stop_timer, ms))
		CHECK(!"a timer could be armed");
	delivery_wake(d);
}

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
	uint32_t waiting = 0, sessions = 0, connecting = 0;

	for (const struct list *at = link->waiting.next; at != &link->waiting; at = at->next)
		waiting++;
	for (const struct list *at = link->sessions.next; at != &link->sessions; at = at->next) {
		sessions++;
		connecting += !CONTAINER_OF(at, const struct session, node)->ready;
	}
	if (waiting != link->waiting_count || sessions != link->session_count ||
		connecting != link->connecting) {
		buf_add_str(problem, "a link's counts are wrong");
		return ERR_CORRUPT;
	}
	if (waiting && !sessions && !link->lookup && !d->starved) {
		buf_printf(problem, "%u attempts wait for a session that nobody opens", waiting);
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
	if (counts.units[QUEUE_ACTIVE] != attempts) {
		buf_printf(problem, "%llu units are active but %llu attempts are under way",
			(unsigned long long)counts.units[QUEUE_ACTIVE],
			(unsigned long long)attempts);
		return ERR_CORRUPT;
	}
	return 0;
}
