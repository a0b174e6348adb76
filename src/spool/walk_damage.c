/* Damage before proven bytes: what can still be found is found, and what is lost is said. */
#include "spool/walk_inner.h"

#include "base/check.h"
#include "base/err.h"

void walk_damage(struct walk *w, uint64_t id, uint64_t offset, const char *what)
{
	w->damaged = true;
	w->damage(w->arg, &w->id, id, offset, what);
}

/* ---- headers ---------------------------------------------------------------------------- */

/* How many bytes of valid records lie at the offset; they begin with older sequence numbers than
 * `blind_sequence` and are all of one batch. */
static int measure_records(
	struct walk *w, uint64_t offset, uint64_t *out_bytes, uint32_t *out_sequence)
{
	uint64_t at = offset;
	int64_t sequence = -1;

	for (;;) {
		struct span bytes;
		struct format_record record;
		size_t whole;
		/* The length is not to be trusted before the checksum: read on as far as it says.
		 */
		int err = walk_bytes(w, at, FORMAT_RECORD, WALK_SCAN_BYTES, &bytes);
		if (err)
			return err;
		if (format_get_record(bytes, w->id.salt, &record, &whole) != 0 &&
			bytes.n == FORMAT_RECORD) {
			uint64_t length = (unsigned char)bytes.p[12] |
					  (unsigned char)bytes.p[13] << 8 |
					  (uint64_t)(unsigned char)bytes.p[14] << 16 |
					  (uint64_t)(unsigned char)bytes.p[15] << 24;
			if (length > FORMAT_RECORD_BYTES)
				break;
			err = walk_bytes(w, at, format_record_bytes(length), 0, &bytes);
			if (err)
				return err;
		}
		if (format_get_record(bytes, w->id.salt, &record, &whole) != 0 ||
			(int64_t)record.sequence <= w->sequence ||
			(int64_t)record.sequence >= w->blind_sequence ||
			(sequence >= 0 && (int64_t)record.sequence != sequence))
			break;
		sequence = record.sequence;
		at += whole;
	}
	*out_bytes = at - offset;
	*out_sequence = (uint32_t)MAX(sequence, 0);
	return 0;
}

int walk_blind(struct walk *w, struct walk_batch *out)
{
	for (; w->at < w->blind_end; w->at += FORMAT_ALIGN) {
		uint64_t n;
		uint32_t sequence;
		int err = measure_records(w, w->at + FORMAT_BATCH_HEADER, &n, &sequence);
		if (err)
			return err;
		if (!n)
			continue;
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
	w->at = w->end = w->blind_end;
	w->blind_end = 0;
	return ERR_NOT_FOUND;
}

int walk_no_header(struct walk *w)
{
	struct format_batch later;

	int err = walk_find_header(w, w->at + FORMAT_ALIGN, w->sequence, &later);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err && w->at >= MIN(w->proven, w->limit)) {
		walk_end_tail(w);
		return ERR_NOT_FOUND;
	}
	walk_damage(w, 0, w->at, "a batch header is damaged");
	w->blind_end =
		err ? MIN(format_align(w->proven), format_align(walk_reach(w))) : later.offset;
	w->blind_sequence = err ? INT64_MAX : (int64_t)later.sequence;
	if (!err)
		w->proven = MAX(w->proven, later.offset);
	return 0;
}

/* ---- records ---------------------------------------------------------------------------- */

/* Whose record it was, if its head can still be believed. */
static uint64_t whose(const struct walk *w, struct span bytes)
{
	uint64_t id = 0;

	if (bytes.n < FORMAT_RECORD)
		return 0;
	for (int i = 7; i >= 0; i--)
		id = id << 8 | (unsigned char)bytes.p[24 + i];
	return format_id_serial(id) == w->id.serial && format_id_owner(id) == w->id.owner ? id : 0;
}

bool walk_record(struct walk *w, const struct walk_batch *batch, struct walk_cursor *at,
	struct format_record *out, uint64_t *out_offset)
{
	while (at->left.n) {
		struct format_record record;
		size_t bytes;
		bool right = format_get_record(at->left, w->id.salt, &record, &bytes) == 0 &&
			     record.sequence == batch->header.sequence;
		uint64_t offset = at->offset;
		if (!right) {
			if (!at->in_damage)
				walk_damage(w, whose(w, at->left), offset, "a record is damaged");
			bytes = FORMAT_RECORD_ALIGN;
		}
		at->in_damage = !right;
		bytes = MIN(bytes, at->left.n);
		at->left = span_skip(at->left, bytes);
		at->offset += bytes;
		if (right) {
			*out = record;
			*out_offset = offset;
			return true;
		}
	}
	return false;
}
