/*
 * Changes: gathered while one batch is written, then written together. What a failed batch held is
 * written again, as it was, in front of all later changes; so nothing is lost and the order stays.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- changes ---------------------------------------------------------------------------- */

struct change *change_new(enum change_kind kind, uint64_t id, size_t bytes)
{
	struct change *change = calloc(1, sizeof(*change) + bytes);

	if (!change)
		return NULL;
	list_init(&change->node);
	change->kind = kind;
	change->id = id;
	change->bytes = span_of(change + 1, bytes);
	return change;
}

void change_free(struct change *change)
{
	list_remove(&change->node);
	free(change->body);
	free(change);
}

static uint64_t cost(const struct change *change)
{
	return sizeof(*change) + change->bytes.n + change->body_bytes;
}

static void forget(struct journal *journal, struct change *change)
{
	journal->pending -= cost(change);
	change_free(change);
}

static struct change *gathered_state(const struct journal *journal, uint64_t id)
{
	uint64_t found;

	return idmap_get(&journal->states, id, &found) ? (struct change *)(uintptr_t)found : NULL;
}

int journal_add(struct spool_store *store, struct change *change)
{
	struct journal *journal = &store->journal;
	/* Completions free memory and space; they are never turned away. */
	bool bounded = change->kind != CHANGE_DONE;

	if (bounded && journal->pending + cost(change) > STORE_PENDING_BYTES)
		return ERR_LIMIT;
	if (change->kind == CHANGE_STATE) {
		struct change *old = gathered_state(journal, change->id);
		if (idmap_put(&journal->states, change->id, (uintptr_t)change) != 0)
			return ERR_NOMEM;
		if (old)
			forget(journal, old);
	}
	journal->pending += cost(change);
	list_push_back(&journal->gather, &change->node);
	journal_wake(store);
	return 0;
}

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

static bool lacks_proof(const struct journal *journal)
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

	return journal_idle(store) && !(can && lacks_proof(journal));
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
		if (place && !gathered_state(journal, change->id) &&
			index_read_state(&store->index, place, place_id, &state) == 0)
			continue;
		if (place)
			place->flags &= (uint8_t)~PLACE_MOVING;
		forget(journal, change);
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
	journal->rest_due = journal->rest_due && lacks_proof(journal);
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
		batch_apply(store);
		LIST_FOR_EACH(node, &journal->flight)
		forget(journal, CONTAINER_OF(node, struct change, node));
		/* What proves the one before it needs no proof of its own. */
		journal->unproven = news;
		clean_wake(store);
		if (news)
			store->config.handler->durable(store->config.context, mark);
	} else {
		/* No pacing: what failed is late already. */
		journal->next_ns = news ? 0 : journal->next_ns;
	}
	if (lacks_proof(journal))
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

	if (store->config.handler->health)
		store->config.handler->health(store->config.context, log->health);
}

static const struct log_handler handler = {.settled = settled, .ready = ready, .health = health};

/* ---- what the queue asks for ------------------------------------------------------------ */

int spool_store_state(struct spool_store *store, uint64_t id, struct span state)
{
	struct segment *segment;
	uint64_t place_id;

	if (state.n > SPOOL_STATE_BYTES)
		return ERR_LIMIT;
	if (!index_message(&store->index, id, &place_id, &segment))
		return ERR_NOT_FOUND;
	struct change *change = change_new(CHANGE_STATE, id, state.n);
	if (!change)
		return ERR_NOMEM;
	if (state.n)
		memcpy(change + 1, state.p, state.n);
	int err = journal_add(store, change);
	if (err)
		change_free(change);
	return err;
}

/* Which file its body lies in, to be removed after the message. */
static int note_body_file(struct spool_store *store, struct segment *segment, struct place *place,
	struct change *change)
{
	struct format_record record;
	struct format_message message;

	if (!(place->flags & PLACE_FILE))
		return 0;
	int err = index_read(&store->index, segment, place, &record, &message);
	/* Unreadable: the file is found to be an orphan at the next start. */
	if (err == 0)
		change->body_file = message;
	return err == ERR_NOMEM ? err : 0;
}

int spool_store_done(struct spool_store *store, uint64_t id)
{
	struct journal *journal = &store->journal;
	struct segment *segment;
	uint64_t place_id;

	struct place *place = index_message(&store->index, id, &place_id, &segment);
	if (!place)
		return ERR_NOT_FOUND;
	struct change *change = change_new(CHANGE_DONE, id, 0);
	if (!change)
		return ERR_NOMEM;
	int err = note_body_file(store, segment, place, change);
	if (err) {
		change_free(change);
		return err;
	}
	struct change *state = gathered_state(journal, id);
	if (state) {
		idmap_remove(&journal->states, id);
		forget(journal, state);
	}
	place->flags |= PLACE_DONE;
	return journal_add(store, change);
}

int spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body)
{
	struct buf encoded;

	envelope->id = 0; /* its place is known when it is written */
	envelope->body_bytes = body.n;
	envelope->body_hash = format_hash(body, 0);
	buf_init(&encoded, ENVELOPE_BYTES);
	envelope_encode(&encoded, envelope);
	struct change *change = buf_ok(&encoded) ? change_new(CHANGE_ADD, 0, encoded.n) : NULL;
	char *copy = change ? malloc(body.n + FORMAT_END_BYTES) : NULL;
	int err = copy ? 0 : ERR_NOMEM;
	if (err == 0) {
		memcpy(change + 1, encoded.p, encoded.n);
		if (body.n)
			memcpy(copy, body.p, body.n);
		memcpy(copy + body.n, FORMAT_END, FORMAT_END_BYTES);
		change->body = copy;
		change->body_bytes = body.n + FORMAT_END_BYTES;
		change->message.body_bytes = body.n;
		change->message.body_hash = envelope->body_hash;
		err = journal_add(store, change);
	}
	buf_done(&encoded);
	if (err && change)
		change_free(change);
	return err;
}

uint64_t spool_store_mark(const struct spool_store *store)
{
	const struct journal *journal = &store->journal;

	/* What is gathered, or else what was gathered last. */
	return list_empty(&journal->gather) ? journal->mark - 1 : journal->mark;
}

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

/*
 * The empty file that an earlier life set aside as its next one: with it, completions go through
 * even when the disk is full at the start. It gets a new salt, so that nothing older can be in it.
 */
static int adopt(struct spool_store *store, struct segment *segment, struct commit_file *out)
{
	struct disk *disk = store->config.disk;
	struct commit_file made = {.id = segment->id};
	char path[FORMAT_PATH], dir[FORMAT_PATH], page[FORMAT_PAGE];
	struct iovec part = {page, sizeof(page)};

	made.id.salt = io_random(store->io);
	format_log_path(path, made.id.owner, made.id.serial);
	format_dir(dir, made.id.owner);
	format_put_page(page, &made.id);
	int err = disk_open(disk, path, DISK_READ | DISK_WRITE, &made.io);
	if (err)
		return err;
	/* It has what it was given then; more is welcome. */
	disk_allocate(made.io, store->config.segment_bytes);
	err = disk_write_all(made.io, &part, 1, 0);
	if (err == 0)
		err = disk_sync(made.io);
	if (err == 0)
		err = disk_sync_dir(disk, dir);
	if (err) {
		disk_close(&made.io);
		return err;
	}
	*out = made;
	return 0;
}

static bool is_empty(struct spool_store *store, struct segment *segment)
{
	return segment->end == FORMAT_PAGE && !segment->damaged && !segment->removing &&
	       index_open(&store->index, segment) == 0 && disk_size(segment->io) == FORMAT_PAGE;
}

int journal_open(struct spool_store *store)
{
	struct journal *journal = &store->journal;
	struct spool_index *index = &store->index;
	struct commit_file first = {0};
	uint32_t least = 1;

	/* Where an old file could not be read, it may yet hold messages. */
	bool hidden = store->loader.damaged[SPOOL_OWNER_DELIVERY];
	for (size_t i = index_first(index, SPOOL_OWNER_DELIVERY); i < index->count; i++) {
		const struct segment *segment = index->segments[i];
		least = segment->id.serial + 1;
		hidden = hidden || segment->hidden;
		if (segment->end > FORMAT_PAGE) {
			/* The new file says for good that the old ones end where they were read to.
			 */
			journal->log.valid_serial = segment->id.serial;
			journal->log.valid_end = segment->end;
		}
	}
	if (hidden)
		journal->log.valid_serial = 0;
	journal->unproven = journal->log.valid_serial != 0;
	struct segment *last = index_find(index, SPOOL_OWNER_DELIVERY, least - 1);
	if (last && is_empty(store, last) && adopt(store, last, &first) == 0)
		index_drop_segment(index, last);
	int err = log_open(&journal->log, least, &first);
	if (err)
		return err;
	journal->open = true;
	if (lacks_proof(journal))
		journal_stir(store);
	if (journal->log.health != SPOOL_WELL)
		health(&journal->log);
	return 0;
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
	log_forget_turn(store->io, &journal->turn);
	log_done(&journal->log);
	buf_done(&journal->head);
	buf_done(&journal->scratch);
	free(journal->parts);
}
