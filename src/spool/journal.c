/*
 * Changes: gathered while one batch is written, then written together. What a failed batch held is
 * written again, as it was, in front of all later changes; so nothing is lost and the order stays.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- rest -------------------------------------------------------------------------------- */

/*
 * The last batch of a log is proven by what comes after it. When things come to rest nothing does,
 * and a bit that flips in that batch would pass for a torn tail. So one more batch is written then:
 * it says how far the workers' logs are durable and, by being there, that the journal is. Busy, all
 * that costs nothing; idle, it is written once and not again.
 */
static void arm_rest(struct spool_store *store, uint64_t ms)
{
	if (io_timer_after(store->io, &store->journal.rest, ms) != 0)
		CHECK(!"a timer could be armed");
}

void journal_stir(struct spool_store *store)
{
	struct journal *journal = &store->journal;

	journal->stirred_ns = store->io->now_ns;
	if (journal->open && !timer_armed(&journal->rest))
		arm_rest(store, STORE_REST_MS);
}

static void rest_fired(struct timer *timer)
{
	struct spool_store *store = CONTAINER_OF(timer, struct spool_store, journal.rest);
	struct journal *journal = &store->journal;
	uint64_t quiet_ms = (store->io->now_ns - journal->stirred_ns) / NS_PER_MS;

	if (quiet_ms < STORE_REST_MS) {
		arm_rest(store, STORE_REST_MS - quiet_ms);
		return;
	}
	journal->rest_due = true;
	journal_wake(store);
}

bool journal_lacks_proof(const struct journal *journal)
{
	return journal->unproven || journal->extents;
}

bool journal_idle(const struct spool_store *store)
{
	const struct journal *journal = &store->journal;

	return list_empty(&journal->gather) && list_empty(&journal->flight);
}

bool journal_rests(const struct spool_store *store)
{
	const struct journal *journal = &store->journal;
	bool can = journal->open && journal->log.health == SPOOL_WELL;

	return journal_idle(store) && !(can && journal_lacks_proof(journal));
}

/* ---- writing ---------------------------------------------------------------------------- */

/* A message that something else happens to in the same batch is moved another time. */
static void drop_moves(struct spool_store *store)
{
	struct journal *journal = &store->journal;

	LIST_FOR_EACH(node, &journal->gather)
	{
		struct change *change = CONTAINER_OF(node, struct change, node);
		struct segment *segment;
		uint64_t place_id;
		if (change->kind != CHANGE_MOVE)
			continue;
		struct span state;
		struct place *place = index_message(&store->index, change->id, &place_id, &segment);
		if (place && !journal_gathered_state(journal, change->id) &&
			index_read_state(&store->index, place, place_id, &state) == 0)
			continue;
		if (place)
			place->flags &= (uint8_t)~PLACE_MOVING;
		journal_forget(journal, change);
	}
}

static void take_gathered(struct spool_store *store)
{
	struct journal *journal = &store->journal;

	drop_moves(store);
	LIST_FOR_EACH(node, &journal->gather)
	{
		list_remove(node);
		list_push_back(&journal->flight, node);
	}
	idmap_clear(&journal->states);
	journal->flight_mark = journal->mark++;
}

static void write_batch(struct spool_store *store)
{
	struct journal *journal = &store->journal;
	size_t parts;

	if (list_empty(&journal->flight))
		take_gathered(store);
	if (list_empty(&journal->flight) && !journal->rest_due)
		return;
	journal->rest_due = false;
	uint64_t now = store->io->now_ns;
	journal->next_ns = now + store->config.sync_ms * NS_PER_MS;
	if (batch_build(store, &parts) != 0) {
		/* Memory is short: the same again a little later. */
		journal_stir(store);
		if (io_timer_after(store->io, &journal->timer, STORE_CLEAN_MS) != 0)
			CHECK(!"a timer could be armed");
		return;
	}
	log_write_batch(&journal->log, &journal->head, journal->records, journal->messages,
		journal->parts, parts);
}

