/* Recovery: the journal first, since it says which messages are done and how far the other logs
 * were durable; then the messages in it, and then the workers' logs. In steps: it may be called
 * again. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#define LOAD_FILES 256 /* whose first header is read in one step */

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

/* ---- what files say about each other ------------------------------------------------------ */

/* Of a worker whose files hold gigabytes of nothing, the rest is read later, beside deliveries. */
static bool is_laborious(const struct spool_store *store, uint8_t owner)
{
	return owner != SPOOL_OWNER_DELIVERY && store->loader.effort[owner] > STORE_LOAD_EFFORT;
}

static int take_seal(struct spool_store *store, struct segment *segment)
{
	struct reading *r = &store->slow.reading;
	uint8_t owner = segment->id.owner;
	uint64_t reach = is_laborious(store, owner) ? 1 : index_seal_reach(owner);
	int err = r->segment ? 0 : reading_begin(store, r, segment, true);

	if (err == 0) {
		uint64_t before = r->walk->effort;
		err = index_find_seal(&store->index, r->walk, segment, reach);
		store->loader.effort[owner] += r->walk->effort - before;
	} else if (err != ERR_IO && err != ERR_NOMEM) {
		return 0;
	}
	if (err == ERR_IO && owner != SPOOL_OWNER_DELIVERY) {
		segment->seal_waits = true;
		err = 0;
	}
	if (err == 0)
		reading_end(store, r);
	return err;
}

static int take_seals(struct spool_store *store)
{
	struct loader *loader = &store->loader;

	for (uint32_t files = 0; loader->at < store->index.count; loader->at++, files++) {
		if (files == LOAD_FILES)
			return ERR_AGAIN;
		int err = take_seal(store, store->index.segments[loader->at]);
		if (err)
			return err;
	}
	loader->at = 0;
	return 0;
}

/* ---- logs --------------------------------------------------------------------------------- */

static void end_loading(struct spool_store *store, const struct reading *r)
{
	struct segment *segment = r->segment;
	bool closed = segment->closed;

	store_end_segment(store, r);
	if (closed)
		return;
	/* A running writer's: from here on its notices count. */
	segment->closed = segment->cut = false;
	segment->limit = WALK_ALL;
}

/* It is read beside the deliveries. */
static void defer(struct segment *segment)
{
	segment->loaded = true;
	if (segment->closed) {
		segment->orphan = true;
		return;
	}
	segment->wanted = segment->limit > FORMAT_PAGE ? segment->limit : 0;
	segment->behind = segment->wanted > segment->end;
	segment->limit = WALK_ALL;
}

static void give_up(struct spool_store *store, struct segment *segment)
{
	segment->damaged = segment->hidden = segment->loaded = true;
	segment->limit = segment->closed ? segment->limit : WALK_ALL;
	store_report_file(store, segment->id.owner, segment->id.serial, "the file cannot be read");
}

/* One file that cannot be read keeps nobody else's mail waiting; but without the journal nobody
 * knows what is done. */
static bool can_wait(const struct spool_store *store, const struct segment *segment)
{
	return segment->id.owner != SPOOL_OWNER_DELIVERY && !store->slow.reading.untold;
}

static int read_log(struct spool_store *store, struct segment *segment, uint32_t most)
{
	struct reading *r = &store->slow.reading;
	uint8_t owner = segment->id.owner;
	int err = r->segment ? 0 : reading_begin(store, r, segment, true);

	if (err == 0) {
		uint64_t before = r->walk->effort;
		err = store_read(store, r, most);
		store->loader.effort[owner] += r->walk->effort - before;
		if (err == 0)
			end_loading(store, r);
	} else if (err != ERR_IO && err != ERR_NOMEM) {
		give_up(store, segment);
		err = 0;
	}
	if (err == ERR_IO && can_wait(store, segment)) {
		segment->again_ns = store->io->now_ns + STORE_CLEAN_MS * NS_PER_MS;
		defer(segment);
		err = 0;
	} else if (err == ERR_AGAIN && is_laborious(store, owner)) {
		defer(segment);
		err = 0;
	}
	if (err == 0)
		reading_end(store, r);
	return err; /* else it goes on there */
}

static int read_logs(struct spool_store *store, bool journal, uint32_t most)
{
	const struct reading *r = &store->slow.reading;
	struct segment *segment;

	/* The walk stands where the last step left it. */
	while ((segment = r->segment ? r->segment : next_unread(store, journal))) {
		if (!r->segment &&
			(is_laborious(store, segment->id.owner) ||
				(segment->closed && index_awaits_seal(&store->index, segment)))) {
			defer(segment);
			continue;
		}
		int err = read_log(store, segment, most);
		if (err)
			return err;
	}
	return 0;
}

/* ---- the journal's own messages ------------------------------------------------------------- */

/* Only where it lies is known, so that is what it is called. */
static int lose_place(struct spool_index *index, struct segment *segment, struct place *place)
{
	uint64_t id = SPOOL_ID(
		segment->id.serial, segment->id.owner, (uint64_t)(place - segment->places));
	int err = place->flags & PLACE_MOVED ? idmap_put(&index->moved, id, id) : 0;

	if (err)
		return err;
	place->flags |= PLACE_BAD;
	index_report(index, segment, id, (uint64_t)place->at * INDEX_UNIT, "a record is damaged");
	return 0;
}

/* ERR_IO, ERR_NOMEM: later. */
static int emit_place(struct spool_store *store, struct segment *segment, struct place *place)
{
	struct spool_index *index = &store->index;
	struct format_record record;
	struct format_message message;

	int err = index_read(index, segment, place, &record, &message);
	if (err == ERR_NOMEM || (err == ERR_IO && index_waits(index, segment)))
		return err;
	if (err)
		return lose_place(index, segment, place);
	/* Where a moved message lies now. */
	if (place->flags & PLACE_MOVED)
		err = idmap_put(&index->moved, message.id, record.id);
	return err ? err : store_emit(store, segment, place, &record);
}

/* DSNs, and messages that were moved there. */
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
			if (!(place->flags & PLACE_USED) || (place->flags & PLACE_FREE))
				continue;
			if (count++ == most)
				return ERR_AGAIN;
			int err = emit_place(store, segment, place);
			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void finish(struct spool_store *store)
{
	struct spool_index *index = &store->index;

	index->loading = false;
	index->patience = STORE_READ_TRIES;
	buf_done(&index->ahead);
	buf_init(&index->ahead, SIZE_MAX);
	store_orphans(store);
	for (size_t i = 0; i < index->count; i++)
		clean_segment(store, index->segments[i]);
	clean_wake(store);
	slow_wake(store);
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
		loader->phase = LOAD_SEALS;
		/* fallthrough */
	case LOAD_SEALS:
		err = take_seals(store);
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
