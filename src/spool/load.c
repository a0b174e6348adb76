#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- messages --------------------------------------------------------------------------- */

void store_emit(struct spool_store *store, struct segment *segment, struct place *place,
	const struct format_record *record)
{
	struct spool_index *index = &store->index;
	struct format_message message;
	struct envelope envelope;
	struct span state;
	uint64_t offset = (uint64_t)place->at * INDEX_UNIT;

	int err = format_get_message(record->payload, &message);
	CHECK(err == 0); /* index_apply() has read it */
	arena_reset(&index->arena);
	err = index_envelope(&message, &index->arena, &envelope);
	if (err) {
		/* It stays where it is: a person may read what a program cannot. */
		place->flags |= PLACE_BAD;
		index_report(index, segment, message.id, offset,
			err == ERR_NOMEM ? "no memory for its envelope"
					 : "its envelope is damaged");
		return;
	}
	err = index_read_state(index, place, record->id, &state);
	if (err) {
		index_report(index, segment, message.id, offset,
			"its kept state is damaged; all recipients are tried anew");
		state = SPAN_NONE;
	}
	store->config.handler->message(store->config.context, &envelope, state);
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

static uint32_t take_batch(
	struct spool_store *store, struct segment *segment, const struct walk_batch *batch)
{
	struct spool_index *index = &store->index;
	struct walk_cursor at = walk_records(batch);
	struct format_record record;
	uint64_t offset;
	uint32_t count = 0;
	/* Of the journal, messages come to the queue when all of it is read: a later record may say
	 * that they are done. */
	bool emit = segment->id.owner != SPOOL_OWNER_DELIVERY;
	bool check = !store->journal.open || segment->closed;

	while (walk_record(&index->walk, batch, &at, &record, &offset)) {
		struct place *place;
		index_apply(index, segment, &record, offset, &place);
		count++;
		if (!place)
			continue;
		if (check && !index->walk.unproven)
			place->flags |= PLACE_CHECK;
		if (emit)
			store_emit(store, segment, place, &record);
	}
	return count;
}

static void keep_position(struct segment *segment, const struct walk *walk)
{
	if (segment->end != walk->end && segment->id.owner != SPOOL_OWNER_DELIVERY)
		segment->extent_news = true;
	segment->end = walk->end;
	segment->next = walk->at;
	segment->sequence = walk->sequence;
	segment->proven = MAX(segment->proven, walk->proven);
}

int store_read(struct spool_store *store, struct segment *segment, uint32_t most)
{
	struct walk *walk = &store->index.walk;
	uint32_t count = 0;

	walk->settle = true;
	for (;;) {
		struct walk_batch batch;
		int err = walk_next(walk, &batch);
		keep_position(segment, walk);
		if (segment->extent_news)
			store->journal.extents = true;
		if (err)
			return err == ERR_NOT_FOUND ? 0 : err;
		count += take_batch(store, segment, &batch) + 1;
		if (count >= most)
			return ERR_AGAIN;
	}
}

void store_end_segment(struct spool_store *store, struct segment *segment)
{
	segment->loaded = true;
	segment->closed = true;
	if (store->index.walk.torn && !segment->damaged) {
		segment->cut = true;
		segment->cut_at = segment->end;
		segment->extent_news = true;
		store->journal.extents = true;
	}
	if (segment->place_count && segment->place_count < segment->place_room) {
		struct place *places =
			realloc(segment->places, segment->place_count * sizeof(*places));
		if (places) {
			segment->places = places;
			segment->place_room = segment->place_count;
		}
	}
}

/* ---- what there is ---------------------------------------------------------------------- */

struct listing {
	struct spool_store *store;
	uint8_t owner;
	int (*each)(struct spool_store *store, uint8_t owner, uint32_t serial);
};

static int add_orphan(struct loader *loader, struct store_orphan orphan)
{
	if (loader->orphan_count == loader->orphan_room) {
		size_t room = loader->orphan_room ? loader->orphan_room * 2 : 64;
		struct store_orphan *orphans = realloc(loader->orphans, room * sizeof(*orphans));
		if (!orphans)
			return ERR_NOMEM;
		loader->orphans = orphans;
		loader->orphan_room = room;
	}
	loader->orphans[loader->orphan_count++] = orphan;
	return 0;
}

static int on_name(void *arg, const char *name)
{
	const struct listing *listing = arg;
	uint32_t serial, number;

	switch (format_parse_name(name, &serial, &number)) {
	case FORMAT_NAME_LOG: return listing->each(listing->store, listing->owner, serial);
	case FORMAT_NAME_BODY:
		return add_orphan(&listing->store->loader,
			(struct store_orphan){listing->owner, serial, number, false});
	case FORMAT_NAME_OTHER: break;
	}
	return 0;
}

int store_list(struct spool_store *store, uint8_t owner,
	int (*each)(struct spool_store *store, uint8_t owner, uint32_t serial))
{
	struct listing listing = {store, owner, each};
	char dir[FORMAT_PATH];

	format_dir(dir, owner);
	return disk_list(store->config.disk, dir, on_name, &listing);
}

static void report_path(struct spool_store *store, uint8_t owner, uint32_t serial, const char *what)
{
	char path[FORMAT_PATH];

	format_log_path(path, owner, serial);
	store->config.handler->damaged(store->config.context, 0, path, 0, what);
}

/* Opens a log file and makes it known. A file whose header is unreadable is left alone. */
int store_add_log(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct io_file *io;
	struct format_file id;
	struct segment *segment;
	char path[FORMAT_PATH];

	if (index_find(&store->index, owner, serial))
		return 0;
	format_log_path(path, owner, serial);
	int err = disk_open(store->config.disk, path, DISK_READ, &io);
	if (err == ERR_NOT_FOUND)
		return 0;
	int64_t size = 0;
	if (err == 0) {
		err = walk_page(io, owner, serial, &id);
		size = disk_size(io);
		disk_close(&io);
	}
	/* Made, but never finished: nothing can be in it. */
	if (err == ERR_CORRUPT && size >= 0 && size <= FORMAT_PAGE)
		return add_orphan(&store->loader, (struct store_orphan){owner, serial, 0, true});
	if (err == ERR_NOMEM)
		return err;
	if (err) {
		store->loader.damaged[owner] = true;
		report_path(store, owner, serial,
			err == ERR_CORRUPT ? "the file's header is damaged"
					   : "the file cannot be read");
		return 0;
	}
	return index_add_segment(&store->index, &id, &segment);
}

static int on_dir(void *arg, const char *name)
{
	struct spool_store *store = arg;
	uint8_t owner;

	if (format_parse_dir(name, &owner) != 0)
		return 0;
	/* What is not listed must not come back: the marks about it are forgotten. */
	int err = disk_sync_dir(store->config.disk, name);
	return err ? err : store_list(store, owner, store_add_log);
}

static void take_live(struct spool_store *store, const struct spool_notice *live, size_t count)
{
	struct spool_index *index = &store->index;

	for (size_t i = 0; i < index->count; i++)
		index->segments[i]->closed = true;
	for (size_t i = 0; i < count; i++) {
		uint8_t owner = live[i].owner;
		if (owner >= SPOOL_WORKERS_MOST)
			continue;
		store->loader.live[owner] = true;
		store->newest[owner] = live[i].serial;
		for (size_t j = index_first(index, owner);
			j < index->count && index->segments[j]->id.owner == owner; j++) {
			struct segment *segment = index->segments[j];
			if (segment->id.serial < live[i].serial)
				continue;
			bool current = segment->id.serial == live[i].serial;
			segment->closed = false;
			uint64_t durable = current ? live[i].durable : 0;
			segment->limit = MAX(durable, FORMAT_PAGE);
			segment->proven = durable;
		}
	}
}

static int scan(struct spool_store *store, const struct spool_notice *live, size_t live_count)
{
	struct spool_index *index = &store->index;

	/* A second try begins anew. */
	while (index->count)
		index_drop_segment(index, index->segments[index->count - 1]);
	store->loader.orphan_count = 0;
	memset(store->loader.live, 0, sizeof(store->loader.live));
	memset(store->newest, 0, sizeof(store->newest));
	int err = disk_list(store->config.disk, "", on_dir, store);
	if (err)
		return err;
	take_live(store, live, live_count);
	err = index_take_seals(index, 0, index->count);
	index->loading = true;
	return err;
}

/* ---- reading it ------------------------------------------------------------------------- */

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
		int err = loader->walking ? 0 : index_walk(&store->index, segment);
		loader->walking = err == 0;
		if (err == 0)
			err = store_read(store, segment, most);
		if (err == ERR_AGAIN)
			return err;
		if (loader->walking)
			index_walk_end(&store->index, segment);
		loader->walking = false;
		if (err == ERR_NOMEM)
			return err;
		if (err) {
			segment->damaged = true;
			report_path(store, segment->id.owner, segment->id.serial,
				"the file cannot be read");
		}
		end_loading(store, segment);
	}
	return 0;
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
			if (err == ERR_NOMEM)
				return err;
			if (err) {
				place->flags |= PLACE_BAD;
				index_report(index, segment, 0, (uint64_t)place->at * INDEX_UNIT,
					"a record is damaged");
				continue;
			}
			if (place->flags & PLACE_MOVED)
				learn_moved(store, &record);
			store_emit(store, segment, place, &record);
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
		err = scan(store, live, live_count);
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
