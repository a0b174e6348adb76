#include "trace/ring.h"

#include "base/err.h"

#include <stdlib.h>

#define NAME_BYTES 32 /* 16 digits, the suffix, NUL */

static void file_name(const struct trace_ring *r, int64_t begin, char name[NAME_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++)
		name[i] = hex[((uint64_t)begin >> (60 - 4 * i)) & 15];
	memcpy(name + 16, r->suffix, strlen(r->suffix) + 1);
}

static void remove_file(struct trace_ring *r, size_t at)
{
	char name[NAME_BYTES];

	file_name(r, r->begins[at], name);
	if (at == r->files - 1)
		disk_close(&r->file);
	disk_unlink(r->disk, name);
	r->files--;
	memmove(r->begins + at, r->begins + at + 1, (r->files - at) * sizeof(*r->begins));
	memmove(r->sizes + at, r->sizes + at + 1, (r->files - at) * sizeof(*r->sizes));
}

static int64_t span_ms(const struct trace_ring *r)
{
	return (int64_t)(r->age_ms / RING_FILES);
}

void trace_ring_age(struct trace_ring *r, int64_t wall_ms)
{
	while (r->files && r->begins[0] < wall_ms - (int64_t)r->age_ms - span_ms(r))
		remove_file(r, 0);
}

/* The file in use is never too long by itself. */
static void keep_size(struct trace_ring *r)
{
	uint64_t all = 0;

	for (size_t i = 0; i < r->files; i++)
		all += r->sizes[i];
	while (r->files > 1 && (all > r->bytes || r->files > RING_FILES_MOST)) {
		all -= r->sizes[0];
		remove_file(r, 0);
	}
}

static bool wants_new(const struct trace_ring *r, int64_t wall_ms)
{
	return !r->file || r->file_bytes >= r->bytes / RING_FILES ||
	       wall_ms - r->begins[r->files - 1] >= span_ms(r);
}

static int next_file(struct trace_ring *r, int64_t wall_ms)
{
	char name[NAME_BYTES];
	int64_t begin = wall_ms;

	disk_close(&r->file);
	/* A clock that was set back must not lead into an older file, nor change their order. */
	if (r->files && begin <= r->begins[r->files - 1])
		begin = r->begins[r->files - 1] + 1;
	file_name(r, begin, name);
	int err = disk_open(r->disk, name, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &r->file);

	if (err)
		return err;
	r->begins[r->files] = begin;
	r->sizes[r->files] = 0;
	r->files++;
	r->file_bytes = 0;
	keep_size(r);
	return 0;
}

int trace_ring_write(struct trace_ring *r, int64_t wall_ms, struct span lines)
{
	struct iovec part = {(void *)(uintptr_t)lines.p, lines.n};
	int err = 0;

	trace_ring_age(r, wall_ms);
	if (wants_new(r, wall_ms))
		err = next_file(r, wall_ms);
	if (err)
		return err;
	err = disk_write_all(r->file, &part, 1, r->file_bytes);
	if (err && !r->file_bytes) {
		/* On a full disk such files would push out those that hold something. */
		remove_file(r, r->files - 1);
	} else if (err) {
		disk_close(&r->file); /* whatever was torn stays behind in that file */
	} else {
		r->file_bytes += lines.n;
		r->sizes[r->files - 1] = r->file_bytes;
		keep_size(r);
	}
	return err;
}

/* ---- what is there at first ----------------------------------------------------------------- */

static int each_name(void *arg, const char *name)
{
	struct trace_ring *r = arg;
	int64_t begin = 0;

	if (strlen(name) < 16 || strcmp(name + 16, r->suffix) != 0)
		return 0;
	for (int i = 0; i < 16; i++) {
		char c = name[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;

		if (digit < 0)
			return 0;
		begin = (int64_t)((uint64_t)begin << 4 | (unsigned)digit);
	}
	if (begin < 0 || r->files >= RING_FILES_MOST)
		return 0;
	r->begins[r->files++] = begin;
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t size_of(const struct trace_ring *r, int64_t begin)
{
	struct io_file *file;
	char name[NAME_BYTES];

	file_name(r, begin, name);
	if (disk_open(r->disk, name, DISK_READ, &file))
		return 0;
	int64_t size = disk_size(file);

	disk_close(&file);
	return size > 0 ? (uint64_t)size : 0;
}

int trace_ring_init(struct trace_ring *r, struct disk *disk, const char *suffix, uint64_t bytes,
	uint64_t age_ms)
{
	*r = (struct trace_ring){.disk = disk, .suffix = suffix, .bytes = bytes, .age_ms = age_ms};
	/* One more than is ever kept, for the file that is just begun. */
	r->begins = calloc(RING_FILES_MOST + 1, sizeof(*r->begins));
	r->sizes = calloc(RING_FILES_MOST + 1, sizeof(*r->sizes));
	if (!r->begins || !r->sizes) {
		trace_ring_done(r);
		return ERR_NOMEM;
	}
	disk_list(disk, "", each_name, r);
	if (r->files)
		qsort(r->begins, r->files, sizeof(*r->begins), by_begin);
	for (size_t i = 0; i < r->files; i++)
		r->sizes[i] = size_of(r, r->begins[i]);
	return 0;
}

void trace_ring_done(struct trace_ring *r)
{
	disk_close(&r->file);
	free(r->begins);
	free(r->sizes);
	r->begins = NULL;
	r->sizes = NULL;
	r->files = 0;
}
