#include "io/logsink.h"

#include "base/check.h"
#include "base/err.h"
#include "base/json_write.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOGSINK_MAGIC 0x6c6f6773u
#define FIELD_SHOWN   512 /* bytes of a text field in a text line */
#define LINE_BYTES    65536

struct logsink {
	struct log log; /* first */
	uint32_t magic;
	struct io *io;
	int fd;
	enum logsink_format format;
	char *role;
	struct buf pending; /* whole lines, waiting */
	struct buf writing; /* the job's, while it runs */
	struct buf line;    /* the one that is being made */
	bool busy;
	atomic_bool written; /* by the job: `writing` is out */
	uint64_t dropped;    /* since the start */
	uint64_t unsaid;     /* of these, not yet logged */
	struct io_job job;
	struct timer delay;
	struct io_turn turn;
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* ---- writing -------------------------------------------------------------------------------- */

/* The longest run of whole lines that a pipe takes undivided; else the first line alone. */
static size_t whole_lines(const char *p, size_t n)
{
	if (n <= PIPE_BUF)
		return n;
	for (size_t end = PIPE_BUF; end; end--)
		if (p[end - 1] == '\n')
			return end;
	for (size_t end = PIPE_BUF; end < n; end++)
		if (p[end] == '\n')
			return end + 1;
	return n;
}

/* Gives up when the reader is gone or, where wait_ms is not negative, takes nothing for so long. */
static void write_lines(int fd, const char *p, size_t n, int wait_ms)
{
	while (n) {
		size_t part = whole_lines(p, n);
		while (part) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};
			if (wait_ms >= 0 && poll(&room, 1, wait_ms) == 0)
				return;
			ssize_t wrote = write(fd, p, part);
			if (wrote < 0 && errno == EAGAIN) {
				(void)poll(&room, 1, wait_ms);
				continue;
			}
			if (wrote < 0 && errno != EINTR)
				return;
			if (wrote > 0) {
				p += wrote;
				n -= (size_t)wrote;
				part -= (size_t)wrote;
			}
		}
	}
}

static void job_run(struct io_job *job)
{
	struct logsink *s = CONTAINER_OF(job, struct logsink, job);

	write_lines(s->fd, s->writing.p, s->writing.n, -1);
	atomic_store(&s->written, true);
}

static void job_done(struct io_job *job)
{
	struct logsink *s = CONTAINER_OF(job, struct logsink, job);

	s->busy = false;
	buf_clear(&s->writing);
	if (s->pending.n)
		io_turn_end(s->io, &s->turn);
}

static void begin_write(struct logsink *s)
{
	if (s->busy || !s->pending.n)
		return;
	io_timer_stop(s->io, &s->delay);
	struct buf swap = s->writing;
	s->writing = s->pending;
	s->pending = swap;
	atomic_store(&s->written, false);
	s->busy = io_submit(s->io, IO_LANE_FILE, &s->job) == 0;
	if (!s->busy) { /* no thread can be had: then here */
		write_lines(s->fd, s->writing.p, s->writing.n, -1);
		buf_clear(&s->writing);
	}
}

static void turn_end(struct io_turn *turn)
{
	begin_write(CONTAINER_OF(turn, struct logsink, turn));
}

static void delay_over(struct timer *timer)
{
	begin_write(CONTAINER_OF(timer, struct logsink, delay));
}

static void drop(struct logsink *s)
{
	s->dropped++;
	s->unsaid++;
}

