/*
 * The last batch of a file, which nothing vouches for: it counts when all of it is whole.
 *
 * If one body of it is not, the batch does not count at all, although other messages of it may be
 * whole. A power cut leaves batches like that all the time, and of those nobody was told 250: every
 * message taken from one would be delivered twice, since its client comes again. Only a bit that
 * flips between the batch's sync and the first word about it elsewhere (the next batch of the log,
 * or the journal's extent, at most STORE_REST_MS later) looks the same.
 */
#include "spool/walk_inner.h"

#include "base/err.h"

/* The body of one record. ERR_CORRUPT, or that it cannot be read now. */
static int body_whole(
	struct walk *w, const struct walk_batch *batch, const struct format_record *record)
{
	uint64_t first = batch->header.offset + FORMAT_BATCH_HEADER + batch->header.records_bytes;
	uint64_t end = batch->header.offset + batch->header.length;
	struct format_message message;

	if (record->type != FORMAT_MESSAGE)
		return 0;
	if (format_get_message(record->payload, &message) != 0)
		return ERR_CORRUPT;
	if (!message.body_serial &&
		(message.body_offset < first ||
			message.body_offset + message.body_bytes + FORMAT_END_BYTES > end))
		return ERR_CORRUPT;
	int err = walk_check_body(w->disk, w->io, &message, w->settle);
	if (err == 0 || err == ERR_CORRUPT || err == ERR_NOT_FOUND)
		return err ? ERR_CORRUPT : 0;
	err = walk_unreadable(w, end, err);
	return err ? err : ERR_CORRUPT;
}

static int bodies_whole(struct walk *w, const struct walk_batch *batch)
{
	struct walk_cursor at = walk_records(batch);
	uint32_t records = 0;

	while (at.left.n) {
		struct format_record record;
		size_t bytes;
		if (format_get_record(at.left, w->id.salt, &record, &bytes) != 0 ||
			record.sequence != batch->header.sequence)
			return ERR_CORRUPT;
		int err = body_whole(w, batch, &record);
		if (err)
			return err;
		at.left = span_skip(at.left, bytes);
		records++;
	}
	return records == batch->header.record_count ? 0 : ERR_CORRUPT;
}

int walk_whole(struct walk *w, const struct walk_batch *batch)
{
	if (batch->header.offset + batch->header.length > w->size ||
		batch->records.n != batch->header.records_bytes ||
		format_hash(batch->records, w->id.salt) != batch->header.records_hash)
		return ERR_CORRUPT;
	return bodies_whole(w, batch);
}

/*
 * It counts from here on, so it must be on the device. After a crash of the process alone, memory
 * may hold what was never synced, or, worse, what a failed sync took for clean: a sync would say
 * that all is well. So: sync, forget, and look at what is there. The sync's own error is no news.
 */
int walk_settle(struct walk *w, struct format_batch *header)
{
	disk_sync(w->io);
	disk_forget(w->io);
	buf_clear(&w->window);
	w->window_at = 0;
	int err = walk_header(w, w->at, w->guess, w->sequence, header);
	return err == 0 && header->kind != FORMAT_BATCH ? ERR_NOT_FOUND : err;
}

bool walk_is_hidden(const struct walk *w)
{
	return w->unread_end > w->at;
}

void walk_end_tail(struct walk *w)
{
	if (!walk_is_hidden(w)) {
		w->torn = w->torn || walk_reach(w) > w->at;
		return;
	}
	/* Messages that were answered 250 may be in it, should it ever be readable again. */
	w->hidden = true;
	walk_damage(w, 0, w->at, "the end of the file cannot be read, and may hold messages");
}
