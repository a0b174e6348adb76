#include "spool/log.h"

#include "base/check.h"
#include "base/err.h"

static void close_file(struct log_file *file)
{
	disk_close(&file->made.io);
	*file = (struct log_file){0};
}

static struct log_file fresh_file(const struct commit_file *made)
{
	return (struct log_file){.made = *made, .end = FORMAT_PAGE};
}

/* What was begun, or a number for a new one; 0: all that would be believed are used up. */
static struct commit_file take_spare(struct spool_log *log)
{
	struct commit_file begun = log->begun;

	log->begun = (struct commit_file){0};
	if (begun.io)
		return begun;
	bool left = log->serial < serial_most(log->io->wall_ms, log->base_serial);

	return (struct commit_file){
		.id = {.serial = left ? log->serial + 1 : 0,
			.owner = log->owner,
			.salt = io_random(log->io)},
	};
}

/* ---- health ----------------------------------------------------------------------------- */

static void set_health(struct spool_log *log, enum spool_health health)
{
	if (log->health == health)
		return;
	log->health = health;
	log->handler->health(log);
}

static void probe_later(struct spool_log *log)
{
	uint64_t ms = log->failures < LOG_PROBES ? LOG_PROBE_MS : LOG_PROBES * LOG_PROBE_MS;

	if (io_timer_after(log->io, &log->probe, ms) != 0)
		CHECK(!"a timer could be armed");
}

static void unwell(struct spool_log *log, int err)
{
	probe_later(log);
	log->ails = err;
	set_health(log, err == ERR_NO_SPACE ? SPOOL_FULL : SPOOL_SICK);
}

const char *log_trouble(const struct spool_log *log)
{
	if (log->health == SPOOL_WELL)
		return NULL;
	if (log->ails == ERR_NO_SPACE)
		return "no space is left";
	if (log->ails == ERR_LIMIT)
		return "no number is left for another file: in the log's folder lies one whose "
		       "name is far ahead of the clock, or the clock was set back";
	if (log->ails == ERR_NOT_FOUND)
		return "its files or its folder were removed; once the spool directory is there "
		       "again, a restart takes it up";
	return "a file cannot be made or written";
}

static void use_file(struct spool_log *log, const struct log_file *file)
{
	close_file(&log->file);
	log->file = *file;
	log->file.before_serial = log->valid_serial;
	log->file.before_end = log->valid_end;
	log->dir_made = true;
	if (!log->valid_serial) {
		/* The first file of a new log: should its first batch fail, this is what a seal
		 * says. */
		log->valid_serial = file->made.id.serial;
		log->valid_end = FORMAT_PAGE;
	}
}

void log_roll(struct spool_log *log)
{
	CHECK(!log_busy(log) && log->next.made.io);
	struct log_file next = log->next;
	log->next = (struct log_file){0};
	use_file(log, &next);
}

/* ---- the job ---------------------------------------------------------------------------- */

static void run(struct io_job *job)
{
	struct spool_log *log = CONTAINER_OF(job, struct spool_log, job);
	struct commit *c = &log->commit;

	if (log->task == LOG_BATCH) {
		commit_run(c);
		return;
	}
	c->err = log->dir_made ? 0 : commit_make_dir(c->disk, c->spare.id.owner);
	if (c->err == 0)
		c->err = commit_create(c->disk, c->allocate, &c->spare);
	c->syncs = 1;
}

static void submit(struct spool_log *log, int task)
{
	CHECK(!log_busy(log));
	log->task = task;
	log->started_ns = log->io->now_ns;
	if (io_submit(log->io, IO_LANE_COMMIT, &log->job) == 0)
		return;
	/* No thread to be had: blocking the loop is better than losing a commit. */
	log->job.run(&log->job);
	log->job.done(&log->job);
}

/* What there is of a file that is not finished. */
static void keep_begun(struct spool_log *log, const struct commit_file *spare)
{
	log->begun = spare->io ? *spare : (struct commit_file){0};
}

static void batch_settled(struct spool_log *log)
{
	struct commit *c = &log->commit;
	enum commit_outcome outcome = c->outcome;

	if (!log->next.made.io && outcome != COMMIT_SEALED)
		keep_begun(log, &c->spare);
	switch (outcome) {
	case COMMIT_DURABLE:
		log->valid_serial = c->id.serial;
		log->valid_end = c->batch.offset + c->batch.length;
		log->file.end = format_align(log->valid_end);
		log->file.sequence++;
		log->file.written += c->batch.message_count;
		log->figures.batches++;
		log->figures.bytes_written += c->batch.length;
		break;
	case COMMIT_REFUSED:
		log->file.sequence++;
		if (log->next.made.io)
			log_roll(log);
		else
			unwell(log, c->err);
		break;
	case COMMIT_SEALED: {
		/* The spare is the next file, whose places may be given out already, or a new one.
		 */
		struct log_file spare = log->next.made.io ? log->next : fresh_file(&c->spare);
		log->next = (struct log_file){0};
		log->serial = MAX(log->serial, c->spare.id.serial);
		use_file(log, &spare);
		log->file.sequence = 1;
		log->valid_serial = c->spare.id.serial;
		log->valid_end = FORMAT_PAGE + FORMAT_BATCH_HEADER;
		log->file.end = format_align(log->valid_end);
		break;
	}
	case COMMIT_DOUBT:
		log->next = (struct log_file){0}; /* it was the spare, and is closed */
		log->serial = MAX(log->serial, c->spare.id.serial);
		close_file(&log->file);
		unwell(log, c->err);
		break;
	}
	log->handler->settled(log, outcome, c->err);
}

