#include "sim_rdisk_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static struct rfile *file_of(struct io_file *file)
{
	return (struct rfile *)(void *)file;
}

static bool is_log(const char *path)
{
	return strstr(path, ".log") != NULL;
}

static bool was_used(const struct sim_serials *serials, const char *path)
{
	for (size_t i = 0; i < serials->count; i++)
		if (strcmp(serials->paths[i], path) == 0)
			return true;
	return false;
}

static void note_used(struct sim_serials *serials, const char *path)
{
	if (!is_log(path) || was_used(serials, path))
		return;
	if (serials->count == serials->room) {
		serials->room = serials->room ? serials->room * 2 : 64;
		serials->paths = realloc(serials->paths, serials->room * sizeof(*serials->paths));
		CHECK(serials->paths);
	}
	snprintf(serials->paths[serials->count++], sizeof(*serials->paths), "%.60s", path);
}

int rdisk_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	struct sim_rdisk *d = rdisk_of(disk);
	struct io_file *under = NULL;

	rdisk_before(d);
	int err = disk_open(d->under, path, flags, &under);
	rdisk_after(d);
	if (err)
		return err;
	struct rfile *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->base.disk = disk;
	f->under = under;
	f->journal = strncmp(path, "d/", 2) == 0;
	snprintf(f->path, sizeof(f->path), "%.60s", path);
	if (flags & DISK_CREATE)
		rdisk_say(d, "made", path, 0, 0, err);
	if (flags & DISK_EXCLUSIVE && is_log(path) && was_used(d->serials, path))
		d->serials->reused(d->serials->arg, path);
	list_push_back(&d->files, &f->node);
	*out = &f->base;
	return 0;
}

void rdisk_file_free(struct rfile *f)
{
	if (f->late) {
		f->closed = true;
		return;
	}
	disk_close(&f->under);
	free(f);
}

void rdisk_close(struct io_file **file)
{
	struct rfile *f = file_of(*file);

	*file = NULL;
	list_remove(&f->node);
	rdisk_file_free(f);
}

int64_t rdisk_write(struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = rdisk_of(file->disk);
	int64_t whole = 0;

	rdisk_before(d);
	for (size_t i = 0; i < count; i++)
		whole += (int64_t)parts[i].iov_len;
	if (d->mutation == MUTATION_NO_JOURNAL && f->journal && offset)
		return whole;
	if (d->seal_due && offset == SEAL_OFFSET && whole == SEAL_BYTES) {
		d->seal_due = false;
		return whole;
	}
	int64_t n = disk_write(f->under, parts, count, offset);
	if (offset >= SEAL_OFFSET)
		note_used(d->serials, f->path);
	rdisk_say(d, "write", f->path, offset, whole, n < 0 ? (int)n : 0);
	rdisk_after(d);
	return n;
}

int64_t rdisk_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = rdisk_of(file->disk);

	rdisk_before(d);
	int64_t got = disk_read(f->under, to, n, offset);
	rdisk_after(d);
	if (d->mutation == MUTATION_FLIP_READ && got > 200 && sim_chance(d->process->sim, 20))
		((char *)to)[got / 2] ^= 4;
	return got;
}

int64_t rdisk_size(struct io_file *file)
{
	return disk_size(file_of(file)->under);
}

int64_t rdisk_data(struct io_file *file, uint64_t offset)
{
	return disk_data(file_of(file)->under, offset);
}

struct late_sync {
	struct sim_rdisk *disk;
	struct rfile *file;
};

static void sync_now(void *arg)
{
	struct late_sync late = *(struct late_sync *)arg;

	free(arg);
	disk_sync(late.file->under);
	if (--late.file->late == 0 && late.file->closed)
		rdisk_file_free(late.file);
}

static int sync_late(struct sim_rdisk *d, struct rfile *f)
{
	struct late_sync *late = malloc(sizeof(*late));

	CHECK(late);
	*late = (struct late_sync){d, f};
	f->late++;
	sim_later(d->process->sim, LATE_SYNC_NS, sync_now, late);
	return 0;
}

int rdisk_sync(struct io_file *file)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = rdisk_of(file->disk);

	rdisk_before(d);
	if (d->mutation == MUTATION_NO_SYNC)
		return 0;
	if (d->mutation == MUTATION_LATE_SYNC)
		return sync_late(d, f);
	int err = disk_sync(f->under);
	if (err && d->mutation == MUTATION_RETRY_SYNC)
		err = disk_sync(f->under);
	d->seal_due = d->seal_due || (err && d->mutation == MUTATION_NO_SEAL);
	rdisk_say(d, "sync", f->path, 0, 0, err);
	rdisk_after(d);
	return err;
}

void rdisk_forget(struct io_file *file)
{
	disk_forget(file_of(file)->under);
}

int rdisk_allocate(struct io_file *file, uint64_t length)
{
	struct sim_rdisk *d = rdisk_of(file->disk);

	rdisk_before(d);
	int err = disk_allocate(file_of(file)->under, length);
	rdisk_after(d);
	return err;
}

int rdisk_truncate(struct io_file *file, uint64_t length)
{
	struct sim_rdisk *d = rdisk_of(file->disk);

	rdisk_before(d);
	int err = disk_truncate(file_of(file)->under, length);
	rdisk_say(d, "truncate", file_of(file)->path, length, 0, err);
	rdisk_after(d);
	return err;
}
