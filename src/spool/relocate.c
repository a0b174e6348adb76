/*
 * The journal is kept short: when most of its closed files is out of date, what the oldest still
 * holds is written again at the journal's end (last states, bitmaps of done places, messages), a
 * bounded piece at a time, until nothing needs the file. Always the oldest first: a state must
 * never outlive the mark that its message is done.
 */
#include "spool/store.h"

#include "base/err.h"

static struct segment *oldest(struct spool_store *store)
{
	struct spool_index *index = &store->index;
	size_t at = index_first(index, SPOOL_OWNER_DELIVERY);

	return at < index->count ? index->segments[at] : NULL;
}

bool relocate_oldest_is_free(struct spool_store *store, const struct segment *journal)
{
	const struct segment *first = oldest(store);

	if (!first || journal != first || journal->states || journal->live)
		return false;
	for (size_t i = 0; i < store->index.count; i++) {
		const struct segment *segment = store->index.segments[i];
		if (segment != journal && segment->marks && segment->marks <= journal->id.serial)
			return false;
	}
	return true;
}

/* Is it worth the writing? Half of what is there must be out of date. */
static bool is_worth_it(struct spool_store *store)
{
	struct spool_index *index = &store->index;
	uint64_t bytes = 0, live = 0;
	uint32_t closed = 0;

	for (size_t i = index_first(index, SPOOL_OWNER_DELIVERY); i < index->count; i++) {
		const struct segment *segment = index->segments[i];
		if (!segment->closed || segment->removing)
			continue;
		closed++;
		bytes += segment->end;
		live += segment->live_bytes + segment->state_bytes;
	}
	return closed >= STORE_JOURNALS && live * 2 < bytes;
}

static int add(struct spool_store *store, struct change *change)
{
	int err = change ? journal_add(store, change) : ERR_NOMEM;

	if (err && change)
		change_free(change);
	return err;
}

/* The following say whether anything came of it. */

static bool repeat_marks(struct spool_store *store, const struct segment *journal)
{
	uint32_t most = STORE_CHECKPOINTS;

	for (size_t i = 0; i < store->index.count && most; i++) {
		struct segment *segment = store->index.segments[i];
		if (segment == journal || !segment->marks || segment->marks > journal->id.serial ||
			segment->marks_asked)
			continue;
		uint64_t id = SPOOL_ID(segment->id.serial, segment->id.owner, 0);
		if (add(store, change_new(CHANGE_CHECKPOINT, id, 0)) != 0)
			break;
		segment->marks_asked = true;
		most--;
	}
	return most < STORE_CHECKPOINTS;
}

static uint64_t message_of(
	struct spool_store *store, struct segment *segment, const struct place *place)
{
	struct format_record record;
	struct format_message message;

	if (!(place->flags & PLACE_MOVED))
		return SPOOL_ID(
			segment->id.serial, segment->id.owner, (uint64_t)(place - segment->places));
	return index_read(&store->index, segment, place, &record, &message) == 0 ? message.id : 0;
}

static int repeat_state(
	struct spool_store *store, struct segment *segment, const struct place *place)
{
	uint64_t id = message_of(store, segment, place), found;
	uint64_t place_id = SPOOL_ID(
		segment->id.serial, segment->id.owner, (uint64_t)(place - segment->places));
	struct span state;

	if (!id)
		return ERR_IO; /* whose it is cannot be read now */
	/* A newer one is on its way. */
	if (idmap_get(&store->journal.states, id, &found))
		return 0;
	int err = index_read_state(&store->index, place, place_id, &state);
	if (err)
		return err;
	struct change *change = change_new(CHANGE_STATE, id, state.n);
	if (change && state.n)
		memcpy(change + 1, state.p, state.n);
	return add(store, change);
}

/* A piece of the places, from where the last step ended. */
static bool repeat_states(struct spool_store *store, const struct segment *journal)
{
	struct spool_index *index = &store->index;
	struct cleaner *cleaner = &store->cleaner;
	uint32_t looks = STORE_SCAN_STEP, copies = STORE_RELOCATE_STEP;

	while (looks && copies && cleaner->segment < index->count) {
		struct segment *segment = index->segments[cleaner->segment];
		if (cleaner->place >= segment->place_count) {
			cleaner->segment++;
			cleaner->place = 0;
			continue;
		}
		const struct place *place = &segment->places[cleaner->place++];
		looks--;
		if (place->state_serial != journal->id.serial ||
			(place->flags & (PLACE_FREE | PLACE_DONE)) || !(place->flags & PLACE_USED))
			continue;
		int err = repeat_state(store, segment, place);
		if (err == ERR_NOMEM || err == ERR_LIMIT)
			break;
		copies -= err == 0;
	}
	bool all = cleaner->segment >= index->count;
	if (all)
		cleaner->segment = cleaner->place = 0;
	return copies < STORE_RELOCATE_STEP || !all;
}

bool relocate_step(struct spool_store *store)
{
	struct cleaner *cleaner = &store->cleaner;
	const struct spool_log *log = &store->journal.log;
	struct segment *journal = oldest(store);

	if (!journal || !journal->closed || journal->removing || journal->damaged ||
		!is_worth_it(store))
		return false;
	/* Not on the reserve: what makes the log ready comes back here. */
	if (log->health != SPOOL_WELL || !log->next.made.io)
		return false;
	/* Not beside a batch whose states may be newer than what is read. */
	if (!list_empty(&store->journal.flight))
		return true;
	if (cleaner->journal != journal->id.serial) {
		cleaner->journal = journal->id.serial;
		cleaner->segment = cleaner->place = 0;
	}
	bool more = repeat_marks(store, journal);
	if (journal->states)
		more = repeat_states(store, journal) || more;
	if (journal->live)
		more = move_start(store, journal) || more;
	/* What cannot be copied, as it is damaged, keeps the file; then there is no hurry. */
	return more;
}
