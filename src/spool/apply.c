/* Records become knowledge: the one place where both recovery and the running store learn. */
#include "spool/index.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#include <stdlib.h>

#define PLACES_FIRST 64

/* ---- places ----------------------------------------------------------------------------- */

/* Places cost memory, and a number costs nothing: a file gets no more of them than honest ones have
 * beyond the records that were seen. */
static bool has_room(
	const struct spool_index *index, const struct segment *segment, uint32_t number)
{
	if (number < segment->place_count)
		return true;
	uint32_t skipped = number - segment->place_count;

	return segment->holes + skipped <= FORMAT_HOLES &&
	       index->holes[segment->id.owner] + skipped <= INDEX_OWNER_HOLES;
}

/* NULL: no memory. */
static struct place *grow_to(struct spool_index *index, struct segment *segment, uint32_t number)
{
	if (number >= segment->place_room) {
		uint32_t room = MAX(segment->place_room, (uint32_t)PLACES_FIRST);
		while (room <= number)
			room *= 2;
		struct place *places = realloc(segment->places, room * sizeof(*places));
		if (!places)
			return NULL;
		segment->places = places;
		segment->place_room = room;
	}
	if (number >= segment->place_count) {
		uint32_t more = number + 1 - segment->place_count;
		memset(segment->places + segment->place_count, 0, more * sizeof(struct place));
		segment->place_count = number + 1;
		segment->holes += more;
		index->holes[segment->id.owner] += more;
	}
	return &segment->places[number];
}

/* It is used, or free: no hole any more. */
static void set_flag(struct spool_index *index, struct segment *segment, struct place *place,
	enum place_flags flag)
{
	if (!(place->flags & (PLACE_USED | PLACE_FREE))) {
		segment->holes--;
		index->holes[segment->id.owner]--;
	}
	place->flags |= (uint8_t)flag;
}

static bool is_lost(const struct place *place)
{
	return place->flags & PLACE_USED && !place->size;
}

static uint64_t live_size(const struct place *place)
{
	return (uint64_t)place->size * INDEX_UNIT + place->body;
}

static void drop_state(struct spool_index *index, struct place *place)
{
	if (!place->state_serial)
		return;
	struct segment *journal = index_find(index, SPOOL_OWNER_DELIVERY, place->state_serial);
	if (journal) {
		journal->states--;
		journal->state_bytes -= (uint64_t)place->state_size * INDEX_UNIT;
	}
	place->state_serial = place->state_at = place->state_size = 0;
}

static int set_free(struct spool_index *index, struct segment *segment, uint32_t number)
{
	struct place *place = grow_to(index, segment, number);

	if (!place)
		return ERR_NOMEM;
	if (place->flags & PLACE_FREE)
		return 0;
	if (place->flags & PLACE_USED) {
		segment->live--;
		segment->live_bytes -= live_size(place);
		segment->lost -= is_lost(place);
	}
	set_flag(index, segment, place, PLACE_FREE);
	drop_state(index, place);
	return 0;
}

/* Marks about a segment exist in this journal file. */
static void note_marks(struct segment *segment, const struct segment *journal)
{
	if (!segment->marks)
		segment->marks = journal->id.serial;
}

/* ---- messages --------------------------------------------------------------------------- */

/* Only delivery moves messages, and a worker may speak of nobody's files but its own. */
static bool worker_may(const struct segment *segment, const struct format_record *record,
	const struct format_message *message)
{
	if (message->id != record->id)
		return false;
	if (message->body_serial)
		return message->body_owner == segment->id.owner &&
		       message->body_bytes <= FORMAT_BODY_BYTES;
	return message->body_bytes <= FORMAT_INLINE_BYTES &&
	       message->body_offset <= FORMAT_FILE_BYTES;
}

