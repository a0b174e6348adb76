/* One journal batch: from changes to bytes. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct build {
	struct spool_store *store;
	struct log_file *file;
	uint64_t body_at;
};

static void put(
	struct build *b, enum format_type type, uint64_t id, struct span payload, struct span more)
{
	struct journal *journal = &b->store->journal;
	const struct format_record record = {
		.type = (uint8_t)type,
		.sequence = b->file->sequence,
		.id = id,
		.payload = payload,
	};

	format_put_record(&journal->head, &record, more, b->file->made.id.salt);
	journal->records++;
}

static bool is_message(const struct change *change)
{
	return change->kind == CHANGE_ADD || change->kind == CHANGE_MOVE;
}

/* Bytes of the message records, which come first; bodies follow all records. */
struct sizes {
	uint64_t bodies;
	size_t parts;
	uint32_t messages;
	uint64_t guess; /* of all records */
};

static struct sizes measure(const struct journal *journal)
{
	struct sizes sizes = {.parts = 1};

	LIST_FOR_EACH(node, &journal->flight)
	{
		const struct change *change = CONTAINER_OF(node, struct change, node);
		sizes.guess += format_record_bytes(FORMAT_MESSAGE_FIXED + change->bytes.n);
		if (!is_message(change))
			continue;
		sizes.messages++;
		sizes.bodies += change->body_bytes;
		sizes.parts += change->body != NULL;
	}
	return sizes;
}

/* The message record with its body's place; where that is depends on the length of all records, so
 * it is put in afterwards. */
static void put_message(struct build *b, struct change *change, uint64_t place_id)
{
	char fixed[FORMAT_MESSAGE_FIXED];
	struct format_message message = change->message;

	change->to = place_id;
	message.id = change->kind == CHANGE_ADD ? place_id : change->id;
	if (change->body)
		message.body_offset = b->body_at;
	format_put_message(fixed, &message);
	put(b, FORMAT_MESSAGE, place_id, span_of(fixed, sizeof(fixed)), change->bytes);
}

/* A moved message takes its state along: its old place, and what is said of it, will be gone. */
static int put_moved_state(struct build *b, const struct change *change)
{
	struct spool_index *index = &b->store->index;
	uint64_t place_id = batch_place_of(b->store, change->id);
	struct segment *segment;
	struct span state;

	const struct place *place = index_place(index, place_id, &segment);
	int err = place ? index_read_state(index, place, place_id, &state) : ERR_NOT_FOUND;
	if (err == ERR_NOMEM)
		return err;
	if (err == 0 && state.n)
		put(b, FORMAT_STATE, change->to, state, SPAN_NONE);
	return 0;
}

/* How far a file is known to be durable: saves reading bodies at the next start. */
static void put_extent(struct build *b, const struct segment *segment)
{
	const struct format_extent extent = {
		.end = segment->cut ? segment->cut_at : segment->end,
		.final = segment->cut,
	};
	char bytes[FORMAT_EXTENT_BYTES];

	format_put_extent(bytes, &extent);
	put(b, FORMAT_EXTENT, SPOOL_ID(segment->id.serial, segment->id.owner, 0),
		span_of(bytes, sizeof(bytes)), SPAN_NONE);
}

static void put_checkpoint(struct build *b, uint64_t id)
{
	struct journal *journal = &b->store->journal;
	struct segment *segment =
		index_find(&b->store->index, format_id_owner(id), format_id_serial(id));

	if (!segment)
		return;
	put_extent(b, segment);
	buf_clear(&journal->scratch);
	index_put_checkpoint(segment, &journal->scratch);
	if (!buf_ok(&journal->scratch))
		return; /* no memory: it is made another time */
	put(b, FORMAT_CHECKPOINT, id, buf_span(&journal->scratch), SPAN_NONE);
}

static void put_extents(struct build *b)
{
	struct spool_index *index = &b->store->index;

	if (!b->store->journal.extents)
		return;
	for (size_t i = 0; i < index->count; i++) {
		const struct segment *segment = index->segments[i];
		if (segment->extent_news)
			put_extent(b, segment);
	}
}

static void put_done_ids(struct build *b, struct buf *ids)
{
	if (ids->n)
		put(b, FORMAT_DONE, 0, buf_span(ids), SPAN_NONE);
	buf_clear(ids);
}

