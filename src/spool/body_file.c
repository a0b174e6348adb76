/*
 * Long bodies: streamed into a file of their own while they arrive, so that they cost neither
 * memory nor time at commit. One job at a time for each, on the file lane, beside the commits. The
 * last job makes data and name durable; only then may a batch refer to it.
 */
#include "spool/writer.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define BODY_NAME_TRIES 1000 /* names that may be taken already */
#define BODY_PARTS	(WRITER_BODY_CHUNKS + 1)

struct body_job {
	struct body_file file; /* first */
	struct spool_draft *draft;
};

/* ---- on the file lane ------------------------------------------------------------------- */

static int open_file(struct body_file *f)
{
	char path[FORMAT_PATH];

	for (int tries = 0; tries < BODY_NAME_TRIES; tries++, f->number++) {
		format_body_path(path, f->owner, f->serial, f->number);
		int err =
			disk_open(f->disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &f->io);
		if (err != ERR_EXISTS) {
			f->made = err == 0;
			return err;
		}
	}
	return ERR_EXISTS;
}

static int write_chunks(struct body_file *f)
{
	while (f->writing) {
		struct iovec parts[BODY_PARTS];
		size_t count = 0;
		uint64_t bytes = 0;
		struct chunk *chunk = f->writing;

		for (; chunk && count < BODY_PARTS; chunk = chunk->next) {
			parts[count++] = (struct iovec){chunk->bytes, chunk->used};
			bytes += chunk->used;
		}
		int err = disk_write_all(f->io, parts, count, f->written);
		if (err)
			return err;
		f->written += bytes;
		if (!chunk)
			return 0;
		f->writing = chunk;
	}
	return 0;
}

static int make_durable(struct body_file *f)
{
	char end[FORMAT_END_BYTES + 1] = FORMAT_END;
	struct iovec part = {end, FORMAT_END_BYTES};
	char dir[FORMAT_PATH];

	int err = disk_write_all(f->io, &part, 1, f->written);
	if (err == 0)
		err = disk_sync(f->io);
	format_body_dir(dir, f->owner);
	return err ? err : disk_sync_dir(f->disk, dir);
}

static void run(struct io_job *job)
{
	struct body_file *f = CONTAINER_OF(job, struct body_file, job);
	char path[FORMAT_PATH];

	if (f->remove) {
		disk_close(&f->io);
		format_body_path(path, f->owner, f->serial, f->number);
		/* What stays behind is removed at recovery. */
		if (f->made)
			disk_unlink(f->disk, path);
		return;
	}
	struct chunk *writing = f->writing;
	if (!f->io)
		f->err = open_file(f);
	if (!f->err)
		f->err = write_chunks(f);
	f->writing = writing;
	if (!f->err && f->last) {
		f->err = make_durable(f);
		f->durable = f->err == 0;
		/* Reading it is others' work. */
		if (f->durable)
			disk_close(&f->io);
	}
}

/* ---- on the loop ------------------------------------------------------------------------ */

static void submit(struct spool_draft *draft)
{
	struct body_file *f = draft->file;

	f->busy = true;
	draft->writer->body_jobs++;
	if (io_submit(draft->writer->config.io, IO_LANE_FILE, &f->job) != 0) {
		f->job.run(&f->job);
		f->job.done(&f->job);
	}
}

static void release(struct spool_draft *draft)
{
	struct body_file *f = draft->file;
	struct chunk *written = f->writing;

	f->writing = NULL;
	if (!written)
		return;
	for (struct chunk *at = written; at; at = at->next)
		draft->chunks--;
	/* It keeps one to go on with, however short memory is. */
	if (draft->state == DRAFT_OPEN && !draft->first) {
		struct chunk *keep = written;
		written = keep->next;
		keep->next = NULL;
		keep->used = 0;
		draft->first = draft->last = keep;
		draft->chunks++;
	}
	chunk_give(&draft->writer->pool, written);
	writer_memory_freed(draft->writer);
}

void body_file_free(struct spool_draft *draft)
{
	struct body_file *f = draft->file;

	CHECK(!f->busy);
	disk_close(&f->io);
	free(CONTAINER_OF(f, struct body_job, file));
	draft->file = NULL;
}

static void done(struct io_job *job)
{
	struct body_file *f = CONTAINER_OF(job, struct body_file, job);
	struct spool_draft *draft = CONTAINER_OF(f, struct body_job, file)->draft;
	struct spool_writer *writer = draft->writer;

	f->busy = false;
	writer->body_jobs--;
	release(draft);
	if (f->err && !draft->err)
		draft->err = f->err;
	if (draft->state == DRAFT_GONE) {
		if (f->remove)
			draft_free(draft);
		else
			body_file_drop(draft);
	} else if (draft->state == DRAFT_QUEUED) {
		if (draft->err)
			draft_answer(draft, draft->err);
		else if (!f->durable)
			body_file_finish(draft);
		io_turn_end(writer->config.io, &writer->turn);
	} else {
		draft_wake(draft);
	}
}

int body_file_start(struct spool_draft *draft)
{
	struct spool_writer *writer = draft->writer;
	struct log_file *tail = writer_tail(writer);

	if (!tail)
		return writer->log.health == SPOOL_SICK ? ERR_IO : ERR_NO_SPACE;
	struct body_job *job = calloc(1, sizeof(*job));
	if (!job)
		return ERR_NOMEM;
	job->draft = draft;
	job->file = (struct body_file){
		.job = {.run = run, .done = done},
		.disk = writer->config.disk,
		.owner = writer->config.owner,
		.serial = tail->made.id.serial,
		.number = writer->body_number++,
	};
	draft->file = &job->file;
	return 0;
}

void body_file_push(struct spool_draft *draft)
{
	struct body_file *f = draft->file;

	if (f->busy || draft->err || !draft->first || draft->last->used < draft->last->size)
		return;
	f->writing = draft->first;
	draft->first = draft->last = NULL;
	submit(draft);
}

void body_file_finish(struct spool_draft *draft)
{
	struct body_file *f = draft->file;

	if (f->busy)
		return; /* done() comes back here */
	f->last = true;
	f->writing = draft->first;
	draft->first = draft->last = NULL;
	submit(draft);
}

void body_file_drop(struct spool_draft *draft)
{
	struct body_file *f = draft->file;

	draft->state = DRAFT_GONE;
	chunk_give(&draft->writer->pool, draft->first);
	draft->first = draft->last = NULL;
	writer_memory_freed(draft->writer);
	if (f->busy)
		return;
	f->remove = true;
	submit(draft);
}
