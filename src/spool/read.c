/* From batches to knowledge, and to the queue: what recovery and notices have in common. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

int store_emit(struct spool_store *store, struct segment *segment, struct place *place,
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
		return 0;
	}
	err = index_read_state(index, place, record->id, &state);
	/* Without it, recipients that are done would get the message again. */
	if (err == ERR_IO && store->loader.phase != LOAD_DONE && index_waits(index))
		return ERR_IO;
	if (err) {
		index_report(index, segment, message.id, offset,
			"its kept state is damaged; all recipients are tried anew");
		state = SPAN_NONE;
	}
	store->config.handler->message(store->config.context, &envelope, state);
	return 0;
}

/* Takes in what is left of the batch. ERR_IO: it stopped in the middle, and goes on later. */
static int take_batch(struct spool_store *store, struct segment *segment, uint32_t *count)
{
	struct spool_index *index = &store->index;
	struct taking *taking = &store->taking;
	uint64_t offset;
	/* Of the journal, messages come to the queue when all of it is read: a later record may say
	 * that they are done. */
	bool emit = segment->id.owner != SPOOL_OWNER_DELIVERY;
	bool check = !store->journal.open || segment->closed;

	if (!taking->active) {
		taking->at = walk_records(&taking->batch);
		taking->untold = NULL;
		++*count;
	}
	taking->active = true;
	for (;;) {
		int err = taking->untold
				  ? store_emit(store, segment, taking->untold, &taking->record)
				  : 0;
		if (err)
			return err;
		taking->untold = NULL;
		if (!walk_record(
			    &index->walk, &taking->batch, &taking->at, &taking->record, &offset))
			break;
		struct place *place;
		index_apply(index, segment, &taking->record, offset, &place);
		++*count;
		if (place && check && !index->walk.unproven)
			place->flags |= PLACE_CHECK;
		taking->untold = emit ? place : NULL;
	}
	taking->active = false;
	return 0;
}

static void keep_position(struct spool_store *store, struct segment *segment)
{
	const struct walk *walk = &store->index.walk;

	if (segment->end != walk->end && segment->id.owner != SPOOL_OWNER_DELIVERY) {
		segment->extent_news = true;
		store->journal.extents = true;
		journal_stir(store);
	}
	segment->hidden = segment->hidden || walk->hidden;
	segment->end = walk->end;
	segment->next = walk->at;
	segment->sequence = walk->sequence;
	segment->proven = MAX(segment->proven, walk->proven);
}

int store_read(struct spool_store *store, struct segment *segment, uint32_t most)
{
	struct spool_index *index = &store->index;
	uint32_t count = 0;

	index->walk.settle = true;
	for (;;) {
		struct taking *taking = &store->taking;
		int err = 0;
		if (!taking->active) {
			err = walk_next(&index->walk, &taking->batch);
			keep_position(store, segment);
		}
		if (err == 0)
			err = take_batch(store, segment, &count);
		/* Running, the next trouble is another one. */
		if (err != ERR_IO && store->loader.phase == LOAD_DONE)
			index->patience = STORE_READ_TRIES;
		if (err)
			return err == ERR_NOT_FOUND ? 0 : err;
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
		journal_stir(store);
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
