#include "delivery/kept.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"
#include "delivery/core.h"

#include <stdlib.h>
#include <xxhash.h>

#define KEPT_DIR   "d"
#define KEPT_READS 3 /* of a disk that cannot be read, before it goes on without */

/* One writing of the file; its own memory, as it may outlive its owner. */
struct kept_job {
	struct io_job job;
	struct kept *kept; /* NULL: it is gone */
	const struct kept_kind *kind;
	struct disk *disk;
	struct buf bytes;
	uint64_t version;
	int err;
};

static void try_again(struct timer *timer);

void kept_init(struct kept *kept, struct delivery *d, const struct kept_kind *kind, void *owner)
{
	*kept = (struct kept){.delivery = d, .kind = kind, .owner = owner};
	kept->again.fire = try_again;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_file(const struct kept *kept, struct buf *out)
{
	struct io_file *file;
	int err = disk_open(kept->delivery->config.spool, kept->kind->file, DISK_READ, &file);

	if (err)
		return err;
	int64_t size = disk_size(file);
	if (size < 0)
		err = (int)size;
	else if ((uint64_t)size > kept->kind->most)
		err = ERR_CORRUPT;
	char *to = err ? NULL : buf_reserve(out, (size_t)size);
	if (!err && !to)
		err = ERR_NOMEM;
	int64_t n = err ? err : disk_read(file, to, (size_t)size, 0);
	disk_close(&file);
	if (n < 0)
		return (int)n;
	buf_wrote(out, (size_t)n);
	return 0;
}

static int restore(struct kept *kept, struct span bytes)
{
	struct cursor in = cursor_of(bytes);
	uint64_t sum = cursor_u64(&in);

	if (!cursor_ok(&in))
		return ERR_CORRUPT;
	struct span rest = cursor_bytes(&in, cursor_left(&in));
	if (XXH3_64bits(rest.p, rest.n) != sum)
		return ERR_CORRUPT;
	return kept->kind->restore(kept->owner, rest);
}

void kept_load(struct kept *kept)
{
	struct buf bytes;
	int err = ERR_IO;

	buf_init(&bytes, kept->kind->most);
	for (int i = 0; i < KEPT_READS && err == ERR_IO; i++) {
		buf_clear(&bytes);
		err = read_file(kept, &bytes);
	}
	if (!err)
		err = restore(kept, buf_span(&bytes));
	buf_done(&bytes);
	if (err && err != ERR_NOT_FOUND)
		log_write(kept->delivery->config.log, LOG_WARN, kept->kind->unreadable,
			LOG_STR("file", kept->kind->file), LOG_STR("error", err_text(err)));
	kept->version = kept->kind->version(kept->owner);
	kept->loaded = true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int write_new(struct kept_job *job)
{
	struct io_file *file;
	struct iovec part = {job->bytes.p, job->bytes.n};
	int err = disk_make_dir(job->disk, KEPT_DIR);

	if (err && err != ERR_EXISTS)
		return err;
	err = disk_open(job->disk, job->kind->fresh, DISK_WRITE | DISK_CREATE, &file);
	if (err)
		return err;
	err = disk_truncate(file, 0);
	if (!err)
		err = disk_write_all(file, &part, 1, 0);
	if (!err)
		err = disk_sync(file);
	disk_close(&file);
	/* After a failed sync nobody knows what a file holds: the next try makes another one. */
	if (err)
		(void)disk_unlink(job->disk, job->kind->fresh);
	return err;
}

static void run(struct io_job *io_job)
{
	struct kept_job *job = CONTAINER_OF(io_job, struct kept_job, job);

	job->err = write_new(job);
	if (!job->err)
		job->err = disk_rename(job->disk, job->kind->fresh, job->kind->file);
	if (!job->err)
		job->err = disk_sync_dir(job->disk, KEPT_DIR);
}

static void try_later(struct kept *kept, int err)
{
	if (!kept->told)
		log_write(kept->delivery->config.log, LOG_WARN, kept->kind->unwritable,
			LOG_STR("error", err_text(err)));
	kept->told = true;
	if (!kept->delivery->stopping)
		kept_soon(kept, KEPT_AGAIN_MS);
}

static void job_free(struct kept_job *job)
{
	buf_done(&job->bytes);
	free(job);
}

static void done(struct io_job *io_job)
{
	struct kept_job *job = CONTAINER_OF(io_job, struct kept_job, job);
	struct kept *kept = job->kept;
	uint64_t version = job->version;
	int err = job->err;

	job_free(job);
	if (!kept)
		return;
	kept->job = NULL;
	if (err) {
		try_later(kept, err);
	} else {
		kept->version = version;
		kept->told = false;
		kept_keep(kept);
	}
	if (kept->delivery->stopping)
		delivery_wake(kept->delivery);
}

static struct kept_job *job_new(struct kept *kept)
{
	struct kept_job *job = calloc(1, sizeof(*job));
	struct buf text;

	if (!job)
		return NULL;
	job->job.run = run;
	job->job.done = done;
	job->kept = kept;
	job->kind = kept->kind;
	job->disk = kept->delivery->config.spool;
	job->version = kept->kind->version(kept->owner);
	buf_init(&job->bytes, kept->kind->most);
	buf_init(&text, kept->kind->most);
	kept->kind->encode(kept->owner, &text);
	buf_put_u64(&job->bytes, XXH3_64bits(text.p, text.n));
	buf_add_span(&job->bytes, buf_span(&text));
	bool whole = buf_ok(&text) && buf_ok(&job->bytes);
	buf_done(&text);
	if (whole)
		return job;
	job_free(job);
	return NULL;
}

void kept_keep(struct kept *kept)
{
	struct delivery *d = kept->delivery;

	/* Where the journal cannot be written this cannot either: once it is well, it comes here.
	 */
	if (!kept->loaded || kept->job || d->journal != SPOOL_WELL ||
		kept->version == kept->kind->version(kept->owner))
		return;
	io_timer_stop(d->io, &kept->again);
	kept->job = job_new(kept);
	int err = kept->job ? io_submit(d->io, IO_LANE_FILE, &kept->job->job) : ERR_NOMEM;
	if (!err)
		return;
	if (kept->job)
		job_free(kept->job);
	kept->job = NULL;
	try_later(kept, err);
}

void kept_soon(struct kept *kept, uint64_t ms)
{
	if (!timer_armed(&kept->again) && io_timer_after(kept->delivery->io, &kept->again, ms))
		CHECK(!"a timer could be armed");
}

static void try_again(struct timer *timer)
{
	kept_keep(CONTAINER_OF(timer, struct kept, again));
}

bool kept_busy(const struct kept *kept)
{
	return kept->job != NULL;
}

void kept_done(struct kept *kept)
{
	if (!kept->delivery)
		return;
	io_timer_stop(kept->delivery->io, &kept->again);
	if (kept->job)
		kept->job->kept = NULL;
	kept->job = NULL;
}
