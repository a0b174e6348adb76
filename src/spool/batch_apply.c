/* One journal batch, now durable: from bytes to knowledge. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

uint64_t batch_place_of(struct spool_store *store, uint64_t id)
{
	uint64_t place_id = id;

	idmap_get(&store->index.moved, id, &place_id);
	return place_id;
}

static struct segment *current_segment(struct spool_store *store)
{
	const struct format_file *id = &store->journal.log.commit.id;
	struct segment *segment = index_find(&store->index, id->owner, id->serial);

	if (segment)
		return segment;
	int err = index_add_segment(&store->index, id, &segment);
	CHECK(err == 0);
	segment->loaded = true;
	for (size_t i = index_first(&store->index, id->owner); store->index.segments[i] != segment;
		i++)
		store->index.segments[i]->closed = true;
	return segment;
}

static void apply_record(struct spool_store *store, struct segment *segment,
	const struct format_record *record, uint64_t offset)
{
	struct place *place;

	int err = index_apply(&store->index, segment, record, offset, &place);
	CHECK(err == 0); /* it is durable: without memory the role had better start anew */
	if (record->type == FORMAT_EXTENT) {
		struct segment *other = index_find(
			&store->index, format_id_owner(record->id), format_id_serial(record->id));
		struct format_extent extent;
		if (other && format_get_extent(record->payload, &extent) == 0 &&
			extent.final == other->cut &&
			extent.end == (other->cut ? other->cut_at : other->end))
			other->extent_news = false;
	}
	if (place && !(place->flags & PLACE_MOVED))
		(void)store_emit(store, segment, place, record);
}

/* What happened to the messages themselves, beyond what the records say. */
static void settle_change(struct spool_store *store, const struct change *change)
{
	struct spool_index *index = &store->index;
	const struct format_message *body = &change->body_file;

	if (change->kind == CHANGE_MOVE) {
		int err = idmap_put(&index->moved, change->id, change->to);
		CHECK(err == 0);
	} else if (change->kind == CHANGE_DONE) {
		idmap_remove(&index->moved, change->id);
		if (body->body_serial)
			clean_body_file(
				store, body->body_owner, body->body_serial, body->body_number);
	}
}

/* A message that was done while its move was being written: the new place is done as well. */
static void carry_flags(struct spool_store *store, const struct change *change, uint64_t old_id)
{
	struct segment *segment;
	const struct place *old = index_place(&store->index, old_id, &segment);
	/* A body in a file of its own was not looked at for the move. */
	uint8_t kept = old ? old->flags & (PLACE_DONE | PLACE_BAD | PLACE_CHECK) : 0;
	struct place *place = index_place(&store->index, change->to, &segment);

	if (place)
		place->flags |= kept;
}

void batch_apply(struct spool_store *store)
{
	struct journal *journal = &store->journal;
	const struct format_batch *header = &journal->log.commit.batch;
	struct segment *segment = current_segment(store);
	struct span left = span_skip(buf_span(&journal->head), FORMAT_BATCH_HEADER);
	uint64_t offset = header->offset + FORMAT_BATCH_HEADER;

	while (left.n) {
		struct format_record record;
		size_t bytes;
		int err = format_get_record(left, segment->id.salt, &record, &bytes);
		CHECK(err == 0);
		apply_record(store, segment, &record, offset);
		left = span_skip(left, bytes);
		offset += bytes;
	}
	LIST_FOR_EACH(node, &journal->flight)
	{
		const struct change *change = CONTAINER_OF(node, struct change, node);
		uint64_t old_id = batch_place_of(store, change->id);
		if (change->kind == CHANGE_MOVE)
			carry_flags(store, change, old_id);
		settle_change(store, change);
		struct segment *old = index_find(
			&store->index, format_id_owner(old_id), format_id_serial(old_id));
		if (old && change->kind == CHANGE_CHECKPOINT)
			old->marks_asked = false;
		if (old && (change->kind == CHANGE_MOVE || change->kind == CHANGE_DONE))
			clean_segment(store, old);
	}
	segment->end = header->offset + header->length;
	segment->next = format_align(segment->end);
	segment->sequence = header->sequence;
	segment->proven = segment->end;
	journal->extents = false;
	for (size_t i = 0; i < store->index.count && !journal->extents; i++)
		journal->extents = store->index.segments[i]->extent_news;
}