static void created(struct spool_log *log, bool probe)
{
	struct commit *c = &log->commit;

	log->serial = MAX(log->serial, c->spare.id.serial);
	log->failures = c->err && c->err != ERR_NO_SPACE ? log->failures + 1 : 0;
	if (c->err) {
		keep_begun(log, &c->spare);
		if (probe)
			unwell(log, c->err);
		else
			probe_later(log);
	} else {
		struct log_file made = fresh_file(&c->spare);
		if (probe) {
			use_file(log, &made);
			set_health(log, SPOOL_WELL);
		} else {
			log->next = made;
		}
	}
	log->handler->ready(log);
}

static void done(struct io_job *job)
{
	struct spool_log *log = CONTAINER_OF(job, struct spool_log, job);
	int task = log->task;

	log->task = LOG_IDLE;
	log->figures.syncs += log->commit.syncs;
	log->figures.sync_ns += log->io->now_ns - log->started_ns;
	if (task == LOG_BATCH)
		batch_settled(log);
	else
		created(log, task == LOG_PROBE);
}

static void start_create(struct spool_log *log, int task)
{
	log->commit = (struct commit){
		.disk = log->disk, .allocate = log->segment_bytes, .spare = take_spare(log)};
	submit(log, task);
}

static void probe_fired(struct timer *timer)
{
	struct spool_log *log = CONTAINER_OF(timer, struct spool_log, probe);

	if (log_busy(log)) {
		probe_later(log);
	} else if (log->health != SPOOL_WELL) {
		start_create(log, LOG_PROBE);
	} else if (!log->next.made.io) {
		start_create(log, LOG_CREATE);
	}
}

void log_make_next(struct spool_log *log)
{
	/* After a failed try the timer makes the next one. */
	if (log_busy(log) || log->next.made.io || log->health != SPOOL_WELL ||
		timer_armed(&log->probe))
		return;
	start_create(log, LOG_CREATE);
}

/* ---- batches ---------------------------------------------------------------------------- */

void log_write_batch(struct spool_log *log, struct buf *head, uint32_t record_count,
	uint32_t message_count, struct iovec *parts, size_t part_count)
{
	CHECK(log_can_write(log) && head->n >= FORMAT_BATCH_HEADER && parts[0].iov_len == head->n);
	struct log_file *file = &log->file;
	uint64_t length = 0;
	for (size_t i = 0; i < part_count; i++)
		length += parts[i].iov_len;
	struct span records = span_skip(buf_span(head), FORMAT_BATCH_HEADER);
	log->commit = (struct commit){
		.disk = log->disk,
		.file = file->made.io,
		.id = file->made.id,
		.batch = {.kind = FORMAT_BATCH,
			.serial = file->made.id.serial,
			.owner = log->owner,
			.sequence = file->sequence,
			.offset = file->end,
			.length = length,
			.records_bytes = (uint32_t)records.n,
			.record_count = record_count,
			.message_count = message_count,
			.records_hash = format_hash(records, file->made.id.salt),
			.before_serial = file->before_serial,
			.before_end = file->before_end},
		.parts = parts,
		.part_count = part_count,
		.allocate = log->segment_bytes,
		.valid_serial = log->valid_serial,
		.valid_end = log->valid_end,
		.spare = log->next.made.io ? log->next.made : take_spare(log),
	};
	format_put_batch(head->p, &log->commit.batch, file->made.id.salt);
	submit(log, LOG_BATCH);
}

/* ---- beginning and end ------------------------------------------------------------------ */

void log_init(struct spool_log *log, struct io *io, struct disk *disk, uint8_t owner,
	uint64_t segment_bytes, const struct log_handler *handler)
{
	*log = (struct spool_log){
		.io = io,
		.disk = disk,
		.owner = owner,
		.segment_bytes = segment_bytes,
		.handler = handler,
		.job = {.run = run, .done = done},
		.probe = {.fire = probe_fired},
	};
}

void log_number(struct spool_log *log, const struct spool_serials *serials)
{
	uint64_t seconds = log->io->wall_ms > 0 ? (uint64_t)log->io->wall_ms / 1000 : 0;
	uint32_t first = MAX(serials->least, (uint32_t)MIN(seconds, (uint64_t)LOG_SERIAL_CLOCK));

	log->base_serial = serials->base;
	log->least_serial = MAX(first, 1u);
	log->serial = log->least_serial - 1;
}

int log_open(struct spool_log *log, struct commit_file *adopt)
{
	struct commit_file made = *adopt;
	int err = 0;

	if (made.io) {
		log->serial = MAX(log->serial, made.id.serial);
	} else {
		made = take_spare(log);
		err = commit_make_dir(log->disk, log->owner);
		if (err == 0)
			err = commit_create(log->disk, log->segment_bytes, &made);
		log->serial = MAX(log->serial, made.id.serial);
	}
	*adopt = (struct commit_file){0};
	if (err == ERR_NOMEM || err == ERR_DENIED)
		return err;
	if (err) {
		keep_begun(log, &made);
		log->health = err == ERR_NO_SPACE ? SPOOL_FULL : SPOOL_SICK;
		log->ails = err;
		return io_timer_after(log->io, &log->probe, LOG_PROBE_MS);
	}
	struct log_file file = fresh_file(&made);
	use_file(log, &file);
	log_make_next(log);
	return 0;
}

void log_done(struct spool_log *log)
{
	CHECK(!log_busy(log));
	io_timer_stop(log->io, &log->probe);
	close_file(&log->file);
	close_file(&log->next);
	disk_close(&log->begun.io);
}
