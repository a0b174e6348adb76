#include "spool/writer.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- files ------------------------------------------------------------------------------ */

struct log_file *writer_tail(struct spool_writer *writer)
{
	struct spool_log *log = &writer->log;

	if (log->health != SPOOL_WELL || !log->file.made.io)
		return NULL;
	if (!writer->roll && log->next.made.io &&
		(log->file.end > log->segment_bytes || log_file_is_full(&log->file)))
		writer->roll = true;
	struct log_file *tail = writer->roll ? &log->next : &log->file;
	return log_file_is_full(tail) ? NULL : tail;
}

/* Once nothing is left that has an id of the current file, the next one takes its place. */
static void roll(struct spool_writer *writer)
{
	if (!writer->roll)
		return;
	LIST_FOR_EACH(node, &writer->queue)
	if (writer_is_of(CONTAINER_OF(node, struct spool_draft, node), &writer->log.file))
		return;
	writer->roll = false;
	log_roll(&writer->log);
}

/* ---- batches ---------------------------------------------------------------------------- */

static void answer_all(struct list *drafts, int err)
{
	struct spool_draft *draft;

	while ((draft = LIST_FIRST(drafts, struct spool_draft, node)))
		draft_answer(draft, err);
}

/* Is it worth waiting for more messages? Counts no further than it has to. */
static bool waits_for_more(struct spool_writer *writer)
{
	uint64_t now_ns = writer->config.io->now_ns, gathered = 0;

	for (struct list *at = writer->queue.next; at != &writer->queue && gathered < PACE_BATCH;
		at = at->next)
		gathered++;
	uint64_t due = gathered ? pace_due(&writer->pace, gathered, now_ns) : 0;
	return due && timers_arm(&writer->config.io->timers, &writer->pace_timer, due) == 0;
}

static void pace_over(struct timer *timer)
{
	struct spool_writer *writer = CONTAINER_OF(timer, struct spool_writer, pace_timer);

	io_turn_end(writer->config.io, &writer->turn);
}

static void start(struct io_turn *turn)
{
	struct spool_writer *writer = CONTAINER_OF(turn, struct spool_writer, turn);
	struct writer_batch g;

	if (!log_can_write(&writer->log))
		return;
	roll(writer);
	/* The next file is made while there is room in this one, however busy it is. */
	if (writer->log.file.end > writer->log.segment_bytes / 2)
		log_make_next(&writer->log);
	if (log_busy(&writer->log) || waits_for_more(writer))
		return;
	io_timer_stop(writer->config.io, &writer->pace_timer);
	writer_gather(writer, &g);
	/* The end of all: a batch of nothing proves the one before it. */
	bool proof = !g.messages && writer->closing && writer->unproven;
	if (!g.messages && !proof) {
		log_make_next(&writer->log);
		return;
	}
	size_t parts;
	if (writer_build(writer, &g, &parts) != 0) {
		answer_all(&writer->flight, ERR_NOMEM);
		return;
	}
	writer->messages = g.messages;
	if (!proof)
		pace_started(&writer->pace, g.messages, writer->config.io->now_ns);
	log_write_batch(&writer->log, &writer->head, g.messages, g.messages, writer->parts, parts);
}

/* ---- what became of it ------------------------------------------------------------------ */

/* Messages whose id belongs to a file that is closed now. They were never written. */
static void refuse_strays(struct spool_writer *writer, int err)
{
	struct list strays;

	list_init(&strays);
	LIST_FOR_EACH(node, &writer->queue)
	{
		struct spool_draft *draft = CONTAINER_OF(node, struct spool_draft, node);
		bool keeps = writer->log.health == SPOOL_WELL &&
			     (writer_is_of(draft, &writer->log.file) ||
				     (writer->roll && writer_is_of(draft, &writer->log.next)));
		if (keeps)
			continue;
		list_remove(node);
		list_push_back(&strays, node);
	}
	answer_all(&strays, err);
}

static void settled(struct spool_log *log, enum commit_outcome outcome, int err)
{
	struct spool_writer *writer = CONTAINER_OF(log, struct spool_writer, log);
	struct list batch;
	int answer = 0;

	list_init(&batch);
	LIST_FOR_EACH(node, &writer->flight)
	{
		list_remove(node);
		list_push_back(&batch, node);
	}
	if (writer->head.room > WRITER_HEAD_KEEP) {
		buf_done(&writer->head);
		buf_init(&writer->head, SIZE_MAX);
	}
	/* Where the proof fails, what failed says as much, or it cannot be had. */
	writer->unproven = outcome == COMMIT_DURABLE ? writer->messages > 0
						     : writer->unproven && writer->messages;
	if (outcome == COMMIT_DURABLE) {
		struct spool_notice notice;
		spool_writer_position(writer, &notice);
		notice.messages = (uint32_t)writer->messages;
		writer->config.notice(writer->config.context, &notice);
	} else {
		/* The next file became the current one, or there is none. */
		writer->roll = writer->roll && log->next.made.io;
		answer = outcome == COMMIT_DOUBT ? ERR_CLOSED : err == ERR_NO_SPACE ? err : ERR_IO;
	}
	answer_all(&batch, answer);
	if (outcome != COMMIT_DURABLE)
		refuse_strays(writer, err == ERR_NO_SPACE ? err : ERR_IO);
	io_turn_end(writer->config.io, &writer->turn);
}

