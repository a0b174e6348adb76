#include "trace/writer.h"

#include "base/check.h"
#include "base/err.h"
#include "trace/event_format.h"

#include <stdlib.h>

#define WRITER_LINE (1u << 20) /* bytes of one event, at most */
#define NAME_BYTES  23	       /* 16 digits, ".jsonl", NUL */

struct trace_writer {
	struct event_sink sink;
	struct trace_writer_config config;
	struct buf gather;  /* lines that no job has yet */
	struct buf writing; /* what the job writes */
	struct buf text;    /* scratch: the line for people */
	struct timer timer;
	struct io_job job;
	bool busy;
	uint64_t dropped, dropped_told;
	/* Of the job while it runs, else of the loop. */
	struct io_file *file;
	uint64_t file_bytes;
	int64_t wall_ms; /* when the job was made */
	int64_t *begins; /* of the files, oldest first; the last one is open */
	uint64_t *sizes;
	size_t files;
	int err;
};

static void start_job(struct trace_writer *w);

/* ---- on the file lane
 * ------------------------------------------------------------------------- */

static void file_name(int64_t begin, char name[NAME_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++)
		name[i] = hex[((uint64_t)begin >> (60 - 4 * i)) & 15];
	memcpy(name + 16, ".jsonl", 7);
}

static void remove_oldest(struct trace_writer *w)
{
	char name[NAME_BYTES];

	file_name(w->begins[0], name);
	disk_unlink(w->config.disk, name);
	w->files--;
	memmove(w->begins, w->begins + 1, w->files * sizeof(*w->begins));
	memmove(w->sizes, w->sizes + 1, w->files * sizeof(*w->sizes));
}

/* The file in use is never removed; a file's last line is about as old as the next file's begin. */
static void keep_bounds(struct trace_writer *w)
{
	uint64_t all = 0;

	for (size_t i = 0; i < w->files; i++)
		all += w->sizes[i];
	while (w->files > 1 && (all > w->config.bytes || w->files >= WRITER_FILES_MOST ||
				       w->begins[1] < w->wall_ms - (int64_t)w->config.age_ms)) {
		all -= w->sizes[0];
		remove_oldest(w);
	}
}

static int next_file(struct trace_writer *w)
{
	char name[NAME_BYTES];
	int64_t begin = w->wall_ms;

	disk_close(&w->file);
	/* A clock that was set back must not lead into an older file, nor change their order. */
	if (w->files && begin <= w->begins[w->files - 1])
		begin = w->begins[w->files - 1] + 1;
	file_name(begin, name);
	int err = disk_open(
		w->config.disk, name, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &w->file);

	if (err)
		return err;
	w->begins[w->files] = begin;
	w->sizes[w->files] = 0;
	w->files++;
	w->file_bytes = 0;
	keep_bounds(w);
	return 0;
}

static void write_run(struct io_job *job)
{
	struct trace_writer *w = CONTAINER_OF(job, struct trace_writer, job);
	struct iovec part = {w->writing.p, w->writing.n};

	w->err = 0;
	if (!w->file || w->file_bytes >= w->config.bytes / WRITER_FILES)
		w->err = next_file(w);
	if (!w->err)
		w->err = disk_write_all(w->file, &part, 1, w->file_bytes);
	if (w->err) {
		disk_close(&w->file); /* whatever was torn stays behind in that file */
		return;
	}
	w->file_bytes += w->writing.n;
	w->sizes[w->files - 1] = w->file_bytes;
	keep_bounds(w);
}

/* ---- on the loop ---------------------------------------------------------------------------- */

static uint64_t lines_in(const struct buf *buf)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < buf->n; i++)
		lines += buf->p[i] == '\n';
	return lines;
}

static void write_done(struct io_job *job)
{
	struct trace_writer *w = CONTAINER_OF(job, struct trace_writer, job);

	w->busy = false;
	if (w->err) {
		w->dropped += lines_in(&w->writing);
		log_write(w->config.log, LOG_ERROR, "the trace cannot be written",
			LOG_STR("error", err_text(w->err)), LOG_U64("lines_lost", w->dropped));
		w->dropped_told = w->dropped;
	} else if (w->dropped != w->dropped_told) {
		log_write(w->config.log, LOG_WARN, "the trace lost lines, the disk was too slow",
			LOG_U64("lines_lost", w->dropped));
		w->dropped_told = w->dropped;
	}
	buf_clear(&w->writing);
	if (w->gather.n)
		start_job(w);
}

