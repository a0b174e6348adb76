/*
 * Searches of the trace, on the file lane.
 */
#include "trace/search.h"

#include "admin/core.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>

#define TRACE_MESSAGES 20	   /* unless asked for otherwise */
#define TRACE_UNREAD   (64u << 10) /* bytes about files that could not be read */
#define TRACE_LOST     8	   /* times of losses that are believed of a role */
#define TRACE_WHY      80	   /* bytes of its reason that are shown */

struct search_job {
	struct io_job job;
	struct door *door;
	struct disk *disk;
	struct search search;
	struct buf out, unread;
	struct buf unwritten; /* lines: what the roles could not write */
	bool more;
	bool running; /* on the lane; else waits for the roles' traces */
	int err;
};

static void search_on_lane(struct io_job *job)
{
	struct search_job *s = CONTAINER_OF(job, struct search_job, job);

	s->err = search_run(&s->search, s->disk, &s->out, &s->unread, &s->more);
}

static void free_job(struct search_job *s)
{
	if (!s)
		return;
	buf_done(&s->unwritten);
	buf_done(&s->unread);
	buf_done(&s->out);
	free(s);
}

static void search_done(struct io_job *job)
{
	struct search_job *s = CONTAINER_OF(job, struct search_job, job);
	struct door *door = s->door;

	if (door)
		door->search = NULL;
	if (!door) {
		/* The admin ended meanwhile. */
	} else if (s->err) {
		door_refuse(door, err_text(s->err));
	} else {
		json_open_object(&door->json, NULL);
		json_open_array(&door->json, "events");
		for (struct span rest = buf_span(&s->out); rest.n;) {
			size_t end = span_find(rest, '\n');

			json_put_raw(&door->json, NULL, span_of(rest.p, end));
			rest = span_skip(rest, end + 1);
		}
		json_close_array(&door->json);
		json_put_bool(&door->json, "more", s->more);
		json_put_u64(&door->json, "limit", s->search.most);
		if (s->unread.n)
			put_lines(&door->json, "unread", buf_span(&s->unread));
		if (s->unwritten.n)
			put_lines(&door->json, "unwritten", buf_span(&s->unwritten));
		json_close_object(&door->json);
		door_reply(door);
	}
	free_job(s);
}

void trace_forget(struct door *door)
{
	struct search_job *s = door->search;

	door->search = NULL;
	if (s && s->running)
		s->door = NULL;
	else
		free_job(s);
}

static void search(struct door *door)
{
	struct search_job *s = door->search;

	s->running = true;
	int err = io_submit(door->admin->config.io, IO_LANE_FILE, &s->job);

	if (!err)
		return;
	s->running = false;
	trace_forget(door);
	door_refuse(door, err_text(err));
}

/* ---- what the roles have not written yet ------------------------------------------------------
 */

/* A time of which the search should have found lines. */
static void add_lost(struct search_job *s, uint32_t party, const json_t *lost)
{
	int64_t first_ms = json_integer_value(json_object_get(lost, "first_ms"));
	int64_t last_ms = json_integer_value(json_object_get(lost, "last_ms"));
	json_int_t lines = json_integer_value(json_object_get(lost, "lines"));
	const char *why = json_string_value(json_object_get(lost, "why"));
	const struct search *asked = &s->search;

	if (lines <= 0 || (asked->since_ms && last_ms < asked->since_ms) ||
		(asked->until_ms && first_ms > asked->until_ms))
		return;
	buf_printf(&s->unwritten, "%lld line%s of ", (long long)lines, lines == 1 ? "" : "s");
	if (party == ADMIN_DELIVERY)
		buf_add_str(&s->unwritten, "delivery");
	else
		buf_printf(&s->unwritten, "smtpd %u", party - ADMIN_SMTPD(0));
	buf_add_str(&s->unwritten, " could not be written, from ");
	text_add_time(&s->unwritten, first_ms);
	buf_add_str(&s->unwritten, " to ");
	text_add_time(&s->unwritten, last_ms);
	buf_add_str(&s->unwritten, ": ");
	buf_add_escaped(&s->unwritten, span_str(why ? why : "?"), TRACE_WHY);
	buf_add_char(&s->unwritten, '\n');
}

static void flushed(struct door *door, uint32_t party, struct span json)
{
	json_error_t error;
	json_t *answer = json.n ? json_loadb(json.p, json.n, 0, &error) : NULL;
	const json_t *lost = json_object_get(answer, "lost");

	for (size_t i = 0; i < MIN(json_array_size(lost), TRACE_LOST); i++)
		add_lost(door->search, party, json_array_get(lost, i));
	json_decref(answer);
	if (!door->awaited)
		search(door);
}

static const struct asking flush = {flushed, search};

/* Events gather in memory for a moment; whoever has just sent a message wants to see it. */
static void flush_and_search(struct door *door)
{
	const struct admin_config *config = &door->admin->config;

	ask_begin(door, &flush);
	if (config->flush)
		config->flush(config->context);
	for (uint32_t party = 0; party <= config->config->workers; party++)
		(void)ask_party(door, party, ADMIN_ASK_TRACE, SPAN_NONE);
	if (door->awaited)
		ask_wait(door, ADMIN_FLUSH_MS);
	else
		search(door);
}

void cmd_trace(struct door *door)
{
	struct admin *admin = door->admin;
	struct search_job *s = calloc(1, sizeof(*s));
	struct buf problem;

	if (!s) {
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	buf_init(&problem, 4096);
	s->job = (struct io_job){.run = search_on_lane, .done = search_done};
	s->door = door;
	s->disk = admin->config.trace;
	buf_init(&s->out, (size_t)2 * SEARCH_RESULT);
	buf_init(&s->unread, TRACE_UNREAD);
	buf_init(&s->unwritten, TRACE_UNREAD);
	int err = search_parse(request_text(door, "query"),
		request_number(door, "limit", TRACE_MESSAGES), admin->config.io->wall_ms,
		&s->search, &problem);
	if (!err) {
		buf_done(&problem);
		door->search = s;
		flush_and_search(door);
		return;
	}
	while (problem.n && problem.p[problem.n - 1] == '\n')
		problem.n--;
	free_job(s);
	if (problem.n)
		door_refuse_span(door, buf_span(&problem));
	else
		door_refuse(door, err_text(err));
	buf_done(&problem);
}
