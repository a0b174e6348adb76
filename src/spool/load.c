/* Recovery: the journal first, since it says which messages are done and how far the other logs
 * were durable; then the messages in it, and then the workers' logs. In steps: it may be called
 * again. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

/* The unread segment with the smallest serial, so that messages come in the order of arrival. */
static struct segment *next_unread(struct spool_store *store, bool journal)
{
	struct segment *next = NULL;

	for (size_t i = 0; i < store->index.count; i++) {
		struct segment *segment = store->index.segments[i];
		if (segment->loaded || (segment->id.owner == SPOOL_OWNER_DELIVERY) != journal)
			continue;
		if (!next || segment->id.serial < next->id.serial)
			next = segment;
	}
	return next;
}

static void end_loading(struct spool_store *store, struct segment *segment)
{
	bool closed = segment->closed;

	store_end_segment(store, segment);
	if (closed)
		return;
	/* A running writer's: from here on its notices count. */
	segment->closed = segment->cut = false;
	segment->limit = WALK_ALL;
}

static int read_logs(struct spool_store *store, bool journal, uint32_t most)
{
	struct loader *loader = &store->loader;
	struct segment *segment;

	while ((segment = next_unread(store, journal))) {
		/* The walk stands where the last step left it; its segment is still the smallest.
		 */
		int err = loader->walking ? 0 : index_walk(&store->index, segment, 0);
		if (!loader->walking && (err == ERR_IO || err == ERR_NOMEM))
			return err;
		if (err == 0) {
			loader->walking = segment;
			err = store_read(store, segment, most);
			if (err)
				return err; /* and goes on there */
			loader->walking = NULL;
			index_walk_end(&store->index, segment);
		} else {
			segment->damaged = true;
			store_report_file(store, segment->id.owner, segment->id.serial,
				"the file cannot be read");
		}
		end_loading(store, segment);
	}
	return 0;
}

/* Where a moved message lies now. */
static void learn_moved(struct spool_store *store, const struct format_record *record)
{
	struct format_message message;

	int err = format_get_message(record->payload, &message);
	CHECK(err == 0);
	err = idmap_put(&store->index.moved, message.id, record->id);
	CHECK(err == 0);
}

/* Messages in the journal itself: DSNs, and those that were moved there. */
static int emit_journal(struct spool_store *store, uint32_t most)
{
	struct loader *loader = &store->loader;
	struct spool_index *index = &store->index;
	uint32_t count = 0;

	for (; loader->at < index->count; loader->at++, loader->place = 0) {
		struct segment *segment = index->segments[loader->at];
		if (segment->id.owner != SPOOL_OWNER_DELIVERY || !segment->live)
			continue;
		for (; loader->place < segment->place_count; loader->place++) {
			struct place *place = &segment->places[loader->place];
			struct format_record record;
			struct format_message message;
			if (!(place->flags & PLACE_USED) || (place->flags & PLACE_FREE))
				continue;
			if (count++ == most)
				return ERR_AGAIN;
			int err = index_read(index, segment, place, &record, &message);
			if (err == ERR_NOMEM || (err == ERR_IO && index_waits(index)))
				return err;
			if (err) {
				place->flags |= PLACE_BAD;
				index_report(index, segment, 0, (uint64_t)place->at * INDEX_UNIT,
					"a record is damaged");
				continue;
			}
			if (place->flags & PLACE_MOVED)
				learn_moved(store, &record);
			err = store_emit(store, segment, place, &record);
			if (err)
				return err;
		}
	}
	return 0;
}

static void finish(struct spool_store *store)
{
	struct spool_index *index = &store->index;

	index->loading = false;
	buf_done(&index->ahead);
	buf_init(&index->ahead, SIZE_MAX);
	store_orphans(store);
	for (size_t i = 0; i < index->count; i++)
		clean_segment(store, index->segments[i]);
	clean_wake(store);
	journal_wake(store);
}

bool spool_store_scanned(const struct spool_store *store)
{
	return store->loader.phase != LOAD_SCAN;
}

int spool_store_load(struct spool_store *store, const struct spool_notice *live, size_t live_count)
{
	CHECK_MAGIC(store, STORE_MAGIC);
	struct loader *loader = &store->loader;
	int err = 0;

	switch (loader->phase) {
	case LOAD_SCAN:
		err = store_scan(store, live, live_count);
		if (err)
			return err;
		loader->phase = LOAD_JOURNAL;
		/* fallthrough */
	case LOAD_JOURNAL:
		err = read_logs(store, true, SPOOL_LOAD_STEP);
		if (err)
			return err;
		loader->phase = LOAD_EMIT;
		/* fallthrough */
	case LOAD_EMIT:
		err = emit_journal(store, SPOOL_LOAD_STEP);
		if (err)
			return err;
		loader->phase = LOAD_WORKERS;
		/* fallthrough */
	case LOAD_WORKERS:
		err = read_logs(store, false, SPOOL_LOAD_STEP);
		if (err)
			return err;
		loader->phase = LOAD_OPEN;
		/* fallthrough */
	case LOAD_OPEN:
		err = journal_open(store);
		if (err)
			return err;
		loader->phase = LOAD_DONE;
		finish(store);
		/* fallthrough */
	case LOAD_DONE: break;
	}
	return 0;
}
