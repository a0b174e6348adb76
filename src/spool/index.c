#include "spool/index.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define STATE_AHEAD (256u << 10) /* bytes of a journal file read ahead of states */

/* ---- the list of files ------------------------------------------------------------------ */

static uint64_t key_of(uint8_t owner, uint32_t serial)
{
	return (uint64_t)owner << 32 | serial;
}

/* The first segment with a key of at least this. */
static size_t lower(const struct spool_index *index, uint64_t key)
{
	size_t from = 0, to = index->count;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		const struct format_file *id = &index->segments[mid]->id;
		if (key_of(id->owner, id->serial) < key)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static bool is_at(const struct spool_index *index, size_t at, uint8_t owner, uint32_t serial)
{
	return at < index->count && index->segments[at]->id.serial == serial &&
	       index->segments[at]->id.owner == owner;
}

struct segment *index_find(struct spool_index *index, uint8_t owner, uint32_t serial)
{
	if (!is_at(index, index->last, owner, serial))
		index->last = lower(index, key_of(owner, serial));
	return is_at(index, index->last, owner, serial) ? index->segments[index->last] : NULL;
}

size_t index_first(const struct spool_index *index, uint8_t owner)
{
	return lower(index, key_of(owner, 0));
}

size_t index_last(const struct spool_index *index, uint8_t owner)
{
	return lower(index, key_of(owner, UINT32_MAX) + 1);
}

int index_add_segment(struct spool_index *index, const struct format_file *id, struct segment **out)
{
	size_t at = lower(index, key_of(id->owner, id->serial));

	CHECK(!is_at(index, at, id->owner, id->serial));
	if (index->count == index->room) {
		size_t room = index->room ? index->room * 2 : 64;
		struct segment **list = realloc(index->segments, room * sizeof(struct segment *));
		if (!list)
			return ERR_NOMEM;
		index->segments = list;
		index->room = room;
	}
	struct segment *segment = calloc(1, sizeof(*segment));
	if (!segment)
		return ERR_NOMEM;
	*segment = (struct segment){.id = *id,
		.end = FORMAT_PAGE,
		.next = FORMAT_PAGE,
		.sequence = -1,
		.limit = WALK_ALL};
	memmove(index->segments + at + 1, index->segments + at,
		(index->count - at) * sizeof(struct segment *));
	index->segments[at] = segment;
	index->count++;
	*out = segment;
	return 0;
}

static void close_segment(struct spool_index *index, struct segment *segment)
{
	if (!segment->io)
		return;
	disk_close(&segment->io);
	index->open--;
}

void index_drop_segment(struct spool_index *index, struct segment *segment)
{
	size_t at = lower(index, key_of(segment->id.owner, segment->id.serial));

	CHECK(index->segments[at] == segment && !segment->refs);
	close_segment(index, segment);
	memmove(index->segments + at, index->segments + at + 1,
		(index->count - at - 1) * sizeof(struct segment *));
	index->count--;
	free(segment->places);
	free(segment);
}

/* ---- open files ------------------------------------------------------------------------- */

static void close_oldest(struct spool_index *index)
{
	struct segment *oldest = NULL;

	for (size_t i = 0; i < index->count; i++) {
		struct segment *segment = index->segments[i];
		if (segment->io && !segment->refs && (!oldest || segment->used < oldest->used))
			oldest = segment;
	}
	if (oldest)
		close_segment(index, oldest);
}

int index_open(struct spool_index *index, struct segment *segment)
{
	char path[FORMAT_PATH];

	segment->used = ++index->clock;
	if (segment->io)
		return 0;
	if (index->open >= INDEX_FILES_OPEN)
		close_oldest(index);
	format_log_path(path, segment->id.owner, segment->id.serial);
	int err = disk_open(index->disk, path, DISK_READ, &segment->io);
	if (err == 0)
		index->open++;
	return err;
}

int index_hold(struct spool_index *index, struct segment *segment)
{
	int err = index_open(index, segment);

	if (err == 0)
		segment->refs++;
	return err;
}

void index_release(struct spool_index *index, struct segment *segment)
{
	CHECK(segment->refs);
	segment->refs--;
	if (!segment->refs && index->open > INDEX_FILES_OPEN)
		close_segment(index, segment);
}

static void on_damage(
	void *arg, const struct format_file *file, uint64_t id, uint64_t offset, const char *what)
{
	struct spool_index *index = arg;
	struct segment *segment = index_find(index, file->owner, file->serial);

	CHECK(segment);
	segment->damaged = true;
	index_report(index, segment, id, offset, what);
}

int index_walk(struct spool_index *index, struct segment *segment)
{
	struct walk *walk = &index->walk;

	int err = index_hold(index, segment);
	if (err)
		return err;
	err = walk_begin(walk, segment->io, &segment->id);
	if (err) {
		index_release(index, segment);
		return err;
	}
	walk->damage = on_damage;
	walk->arg = index;
	walk->at = segment->next;
	walk->end = segment->end;
	walk->sequence = segment->sequence;
	walk->proven = segment->proven;
	walk->limit = segment->cut ? MIN(segment->limit, segment->cut_at) : segment->limit;
	return 0;
}

void index_walk_end(struct spool_index *index, struct segment *segment)
{
	index->walk.io = NULL;
	index_release(index, segment);
}

/* ---- places ----------------------------------------------------------------------------- */

struct place *index_place(struct spool_index *index, uint64_t place_id, struct segment **out)
{
	struct segment *segment =
		index_find(index, format_id_owner(place_id), format_id_serial(place_id));
	uint32_t number = format_id_place(place_id);

	if (!segment || number >= segment->place_count)
		return NULL;
	*out = segment;
	return &segment->places[number];
}

struct place *index_message(
	struct spool_index *index, uint64_t id, uint64_t *out_place_id, struct segment **out)
{
	uint64_t place_id = id;
	bool moved = idmap_get(&index->moved, id, &place_id);
	struct place *place = index_place(index, place_id, out);

	if (!place || !(place->flags & PLACE_USED) || (place->flags & (PLACE_FREE | PLACE_DONE)))
		return NULL;
	/* The place that a message was moved to is no message's id. */
	if (!moved && (place->flags & PLACE_MOVED))
		return NULL;
	*out_place_id = place_id;
	return place;
}

static int read_whole(struct segment *segment, uint64_t at, uint64_t n, struct buf *into)
{
	buf_clear(into);
	if (!buf_reserve(into, (size_t)n)) {
		buf_clear(into);
		return ERR_NOMEM;
	}
	int64_t got = disk_read(segment->io, into->p, (size_t)n, at);
	if (got < 0)
		return (int)got;
	buf_wrote(into, (size_t)got);
	return 0;
}

int index_read(struct spool_index *index, struct segment *segment, const struct place *place,
	struct format_record *record, struct format_message *message)
{
	uint64_t place_id = SPOOL_ID(
		segment->id.serial, segment->id.owner, (uint64_t)(place - segment->places));
	size_t bytes;

	int err = index_open(index, segment);
	if (err == 0)
		err = read_whole(segment, (uint64_t)place->at * INDEX_UNIT,
			(uint64_t)place->size * INDEX_UNIT, &index->record);
	if (err == 0)
		err = format_get_record(buf_span(&index->record), segment->id.salt, record, &bytes);
	if (err == 0 && (record->type != FORMAT_MESSAGE || record->id != place_id))
		err = ERR_CORRUPT;
	return err ? err : format_get_message(record->payload, message);
}

/* States were mostly written in the order in which they are read at load. */
static int read_ahead(struct spool_index *index, struct segment *journal, uint64_t at, uint64_t n,
	struct span *out)
{
	bool inside = index->loading && index->ahead_serial == journal->id.serial &&
		      at >= index->ahead_at && at + n <= index->ahead_at + index->ahead.n;

	if (!inside) {
		int err = index_open(index, journal);
		if (err == 0)
			err = read_whole(journal, at,
				index->loading ? MAX(n, (uint64_t)STATE_AHEAD) : n, &index->ahead);
		if (err) {
			index->ahead_serial = 0;
			return err;
		}
		index->ahead_serial = journal->id.serial;
		index->ahead_at = at;
	}
	uint64_t skip = at - index->ahead_at;
	*out = span_of(index->ahead.p + skip, (size_t)MIN(n, index->ahead.n - skip));
	return 0;
}

int index_read_state(
	struct spool_index *index, const struct place *place, uint64_t place_id, struct span *out)
{
	struct format_record record;
	struct span bytes;
	size_t whole;

	if (!place->state_serial) {
		*out = SPAN_NONE;
		return 0;
	}
	struct segment *journal = index_find(index, SPOOL_OWNER_DELIVERY, place->state_serial);
	if (!journal)
		return ERR_CORRUPT;
	uint64_t at = (uint64_t)place->state_at * INDEX_UNIT;
	int err = read_ahead(index, journal, at, (uint64_t)place->state_size * INDEX_UNIT, &bytes);
	if (err == 0)
		err = format_get_record(bytes, journal->id.salt, &record, &whole);
	if (err == 0 && (record.type != FORMAT_STATE || record.id != place_id))
		err = ERR_CORRUPT;
	if (err)
		return err;
	buf_clear(&index->state);
	buf_add_span(&index->state, record.payload);
	if (!buf_ok(&index->state))
		return ERR_NOMEM;
	*out = buf_span(&index->state);
	return 0;
}

int index_envelope(const struct format_message *message, struct arena *arena, struct envelope *out)
{
	struct envelope envelope;

	int err = envelope_decode(message->envelope, arena, &envelope);
	if (err)
		return err;
	envelope.id = message->id;
	envelope.body_bytes = message->body_bytes;
	envelope.body_hash = message->body_hash;
	if (envelope.header_bytes > envelope.body_bytes)
		return ERR_CORRUPT;
	*out = envelope;
	return 0;
}

/* ---- beginning and end ------------------------------------------------------------------ */

void index_report(struct spool_index *index, const struct segment *segment, uint64_t id,
	uint64_t offset, const char *what)
{
	char path[FORMAT_PATH];

	format_log_path(path, segment->id.owner, segment->id.serial);
	index->damage(index->arg, id, path, offset, what);
}

void index_init(struct spool_index *index, struct disk *disk,
	void (*damage)(void *arg, uint64_t id, const char *path, uint64_t offset, const char *what),
	void *arg)
{
	*index = (struct spool_index){.disk = disk, .damage = damage, .arg = arg};
	walk_init(&index->walk, disk);
	buf_init(&index->record, SIZE_MAX);
	buf_init(&index->state, SIZE_MAX);
	buf_init(&index->ahead, SIZE_MAX);
	arena_init(&index->arena, INDEX_ARENA);
}

void index_done(struct spool_index *index)
{
	while (index->count)
		index_drop_segment(index, index->segments[index->count - 1]);
	free(index->segments);
	idmap_done(&index->moved);
	walk_done(&index->walk);
	buf_done(&index->record);
	buf_done(&index->state);
	buf_done(&index->ahead);
	arena_reset(&index->arena);
}
