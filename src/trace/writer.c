#include "trace/writer.h"

#include "base/check.h"
#include "base/err.h"
#include "trace/event_format.h"
#include "trace/flood.h"
#include "trace/ring.h"

#include <stdlib.h>

#define WRITER_REFUSALS	    4		      /* one part in so many of the bytes is for refusals */
#define WRITER_LINE	    (1u << 20)	      /* bytes of one event, at most */
#define WRITER_AGE_FIRST_MS 1000	      /* after the start, to the first look at old files */
#define WRITER_AGE_MOST_MS  UINT64_C(3600000) /* between two looks, at most */

/* Lines on their way, and where to. */
struct stream {
	struct buf gather;  /* that no job has yet */
	struct buf writing; /* what the job writes */
	/* Of the job while it runs, else of the loop. */
	struct trace_ring ring;
};

struct trace_writer {
	struct event_sink sink;
	struct trace_writer_config config;
	struct stream events, refusals;
	struct flood flood;
	struct timer flood_timer;
	struct buf text; /* scratch: the line for people */
	struct timer timer;
	struct timer age_timer; /* old files go though nothing is written */
	struct io_job job;
	bool busy;
	uint64_t begun, ended; /* jobs */
	uint64_t dropped, dropped_told;
	uint64_t told_ns; /* when the log heard of it last; 0: never */
	bool told_bad;	  /* what it heard was that nothing can be written */
	bool wrote;	  /* the job had lines */
	struct trace_gaps gaps;
	/* Of the job while it runs, else of the loop. */
	int64_t wall_ms; /* when the job was made */
	int err;
};

static void start_job(struct trace_writer *w);

/* ---- on the file lane ----------------------------------------------------------------------- */

static int write_stream(struct stream *s, int64_t wall_ms)
{
	int err = 0;

	if (s->writing.n)
		err = trace_ring_write(&s->ring, wall_ms, buf_span(&s->writing));
	else
		trace_ring_age(&s->ring, wall_ms);
	if (!err)
		buf_clear(&s->writing);
	return err;
}

static void write_run(struct io_job *job)
{
	struct trace_writer *w = CONTAINER_OF(job, struct trace_writer, job);

	w->err = write_stream(&w->events, w->wall_ms);
	int err = write_stream(&w->refusals, w->wall_ms);
	w->err = w->err ? w->err : err;
}

/* ---- on the loop ---------------------------------------------------------------------------- */

static uint64_t lines_in(const struct buf *buf)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < buf->n; i++)
		lines += buf->p[i] == '\n';
	return lines;
}

static void lose(struct trace_writer *w, uint64_t lines, int err)
{
	w->dropped += lines;
	trace_gaps_add(&w->gaps, lines, err, w->config.io->wall_ms);
}

/* What could not be written is lost. */
static void give_up(struct trace_writer *w, int err)
{
	lose(w, lines_in(&w->events.writing) + lines_in(&w->refusals.writing), err);
	buf_clear(&w->events.writing);
	buf_clear(&w->refusals.writing);
}

/* A full disk fails with every line that somebody causes: the log hears of the first, then of all
 * of a minute at once, and when it is over. */
static void tell(struct trace_writer *w)
{
	uint64_t now = w->config.io->now_ns;
	bool over = w->told_bad && !w->err && w->wrote;
	bool due = !w->told_ns || now - w->told_ns >= WRITER_TELL_MS * NS_PER_MS;

	if (!over && (!due || (!w->err && w->dropped == w->dropped_told)))
		return;
	if (w->err)
		log_write(w->config.log, LOG_ERROR, "the trace cannot be written",
			LOG_STR("error", err_text(w->err)), LOG_U64("lines_lost", w->dropped));
	else if (over)
		log_write(w->config.log, LOG_INFO, "the trace is written again",
			LOG_U64("lines_lost", w->dropped));
	else
		log_write(w->config.log, LOG_WARN, "the trace lost lines, the disk was too slow",
			LOG_U64("lines_lost", w->dropped));
	w->told_bad = w->err != 0;
	w->dropped_told = w->dropped;
	w->told_ns = now;
}

static bool has_lines(const struct trace_writer *w)
{
	return w->events.gather.n || w->refusals.gather.n;
}

static void write_done(struct io_job *job)
{
	struct trace_writer *w = CONTAINER_OF(job, struct trace_writer, job);

	w->busy = false;
	w->ended = w->begun;
	give_up(w, w->err);
	tell(w);
	if (has_lines(w))
		start_job(w);
}

