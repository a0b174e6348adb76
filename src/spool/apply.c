/* Records become knowledge: the one place where both recovery and the running store learn. */
#include "spool/index.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#include <stdlib.h>

#define PLACES_FIRST 64

/* ---- places ----------------------------------------------------------------------------- */

static struct place *grow_to(struct segment *segment, uint32_t number)
{
	if (number >= segment->place_room) {
		uint32_t room = MAX(segment->place_room, (uint32_t)PLACES_FIRST);
		while (room <= number)
			room *= 2;
		struct place *places = realloc(segment->places, room * sizeof(*places));
		CHECK(places); /* without memory the role had better start anew */
		segment->places = places;
		segment->place_room = room;
	}
	if (number >= segment->place_count) {
		memset(segment->places + segment->place_count, 0,
			(number + 1 - segment->place_count) * sizeof(struct place));
		segment->place_count = number + 1;
	}
	return &segment->places[number];
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

static void set_free(struct spool_index *index, struct segment *segment, uint32_t number)
{
	struct place *place = grow_to(segment, number);

	if (place->flags & PLACE_FREE)
		return;
	if (place->flags & PLACE_USED) {
		segment->live--;
		segment->live_bytes -= live_size(place);
	}
	place->flags |= PLACE_FREE;
	drop_state(index, place);
}

/* Marks about a segment exist in this journal file. */
static void note_marks(struct segment *segment, const struct segment *journal)
{
	if (!segment->marks)
		segment->marks = journal->id.serial;
}

/* ---- messages --------------------------------------------------------------------------- */

static bool fits(const struct segment *segment, const struct format_record *record,
	const struct format_message *message)
{
	bool journal = segment->id.owner == SPOOL_OWNER_DELIVERY;

	/* Only delivery moves messages, and a worker may speak of nobody's files but its own. */
	return format_id_serial(record->id) == segment->id.serial &&
	       format_id_owner(record->id) == segment->id.owner &&
	       format_id_place(record->id) < segment->place_count + INDEX_GAP_MOST &&
	       (journal || message->id == record->id) &&
	       (journal || !message->body_serial || message->body_owner == segment->id.owner);
}

static void apply_message(struct spool_index *index, struct segment *segment,
	const struct format_record *record, uint64_t offset, struct place **out)
{
	struct format_message message;

	if (format_get_message(record->payload, &message) != 0 ||
		!fits(segment, record, &message)) {
		segment->damaged = true;
		index_report(index, segment, 0, offset, "a message record makes no sense");
		return;
	}
	struct place *place = grow_to(segment, format_id_place(record->id));
	if (place->flags & PLACE_USED) {
		segment->damaged = true;
		index_report(index, segment, record->id, offset, "a place is used twice");
		return;
	}
	place->flags |= PLACE_USED;
	place->at = (uint32_t)(offset / INDEX_UNIT);
	place->size = (uint32_t)(format_record_bytes(record->payload.n) / INDEX_UNIT) & 0xffffff;
	place->body = message.body_serial ? 0
					  : (uint32_t)MIN(message.body_bytes + FORMAT_END_BYTES,
						    (uint64_t)UINT32_MAX);
	if (message.body_serial)
		place->flags |= PLACE_FILE;
	if (message.id != record->id)
		place->flags |= PLACE_MOVED;
	if (place->flags & PLACE_FREE)
		return;
	segment->live++;
	segment->live_bytes += live_size(place);
	*out = place;
}

/* ---- the journal's own records ---------------------------------------------------------- */

static void apply_state(struct spool_index *index, struct segment *journal,
	const struct format_record *record, uint64_t offset)
{
	struct segment *segment =
		index_find(index, format_id_owner(record->id), format_id_serial(record->id));

	if (!segment)
		return; /* its file is gone: it was done */
	struct place *place = grow_to(segment, format_id_place(record->id));
	if (place->flags & PLACE_FREE)
		return;
	drop_state(index, place);
	if (!record->payload.n)
		return;
	place->state_serial = journal->id.serial;
	place->state_at = (uint32_t)(offset / INDEX_UNIT);
	place->state_size = (uint32_t)(format_record_bytes(record->payload.n) / INDEX_UNIT);
	journal->states++;
	journal->state_bytes += format_record_bytes(record->payload.n);
}

static void apply_done(
	struct spool_index *index, struct segment *journal, const struct format_record *record)
{
	struct cursor c = cursor_of(record->payload);

	while (cursor_left(&c)) {
		uint64_t id = cursor_u64(&c);
		struct segment *segment =
			index_find(index, format_id_owner(id), format_id_serial(id));
		if (!segment)
			continue;
		set_free(index, segment, format_id_place(id));
		note_marks(segment, journal);
	}
}

static void apply_checkpoint(
	struct spool_index *index, struct segment *journal, const struct format_record *record)
{
	struct segment *segment =
		index_find(index, format_id_owner(record->id), format_id_serial(record->id));

	if (!segment || record->payload.n > FORMAT_PLACES / 8)
		return;
	for (size_t i = 0; i < record->payload.n; i++) {
		unsigned char byte = (unsigned char)record->payload.p[i];
		for (uint32_t bit = 0; byte && bit < 8; bit++)
			if (byte & 1u << bit)
				set_free(index, segment, (uint32_t)(i * 8 + bit));
	}
	segment->marks = journal->id.serial;
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

void index_apply(struct spool_index *index, struct segment *segment,
	const struct format_record *record, uint64_t offset, struct place **out)
{
	*out = NULL;
	/* A worker's log holds messages, whatever it may say. */
	bool journal = segment->id.owner == SPOOL_OWNER_DELIVERY;

	if (record->type == FORMAT_MESSAGE)
		apply_message(index, segment, record, offset, out);
	else if (journal && record->type == FORMAT_STATE)
		apply_state(index, segment, record, offset);
	else if (journal && record->type == FORMAT_DONE)
		apply_done(index, segment, record);
	else if (journal && record->type == FORMAT_CHECKPOINT)
		apply_checkpoint(index, segment, record);
	else if (journal && record->type == FORMAT_EXTENT)
		apply_extent(index, segment, record);
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
