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
	struct reading *r = &store->fast;
	uint64_t each = store->intake.record_bytes ? store->intake.record_bytes : NOTICE_RECORD;

	if (segment->wanted <= segment->end || segment == store->slow.reading.segment ||
		store->io->now_ns < segment->again_ns)
		return 0;
	/* The notice says where the batch ends, and about how long its records are: they are read
	 * in one go, and their bodies are not. */
	int err = reading_begin(store, r, segment, false);
	if (err == 0) {
		r->walk->proven = r->walk->limit = segment->wanted;
		r->walk->guess =
			MIN(FORMAT_BATCH_HEADER + messages * (each + each / 4), NOTICE_READ);
		err = store_read(store, r, STORE_AT_ONCE);
		keep_fresh(store);
		if (err == 0)
			learn_size(&store->intake, &r->batch.header);
		reading_end(store, r);
	}
	/* Many notices are no more patience. */
	if (err == ERR_IO)
		segment->again_ns = store->io->now_ns + STORE_CLEAN_MS * NS_PER_MS;
	if (err != ERR_AGAIN)
		return err;
	segment->behind = true;
	slow_wake(store);
	return 0;
}

/* ---- files that became known ------------------------------------------------------------ */

/* Has it named so many files that are not there that this one is not looked for? */
static bool is_wild(struct spool_store *store, uint8_t owner)
{
	struct intake *intake = &store->intake;

	if (store->io->now_ns - intake->lookups_ns >= STORE_LOOKUP_MS * NS_PER_MS) {
		memset(intake->lookups, 0, sizeof(intake->lookups));
		intake->lookups_ns = store->io->now_ns;
	}
	return intake->lookups[owner] >= STORE_LOOKUPS;
}

/* The new file; any that the writer made and gave up without a word are looked for later. */
static int know(struct spool_store *store, const struct spool_notice *notice, struct segment **out)
{
	struct intake *intake = &store->intake;

	if (is_wild(store, notice->owner))
		return ERR_LIMIT;
	int err = store_add_log(store, notice->owner, notice->serial);
	store->loader.orphan_count = 0; /* the writer lives: it is its own */
	*out = index_find(&store->index, notice->owner, notice->serial);
	if (!*out) {
		intake->lookups[notice->owner]++;
		return err ? err : ERR_NOT_FOUND;
	}
	intake->strays[notice->owner] = true;
	clean_wake(store);
	return 0;
}

/* What files up to this serial say about the ones before them; looked for once in each. */
static int take_seals(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct spool_index *index = &store->index;
	uint64_t slice = 0;

	for (size_t i = index_first(index, owner);
		i < index_last(index, owner) && index->segments[i]->id.serial <= serial; i++) {
		struct segment *segment = index->segments[i];
		uint64_t effort = 0;
		if (segment->removing || segment->seal_waits ||
			(segment->seal_tried && !segment->seal_known))
			continue;
		uint64_t reach = slice < STORE_SLICES * WALK_SLICE ? WALK_SLICE : 1;
		int err = index_take_seal(index, segment, reach, &effort);
		if (err)
			return err;
		/* The newest may be about to get its first batch. */
		segment->seal_tried = segment->id.serial < serial;
		slice += effort;
	}
	return 0;
}

/*
 * Files that no notice named, and that lie before one that a notice did: their writer is done with
 * them. They are listed before any of them is read: a batch in one that was refused lies there
 * whole, and only the seal in a later one, of which nothing may be known yet, keeps it out. Where
 * too many are known already, what those say has to do.
 */
static void find_strays(struct spool_store *store, uint8_t owner)
{
	struct spool_index *index = &store->index;
	uint32_t newest = store->newest[owner];
	bool full = index_last(index, owner) - index_first(index, owner) >= INDEX_FILES_MOST;

	if (!newest)
		return;
	store->intake.strays[owner] = full;
	store->intake.listed_ns[owner] = store->io->now_ns;
	int err = full ? 0 : store_list_logs(store, owner);
	if (err == 0)
		err = take_seals(store, owner, newest);
	store->intake.strays[owner] = store->intake.strays[owner] || err;
	for (size_t i = index_first(index, owner); i < index_last(index, owner) && !err; i++) {
		struct segment *segment = index->segments[i];
		if (!segment->closed && !segment->loaded && segment->id.serial < newest)
			segment->closed = segment->orphan = true;
	}
	store_orphans(store);
	slow_wake(store);
}

/* At once, but of a writer that makes strays without end, or a folder full of junk, not again soon.
 */
