/* From batches to knowledge, and to the queue: what recovery and notices have in common. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

int store_emit(struct spool_store *store, struct segment *segment, struct place *place,
	const struct format_record *record)
{
	struct spool_index *index = &store->index;
	struct format_message message = {0};
	struct envelope envelope;
	struct span state;
	uint64_t offset = (uint64_t)place->at * INDEX_UNIT;

	arena_reset(&index->arena);
	int err = format_get_message(record->payload, &message);
	if (err == 0)
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
	bool may_wait = store->loader.phase != LOAD_DONE || segment == store->slow.reading.segment;
	if (err == ERR_IO && may_wait && index->patience) {
		index->patience--;
		return ERR_IO;
	}
	if (err) {
		index_report(index, segment, message.id, offset,
			"its kept state is damaged; all recipients are tried anew");
		state = SPAN_NONE;
	}
	store->config.handler->message(store->config.context, &envelope, state);
	return 0;
}

/* ---- one batch --------------------------------------------------------------------------- */

static int apply(struct spool_store *store, struct reading *r)
{
	struct place *place;
	/* Of the journal, messages come to the queue when all of it is read: a later record may say
	 * that they are done. */
	bool emit = r->segment->id.owner != SPOOL_OWNER_DELIVERY;
	bool check = !store->journal.open || r->segment->closed;

	int err = index_apply(&store->index, r->segment, &r->record, r->record_at, &place);
	if (err)
		return err;
	r->unapplied = false;
	if (place && check && !r->walk->unproven)
		place->flags |= PLACE_CHECK;
	r->untold = place && emit ? r->record.id : 0;
	return 0;
}

static int tell(struct spool_store *store, struct reading *r)
{
	struct segment *segment;
	struct place *place = index_place(&store->index, r->untold, &segment);

	int err = place ? store_emit(store, segment, place, &r->record) : 0;
	if (err == 0)
		r->untold = 0;
	return err;
}

static void keep_position(struct spool_store *store, const struct reading *r)
{
	const struct walk *walk = r->walk;
	struct segment *segment = r->segment;

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

/* Takes in what is left of the batch. Where it stops in the middle, whoever begins anew meets the
 * same records again, and nothing comes of that. */
static int take_batch(struct spool_store *store, struct reading *r, uint32_t *count, uint32_t most)
{
	for (;;) {
		int err = r->unapplied ? apply(store, r) : 0;
		if (err == 0 && r->untold)
			err = tell(store, r);
		if (err)
			return err;
		if (*count >= most)
			return ERR_AGAIN;
		if (!walk_record(r->walk, &r->batch, &r->at, &r->record, &r->record_at))
			break;
		r->unapplied = true;
		++*count;
	}
	r->in_batch = false;
	keep_position(store, r);
	return 0;
}

/* ---- one file ---------------------------------------------------------------------------- */

int reading_begin(struct spool_store *store, struct reading *r, struct segment *segment, bool rest)
{
	int err = index_walk(&store->index, r->walk, segment, rest ? 0 : segment->wanted);

	if (err)
		return err;
	r->segment = segment;
	r->rest = rest;
	r->in_batch = r->unapplied = false;
	r->untold = r->again_ns = 0;
	r->walk->settle = true;
	r->walk->slice = WALK_SLICE;
	return 0;
}

void reading_end(struct spool_store *store, struct reading *r)
{
	if (r->segment)
		index_walk_end(&store->index, r->walk, r->segment);
	r->segment = NULL;
	r->untold = r->again_ns = 0;
}

void reading_give_up_state(struct spool_store *store, struct reading *r)
{
	if (!r->segment || !r->untold)
		return;
	store->index.patience = 0;
	(void)tell(store, r);
}

static int next_batch(struct reading *r)
{
	struct walk_batch batch;

	int err = walk_next(r->walk, &batch);
	if (err)
		return err;
	r->in_batch = true;
	r->batch = batch;
	r->at = walk_records(&batch);
	return 0;
}

int store_read(struct spool_store *store, struct reading *r, uint32_t most)
{
	uint32_t count = 0;
	int err = 0;

	while (err == 0) {
		if (!r->in_batch) {
			err = next_batch(r);
			count++;
		}
		if (err == ERR_NOT_FOUND)
			keep_position(store, r);
		if (err == 0)
			err = take_batch(store, r, &count, most);
		/* Of a file that grows, the next trouble is another one. */
		if (err != ERR_IO && r == &store->fast)
			r->segment->patience = STORE_READ_TRIES;
		if (err == 0 && count >= most)
			err = ERR_AGAIN;
	}
	return err == ERR_NOT_FOUND ? 0 : err;
}

void store_end_segment(struct spool_store *store, const struct reading *r)
{
	struct segment *segment = r->segment;

	segment->loaded = true;
	segment->closed = true;
	if (r->walk->torn && !segment->damaged) {
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
