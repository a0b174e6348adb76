#include "spool/walk.h"

#include "base/check.h"
#include "base/err.h"

#define GUESS_LEAST   FORMAT_ALIGN
#define GUESS_MOST    (256u << 10)
#define GUESS_DENSE   (16u << 10) /* batches up to this length are read through, not hopped over */
#define GUESS_THROUGH (128u << 10)
#define SCAN_BYTES    (1u << 20) /* read at a time in search of a header */

/* ---- reading ---------------------------------------------------------------------------- */

/* Reads what can be read; bytes of bad blocks are zero, which nothing valid is. */
static int64_t read_around(struct walk *w, char *to, uint64_t n, uint64_t offset)
{
	int64_t got = disk_read(w->io, to, (size_t)n, offset);

	if (got >= 0)
		return got;
	for (uint64_t at = 0; at < n; at += FORMAT_ALIGN) {
		uint64_t some = MIN((uint64_t)FORMAT_ALIGN, n - at);
		int64_t block = disk_read(w->io, to + at, (size_t)some, offset + at);
		uint64_t have = block < 0 ? 0 : (uint64_t)block;
		memset(to + at + have, 0, (size_t)(some - have));
	}
	return (int64_t)n;
}

/* The bytes at [offset, offset + n), as far as the file goes; `ahead` bytes are read where any are.
 */
static int bytes_at(struct walk *w, uint64_t offset, uint64_t n, uint64_t ahead, struct span *out)
{
	n = offset < w->size ? MIN(n, w->size - offset) : 0;
	if (offset < w->window_at || offset + n > w->window_at + w->window.n) {
		uint64_t want = MIN(MAX(n, ahead), w->size - MIN(offset, w->size));
		buf_clear(&w->window);
		if (want && !buf_reserve(&w->window, (size_t)want)) {
			buf_clear(&w->window);
			return ERR_NOMEM;
		}
		w->window_at = offset;
		int64_t got = want ? read_around(w, w->window.p, want, offset) : 0;
		buf_wrote(&w->window, (size_t)got);
		n = MIN(n, (uint64_t)got);
	}
	*out = n ? span_of(w->window.p + (offset - w->window_at), (size_t)n) : SPAN_NONE;
	return 0;
}

static uint64_t reach(const struct walk *w)
{
	return MIN(w->size, w->limit);
}

/* A header of this file at this offset that can follow what came before. ERR_NOT_FOUND. */
static int header_at(
	struct walk *w, uint64_t offset, uint64_t ahead, int64_t after, struct format_batch *out)
{
	struct span bytes;

	int err = bytes_at(w, offset, FORMAT_BATCH_HEADER, ahead, &bytes);
	if (err)
		return err;
	struct format_batch batch;
	if (format_get_batch(bytes, w->id.salt, &batch) != 0 ||
		!format_batch_fits(&batch, &w->id, offset) || (int64_t)batch.sequence <= after)
		return ERR_NOT_FOUND;
	*out = batch;
	return 0;
}

