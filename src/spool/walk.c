#include "spool/walk_inner.h"

#include "base/check.h"
#include "base/err.h"
#include "spool/spool.h"

#define GUESS_MOST    (256u << 10)
#define GUESS_DENSE   (16u << 10) /* batches up to this length are read through, not hopped over */
#define GUESS_THROUGH (128u << 10)

/* ---- batches ---------------------------------------------------------------------------- */

static int load_records(struct walk *w, const struct format_batch *header, struct walk_batch *out)
{
	*out = (struct walk_batch){
		.header = *header, .records_at = header->offset + FORMAT_BATCH_HEADER};
	return walk_bytes(w, out->records_at, header->records_bytes, 0, &out->records);
}

static void learn(struct walk *w, const struct format_batch *header)
{
	uint64_t head = FORMAT_BATCH_HEADER + (uint64_t)header->records_bytes;
	uint64_t guess = header->length <= GUESS_DENSE ? GUESS_THROUGH : format_align(head);

	w->guess = MIN(MAX(guess, (uint64_t)WALK_GUESS_LEAST), (uint64_t)GUESS_MOST);
}

/* Does anything in the file behind a batch show that it was durable? */
static int look_for_proof(struct walk *w, const struct format_batch *header)
{
	struct format_batch later;

	int err = walk_find_header(w, format_align(header->offset + header->length), WALK_ALL,
		header->sequence, &later);
	if (err == 0)
		w->proven = MAX(w->proven, later.offset);
	return err == ERR_NOT_FOUND ? 0 : err;
}

/* Nothing vouches for the batch. ERR_NOT_FOUND: there is none. ERR_CORRUPT: it is not whole. */
static int try_last(struct walk *w, struct format_batch *header, struct walk_batch *out)
{
	w->last.offset = header->offset;
	if (w->settle && !w->last.settled) {
		int err = walk_settle(w, header);
		if (err)
			return err;
		w->last.settled = true;
	}
	int err = load_records(w, header, out);
	return err ? err : walk_whole(w, out);
}

/* Of a worker's batch that cannot be read in full, messages that can are taken: it may have been
 * answered 250, and a refused one does not look like that. The journal's batches count as a whole
 * or not at all, since what one says belongs together. */
static bool takes_part(const struct walk *w)
{
	return walk_is_hidden(w) && w->id.owner != SPOOL_OWNER_DELIVERY;
}

/* The records of a batch, if it counts. */
static int get_records(struct walk *w, struct format_batch *header, struct walk_batch *out)
{
	int err = 0;

	/* Where it paused over the last one, this was looked for before. */
	if (header->offset + header->length > w->proven && w->last.offset != header->offset)
		err = look_for_proof(w, header);
	if (err)
		return err;
	w->unproven = header->offset + header->length > w->proven;
	if (!w->unproven)
		return load_records(w, header, out);
	err = try_last(w, header, out);
	if (err == ERR_AGAIN || err == ERR_IO || err == ERR_NOMEM)
		return err;
	walk_last_done(w);
	if (err == 0)
		return 0;
	walk_end_tail(w);
	if (err == ERR_NOT_FOUND || !takes_part(w))
		return ERR_NOT_FOUND;
	w->unproven = false;
	return load_records(w, header, out);
}

static int take(struct walk *w, struct format_batch *header, struct walk_batch *out)
{
	if (header->offset + header->length > w->limit)
		return ERR_NOT_FOUND;
	int err = get_records(w, header, out);
	if (err)
		return err;
	w->sequence = header->sequence;
	w->end = header->offset + header->length;
	w->at = format_align(w->end);
	learn(w, header);
	return 0;
}

int walk_next(struct walk *w, struct walk_batch *out)
{
	for (;;) {
		struct format_batch header;
		if (w->blind_end) {
			int err = walk_blind(w, out);
			if (err != ERR_NOT_FOUND)
				return err;
		}
		if (w->at >= walk_reach(w)) {
			if (w->at < MIN(w->proven, w->limit))
				walk_damage(w, w->size, "the file is shorter than it was");
			w->proven = MIN(w->proven, w->at); /* said once */
			return ERR_NOT_FOUND;
		}
		int err = walk_header(w, w->at, w->guess, w->sequence, &header);
		if (err == 0 && header.kind == FORMAT_BATCH)
			return take(w, &header, out);
		if (err == 0 && w->at >= MIN(w->proven, w->limit))
			return ERR_NOT_FOUND; /* a refused batch: the file ends here */
		if (err && err != ERR_NOT_FOUND)
			return err;
		err = walk_no_header(w);
		if (err)
			return err;
	}
}

struct walk_cursor walk_records(const struct walk_batch *batch)
{
	return (struct walk_cursor){.left = batch->records, .offset = batch->records_at};
}

/* ---- beginning and end ------------------------------------------------------------------ */

static void ignore_damage(void *arg, const struct walk_loss *loss)
{
	(void)arg, (void)loss;
}

void walk_init(struct walk *w, struct disk *disk)
{
	*w = (struct walk){.disk = disk, .damage = ignore_damage, .guess = WALK_GUESS_LEAST};
	buf_init(&w->window, SIZE_MAX);
}

void walk_done(struct walk *w)
{
	walk_last_done(w);
	buf_done(&w->window);
}

void walk_begin(struct walk *w, struct io_file *io, const struct format_file *id, uint64_t size)
{
	walk_last_done(w);
	w->io = io;
	w->id = *id;
	w->too_long = id->owner != SPOOL_OWNER_DELIVERY && size > FORMAT_FILE_BYTES;
	w->size = w->too_long ? FORMAT_FILE_BYTES : size;
	w->at = w->end = FORMAT_PAGE;
	w->sequence = -1;
	w->proven = 0;
	w->limit = WALK_ALL;
	w->torn = w->hidden = w->unproven = w->damaged = w->settle = false;
	w->slice = w->effort = w->paused_at = w->vain = 0;
	w->unread_end = 0;
	w->search.from = w->asked_at = 0;
	w->blind_end = 0;
	w->window_at = 0;
	/* One huge record must not cost its memory for ever. */
	if (w->window.room > (size_t)2 * WALK_SCAN_BYTES) {
		buf_done(&w->window);
		buf_init(&w->window, SIZE_MAX);
	}
	buf_clear(&w->window);
}

void walk_end(struct walk *w)
{
	walk_last_done(w);
	w->io = NULL;
}
