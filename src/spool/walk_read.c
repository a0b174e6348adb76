/* The walk's reading: a window on the file, and headers in it. A device that fails is asked again
 * before anything is taken for damage. */
#include "spool/walk_inner.h"

#include "base/check.h"
#include "base/err.h"

#define READ_TRIES 4 /* at the same bytes, one after the other */

bool walk_pauses(struct walk *w)
{
	if (!w->slice || w->effort - w->paused_at < w->slice)
		return false;
	w->paused_at = w->effort;
	return true;
}

int64_t walk_read(struct io_file *io, void *to, uint64_t n, uint64_t offset)
{
	int64_t got = disk_read(io, to, (size_t)n, offset);

	for (int tries = 1; got < 0 && tries < READ_TRIES; tries++)
		got = disk_read(io, to, (size_t)n, offset);
	return got;
}

int walk_unreadable(struct walk *w, uint64_t end, int err)
{
	if (err == ERR_NOMEM)
		return err;
	if (w->patience && *w->patience) {
		--*w->patience;
		return ERR_IO;
	}
	w->unread_end = MAX(w->unread_end, end);
	return 0;
}

/* Reads what can be read; bytes of blocks that were given up are zero, which nothing valid is.
 * Behind the `needed` ones it ends before the first bad block: that may be anything's, a body's for
 * one, that nobody asks for. */
static int64_t read_around(struct walk *w, char *to, uint64_t n, uint64_t needed, uint64_t offset)
{
	for (uint64_t at = 0; at < n; at += FORMAT_ALIGN) {
		uint64_t some = MIN((uint64_t)FORMAT_ALIGN, n - at);
		int64_t block = walk_read(w->io, to + at, some, offset + at);
		if (block < 0 && at >= needed)
			return (int64_t)at;
		int err = block < 0 ? walk_unreadable(w, offset + at + some, (int)block) : 0;
		if (err)
			return err;
		uint64_t have = block < 0 ? 0 : (uint64_t)block;
		memset(to + at + have, 0, (size_t)(some - have));
	}
	return (int64_t)n;
}

int walk_bytes(struct walk *w, uint64_t offset, uint64_t n, uint64_t ahead, struct span *out)
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
		int64_t got = want ? disk_read(w->io, w->window.p, (size_t)want, offset) : 0;
		/* Whoever said how long the file is may have been wrong. */
		if (got >= 0 && (uint64_t)got < want)
			w->size = offset + (uint64_t)got;
		if (got < 0)
			got = read_around(w, w->window.p, want, n, offset);
		if (got < 0)
			return (int)got;
		buf_wrote(&w->window, (size_t)got);
		n = MIN(n, (uint64_t)got);
	}
	*out = n ? span_of(w->window.p + (offset - w->window_at), (size_t)n) : SPAN_NONE;
	return 0;
}

bool walk_seen(const struct walk *w, const struct format_file *id, uint64_t offset, uint64_t n,
	struct span *out)
{
	if (w->id.serial != id->serial || w->id.owner != id->owner || w->id.salt != id->salt ||
		offset < w->window_at || offset + n > w->window_at + w->window.n)
		return false;
	*out = span_of(w->window.p + (offset - w->window_at), (size_t)n);
	return true;
}

uint64_t walk_reach(const struct walk *w)
{
	return MIN(w->size, w->limit);
}

int walk_header(
	struct walk *w, uint64_t offset, uint64_t ahead, int64_t after, struct format_batch *out)
{
	struct span bytes;

	int err = walk_bytes(w, offset, FORMAT_BATCH_HEADER, ahead, &bytes);
	if (err)
		return err;
	struct format_batch batch;
	if (format_get_batch(bytes, w->id.salt, &batch) != 0 ||
		!format_batch_fits(&batch, &w->id, offset) || (int64_t)batch.sequence <= after)
		return ERR_NOT_FOUND;
	*out = batch;
	return 0;
}

/* Holes, of which a hostile file may have terabytes, are not read. Asked for once a window. */
uint64_t walk_skip_hole(struct walk *w, uint64_t at)
{
	if (at >= w->asked_at && at - w->asked_at < WALK_SCAN_BYTES)
		return at;
	int64_t data = disk_data(w->io, at);
	if (data > (int64_t)at)
		at = MAX(at, (uint64_t)data & ~(uint64_t)(FORMAT_ALIGN - 1));
	w->asked_at = at;
	return at;
}

static int search(struct walk *w, uint64_t to, struct format_batch *out)
{
	uint64_t from = format_align(w->search.from);

	while (w->search.at < MIN(to, walk_reach(w))) {
		uint64_t at = w->search.at;
		/* The first look is nearly always right: what lies there is what is read next. */
		uint64_t ahead = at == from ? w->guess : WALK_SCAN_BYTES;
		int err = walk_header(w, at, ahead, w->search.after, out);
		if (err != ERR_NOT_FOUND)
			return err;
		w->search.at = walk_skip_hole(w, at + FORMAT_ALIGN);
		w->effort += FORMAT_ALIGN;
		if (walk_pauses(w))
			return ERR_AGAIN;
	}
	return ERR_NOT_FOUND;
}

int walk_find_header(
	struct walk *w, uint64_t from, uint64_t to, int64_t after, struct format_batch *out)
{
	if (w->search.from != from || w->search.after != after) {
		w->search.from = from;
		w->search.at = format_align(from);
		w->search.after = after;
	}
	int err = search(w, to, out);
	if (err == 0 || err == ERR_NOT_FOUND)
		w->search.from = 0;
	return err;
}

int walk_any_header(struct walk *w, uint64_t reach, struct format_batch *out)
{
	return walk_find_header(w, FORMAT_PAGE, FORMAT_PAGE + reach, -1, out);
}

/* ---- the file's own header ---------------------------------------------------------------- */

/* A page of which not all can be read may still have a copy of the header that can. */
static int read_page(struct io_file *io, char page[FORMAT_PAGE], size_t *out_bytes)
{
	int64_t n = walk_read(io, page, FORMAT_PAGE, 0);

	if (n >= 0) {
		*out_bytes = (size_t)n;
		return 0;
	}
	memset(page, 0, FORMAT_PAGE);
	*out_bytes = FORMAT_PAGE;
	(void)walk_read(io, page, FORMAT_FILE_HEADER, 0);
	(void)walk_read(io, page + FORMAT_PAGE_COPY, FORMAT_FILE_HEADER, FORMAT_PAGE_COPY);
	return (int)n;
}

static int read_first(struct io_file *io, struct format_file *out)
{
	char header[FORMAT_BATCH_HEADER];

	int64_t n = walk_read(io, header, sizeof(header), FORMAT_PAGE);
	return n < 0 ? (int)n : format_get_first(span_of(header, (size_t)n), out);
}

int walk_page(struct io_file *io, uint8_t owner, uint32_t serial, struct format_file *out)
{
	char page[FORMAT_PAGE];
	struct format_file file;
	size_t n;

	int unread = read_page(io, page, &n);
	if (format_get_page(span_of(page, n), &file) != 0) {
		int err = read_first(io, &file);
		/* What cannot be read now may be right. */
		if (err)
			return unread ? unread : ERR_CORRUPT;
	}
	if (file.owner != owner || file.serial != serial)
		return ERR_CORRUPT;
	*out = file;
	return 0;
}