static void start_job(struct trace_writer *w)
{
	struct buf gather = w->gather;

	if (w->busy || !gather.n)
		return;
	w->gather = w->writing;
	w->writing = gather;
	buf_clear(&w->gather);
	w->busy = true;
	w->wall_ms = w->config.io->wall_ms;
	io_timer_stop(w->config.io, &w->timer);
	if (io_submit(w->config.io, IO_LANE_FILE, &w->job)) {
		w->busy = false;
		w->dropped += lines_in(&w->writing);
		buf_clear(&w->writing);
	}
}

static void delay_over(struct timer *timer)
{
	start_job(CONTAINER_OF(timer, struct trace_writer, timer));
}

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct trace_writer *w = CONTAINER_OF(sink, struct trace_writer, sink);
	size_t before = w->gather.n;
	bool log = w->config.line != NULL;

	event_json(event, &w->gather);
	struct span json = span_of(w->gather.p + before, w->gather.n - before);

	if (log && w->config.text) {
		buf_clear(&w->text);
		event_text(event, &w->text);
	}
	if (log)
		w->config.line(w->config.context, json, buf_span(&w->text));
	buf_add_char(&w->gather, '\n');
	if (!buf_ok(&w->gather)) {
		w->gather.n = before;
		w->gather.overflow = false;
		w->dropped++;
	}
	if (w->gather.n >= WRITER_BATCH)
		start_job(w);
	else if (!timer_armed(&w->timer) && !w->busy)
		io_timer_after(w->config.io, &w->timer, WRITER_DELAY_MS);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int each_name(void *arg, const char *name)
{
	struct trace_writer *w = arg;
	int64_t begin = 0;

	if (strlen(name) != NAME_BYTES - 1 || memcmp(name + 16, ".jsonl", 6) != 0)
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
	if (begin < 0 || w->files >= WRITER_FILES_MOST)
		return 0;
	w->begins[w->files++] = begin;
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void find_files(struct trace_writer *w)
{
	disk_list(w->config.disk, "", each_name, w);
	if (w->files)
		qsort(w->begins, w->files, sizeof(*w->begins), by_begin);
	for (size_t i = 0; i < w->files; i++) {
		struct io_file *file;
		char name[NAME_BYTES];

		file_name(w->begins[i], name);
		w->sizes[i] = 0;
		if (disk_open(w->config.disk, name, DISK_READ, &file))
			continue;
		int64_t size = disk_size(file);

		w->sizes[i] = size > 0 ? (uint64_t)size : 0;
		disk_close(&file);
	}
}

int trace_writer_new(const struct trace_writer_config *config, struct trace_writer **out)
{
	struct trace_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	w->config = *config;
	w->sink.emit = on_event;
	w->timer.fire = delay_over;
	w->job.run = write_run;
	w->job.done = write_done;
	buf_init(&w->gather, WRITER_PENDING);
	buf_init(&w->writing, WRITER_PENDING);
	buf_init(&w->text, WRITER_LINE);
	/* One more than is ever kept, for the file that is just begun. */
	w->begins = calloc(WRITER_FILES_MOST + 1, sizeof(*w->begins));
	w->sizes = calloc(WRITER_FILES_MOST + 1, sizeof(*w->sizes));
	if (!w->begins || !w->sizes) {
		trace_writer_free(&w);
		return ERR_NOMEM;
	}
	find_files(w);
	*out = w;
	return 0;
}

struct event_sink *trace_writer_sink(struct trace_writer *w)
{
	return &w->sink;
}

void trace_writer_flush(struct trace_writer *w)
{
	start_job(w);
}

bool trace_writer_busy(const struct trace_writer *w)
{
	return w->busy || w->gather.n;
}

uint64_t trace_writer_dropped(const struct trace_writer *w)
{
	return w->dropped;
}

void trace_writer_free(struct trace_writer **writer)
{
	struct trace_writer *w = *writer;

	if (!w)
		return;
	*writer = NULL;
	CHECK(!w->busy);
	io_timer_stop(w->config.io, &w->timer);
	disk_close(&w->file);
	buf_done(&w->gather);
	buf_done(&w->writing);
	buf_done(&w->text);
	free(w->begins);
	free(w->sizes);
	free(w);
}
