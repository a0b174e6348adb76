/*
 * What the queue knows of pauses, in a file beside the journal (`d/pauses`): without it, time that
 * something was paused would be forgotten by a restart after (or just before) the resume, and cost
 * everything that waited there a retry. Written at each change of a pause, and only then; whole or
 * not at all. Nothing is lost with it but that time.
 *
 *   file = checksum (8 bytes, XXH3 of the rest) | queue_pauses_encode()
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#include <stdlib.h>
#include <xxhash.h>

#define PAUSES_DIR	"d"
#define PAUSES_FILE	"d/pauses"
#define PAUSES_NEW	"d/pauses.new"
#define PAUSES_BYTES	(16u << 20)
#define PAUSES_READS	3 /* of a disk that cannot be read, before it goes on without */
#define PAUSES_AGAIN_MS 60000

/* One writing of the file; its own memory, as it may outlive the core. */
struct pauses_job {
	struct io_job job;
	struct delivery *delivery; /* NULL: it is gone */
	struct disk *disk;
	struct buf bytes;
	uint64_t version;
	int err;
};

/* ---- reading -------------------------------------------------------------------------------- */

static int read_file(struct disk *disk, struct buf *out)
{
	struct io_file *file;
	int err = disk_open(disk, PAUSES_FILE, DISK_READ, &file);

	if (err)
		return err;
	int64_t size = disk_size(file);
	if (size < 0)
		err = (int)size;
	else if (size > PAUSES_BYTES)
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

static int restore(struct delivery *d, struct span bytes)
{
	struct cursor in = cursor_of(bytes);
	uint64_t sum = cursor_u64(&in);

	if (!cursor_ok(&in))
		return ERR_CORRUPT;
	struct span rest = cursor_bytes(&in, cursor_left(&in));
	if (XXH3_64bits(rest.p, rest.n) != sum)
		return ERR_CORRUPT;
	return queue_pauses_restore(d->queue, rest, delivery_now(d));
}

void pauses_load(struct delivery *d)
{
	struct buf bytes;
	int err = ERR_IO;

	buf_init(&bytes, PAUSES_BYTES);
	for (int i = 0; i < PAUSES_READS && err == ERR_IO; i++) {
		buf_clear(&bytes);
		err = read_file(d->config.spool, &bytes);
	}
	if (!err)
		err = restore(d, buf_span(&bytes));
	buf_done(&bytes);
	if (err && err != ERR_NOT_FOUND)
		log_write(d->config.log, LOG_WARN,
			"what was kept of pauses cannot be read: mail that was paused may be tried "
			"earlier than its schedule says, once",
			LOG_STR("file", PAUSES_FILE), LOG_STR("error", err_text(err)));
	d->pauses.version = queue_pauses_version(d->queue);
	d->pauses.loaded = true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int write_new(struct pauses_job *job)
{
	struct io_file *file;
	struct iovec part = {job->bytes.p, job->bytes.n};
	int err = disk_make_dir(job->disk, PAUSES_DIR);

	if (err && err != ERR_EXISTS)
		return err;
	err = disk_open(job->disk, PAUSES_NEW, DISK_WRITE | DISK_CREATE, &file);
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
		(void)disk_unlink(job->disk, PAUSES_NEW);
	return err;
}

static void run(struct io_job *io_job)
{
	struct pauses_job *job = CONTAINER_OF(io_job, struct pauses_job, job);

	job->err = write_new(job);
	if (!job->err)
		job->err = disk_rename(job->disk, PAUSES_NEW, PAUSES_FILE);
	if (!job->err)
		job->err = disk_sync_dir(job->disk, PAUSES_DIR);
}

static void try_later(struct delivery *d, int err)
{
	if (!d->pauses.told)
		log_write(d->config.log, LOG_WARN,
			"pauses cannot be kept: after a restart now, mail that was paused may be "
			"tried earlier or later than its schedule says",
			LOG_STR("error", err_text(err)));
	d->pauses.told = true;
	if (!d->stopping && io_timer_after(d->io, &d->pauses.again, PAUSES_AGAIN_MS))
		CHECK(!"a timer could be armed");
}

static void job_free(struct pauses_job *job)
{
	buf_done(&job->bytes);
	free(job);
}

static void done(struct io_job *io_job)
{
	struct pauses_job *job = CONTAINER_OF(io_job, struct pauses_job, job);
	struct delivery *d = job->delivery;
	uint64_t version = job->version;
	int err = job->err;

	job_free(job);
	if (!d)
		return;
	d->pauses.job = NULL;
	if (err) {
		try_later(d, err);
	} else {
		d->pauses.version = version;
		d->pauses.told = false;
		pauses_keep(d);
	}
	if (d->stopping)
		delivery_wake(d);
}

static struct pauses_job *job_new(struct delivery *d)
{
	struct pauses_job *job = calloc(1, sizeof(*job));
	struct buf kept;

	if (!job)
		return NULL;
	job->job.run = run;
	job->job.done = done;
	job->delivery = d;
	job->disk = d->config.spool;
	job->version = queue_pauses_version(d->queue);
	buf_init(&job->bytes, PAUSES_BYTES);
	buf_init(&kept, PAUSES_BYTES);
	queue_pauses_encode(d->queue, &kept);
	buf_put_u64(&job->bytes, XXH3_64bits(kept.p, kept.n));
	buf_add_span(&job->bytes, buf_span(&kept));
	bool whole = buf_ok(&kept) && buf_ok(&job->bytes);
	buf_done(&kept);
	if (whole)
		return job;
	job_free(job);
	return NULL;
}

void pauses_keep(struct delivery *d)
{
	/* Where the journal cannot be written this cannot either: once it is well, it comes here.
	 */
	if (!d->pauses.loaded || d->pauses.job || d->journal != SPOOL_WELL ||
		d->pauses.version == queue_pauses_version(d->queue))
		return;
	io_timer_stop(d->io, &d->pauses.again);
	d->pauses.job = job_new(d);
	int err = d->pauses.job ? io_submit(d->io, IO_LANE_FILE, &d->pauses.job->job) : ERR_NOMEM;
	if (!err)
		return;
	if (d->pauses.job)
		job_free(d->pauses.job);
	d->pauses.job = NULL;
	try_later(d, err);
}

void pauses_again(struct timer *timer)
{
	pauses_keep(CONTAINER_OF(timer, struct delivery, pauses.again));
}

bool pauses_busy(const struct delivery *d)
{
	return d->pauses.job != NULL;
}

void pauses_done(struct delivery *d)
{
	io_timer_stop(d->io, &d->pauses.again);
	if (d->pauses.job)
		d->pauses.job->delivery = NULL;
	d->pauses.job = NULL;
}
