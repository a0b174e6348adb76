#include "trace/writer.h"

#include "base/check.h"
#include "base/err.h"
#include "trace/event_format.h"
#include "trace/ring.h"

#include <stdlib.h>

#define WRITER_LINE	    (1u << 20)	      /* bytes of one event, at most */
#define WRITER_AGE_FIRST_MS 1000	      /* after the start, to the first look at old files */
#define WRITER_AGE_MOST_MS  UINT64_C(3600000) /* between two looks, at most */

struct trace_writer {
	struct event_sink sink;
	struct trace_writer_config config;
	struct buf gather;  /* lines that no job has yet */
	struct buf writing; /* what the job writes */
	struct buf text;    /* scratch: the line for people */
	struct timer timer;
	struct timer age_timer; /* old files go though nothing is written */
	struct io_job job;
	bool busy;
	uint64_t begun, ended; /* jobs */
	uint64_t dropped, dropped_told;
	/* Of the job while it runs, else of the loop. */
	struct trace_ring ring;
	int64_t wall_ms; /* when the job was made */
	int err;
};

static void start_job(struct trace_writer *w);

/* ---- on the file lane ----------------------------------------------------------------------- */

static void write_run(struct io_job *job)
{
	struct trace_writer *w = CONTAINER_OF(job, struct trace_writer, job);

	w->err = 0;
	if (w->writing.n)
		w->err = trace_ring_write(&w->ring, w->wall_ms, buf_span(&w->writing));
	else
		trace_ring_age(&w->ring, w->wall_ms);
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
	w->ended = w->begun;
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

/* Writes what was gathered; where that is nothing, removes what is too old. */
static void submit(struct trace_writer *w)
{
	struct buf gather = w->gather;

	w->gather = w->writing;
	w->writing = gather;
	buf_clear(&w->gather);
	w->busy = true;
	w->begun++;
	w->wall_ms = w->config.io->wall_ms;
	io_timer_stop(w->config.io, &w->timer);
	if (io_submit(w->config.io, IO_LANE_FILE, &w->job)) {
		w->busy = false;
		w->ended = w->begun;
		w->dropped += lines_in(&w->writing);
		buf_clear(&w->writing);
	}
}

static void start_job(struct trace_writer *w)
{
	if (!w->busy && w->gather.n)
		submit(w);
}

static void look_for_old(struct timer *timer)
{
	struct trace_writer *w = CONTAINER_OF(timer, struct trace_writer, age_timer);

	if (!w->busy)
		submit(w);
	(void)io_timer_after(w->config.io, &w->age_timer,
		MAX(UINT64_C(1), MIN(w->config.age_ms / RING_FILES, WRITER_AGE_MOST_MS)));
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

int trace_writer_new(const struct trace_writer_config *config, struct trace_writer **out)
{
	struct trace_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	w->config = *config;
	w->sink.emit = on_event;
	w->timer.fire = delay_over;
	w->age_timer.fire = look_for_old;
	w->job.run = write_run;
	w->job.done = write_done;
	buf_init(&w->gather, WRITER_PENDING);
	buf_init(&w->writing, WRITER_PENDING);
	buf_init(&w->text, WRITER_LINE);
	int err = trace_ring_init(&w->ring, config->disk, config->bytes, config->age_ms);

	if (!err)
		err = io_timer_after(config->io, &w->age_timer, WRITER_AGE_FIRST_MS);
	if (err) {
		trace_writer_free(&w);
		return err;
	}
	*out = w;
	return 0;
}

struct event_sink *trace_writer_sink(struct trace_writer *w)
{
	return &w->sink;
}

uint64_t trace_writer_flush(struct trace_writer *w)
{
	start_job(w);
	/* What is left now is the next job's. */
	return w->begun + (w->gather.n != 0);
}

bool trace_writer_wrote(const struct trace_writer *w, uint64_t mark)
{
	return w->ended >= mark;
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
	io_timer_stop(w->config.io, &w->age_timer);
	trace_ring_done(&w->ring);
	buf_done(&w->gather);
	buf_done(&w->writing);
	buf_done(&w->text);
	free(w);
}