static void take(struct stream *s)
{
	struct buf gather = s->gather;

	s->gather = s->writing;
	s->writing = gather;
	buf_clear(&s->gather);
}

/* Writes what was gathered; where that is nothing, removes what is too old. */
static void submit(struct trace_writer *w)
{
	take(&w->events);
	take(&w->refusals);
	w->wrote = w->events.writing.n || w->refusals.writing.n;
	w->busy = true;
	w->begun++;
	w->wall_ms = w->config.io->wall_ms;
	io_timer_stop(w->config.io, &w->timer);
	if (io_submit(w->config.io, IO_LANE_FILE, &w->job)) {
		w->busy = false;
		w->ended = w->begun;
		give_up(w, ERR_NOMEM);
	}
}

static void start_job(struct trace_writer *w)
{
	if (!w->busy && has_lines(w))
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

static void put_event(struct trace_writer *w, struct stream *to, const struct event *event)
{
	size_t before = to->gather.n;
	bool log = w->config.line != NULL;

	event_json(event, &to->gather);
	struct span json = span_of(to->gather.p + before, to->gather.n - before);

	if (log && w->config.text) {
		buf_clear(&w->text);
		event_text(event, &w->text);
	}
	if (log)
		w->config.line(w->config.context, json, buf_span(&w->text));
	buf_add_char(&to->gather, '\n');
	if (!buf_ok(&to->gather)) {
		to->gather.n = before;
		to->gather.overflow = false;
		lose(w, 1, 0);
	}
	if (to->gather.n >= WRITER_BATCH)
		start_job(w);
	else if (!timer_armed(&w->timer) && !w->busy)
		io_timer_after(w->config.io, &w->timer, WRITER_DELAY_MS);
}

static void put_more(void *context, const struct netaddr *client, uint64_t more)
{
	struct trace_writer *w = context;
	const struct event event = {.kind = EVENT_REJECTION,
		.wall_ms = w->config.io->wall_ms,
		.client = *client,
		.more = more};

	put_event(w, &w->refusals, &event);
}

static void minute_over(struct timer *timer)
{
	struct trace_writer *w = CONTAINER_OF(timer, struct trace_writer, flood_timer);

	flood_sum(&w->flood, put_more, w);
	flood_begin(&w->flood);
}

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct trace_writer *w = CONTAINER_OF(sink, struct trace_writer, sink);

	if (event->kind != EVENT_REJECTION || !w->config.refusals) {
		put_event(w, &w->events, event);
		return;
	}
	if (!timer_armed(&w->flood_timer))
		(void)io_timer_after(w->config.io, &w->flood_timer, FLOOD_MINUTE_MS);
	if (flood_may_tell(&w->flood, &event->client))
		put_event(w, &w->refusals, event);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_stream(struct trace_writer *w, struct stream *s, const char *suffix, uint64_t bytes)
{
	buf_init(&s->gather, WRITER_PENDING);
	buf_init(&s->writing, WRITER_PENDING);
	return trace_ring_init(&s->ring, w->config.disk, suffix, bytes, w->config.age_ms);
}

static void close_stream(struct stream *s)
{
	trace_ring_done(&s->ring);
	buf_done(&s->gather);
	buf_done(&s->writing);
}

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
	w->flood_timer.fire = minute_over;
	buf_init(&w->text, WRITER_LINE);
	uint64_t share = config->refusals ? config->bytes / WRITER_REFUSALS : 0;
	int err = open_stream(w, &w->events, RING_EVENTS, config->bytes - share);

	if (!err)
		err = open_stream(w, &w->refusals, RING_REFUSALS, share);
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
	flood_sum(&w->flood, put_more, w);
	start_job(w);
	/* What is left now is the next job's. */
	return w->begun + has_lines(w);
}

bool trace_writer_wrote(const struct trace_writer *w, uint64_t mark)
{
	return w->ended >= mark;
}

bool trace_writer_busy(const struct trace_writer *w)
{
	return w->busy || has_lines(w);
}

uint64_t trace_writer_dropped(const struct trace_writer *w)
{
	return w->dropped;
}

struct trace_gaps trace_writer_gaps(const struct trace_writer *w)
{
	return trace_gaps_since(&w->gaps, w->config.io->wall_ms - (int64_t)w->config.age_ms);
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
	io_timer_stop(w->config.io, &w->flood_timer);
	close_stream(&w->events);
	close_stream(&w->refusals);
	buf_done(&w->text);
	free(w);
}
