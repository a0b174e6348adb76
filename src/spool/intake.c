/* What writers add while the store runs, and what they leave behind when they die. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define NOTICE_RECORD 768 /* bytes that a message record is thought to have before one was seen */
#define NOTICE_READ   (256u << 10) /* no more is read on the word of a notice alone */

/* ---- notices ---------------------------------------------------------------------------- */

/* Records of the next batch will be much like those of the last ones. */
static void learn_size(struct intake *intake, const struct format_batch *header)
{
	if (!header->message_count)
		return;
	uint32_t each = header->records_bytes / header->message_count;

	intake->record_bytes = each >= intake->record_bytes
				       ? each
				       : intake->record_bytes - (intake->record_bytes - each) / 8;
}

/* First attempts are made at the end of the turn, by a task that is queued after this one: so this
 * one lets it pass once. */
static void turn_over(struct io_turn *turn)
{
	struct spool_store *store = CONTAINER_OF(turn, struct spool_store, intake.turn);

	if (!store->intake.passed)
		io_turn_end(store->io, turn);
	else
		store->index.fresh = false;
	store->index.read_last = 0;
	store->intake.passed = !store->intake.passed;
}

static void keep_fresh(struct spool_store *store)
{
	store->index.fresh = true;
	store->intake.passed = false;
	io_turn_end(store->io, &store->intake.turn);
}

static int read_wanted(struct spool_store *store, struct segment *segment, uint32_t messages)
{
	struct walk *walk = &store->index.walk;
	uint64_t each = store->intake.record_bytes ? store->intake.record_bytes : NOTICE_RECORD;

	if (segment->wanted <= segment->end)
		return 0;
	/* The notice says where the batch ends, and about how long its records are: they are read
	 * in one go, and their bodies are not. */
	int err = index_walk(&store->index, segment, segment->wanted);
	if (err)
		return err;
	walk->proven = walk->limit = segment->wanted;
	walk->guess = MIN(FORMAT_BATCH_HEADER + messages * (each + each / 4), NOTICE_READ);
	err = store_read(store, segment, UINT32_MAX);
	keep_fresh(store);
	if (err == 0)
		learn_size(&store->intake, &store->taking.batch.header);
	index_walk_end(&store->index, segment);
	return err;
}

/* What a writer left that is gone. Where the disk fails it is tried again, and the file stays. */
static int read_rest(struct spool_store *store, struct segment *segment)
{
	/* A file of which no notice ever came may be its successor's already: nothing is said of
	 * its tail for good. */
	bool own = store->newest[segment->id.owner] &&
		   !store_is_ahead(store, segment->id.owner, segment->id.serial);

	segment->closed = segment->orphan = true;
	int err = index_walk(&store->index, segment, 0);
	if (err == 0) {
		store->index.walk.proven = MAX(store->index.walk.proven, segment->end);
		err = store_read(store, segment, UINT32_MAX);
		if (own && err == 0)
			store_end_segment(store, segment);
		index_walk_end(&store->index, segment);
	}
	if (err == ERR_IO || err == ERR_NOMEM) {
		clean_wake(store);
		return err;
	}
	segment->orphan = false;
	/* What was not read must not be removed: the next start looks at it again. */
	segment->damaged = segment->damaged || err;
	segment->loaded = true;
	clean_segment(store, segment);
	return err;
}

/*
 * A writer went on to a new file. All before are finished: they are read as far as the new one says
 * (should a notice have been lost), and may go when their messages are done.
 */
static int close_older(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct spool_index *index = &store->index;
	int result = 0;

	for (size_t i = index_first(index, owner);
		i < index->count && index->segments[i]->id.owner == owner; i++) {
		if (index->segments[i]->closed)
			continue;
		result = index_take_seals(index, i, index_last(index, owner));
		break;
	}
	if (result)
		return result;
	store->newest[owner] = serial;
	for (size_t i = index_first(index, owner); index->segments[i]->id.serial < serial; i++) {
		struct segment *segment = index->segments[i];
		if (segment->closed || segment->removing)
			continue;
		int err;
		if (segment->loaded) {
			segment->wanted =
				MAX(segment->wanted, MIN(segment->proven, segment->limit));
			err = read_wanted(store, segment, 0);
			segment->closed = true;
			clean_segment(store, segment);
		} else {
			/* One that could not be opened when the queue was loaded, or of which no
			 * notice came: nobody knows yet what is in it. */
			err = read_rest(store, segment);
		}
		result = result ? result : err;
	}
	clean_wake(store);
	return result;
}

/* The new file, and any that the writer made and gave up without a word. */
static int add_logs(
	struct spool_store *store, const struct spool_notice *notice, struct segment **out)
{
	int err = store_list(store, notice->owner, store_add_log);