/* The line is in s->line, without its end. */
static void give(struct logsink *s, bool urgent)
{
	if (!buf_ok(&s->line)) {
		drop(s);
		return;
	}
	buf_add_char(&s->line, '\n');
	if (!s->io) {
		write_lines(s->fd, s->line.p, s->line.n, -1);
		return;
	}
	if (s->pending.n + s->line.n > LOGSINK_PENDING) {
		drop(s);
		return;
	}
	buf_add_span(&s->pending, buf_span(&s->line));
	if (!buf_ok(&s->pending)) { /* no memory: what was added before is whole */
		s->pending.overflow = false;
		drop(s);
		return;
	}
	if (s->busy) /* job_done() goes on */
		return;
	bool now = urgent || s->pending.n > LOGSINK_PENDING / 4;
	if (!now && !timer_armed(&s->delay))
		now = io_timer_after(s->io, &s->delay, LOGSINK_DELAY_MS) != 0;
	if (now)
		io_turn_end(s->io, &s->turn);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int64_t wall_ms(const struct logsink *s)
{
	struct timespec t;

	if (s->io)
		return s->io->wall_ms;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / (long)NS_PER_MS;
}

static void line_head(struct logsink *s, enum log_level level)
{
	struct buf *line = &s->line;

	text_add_time(line, wall_ms(s));
	buf_add_char(line, ' ');
	buf_add_str(line, level_names[level]);
	buf_add_char(line, ' ');
	buf_add_str(line, s->role);
	buf_add(line, ": ", 2);
}

static void line_text(struct logsink *s, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct buf *line = &s->line;

	line_head(s, level);
	buf_add_str(line, message);
	for (size_t i = 0; i < count; i++) {
		buf_add_char(line, ' ');
		buf_add_str(line, fields[i].name);
		buf_add_char(line, '=');
		if (fields[i].kind == LOG_FIELD_U64) {
			buf_add_u64(line, fields[i].u64);
		} else if (fields[i].kind == LOG_FIELD_ID) {
			text_add_id(line, fields[i].u64);
		} else {
			buf_add_char(line, '"');
			buf_add_escaped(line, fields[i].span, FIELD_SHOWN);
			buf_add_char(line, '"');
		}
	}
}

static void line_json(struct logsink *s, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct json_write json;

	json_write_init(&json, &s->line);
	json_open_object(&json, NULL);
	json_put_time(&json, "time", wall_ms(s));
	json_put_str(&json, "level", level_names[level]);
	json_put_str(&json, "role", s->role);
	json_put_str(&json, "message", message);
	for (size_t i = 0; i < count; i++) {
		if (fields[i].kind == LOG_FIELD_U64)
			json_put_u64(&json, fields[i].name, fields[i].u64);
		else if (fields[i].kind == LOG_FIELD_ID)
			json_put_id(&json, fields[i].name, fields[i].u64);
		else
			json_put_string(&json, fields[i].name, fields[i].span);
	}
	json_close_object(&json);
}

static void make_line(struct logsink *s, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	buf_clear(&s->line);
	if (s->format == LOGSINK_JSON)
		line_json(s, level, message, fields, count);
	else
		line_text(s, level, message, fields, count);
}

/* Once there is room again, the gap is spoken of before the next line. */
static void say_dropped(struct logsink *s)
{
	if (!s->unsaid || (s->io && s->pending.n > LOGSINK_PENDING / 2))
		return;
	struct log_field field = LOG_U64("lines", s->unsaid);
	s->unsaid = 0;
	make_line(
		s, LOG_WARN, "log lines were dropped, since stderr is read too slowly", &field, 1);
	give(s, true);
}

static void sink_write(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct logsink *s = (struct logsink *)(void *)log;

	CHECK_MAGIC(s, LOGSINK_MAGIC);
	say_dropped(s);
	make_line(s, level, message, fields, count);
	give(s, level >= LOG_WARN);
}

void logsink_line(struct logsink *s, struct span json, struct span text)
{
	CHECK_MAGIC(s, LOGSINK_MAGIC);
	if (s->log.least > LOG_INFO)
		return;
	say_dropped(s);
	buf_clear(&s->line);
	if (s->format == LOGSINK_JSON) {
		buf_add_span(&s->line, json);
	} else {
		line_head(s, LOG_INFO);
		buf_add_span(&s->line, text);
	}
	give(s, false);
}

/* ---- life ----------------------------------------------------------------------------------- */

int logsink_new(const struct logsink_config *config, struct logsink **out)
{
	struct logsink *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->role = strdup(config->role);
	if (!s->role) {
		free(s);
		return ERR_NOMEM;
	}
	s->log = (struct log){.least = config->least, .write = sink_write};
	s->magic = LOGSINK_MAGIC;
	s->io = config->io;
	s->fd = config->fd;
	s->format = config->format;
	s->job = (struct io_job){.run = job_run, .done = job_done};
	s->delay.fire = delay_over;
	s->turn.end = turn_end;
	buf_init(&s->pending, LOGSINK_PENDING);
	buf_init(&s->writing, LOGSINK_PENDING);
	buf_init(&s->line, LINE_BYTES);
	*out = s;
	return 0;
}

struct log *logsink_log(struct logsink *s)
{
	return &s->log;
}

void logsink_set_level(struct logsink *s, enum log_level least)
{
	s->log.least = least;
}

uint64_t logsink_dropped(const struct logsink *s)
{
	return s->dropped;
}

bool logsink_busy(const struct logsink *s)
{
	return s->busy;
}

void logsink_last(struct logsink *s)
{
	CHECK_MAGIC(s, LOGSINK_MAGIC);
	const struct timespec nap = {.tv_nsec = (long)NS_PER_MS};
	for (int i = 0; s->busy && !atomic_load(&s->written) && i < LOGSINK_EXIT_MS; i++)
		nanosleep(&nap, NULL);
	/* A reader that has stopped will not take the rest either. */
	if (!s->busy || atomic_load(&s->written))
		write_lines(s->fd, s->pending.p, s->pending.n, LOGSINK_EXIT_MS);
	buf_clear(&s->pending);
}

void logsink_free(struct logsink **at)
{
	struct logsink *s = *at;

	if (!s)
		return;
	*at = NULL;
	CHECK_MAGIC(s, LOGSINK_MAGIC);
	CHECK(!s->busy);
	if (s->io)
		io_timer_stop(s->io, &s->delay);
	if (s->pending.n)
		write_lines(s->fd, s->pending.p, s->pending.n, LOGSINK_EXIT_MS);
	buf_done(&s->pending);
	buf_done(&s->writing);
	buf_done(&s->line);
	free(s->role);
	s->magic = 0;
	free(s);
}
