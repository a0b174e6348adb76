/* What writers add while the store runs, and what they leave behind when they die. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define NOTICE_RECORD 768 /* bytes of a usual message record: what is worth reading at once */

/* ---- notices ---------------------------------------------------------------------------- */

static int read_wanted(struct spool_store *store, struct segment *segment, uint32_t messages)
{
	struct walk *walk = &store->index.walk;

	if (segment->wanted <= segment->end)
		return 0;
	int err = index_walk(&store->index, segment);
	if (err)
		return err;
	walk->proven = walk->limit = segment->wanted;
	walk->guess = format_align(FORMAT_BATCH_HEADER + (uint64_t)messages * NOTICE_RECORD);
	err = store_read(store, segment, UINT32_MAX);
	index_walk_end(&store->index, segment);
	return err;
}

static int read_rest(struct spool_store *store, struct segment *segment)
{
	/* A file of which no notice ever came may be its successor's already: nothing is said of
	 * its tail for good. */
	bool own = segment->id.serial <= store->newest[segment->id.owner];

	segment->closed = true;
	int err = index_walk(&store->index, segment);
	if (err)
		return err;
	store->index.walk.proven = MAX(store->index.walk.proven, segment->end);
	err = store_read(store, segment, UINT32_MAX);
	if (own && err == 0)
		store_end_segment(store, segment);
	/* What was not read must not be removed: the next start looks at it again. */
	segment->damaged = segment->damaged || err;
	segment->loaded = true;
	index_walk_end(&store->index, segment);
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
	if (notice->serial >= store->newest[notice->owner]) {
		segment->closed = segment->cut = segment->cut_kept = false;
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

void store_read_wanted(struct spool_store *store)
{
	for (size_t i = 0; i < store->index.count; i++) {
		struct segment *segment = store->index.segments[i];
		if (segment->wanted > segment->end && !segment->damaged)
			read_wanted(store, segment, 0);
	}
}

/* ---- a writer that died ----------------------------------------------------------------- */

int spool_store_writer_gone(struct spool_store *store, uint8_t owner)
{
	CHECK_MAGIC(store, STORE_MAGIC);
	struct spool_index *index = &store->index;
	int result = 0;

	if (store->loader.phase != LOAD_DONE)
		return ERR_AGAIN;
	if (owner >= SPOOL_WORKERS_MOST)
		return ERR_NOT_FOUND;
	store->loader.orphan_count = 0;
	int err = store_list(store, owner, store_add_log);
	if (err == ERR_NOT_FOUND)
		return 0; /* it never made a file */
	if (err == 0)
		err = index_take_seals(index, index_first(index, owner), index_last(index, owner));
	if (err)
		return err;
	for (size_t i = index_first(index, owner); i < index->count; i++) {
		struct segment *segment = index->segments[i];
		if (segment->id.owner != owner)
			break;
		if (segment->closed || segment->removing)
			continue;
		err = read_rest(store, segment);
		result = result ? result : err;
	}
	store->loader.live[owner] = false;
	store_orphans(store);
	clean_wake(store);
	return result;
}

/* ---- orphans ---------------------------------------------------------------------------- */

#define ORPHAN_NUMBERS \
	(1u << 24) /* greater numbers do not fit the key: such files are left alone */

static uint64_t body_key(uint8_t owner, uint32_t serial, uint32_t number)
{
	return (uint64_t)owner << 56 | (uint64_t)serial << 24 | number;
}

static int note_references(struct spool_store *store, struct segment *segment, struct idmap *known)
{
	for (uint32_t i = 0; i < segment->place_count; i++) {
		const struct place *place = &segment->places[i];
		struct format_record record;
		struct format_message message;
		if ((place->flags & (PLACE_USED | PLACE_FILE | PLACE_FREE)) !=
			(PLACE_USED | PLACE_FILE))
			continue;
		int err = index_read(&store->index, segment, place, &record, &message);
		if (err)
			return err;
		if (message.body_number < ORPHAN_NUMBERS)
			err = idmap_put(known,
				body_key(message.body_owner, message.body_serial,
					message.body_number),
				1);
		if (err)
			return err;
	}
	return 0;
}

/* A body may be an orphan only because the record that refers to it cannot be read. */
static bool may_hide(const struct spool_store *store, uint8_t owner)
{
	if (store->loader.damaged[owner] || store->loader.damaged[SPOOL_OWNER_DELIVERY])
		return true;
	for (size_t i = 0; i < store->index.count; i++) {
		const struct segment *segment = store->index.segments[i];
		if (segment->damaged &&
			(segment->id.owner == owner || segment->id.owner == SPOOL_OWNER_DELIVERY))
			return true;
	}
	return false;
}

void store_orphans(struct spool_store *store)
{
	struct loader *loader = &store->loader;
	struct idmap known = {0};
	uint64_t found;
	int err = 0;

	for (size_t i = 0; i < store->index.count && !err && loader->orphan_count; i++)
		err = note_references(store, store->index.segments[i], &known);
	for (size_t i = 0; i < loader->orphan_count && !err; i++) {
		const struct store_orphan *orphan = &loader->orphans[i];
		uint32_t newest = store->newest[orphan->owner];
		if (loader->live[orphan->owner] || (newest && orphan->serial > newest))
			continue;
		if (orphan->log) {
			clean_log_file(store, orphan->owner, orphan->serial);
			continue;
		}
		if (orphan->number >= ORPHAN_NUMBERS || may_hide(store, orphan->owner) ||
			idmap_get(&known, body_key(orphan->owner, orphan->serial, orphan->number),
				&found))
			continue;
		clean_body_file(store, orphan->owner, orphan->serial, orphan->number);
	}
	idmap_done(&known);
	free(loader->orphans);
	loader->orphans = NULL;
	loader->orphan_count = loader->orphan_room = 0;
}