/* NULL: it is right. */
static const char *find_fault(const struct spool_index *index, const struct segment *segment,
	const struct format_record *record, struct format_message *message)
{
	uint32_t number = format_id_place(record->id);

	if (format_get_message(record->payload, message) != 0 ||
		format_id_serial(record->id) != segment->id.serial ||
		format_id_owner(record->id) != segment->id.owner ||
		(segment->id.owner != SPOOL_OWNER_DELIVERY &&
			!worker_may(segment, record, message)))
		return "a message record makes no sense";
	if (!has_room(index, segment, number))
		return "a message has a number far beyond all others";
	return NULL;
}

/* False: another record has the place. */
static bool take_place(struct segment *segment, struct place *place)
{
	if (!(place->flags & PLACE_USED))
		return true;
	if (!is_lost(place))
		return false;
	/* It was another record that was lost: that one's number was damaged, too. */
	segment->damaged = true;
	if (!(place->flags & PLACE_FREE)) {
		segment->lost--;
		segment->live--;
	}
	place->flags &= (uint8_t)~PLACE_BAD;
	return true;
}

static void fill_place(struct place *place, const struct format_record *record, uint64_t offset,
	const struct format_message *message)
{
	uint64_t body = message->body_bytes + FORMAT_END_BYTES;

	place->at = (uint32_t)(offset / INDEX_UNIT);
	place->size = (uint32_t)(format_record_bytes(record->payload.n) / INDEX_UNIT) & 0xffffff;
	place->body = message->body_serial ? 0 : (uint32_t)MIN(body, (uint64_t)UINT32_MAX);
	if (message->body_serial)
		place->flags |= PLACE_FILE;
	if (message->id != record->id)
		place->flags |= PLACE_MOVED;
}

static int apply_message(struct spool_index *index, struct segment *segment,
	const struct format_record *record, uint64_t offset, struct place **out)
{
	struct format_message message;

	const char *fault = find_fault(index, segment, record, &message);
	struct place *place = fault ? NULL : grow_to(index, segment, format_id_place(record->id));
	if (!place && !fault)
		return ERR_NOMEM;
	/* The same one, read once more. */
	if (place && !is_lost(place) && place->flags & PLACE_USED &&
		place->at == offset / INDEX_UNIT)
		return 0;
	if (place && !take_place(segment, place))
		fault = "a place is used twice";
	if (fault) {
		segment->damaged = true;
		index_report(index, segment, 0, offset, fault);
		return 0;
	}
	set_flag(index, segment, place, PLACE_USED);
	fill_place(place, record, offset, &message);
	if (place->flags & PLACE_FREE)
		return 0;
	segment->live++;
	segment->live_bytes += live_size(place);
	*out = place;
	return 0;
}

bool index_lose(struct spool_index *index, struct segment *segment, uint64_t place_id,
	uint64_t offset, bool *told)
{
	uint32_t number = format_id_place(place_id);
	const struct place *known = number < segment->place_count ? &segment->places[number] : NULL;

	if (!has_room(index, segment, number) || offset / INDEX_UNIT > UINT32_MAX)
		return false;
	if (known && (known->flags & PLACE_FREE || is_lost(known))) {
		*told = true;
		return true;
	}
	if (known && known->flags & PLACE_USED)
		return false;
	struct place *place = grow_to(index, segment, number);
	if (!place)
		return false;
	set_flag(index, segment, place, PLACE_USED);
	place->flags |= PLACE_BAD;
	place->at = (uint32_t)(offset / INDEX_UNIT);
	segment->live++;
	segment->lost++;
	/* A later record of the journal may say that it is done. */
	*told = *told || (index->loading && segment->id.owner == SPOOL_OWNER_DELIVERY);
	return true;
}

/* ---- the journal's own records ---------------------------------------------------------- */