static void expect_strays(struct spool_store *store, uint8_t owner)
{
	struct intake *intake = &store->intake;

	intake->strays[owner] = true;
	if (!intake->listed_ns[owner] ||
		store->io->now_ns - intake->listed_ns[owner] >= STORE_CLEAN_MS * NS_PER_MS)
		find_strays(store, owner);
}

/*
 * A writer went on to a new file. All before are finished: they are read as far as the new one says
 * (should a notice have been lost), and may go when their messages are done.
 */
static int close_older(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct spool_index *index = &store->index;

	bool unheard = store->loader.unheard[owner], strays = false;

	int result = take_seals(store, owner, serial);
	if (result)
		return result;
	store->loader.unheard[owner] = false;
	store->newest[owner] = serial;
	for (size_t i = index_first(index, owner);
		i < index_last(index, owner) && index->segments[i]->id.serial < serial; i++) {
		struct segment *segment = index->segments[i];
		if (segment->closed || segment->removing)
			continue;
		/* No notice came of it: nobody knows yet what is in it. */
		if (!segment->loaded || unheard) {
			segment->loaded = false;
			strays = true;
			continue;
		}
		segment->orphan = false;
		segment->wanted = MAX(segment->wanted, MIN(segment->proven, segment->limit));
		int err = read_wanted(store, segment, 0);
		result = result ? result : err;
		segment->closed = true;
		clean_segment(store, segment);
	}
	if (strays)
		expect_strays(store, owner);
	int err = slow_now(store);
	clean_wake(store);
	return result ? result : err;
}

/* A dead writer may have spoken of a file with any serial. */
static void forget_former(struct spool_store *store, uint8_t owner)
{
	if (store->intake.anew[owner])
		store->newest[owner] = 0;
	store->intake.anew[owner] = false;
}

/* The position of a writer that has no file yet: those before it are over. */
static int expect(struct spool_store *store, const struct spool_notice *notice)
{
	forget_former(store, notice->owner);
	if (notice->serial <= store->newest[notice->owner])
		return 0;
	return close_older(store, notice->owner, notice->serial);
}

int spool_store_notice(struct spool_store *store, const struct spool_notice *notice)
{
	CHECK_MAGIC(store, STORE_MAGIC);
	if (store->loader.phase != LOAD_DONE)
		return ERR_AGAIN;
	if (notice->owner >= SPOOL_WORKERS_MOST || notice->durable > FORMAT_FILE_BYTES)
		return ERR_CORRUPT;
	struct segment *segment = index_find(&store->index, notice->owner, notice->serial);
	if (!segment && !notice->durable)
		return expect(store, notice);
	int err = segment ? 0 : know(store, notice, &segment);
	if (err)
		return err;
	if (segment->removing)
		return ERR_CORRUPT;
	forget_former(store, notice->owner);
	if (notice->serial >= store->newest[notice->owner]) {
		segment->closed = segment->orphan = segment->cut = segment->cut_kept = false;
		segment->loaded = true;
		segment->seal_tried = false;
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
	bool again = store->intake.gone[owner];

	store->intake.gone[owner] = false;
	store->loader.orphan_count = 0;
	if (!again)
		mark_orphans(store, owner, 0);
	int err = store_list_logs(store, owner);
	if (err == ERR_NOT_FOUND)
		return 0; /* it never made a file */
	if (err == 0)
		err = store_list_bodies(store, owner);
	if (err == 0)
		err = take_seals(store, owner, UINT32_MAX);
	if (err) {
		store->intake.gone[owner] = true;
		clean_wake(store);
		return err;
	}
	mark_orphans(store, owner, again ? store->newest[owner] : 0);
	int result = slow_now(store);
	if (!again)
		store->loader.live[owner] = store->loader.unheard[owner] = false;
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

bool intake_again(struct spool_store *store)
{
	struct intake *intake = &store->intake;
	bool again = false;

	for (uint8_t owner = 0; owner < SPOOL_WORKERS_MOST; owner++) {
		if (intake->gone[owner])
			again = take_leave(store, owner) != 0 || again;
		if (intake->strays[owner])
			find_strays(store, owner);
		again = again || intake->strays[owner];
	}
	slow_wake(store);
	return again || slow_pending(store);
}

/* ---- beginning and end ------------------------------------------------------------------ */

void intake_init(struct spool_store *store)
{
	store->intake.turn.end = turn_over;
}

void intake_done(struct spool_store *store)
{
	io_turn_forget(store->io, &store->intake.turn);
}
