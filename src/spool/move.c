/*
 * The last messages of an almost empty file are copied into the journal, keeping their ids. The
 * copy, its state and the old place's end are in one batch: at every moment the message is in
 * exactly one place.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct copy_job {
	struct io_job job;
	struct spool_store *store;
	struct segment *segment;
	struct change *changes[STORE_MOVES];
	struct format_message from[STORE_MOVES];
	int errs[STORE_MOVES];
	size_t count;
	bool failed; /* a record could not be read */
};

static int read_one(struct copy_job *copy, size_t i)
{
	struct change *change = copy->changes[i];
	const struct format_message *from = &copy->from[i];
	struct span body = span_of(change->body, from->body_bytes);

	int64_t got =
		walk_read(copy->segment->io, change->body, change->body_bytes, from->body_offset);
	if (got < 0)
		return (int)got;
	return (size_t)got == change->body_bytes && format_hash(body, 0) == from->body_hash &&
			       memcmp(change->body + body.n, FORMAT_END, FORMAT_END_BYTES) == 0
		       ? 0
		       : ERR_CORRUPT;
}

/* Reads and checks: a damaged body must not get a fresh checksum. What memory has wrong may be
 * right on the device. */
static int copy_one(struct copy_job *copy, size_t i)
{
	if (!copy->changes[i]->body)
		return 0;
	int err = read_one(copy, i);
	if (err != ERR_CORRUPT)
		return err;
	disk_forget(copy->segment->io);
	return read_one(copy, i);
}

static void run(struct io_job *job)
{
	struct copy_job *copy = CONTAINER_OF(job, struct copy_job, job);

	for (size_t i = 0; i < copy->count; i++)
		copy->errs[i] = copy_one(copy, i);
}

/* True: it is on its way into the journal. */
static bool settle(struct copy_job *copy, size_t i)
{
	struct spool_store *store = copy->store;
	struct change *change = copy->changes[i];
	struct segment *segment;
	uint64_t place_id;

	struct place *place = index_message(&store->index, change->id, &place_id, &segment);
	if (place && copy->errs[i] == ERR_CORRUPT) {
		if (!(place->flags & PLACE_BAD))
			index_report(&store->index, segment, change->id,
				(uint64_t)place->at * INDEX_UNIT, "its body is damaged");
		place->flags |= PLACE_BAD;
	}
	if (place && !copy->errs[i] && journal_add(store, change) == 0)
		return true;
	if (place)
		place->flags &= (uint8_t)~PLACE_MOVING;
	change_free(change);
	return false;
}

/* What cannot be read now is left alone for a while, each time longer. */
static void count_tries(struct spool_store *store, struct segment *segment, bool any)
{
	uint64_t wait = STORE_CLEAN_MS * NS_PER_MS;

	if (!any) {
		segment->move_ns = store->io->now_ns + (wait << segment->move_fails);
		segment->move_fails = MIN(segment->move_fails + 1, (uint32_t)STORE_MOVE_FAILS);
	} else {
		segment->move_fails = 0;
	}
}

static void done(struct io_job *job)
{
	struct copy_job *copy = CONTAINER_OF(job, struct copy_job, job);
	struct spool_store *store = copy->store;
	bool any = false;

	index_release(&store->index, copy->segment);
	for (size_t i = 0; i < copy->count; i++)
		any = settle(copy, i) || any;
	count_tries(store, copy->segment, any);
	store->copy = NULL;
	free(copy);
	clean_wake(store);
}

static struct change *make_change(struct spool_store *store, struct segment *segment,
	const struct place *place, struct format_message *from)
{
	struct format_record record;
	struct format_message message;

	if (index_read(&store->index, segment, place, &record, &message) != 0)
		return NULL;
	struct change *change = change_new(CHANGE_MOVE, message.id, message.envelope.n);
	if (!change)
		return NULL;
	memcpy(change + 1, message.envelope.p, message.envelope.n);
	change->message = message;
	change->message.envelope = SPAN_NONE;
	if (!message.body_serial) {
		change->message.body_offset = 0;
		change->body_bytes = message.body_bytes + FORMAT_END_BYTES;
		change->body = malloc(change->body_bytes);
		if (!change->body) {
			change_free(change);
			return NULL;
		}
	}
	*from = message;
	from->envelope = SPAN_NONE;
	return change;
}

/* STORE_MOVE_BYTES and one message, which is no longer than FORMAT_INLINE_BYTES and a record: more
 * memory than that no move takes. */
static void pick(struct copy_job *copy)
{
	struct spool_store *store = copy->store;
	struct segment *segment = copy->segment;
	uint64_t bytes = 0;

	/* From where the last one ended: what fails must not keep others from their turn. */
	for (uint32_t k = 0; k < segment->place_count; k++) {
		uint32_t i = (uint32_t)(((uint64_t)segment->move_at + k) % segment->place_count);
		struct place *place = &segment->places[i];
		if (copy->count == STORE_MOVES || bytes > STORE_MOVE_BYTES) {
			segment->move_at = i;
			return;
		}
		if (!(place->flags & PLACE_USED) ||
			(place->flags & (PLACE_FREE | PLACE_DONE | PLACE_BAD | PLACE_MOVING)))
			continue;
		struct change *change =
			make_change(store, segment, place, &copy->from[copy->count]);
		if (!change) {
			copy->failed = true;
			continue;
		}
		place->flags |= PLACE_MOVING;
		bytes += change->body_bytes + change->bytes.n;
		copy->changes[copy->count++] = change;
	}
}

bool move_start(struct spool_store *store, struct segment *segment)
{
	const struct spool_log *log = &store->journal.log;

	if (store->copy)
		return true;
	if (store->io->now_ns < segment->move_ns)
		return false;
	/* Not on the reserve of a full disk. */
	if (log->health != SPOOL_WELL || !log->next.made.io)
		return false;
	struct copy_job *copy = calloc(1, sizeof(*copy));
	if (!copy || index_hold(&store->index, segment) != 0) {
		free(copy);
		return false;
	}
	copy->job = (struct io_job){.run = run, .done = done};
	copy->store = store;
	copy->segment = segment;
	pick(copy);
	if (!copy->count) {
		if (copy->failed)
			count_tries(store, segment, false);
		index_release(&store->index, segment);
		free(copy);
		return false;
	}
	store->copy = copy;
	if (io_submit(store->io, IO_LANE_FILE, &copy->job) != 0) {
		copy->job.run(&copy->job);
		copy->job.done(&copy->job);
	}
	return true;
}