	store->loader.orphan_count = 0; /* the writer lives: they are its own */
	*out = index_find(&store->index, notice->owner, notice->serial);
	return *out ? 0 : err ? err : ERR_NOT_FOUND;
}

int spool_store_notice(struct spool_store *store, const struct spool_notice *notice)
{
	CHECK_MAGIC(store, STORE_MAGIC);
	if (store->loader.phase != LOAD_DONE)
		return ERR_AGAIN;
	if (notice->owner >= SPOOL_WORKERS_MOST)
		return ERR_CORRUPT;
	struct segment *segment = index_find(&store->index, notice->owner, notice->serial);
	int err = segment ? 0 : add_logs(store, notice, &segment);
	if (err == ERR_NOT_FOUND && !notice->durable)
		return 0; /* the position of a writer that has no file yet */
	if (err)
		return err;
	if (segment->removing)
		return ERR_CORRUPT;
	/* A dead writer may have spoken of a file with any serial. */
	if (store->intake.anew[notice->owner])
		store->newest[notice->owner] = 0;
	store->intake.anew[notice->owner] = false;
	if (notice->serial >= store->newest[notice->owner]) {
		segment->closed = segment->orphan = segment->cut = segment->cut_kept = false;
		segment->loaded = true;
		segment->limit = WALK_ALL;
	}
	if (notice->serial > store->newest[notice->owner])
		err = close_older(store, notice->owner, notice->serial);
	segment->wanted = MAX(segment->wanted, notice->durable);
	int now = read_wanted(store, segment, notice->messages);
	err = err ? err : now;
	if (err)
		clean_wake(store); /* it is tried again */
	return err;
}

/* ---- a writer that died ----------------------------------------------------------------- */

/* All that a dead writer may have written to. Its successor's files, known by its notices, and
 * those before them are others' work. */
static void mark_orphans(struct spool_store *store, uint8_t owner, uint32_t above)
{
	struct spool_index *index = &store->index;

	for (size_t i = index_first(index, owner); i < index_last(index, owner); i++) {
		struct segment *segment = index->segments[i];
		if (!segment->closed && !segment->removing && segment->id.serial > above)
			segment->closed = segment->orphan = true;
	}
}

static int take_leave(struct spool_store *store, uint8_t owner)
{
	struct spool_index *index = &store->index;
	bool again = store->intake.gone[owner];
	int result = 0;

	store->intake.gone[owner] = false;
	store->loader.orphan_count = 0;
	if (!again)
		mark_orphans(store, owner, 0);
	int err = store_list(store, owner, store_add_log);
	if (err == ERR_NOT_FOUND)
		return 0; /* it never made a file */
	if (err == 0)
		err = index_take_seals(index, index_first(index, owner), index_last(index, owner));
	if (err) {
		store->intake.gone[owner] = true;
		clean_wake(store);
		return err;
	}
	mark_orphans(store, owner, again ? store->newest[owner] : 0);
	for (size_t i = index_first(index, owner); i < index_last(index, owner); i++) {
		if (!index->segments[i]->orphan)
			continue;
		err = read_rest(store, index->segments[i]);
		result = result ? result : err;
	}
	if (!again)
		store->loader.live[owner] = false;
	store_orphans(store);
	clean_wake(store);
	return result;
}

int spool_store_writer_gone(struct spool_store *store, uint8_t owner)
{
	CHECK_MAGIC(store, STORE_MAGIC);
	if (store->loader.phase != LOAD_DONE)
		return ERR_AGAIN;
	if (owner >= SPOOL_WORKERS_MOST)
		return ERR_NOT_FOUND;
	/* The one before it is over as well. */
	store->intake.gone[owner] = false;
	store->intake.anew[owner] = true;
	return take_leave(store, owner);
}

/* ---- again ------------------------------------------------------------------------------ */

bool store_read_again(struct spool_store *store)
{
	bool again = false;

	for (uint8_t owner = 0; owner < SPOOL_WORKERS_MOST; owner++)
		if (store->intake.gone[owner])
			again = take_leave(store, owner) != 0 || again;
	for (size_t i = 0; i < store->index.count; i++) {
		struct segment *segment = store->index.segments[i];
		if (segment->orphan && !store->intake.gone[segment->id.owner])
			again = read_rest(store, segment) != 0 || again;
		else if (segment->wanted > segment->end && !segment->damaged)
			again = read_wanted(store, segment, 0) != 0 || again;
	}
	return again;
}

/* ---- beginning and end ------------------------------------------------------------------ */

void intake_init(struct spool_store *store)
{
	store->intake.turn.end = turn_over;
}

void intake_done(struct spool_store *store)
{
	log_forget_turn(store->io, &store->intake.turn);
}
