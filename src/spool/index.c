#include "spool/index.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

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

struct segment *index_before(const struct spool_index *index, const struct segment *segment)
{
	size_t at = lower(index, key_of(segment->id.owner, segment->id.serial));

	return at && index->segments[at - 1]->id.owner == segment->id.owner
		       ? index->segments[at - 1]
		       : NULL;
}

int index_add_segment(struct spool_index *index, const struct format_file *id, struct segment **out)
{
	size_t at = lower(index, key_of(id->owner, id->serial));

	if (is_at(index, at, id->owner, id->serial))
		return ERR_EXISTS;
	if (index_last(index, id->owner) - index_first(index, id->owner) >= INDEX_FILES_MOST)
		return ERR_LIMIT;
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
		.limit = WALK_ALL,
		.patience = index->patience};
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
	index->holes[segment->id.owner] -= segment->holes;
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

/* A walk that begins anew in a file meets the same damage once more. */
static void on_damage(void *arg, const struct walk_loss *loss)
{
	struct spool_index *index = arg;
	struct segment *segment = index_find(index, loss->file->owner, loss->file->serial);
	bool told = segment && loss->offset < segment->told;

	if (!segment)
		return;
	segment->told = MAX(segment->told, loss->offset + 1);
	/* Where it is known which messages it hit, nothing else was missed; and what else the
	 * journal said of them cannot be read better by keeping it. */
	bool known = loss->no_message ||
		     (loss->id && index_lose(index, segment, loss->id, loss->offset, &told));
	if (!known)
		segment->damaged = segment->damaged || !told;
	if (!told)
		index_report(index, segment, loss->id, loss->offset, loss->what);
}

/* Nothing can be delivered without the journal, so it has one patience for all its files. */
static uint32_t *patience_of(struct spool_index *index, struct segment *segment)
{
	return segment->id.owner == SPOOL_OWNER_DELIVERY ? &index->patience : &segment->patience;
}

bool index_waits(struct spool_index *index, struct segment *segment)
{
	uint32_t *patience = patience_of(index, segment);

	if (!*patience)
		return false;
	--*patience;
	return true;
}

/* One whose header could not be read when it became known. */
static int learn_header(struct segment *segment)
{
	if (!segment->headless)
		return 0;
	int err = walk_page(segment->io, segment->id.owner, segment->id.serial, &segment->id);
	segment->headless = err != 0;
	return err;
}

/* What the walk is to look at: asks the file only where nobody knows. */
static int size_of(const struct segment *segment, uint64_t known, uint64_t *out)
{
	int64_t size = known ? (int64_t)known : disk_size(segment->io);

	if (size < 0)
		return (int)size;
	*out = (uint64_t)size;
	return 0;
}

static void say_too_long(struct spool_index *index, struct segment *segment)
{
	if (segment->told > FORMAT_FILE_BYTES)
		return;
	segment->damaged = true;
	segment->told = FORMAT_FILE_BYTES + 1;
	index_report(index, segment, 0, FORMAT_FILE_BYTES,
		"the file is longer than a log can be; nothing is read from here on");
}

int index_walk(
	struct spool_index *index, struct walk *walk, struct segment *segment, uint64_t known)
{
	uint64_t size = 0;

	int err = index_hold(index, segment);
	if (err == 0) {
		err = learn_header(segment);
		if (err == 0)
			err = size_of(segment, known, &size);
		if (err)
			index_release(index, segment);
	}
	if (err == ERR_NOMEM || err == ERR_NOT_FOUND || err == ERR_CORRUPT)
		return err;
	if (err)
		return index_waits(index, segment) ? ERR_IO : ERR_CORRUPT;
	walk_begin(walk, segment->io, &segment->id, size);
	if (walk->too_long)
		say_too_long(index, segment);
	walk->patience = patience_of(index, segment);
	walk->damage = on_damage;
	walk->arg = index;
	walk->at = segment->next;
	walk->end = segment->end;
	walk->sequence = segment->sequence;
	walk->proven = segment->proven;
	walk->limit = segment->cut ? MIN(segment->limit, segment->cut_at) : segment->limit;
	return 0;
}

void index_walk_end(struct spool_index *index, struct walk *walk, struct segment *segment)
{
	walk_end(walk);
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

/* ---- beginning and end ------------------------------------------------------------------ */

void index_report(struct spool_index *index, struct segment *segment, uint64_t id, uint64_t offset,
	const char *what)
{
	char path[FORMAT_PATH];

	/* Who writes nonsense must not fill the trace with it. */
	if (segment->reports > INDEX_REPORTS)
		return;
	if (segment->reports++ == INDEX_REPORTS)
		what = "there is more damage in this file, which is not listed";
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