static int find_header(struct walk *w, uint64_t from, int64_t after, struct format_batch *out)
{
	for (uint64_t at = format_align(from); at < reach(w); at += FORMAT_ALIGN) {
		/* The first look is nearly always right: what lies there is what is read next. */
		int err = header_at(w, at, at == from ? w->guess : SCAN_BYTES, after, out);
		if (err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_NOT_FOUND;
}

/* ---- the last batch --------------------------------------------------------------------- */

static bool bodies_whole(struct walk *w, const struct walk_batch *batch)
{
	struct walk_cursor at = walk_records(batch);
	uint64_t first = batch->header.offset + FORMAT_BATCH_HEADER + batch->header.records_bytes;
	uint64_t end = batch->header.offset + batch->header.length;
	uint32_t records = 0;

	while (at.left.n) {
		struct format_record record;
		struct format_message message;
		size_t bytes;
		if (format_get_record(at.left, w->id.salt, &record, &bytes) != 0 ||
			record.sequence != batch->header.sequence)
			return false;
		at.left = span_skip(at.left, bytes);
		records++;
		if (record.type != FORMAT_MESSAGE)
			continue;
		if (format_get_message(record.payload, &message) != 0)
			return false;
		if (!message.body_serial &&
			(message.body_offset < first ||
				message.body_offset + message.body_bytes + FORMAT_END_BYTES > end))
			return false;
		if (walk_check_body(w->disk, w->io, &message, w->settle) != 0)
			return false;
	}
	return records == batch->header.record_count;
}

/*
 * It counts from here on, so it must be on the device. After a crash of the process alone, memory
 * may hold what was never synced, or, worse, what a failed sync took for clean: a sync would say
 * that all is well. So: sync, forget, and look at what is there. The sync's own error is no news.
 */
static int settle(struct walk *w, struct format_batch *header)
{
	disk_sync(w->io);
	disk_forget(w->io);
	buf_clear(&w->window);
	w->window_at = 0;
	return header_at(w, w->at, w->guess, w->sequence, header);
}

static bool is_whole(struct walk *w, const struct walk_batch *batch)
{
	return batch->header.offset + batch->header.length <= w->size &&
	       batch->records.n == batch->header.records_bytes &&
	       format_hash(batch->records, w->id.salt) == batch->header.records_hash &&
	       bodies_whole(w, batch);
}

/* ---- batches ---------------------------------------------------------------------------- */

static void damage(struct walk *w, uint64_t id, uint64_t offset, const char *what)
{
	w->damaged = true;
	w->damage(w->arg, &w->id, id, offset, what);
}

static int load_records(struct walk *w, const struct format_batch *header, struct walk_batch *out)
{
	*out = (struct walk_batch){
		.header = *header, .records_at = header->offset + FORMAT_BATCH_HEADER};
	return bytes_at(w, out->records_at, header->records_bytes, 0, &out->records);
}

static void learn(struct walk *w, const struct format_batch *header)
{
	uint64_t head = FORMAT_BATCH_HEADER + (uint64_t)header->records_bytes;
	uint64_t guess = header->length <= GUESS_DENSE ? GUESS_THROUGH : format_align(head);

	w->guess = MIN(MAX(guess, (uint64_t)GUESS_LEAST), (uint64_t)GUESS_MOST);
}

static int take(struct walk *w, struct format_batch *header, struct walk_batch *out)
{
	uint64_t end = header->offset + header->length;
	bool proven = end <= w->proven;

	if (end > w->limit)
		return ERR_NOT_FOUND;
	if (!proven) {
		struct format_batch later;
		int err = find_header(w, format_align(end), header->sequence, &later);
		if (err == 0)
			w->proven = MAX(w->proven, later.offset);
		else if (err != ERR_NOT_FOUND)
			return err;
		proven = end <= w->proven;
	}
	if (!proven && w->settle) {
		int err = settle(w, header);
		if (err == ERR_NOT_FOUND || (err == 0 && header->kind != FORMAT_BATCH)) {
			w->torn = true;
			return ERR_NOT_FOUND;
		}
		if (err)
			return err;
		end = header->offset + header->length;
	}
	int err = load_records(w, header, out);
	if (err)
		return err;
	if (!proven && !is_whole(w, out)) {
		w->torn = true;
		return ERR_NOT_FOUND;
	}
	w->unproven = !proven;
	w->sequence = header->sequence;
	w->end = end;
	w->at = format_align(end);
	learn(w, header);
	return 0;
}

/* ---- damage ----------------------------------------------------------------------------- */

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
		int err = bytes_at(w, at, FORMAT_RECORD, SCAN_BYTES, &bytes);
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
			err = bytes_at(w, at, format_record_bytes(length), 0, &bytes);
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

/* In a stretch whose headers are lost: the next records that can be found where a batch may begin.
 */
static int next_blind(struct walk *w, struct walk_batch *out)
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
		err = bytes_at(w, out->records_at, n, 0, &out->records);
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

/* No header where one should be: the end, a torn tail, or damage. */
static int missing_header(struct walk *w)
{
	struct format_batch later;

	int err = find_header(w, w->at + FORMAT_ALIGN, w->sequence, &later);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err && w->at >= MIN(w->proven, w->limit)) {
		w->torn = w->torn || reach(w) > w->at;
		return ERR_NOT_FOUND;
	}
	damage(w, 0, w->at, "a batch header is damaged");
	w->blind_end = err ? MIN(format_align(w->proven), format_align(reach(w))) : later.offset;
	w->blind_sequence = err ? INT64_MAX : (int64_t)later.sequence;
	if (!err)
		w->proven = MAX(w->proven, later.offset);
	return 0;
}

int walk_next(struct walk *w, struct walk_batch *out)
{
	for (;;) {
		struct format_batch header;
		if (w->blind_end) {
			int err = next_blind(w, out);
			if (err != ERR_NOT_FOUND)
				return err;
		}
		if (w->at >= reach(w)) {
			if (w->at < MIN(w->proven, w->limit))
				damage(w, 0, w->size, "the file is shorter than it was");
			w->proven = MIN(w->proven, w->at); /* said once */
			return ERR_NOT_FOUND;
		}
		int err = header_at(w, w->at, w->guess, w->sequence, &header);
		if (err == 0 && header.kind == FORMAT_BATCH)
			return take(w, &header, out);
		if (err == 0 && w->at >= MIN(w->proven, w->limit))
			return ERR_NOT_FOUND; /* a refused batch: the file ends here */
		if (err && err != ERR_NOT_FOUND)
			return err;
		err = missing_header(w);
		if (err)
			return err;
	}
}

int walk_any_header(struct walk *w, struct format_batch *out)
{
	return find_header(w, FORMAT_PAGE, -1, out);
}

/* ---- records ---------------------------------------------------------------------------- */

struct walk_cursor walk_records(const struct walk_batch *batch)
{
	return (struct walk_cursor){.left = batch->records, .offset = batch->records_at};
}

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
				damage(w, whose(w, at->left), offset, "a record is damaged");
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

/* ---- beginning and end ------------------------------------------------------------------ */

static void ignore_damage(
	void *arg, const struct format_file *file, uint64_t id, uint64_t offset, const char *what)
{
	(void)arg, (void)file, (void)id, (void)offset, (void)what;
}

void walk_init(struct walk *w, struct disk *disk)
{
	*w = (struct walk){.disk = disk, .damage = ignore_damage, .guess = GUESS_LEAST};
	buf_init(&w->window, SIZE_MAX);
}

void walk_done(struct walk *w)
{
	buf_done(&w->window);
}

int walk_begin(struct walk *w, struct io_file *io, const struct format_file *id)
{
	int64_t size = disk_size(io);

	if (size < 0)
		return (int)size;
	w->io = io;
	w->id = *id;
	w->size = (uint64_t)size;
	w->at = w->end = FORMAT_PAGE;
	w->sequence = -1;
	w->proven = 0;
	w->limit = WALK_ALL;
	w->torn = w->unproven = w->damaged = w->settle = false;
	w->blind_end = 0;
	w->window_at = 0;
	/* One huge record must not cost its memory for ever. */
	if (w->window.room > (size_t)2 * SCAN_BYTES) {
		buf_done(&w->window);
		buf_init(&w->window, SIZE_MAX);
	}
	buf_clear(&w->window);
	return 0;
}

int walk_page(struct io_file *io, uint8_t owner, uint32_t serial, struct format_file *out)
{
	char page[FORMAT_PAGE];
	struct format_file file;

	int64_t n = disk_read(io, page, sizeof(page), 0);
	if (n < 0)
		return (int)n;
	int err = format_get_page(span_of(page, (size_t)n), &file);
	if (err)
		return err;
	if (file.owner != owner || file.serial != serial)
		return ERR_CORRUPT;
	*out = file;
	return 0;
}
