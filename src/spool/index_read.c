/* Single records, read again where the index says that they lie. */
#include "spool/index.h"

#include "base/check.h"
#include "base/err.h"

#define STATE_AHEAD (256u << 10) /* bytes of a journal file read ahead of states */

static int read_whole(const struct segment *segment, uint64_t at, uint64_t n, struct buf *into)
{
	buf_clear(into);
	if (!buf_reserve(into, (size_t)n)) {
		buf_clear(into);
		return ERR_NOMEM;
	}
	int64_t got = walk_read(segment->io, into->p, n, at);
	if (got < 0)
		return (int)got;
	buf_wrote(into, (size_t)got);
	return 0;
}

static uint64_t id_of(const struct segment *segment, const struct place *place)
{
	return SPOOL_ID(segment->id.serial, segment->id.owner, (uint64_t)(place - segment->places));
}

static int parse(const struct segment *segment, const struct place *place, struct span bytes,
	struct format_record *record, struct format_message *message)
{
	uint64_t place_id = id_of(segment, place);
	size_t whole;

	int err = format_get_record(bytes, segment->id.salt, record, &whole);
	if (err == 0 && (record->type != FORMAT_MESSAGE || record->id != place_id))
		err = ERR_CORRUPT;
	return err ? err : format_get_message(record->payload, message);
}

int index_read(struct spool_index *index, struct segment *segment, const struct place *place,
	struct format_record *record, struct format_message *message)
{
	uint64_t at = (uint64_t)place->at * INDEX_UNIT, n = (uint64_t)place->size * INDEX_UNIT;
	uint64_t place_id = id_of(segment, place);
	struct span seen;

	if (!n)
		return ERR_CORRUPT; /* its record is lost */
	/* What just came in is asked for in the same turn, for its first attempt; and an attempt
	 * asks for a message twice, for its envelope and its body. Later it is read again: what a
	 * disk has lost is better known than not. */
	if (index->fresh && walk_seen(&index->walk, &segment->id, at, n, &seen) &&
		parse(segment, place, seen, record, message) == 0)
		return 0;
	if (index->read_last == place_id &&
		parse(segment, place, buf_span(&index->record), record, message) == 0)
		return 0;
	index->read_last = 0;
	int err = index_open(index, segment);
	if (err == 0)
		err = read_whole(segment, at, n, &index->record);
	return err ? err : parse(segment, place, buf_span(&index->record), record, message);
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