static void turn(struct io_turn *at)
{
	struct spool_store *store = CONTAINER_OF(at, struct spool_store, journal.turn);
	struct journal *journal = &store->journal;

	if (!journal->open)
		return;
	/* The reserve for a full disk comes before everything else. */
	log_make_next(&journal->log);
	if (!log_can_write(&journal->log))
		return;
	journal->rest_due = journal->rest_due && journal_lacks_proof(journal);
	if (journal_idle(store) && !journal->rest_due)
		return;
	uint64_t now = store->io->now_ns;
	if (now >= journal->next_ns) {
		write_batch(store);
	} else if (!timer_armed(&journal->timer)) {
		uint64_t wait = (journal->next_ns - now + NS_PER_MS - 1) / NS_PER_MS;
		if (io_timer_after(store->io, &journal->timer, wait) != 0)
			CHECK(!"a timer could be armed");
	}
}

static void timer_fired(struct timer *timer)
{
	struct spool_store *store = CONTAINER_OF(timer, struct spool_store, journal.timer);

	journal_wake(store);
}

void journal_wake(struct spool_store *store)
{
	if (store->journal.open)
		io_turn_end(store->io, &store->journal.turn);
}

static void settled(struct spool_log *log, enum commit_outcome outcome, int err)
{
	struct spool_store *store = CONTAINER_OF(log, struct spool_store, journal.log);
	struct journal *journal = &store->journal;

	bool news = !list_empty(&journal->flight);

	(void)err;
	if (outcome == COMMIT_DURABLE) {
		uint64_t mark = journal->flight_mark;
		/* What proves the one before it needs no proof of its own. */
		journal->unproven = news;
		batch_apply(store);
		LIST_FOR_EACH(node, &journal->flight)
		journal_forget(journal, CONTAINER_OF(node, struct change, node));
		clean_go_on(store);
		clean_wake(store);
		if (news)
			store->config.handler->durable(store->config.context, mark);
	} else {
		/* No pacing: what failed is late already. */
		journal->next_ns = news ? 0 : journal->next_ns;
	}
	if (journal_lacks_proof(journal))
		journal_stir(store);
	journal_wake(store);
}

static void ready(struct spool_log *log)
{
	struct spool_store *store = CONTAINER_OF(log, struct spool_store, journal.log);

	journal_wake(store);
	clean_wake(store);
}

static void health(struct spool_log *log)
{
	struct spool_store *store = CONTAINER_OF(log, struct spool_store, journal.log);

	clean_go_on(store);
	if (store->config.handler->health)
		store->config.handler->health(store->config.context, log->health);
}

static const struct log_handler handler = {.settled = settled, .ready = ready, .health = health};

/* ---- beginning and end ------------------------------------------------------------------ */

void journal_init(struct spool_store *store)
{
	struct journal *journal = &store->journal;

	list_init(&journal->gather);
	list_init(&journal->flight);
	journal->mark = 1;
	journal->timer.fire = timer_fired;
	journal->turn.end = turn;
	journal->rest.fire = rest_fired;
	buf_init(&journal->head, SIZE_MAX);
	buf_init(&journal->scratch, SIZE_MAX);
	log_init(&journal->log, store->io, store->config.disk, SPOOL_OWNER_DELIVERY,
		store->config.segment_bytes, &handler);
}

void journal_done(struct spool_store *store)
{
	struct journal *journal = &store->journal;

	LIST_FOR_EACH(node, &journal->gather)
	change_free(CONTAINER_OF(node, struct change, node));
	LIST_FOR_EACH(node, &journal->flight)
	change_free(CONTAINER_OF(node, struct change, node));
	idmap_done(&journal->states);
	io_timer_stop(store->io, &journal->timer);
	io_timer_stop(store->io, &journal->rest);
	io_turn_forget(store->io, &journal->turn);
	log_done(&journal->log);
	buf_done(&journal->head);
	buf_done(&journal->scratch);
	free(journal->parts);
}
