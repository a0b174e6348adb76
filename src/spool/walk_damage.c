/* Damage before proven bytes: what can still be found is found, and what is lost is said. */
#include "spool/walk_inner.h"

#include "base/check.h"
#include "base/err.h"
#include "spool/spool.h"

static void lose(struct walk *w, struct walk_loss *loss)
{
	w->damaged = true;
	loss->file = &w->id;
	w->damage(w->arg, loss);
}

void walk_damage(struct walk *w, uint64_t offset, const char *what)
{
	lose(w, &(struct walk_loss){.offset = offset, .what = what});
}

bool walk_in_vain(struct walk *w, uint64_t bytes)
{
	w->effort += bytes;
	w->vain += bytes;
	return w->vain > WALK_VAIN_BYTES;
}

/* ---- headers ---------------------------------------------------------------------------- */

/* The next record of a batch whose header is lost. ERR_NOT_FOUND: there is none. */
static int blind_record(
	struct walk *w, uint64_t at, int64_t sequence, struct format_record *out, size_t *out_bytes)
{
	struct span bytes;

	/* The length is not to be trusted before the checksum: read on as far as it says. */
	int err = walk_bytes(w, at, FORMAT_RECORD, WALK_SCAN_BYTES, &bytes);
	size_t claims = err == 0 ? format_record_claims(bytes) : 0;
	if (claims)
		err = walk_bytes(w, at, claims, 0, &bytes);
	if (err || !claims)
		return err ? err : ERR_NOT_FOUND;
	if (format_get_record(bytes, w->id.salt, out, out_bytes) == 0 &&
		(int64_t)out->sequence > w->sequence &&
		(int64_t)out->sequence < w->blind_sequence &&
		(sequence < 0 || (int64_t)out->sequence == sequence))
		return 0;
	walk_in_vain(w, claims);
	return ERR_NOT_FOUND;
}

/* How many bytes of valid records lie at the offset; all of one batch, and no more than one has. */
static int measure_records(
	struct walk *w, uint64_t offset, uint64_t *out_bytes, uint32_t *out_sequence)
{
	uint64_t most =
		w->id.owner == SPOOL_OWNER_DELIVERY ? FORMAT_BATCH_RECORDS : FORMAT_WORKER_RECORDS;
	uint64_t n = 0;
	int64_t sequence = -1;

	for (;;) {
		struct format_record record;
		size_t bytes;
		int err = blind_record(w, offset + n, sequence, &record, &bytes);
		if (err && err != ERR_NOT_FOUND)
			return err;
		if (err || bytes > most - n)
			break;
		sequence = record.sequence;
		n += bytes;
	}
	w->effort += n;
	*out_bytes = n;
	*out_sequence = (uint32_t)MAX(sequence, 0);
	return 0;
}

static int end_blind(struct walk *w)
{
	w->at = w->end = w->blind_end;
	w->blind_end = 0;
	return ERR_NOT_FOUND;
}

int walk_blind(struct walk *w, struct walk_batch *out)
{
	while (w->at < w->blind_end) {
		uint64_t n;
		uint32_t sequence;
		if (w->vain > WALK_VAIN_BYTES)
			return end_blind(w);
		int err = measure_records(w, w->at + FORMAT_BATCH_HEADER, &n, &sequence);
		if (err)
			return err;
		if (n) {
			*out = (struct walk_batch){.header = {.sequence = sequence},
				.records_at = w->at + FORMAT_BATCH_HEADER};
			err = walk_bytes(w, out->records_at, n, 0, &out->records);
			if (err)
				return err;
			w->sequence = sequence;
			w->end = out->records_at + n;
			w->at = format_align(w->end);
			return 0;
		}
		w->at = walk_skip_hole(w, w->at + FORMAT_ALIGN);
		w->effort += FORMAT_ALIGN;
		if (walk_pauses(w))
			return ERR_AGAIN;
	}
	return end_blind(w);
}

int walk_no_header(struct walk *w)
{
	struct format_batch later;

	int err = walk_find_header(w, w->at + FORMAT_ALIGN, WALK_ALL, w->sequence, &later);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err && w->at >= MIN(w->proven, w->limit)) {
		walk_end_tail(w);
		return ERR_NOT_FOUND;
	}
	walk_damage(w, w->at, "a batch header is damaged");
	w->blind_end =
		err ? MIN(format_align(w->proven), format_align(walk_reach(w))) : later.offset;
	w->blind_sequence = err ? INT64_MAX : (int64_t)later.sequence;
	if (!err)
		w->proven = MAX(w->proven, later.offset);
	return 0;
}

/* ---- records ---------------------------------------------------------------------------- */

/* What record it was, if its head can still be believed. A worker's are all messages. */
static void read_head(const struct walk *w, struct span bytes, struct walk_loss *loss)
{
	struct format_record head;

	if (format_get_head(bytes, &head) != 0)
		return;
	bool journal = w->id.owner == SPOOL_OWNER_DELIVERY;
	bool message = !journal || head.type == FORMAT_MESSAGE;
	if (message && format_id_serial(head.id) == w->id.serial &&
		format_id_owner(head.id) == w->id.owner)
		loss->id = head.id;
	loss->no_message = !message && head.type >= FORMAT_STATE && head.type <= FORMAT_EXTENT;
}

/* Reports what stands where a record should be, once for a stretch of it. False: records were
 * looked for in vain so often in this file that it is given up. */
static bool skip_damage(struct walk *w, struct walk_cursor *at)
{
	size_t claims = format_record_claims(at->left);
	struct walk_loss loss = {.offset = at->offset, .what = "a record is damaged"};

	read_head(w, at->left, &loss);
	if (!at->in_damage)
		lose(w, &loss);
	at->in_damage = true;
	if (claims && claims <= at->left.n && walk_in_vain(w, claims))
		return false;
	size_t bytes = MIN((size_t)FORMAT_RECORD_ALIGN, at->left.n);
	at->left = span_skip(at->left, bytes);
	at->offset += bytes;
	return true;
}

bool walk_record(struct walk *w, const struct walk_batch *batch, struct walk_cursor *at,
	struct format_record *out, uint64_t *out_offset)
{
	while (at->left.n) {
		size_t bytes;
		if (format_get_record(at->left, w->id.salt, out, &bytes) != 0 ||
			out->sequence != batch->header.sequence) {
			if (!skip_damage(w, at))
				at->left = SPAN_NONE;
			continue;
		}
		*out_offset = at->offset;
		at->left = span_skip(at->left, bytes);
		at->offset += bytes;
		at->in_damage = false;
		return true;
	}
	return false;
}
