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

#include "base/check.h"
#include "base/err.h"

#define BODY_STEP   (1u << 20)	 /* bytes of a body before it may pause */
#define RECORD_WORK FORMAT_ALIGN /* what a record without a long body counts for */

/* Bodies lie one behind the other, in the order of their records, so none is hashed twice. */
static bool body_fits(
	const struct walk *w, const struct walk_batch *batch, const struct format_message *message)
{
	uint64_t first = batch->header.offset + FORMAT_BATCH_HEADER + batch->header.records_bytes;
	uint64_t end = batch->header.offset + batch->header.length;

	if (message->body_serial)
		return message->body_bytes <= FORMAT_BODY_BYTES;
	return message->body_offset >= MAX(first, w->last.bodies_end) &&
	       message->body_offset + message->body_bytes + FORMAT_END_BYTES <= end;
}

static int hash_body(struct walk *w, const struct format_message *message)
{
	struct walk_body *body = &w->last.body;
	int err = body->piece ? 0 : walk_body_begin(body, w->disk, w->io, message, w->settle);

	while (err == 0 || err == ERR_AGAIN) {
		uint64_t left = body->left;
		err = walk_body_step(body, BODY_STEP);
		w->effort += left - body->left;
		if (err == 0 || (err == ERR_AGAIN && walk_pauses(w)))
			return err;
	}
	return err;
}

/* The body of one record. ERR_CORRUPT, or that it cannot be read now. ERR_AGAIN. */
static int body_whole(
	struct walk *w, const struct walk_batch *batch, const struct format_record *record)
{
	struct format_message message;

	if (record->type != FORMAT_MESSAGE)
		return 0;
	if (format_get_message(record->payload, &message) != 0 || !body_fits(w, batch, &message))
		return ERR_CORRUPT;
	int err = hash_body(w, &message);
	if (err && err != ERR_AGAIN && err != ERR_CORRUPT && err != ERR_NOT_FOUND) {
		err = walk_unreadable(w, batch->header.offset + batch->header.length, err);
		if (err)
			return err;
		err = ERR_CORRUPT;
	}
	if (err == ERR_AGAIN)
		return err;
	walk_body_end(&w->last.body);
	if (err == 0 && !message.body_serial)
		w->last.bodies_end = message.body_offset + message.body_bytes + FORMAT_END_BYTES;
	return err ? ERR_CORRUPT : 0;
}

/* From the record on where it paused. */
static int bodies_whole(struct walk *w, const struct walk_batch *batch)
{
	while (w->last.record_at < batch->records.n) {
		struct span left = span_skip(batch->records, (size_t)w->last.record_at);
		struct format_record record;
		size_t bytes;
		if (format_get_record(left, w->id.salt, &record, &bytes) != 0 ||
			record.sequence != batch->header.sequence)
			return ERR_CORRUPT;
		int err = body_whole(w, batch, &record);
		if (err)
			return err;
		w->last.record_at += bytes;
		w->last.records++;
		w->effort += RECORD_WORK;
		if (walk_pauses(w))
			return ERR_AGAIN;
	}
	return w->last.records == batch->header.record_count ? 0 : ERR_CORRUPT;
}

int walk_whole(struct walk *w, const struct walk_batch *batch)
{
	if (batch->header.offset + batch->header.length > w->size ||
		batch->records.n != batch->header.records_bytes)
		return ERR_CORRUPT;
	if (!w->last.hashed &&
		format_hash(batch->records, w->id.salt) != batch->header.records_hash)
		return ERR_CORRUPT;
	w->last.hashed = true;
	return bodies_whole(w, batch);
}

void walk_last_done(struct walk *w)
{
	walk_body_end(&w->last.body);
	w->last.offset = w->last.record_at = w->last.bodies_end = 0;
	w->last.records = 0;
	w->last.settled = w->last.hashed = false;
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
	walk_damage(w, w->at, "the end of the file cannot be read, and may hold messages");
}