static int apply_state(struct spool_index *index, struct segment *journal,
	const struct format_record *record, uint64_t offset)
{
	struct segment *segment =
		index_find(index, format_id_owner(record->id), format_id_serial(record->id));

	if (!segment)
		return 0; /* its file is gone: it was done */
	struct place *place = grow_to(index, segment, format_id_place(record->id));
	if (!place)
		return ERR_NOMEM;
	if (place->flags & PLACE_FREE)
		return 0;
	drop_state(index, place);
	if (!record->payload.n)
		return 0;
	place->state_serial = journal->id.serial;
	place->state_at = (uint32_t)(offset / INDEX_UNIT);
	place->state_size = (uint32_t)(format_record_bytes(record->payload.n) / INDEX_UNIT);
	journal->states++;
	journal->state_bytes += format_record_bytes(record->payload.n);
	return 0;
}

static int apply_done(
	struct spool_index *index, struct segment *journal, const struct format_record *record)
{
	struct cursor c = cursor_of(record->payload);

	while (cursor_left(&c)) {
		uint64_t id = cursor_u64(&c);
		struct segment *segment =
			index_find(index, format_id_owner(id), format_id_serial(id));
		if (!segment)
			continue;
		int err = set_free(index, segment, format_id_place(id));
		if (err)
			return err;
		note_marks(segment, journal);
	}
	return 0;
}

static int apply_checkpoint(
	struct spool_index *index, struct segment *journal, const struct format_record *record)
{
	struct segment *segment =
		index_find(index, format_id_owner(record->id), format_id_serial(record->id));
	int err = 0;

	if (!segment || record->payload.n > FORMAT_PLACES / 8)
		return 0;
	for (size_t i = 0; i < record->payload.n && !err; i++) {
		unsigned char byte = (unsigned char)record->payload.p[i];
		for (uint32_t bit = 0; byte && bit < 8 && !err; bit++)
			if (byte & 1u << bit)
				err = set_free(index, segment, (uint32_t)(i * 8 + bit));
	}
	if (err == 0)
		segment->marks = journal->id.serial;
	return err;
}

static void apply_extent(
	struct spool_index *index, struct segment *journal, const struct format_record *record)
{
	struct segment *segment =
		index_find(index, format_id_owner(record->id), format_id_serial(record->id));
	struct format_extent extent;

	if (!segment || format_get_extent(record->payload, &extent) != 0)
		return;
	segment->proven = MAX(segment->proven, extent.end);
	note_marks(segment, journal);
	if (extent.final) {
		segment->cut = segment->cut_kept = true;
		segment->cut_at = extent.end;
	} else if (segment->cut && extent.end > segment->cut_at) {
		segment->cut = segment->cut_kept =
			false; /* its writer lived after all, and wrote on */
	}
}

int index_apply(struct spool_index *index, struct segment *segment,
	const struct format_record *record, uint64_t offset, struct place **out)
{
	*out = NULL;
	if (offset / INDEX_UNIT > UINT32_MAX) {
		segment->damaged = true;
		index_report(index, segment, 0, offset, "a record lies further on than a log goes");
		return 0;
	}
	if (record->type == FORMAT_MESSAGE)
		return apply_message(index, segment, record, offset, out);
	/* A worker's log holds messages, whatever it may say. */
	if (segment->id.owner != SPOOL_OWNER_DELIVERY)
		return 0;
	switch (record->type) {
	case FORMAT_STATE: return apply_state(index, segment, record, offset);
	case FORMAT_DONE: return apply_done(index, segment, record);
	case FORMAT_CHECKPOINT: return apply_checkpoint(index, segment, record);
	case FORMAT_EXTENT: apply_extent(index, segment, record); return 0;
	default: return 0;
	}
}

void index_put_checkpoint(const struct segment *segment, struct buf *buf)
{
	for (uint32_t at = 0; at < segment->place_count; at += 8) {
		uint8_t byte = 0;
		for (uint32_t bit = 0; bit < 8 && at + bit < segment->place_count; bit++)
			if (segment->places[at + bit].flags & PLACE_FREE)
				byte |= (uint8_t)(1u << bit);
		buf_put_u8(buf, byte);
	}
}