static void put_done(struct build *b)
{
	struct journal *journal = &b->store->journal;
	struct buf *ids = &journal->scratch;

	buf_clear(ids);
	LIST_FOR_EACH(node, &journal->flight)
	{
		const struct change *change = CONTAINER_OF(node, struct change, node);
		if (change->kind != CHANGE_DONE && change->kind != CHANGE_MOVE)
			continue;
		buf_put_u64(ids, batch_place_of(b->store, change->id));
		if (ids->n == STORE_DONE_IDS * sizeof(uint64_t))
			put_done_ids(b, ids);
	}
	put_done_ids(b, ids);
}

static int put_records(struct build *b, uint32_t first_place)
{
	struct journal *journal = &b->store->journal;
	uint32_t place = first_place;
	int err = 0;

	buf_clear(&journal->head);
	journal->records = journal->messages = 0;
	if (!buf_reserve(&journal->head, FORMAT_BATCH_HEADER))
		return ERR_NOMEM;
	buf_wrote(&journal->head, FORMAT_BATCH_HEADER);
	LIST_FOR_EACH(node, &journal->flight)
	{
		struct change *change = CONTAINER_OF(node, struct change, node);
		if (!is_message(change))
			continue;
		put_message(b, change,
			SPOOL_ID(b->file->made.id.serial, SPOOL_OWNER_DELIVERY, place++));
		b->body_at += change->body_bytes;
		journal->messages++;
	}
	LIST_FOR_EACH(node, &journal->flight)
	{
		struct change *change = CONTAINER_OF(node, struct change, node);
		if (change->kind == CHANGE_MOVE)
			err = err ? err : put_moved_state(b, change);
		else if (change->kind == CHANGE_STATE)
			put(b, FORMAT_STATE, batch_place_of(b->store, change->id), change->bytes,
				SPAN_NONE);
	}
	put_done(b);
	put_extents(b);
	LIST_FOR_EACH(node, &journal->flight)
	{
		struct change *change = CONTAINER_OF(node, struct change, node);
		if (change->kind == CHANGE_CHECKPOINT)
			put_checkpoint(b, change->id);
	}
	return err ? err : buf_ok(&journal->head) && buf_ok(&journal->scratch) ? 0 : ERR_NOMEM;
}

/* The batch goes into the next file where it would not fit into what is set aside of this one. */
static void choose_file(struct journal *journal, const struct sizes *sizes)
{
	struct spool_log *log = &journal->log;
	uint64_t length = FORMAT_BATCH_HEADER + sizes->guess + sizes->bodies;
	bool full = log->file.end + length > log->segment_bytes ||
		    log->file.place + sizes->messages > FORMAT_PLACES;

	if (full && log->file.end > FORMAT_PAGE && log->next.made.io)
		log_roll(log);
}

static void collect_parts(struct journal *journal, size_t *out_parts)
{
	struct iovec *part = journal->parts;

	*part++ = (struct iovec){journal->head.p, journal->head.n};
	LIST_FOR_EACH(node, &journal->flight)
	{
		const struct change *change = CONTAINER_OF(node, struct change, node);
		if (is_message(change) && change->body)
			*part++ = (struct iovec){change->body, change->body_bytes};
	}
	*out_parts = (size_t)(part - journal->parts);
}

int batch_build(struct spool_store *store, size_t *out_parts)
{
	struct journal *journal = &store->journal;
	struct sizes sizes = measure(journal);

	if (sizes.parts > journal->part_room) {
		struct iovec *parts = realloc(journal->parts, sizes.parts * sizeof(*parts));
		if (!parts)
			return ERR_NOMEM;
		journal->parts = parts;
		journal->part_room = sizes.parts;
	}
	choose_file(journal, &sizes);
	struct log_file *file = &journal->log.file;
	/* Twice: the first pass tells how long the records are, hence where bodies lie. */
	size_t head = 0;
	for (int pass = 0; pass < (sizes.messages ? 2 : 1); pass++) {
		struct build b = {.store = store, .file = file, .body_at = file->end + head};
		int err = put_records(&b, file->place);
		if (err)
			return err;
		if (pass && journal->head.n != head)
			return ERR_IO; /* a state could be read only once */
		head = journal->head.n;
	}
	/* Places are given once, even if this batch fails. */
	file->place += sizes.messages;
	collect_parts(journal, out_parts);
	return 0;
}