static void ready(struct spool_log *log)
{
	struct spool_writer *writer = CONTAINER_OF(log, struct spool_writer, log);

	io_turn_end(writer->config.io, &writer->turn);
}

static void health(struct spool_log *log)
{
	struct spool_writer *writer = CONTAINER_OF(log, struct spool_writer, log);

	if (writer->config.health)
		writer->config.health(writer->config.context, log->health);
}

static const struct log_handler handler = {.settled = settled, .ready = ready, .health = health};

/* ---- memory ----------------------------------------------------------------------------- */

/* Wakes as many drafts as there is memory for; who finds none after all waits again. */
static void wake_waiting(struct io_turn *turn)
{
	struct spool_writer *writer = CONTAINER_OF(turn, struct spool_writer, room_turn);
	struct spool_draft *draft;

	for (uint64_t left = chunk_left(&writer->pool); left; left--) {
		draft = LIST_FIRST(&writer->waiting, struct spool_draft, node);
		if (!draft)
			return;
		draft_wake(draft);
	}
}

void writer_memory_freed(struct spool_writer *writer)
{
	if (!list_empty(&writer->waiting))
		io_turn_end(writer->config.io, &writer->room_turn);
}

/* ---- beginning and end ------------------------------------------------------------------ */

int spool_writer_new(const struct spool_writer_config *config, struct spool_writer **out)
{
	CHECK(config->owner < SPOOL_WORKERS_MOST && config->notice);
	struct spool_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return ERR_NOMEM;
	*writer = (struct spool_writer){
		.magic = WRITER_MAGIC,
		.config = *config,
		.turn = {.end = start},
		.room_turn = {.end = wake_waiting},
		.pace_timer = {.fire = pace_over},
	};
	/* Whatever the settings are: longer ones would not be believed. */
	writer->config.segment_bytes = MIN(config->segment_bytes, FORMAT_SEGMENT_BYTES);
	writer->config.inline_bytes =
		MIN(config->inline_bytes, (uint64_t)FORMAT_INLINE_BYTES - CHUNK_LARGE);
	pace_init(&writer->pace);
	list_init(&writer->queue);
	list_init(&writer->flight);
	list_init(&writer->waiting);
	list_init(&writer->spare);
	buf_init(&writer->head, SIZE_MAX);
	chunk_pool_init(&writer->pool, config->memory_bytes);
	log_init(&writer->log, config->io, config->disk, config->owner,
		writer->config.segment_bytes, &handler);
	log_number(&writer->log, &config->serials);
	*out = writer;
	return 0;
}

int spool_writer_begin(struct spool_writer *writer)
{
	CHECK_MAGIC(writer, WRITER_MAGIC);
	CHECK(!writer->log.file.made.io && !writer->log.next.made.io);
	return log_open(&writer->log, &(struct commit_file){0});
}

static void drop_queue(struct spool_writer *writer)
{
	LIST_FOR_EACH(node, &writer->queue)
	draft_free(CONTAINER_OF(node, struct spool_draft, node));
}

void spool_writer_free(struct spool_writer **at)
{
	struct spool_writer *writer = *at;

	*at = NULL;
	if (!writer)
		return;
	CHECK_MAGIC(writer, WRITER_MAGIC);
	CHECK(!log_busy(&writer->log) && !writer->body_jobs && list_empty(&writer->waiting));
	drop_queue(writer);
	draft_spares_done(writer);
	io_timer_stop(writer->config.io, &writer->pace_timer);
	io_turn_forget(writer->config.io, &writer->turn);
	io_turn_forget(writer->config.io, &writer->room_turn);
	log_done(&writer->log);
	chunk_pool_done(&writer->pool);
	buf_done(&writer->head);
	free(writer->parts);
	writer->magic = 0;
	free(writer);
}

bool spool_writer_busy(const struct spool_writer *writer)
{
	bool proof = writer->closing && writer->unproven && log_can_write(&writer->log);

	return log_busy(&writer->log) || writer->body_jobs || !list_empty(&writer->queue) || proof;
}

void spool_writer_close(struct spool_writer *writer)
{
	writer->closing = true;
	io_turn_end(writer->config.io, &writer->turn);
}

enum spool_health spool_writer_health(const struct spool_writer *writer)
{
	return writer->log.health;
}

const char *spool_writer_trouble(const struct spool_writer *writer)
{
	return log_trouble(&writer->log);
}

void spool_writer_position(const struct spool_writer *writer, struct spool_notice *out)
{
	*out = (struct spool_notice){
		.owner = writer->config.owner,
		.serial = writer->log.valid_serial,
		.durable = writer->log.valid_end,
	};
	/* It has none yet, or has begun one that the disk had no room for. */
	if (!out->serial)
		out->serial = writer->log.least_serial;
}

void spool_writer_figures(const struct spool_writer *writer, struct spool_figures *out)
{
	*out = writer->log.figures;
	out->files = (writer->log.file.made.io != NULL) + (writer->log.next.made.io != NULL);
	out->file_bytes = writer->log.file.end;
}
