#include "sim_rdisk.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define SEAL_OFFSET  4096 /* the first batch of a file … */
#define SEAL_BYTES   96	  /* … with no records */
#define LATE_SYNC_NS (300 * NS_PER_MS)

struct sim_rdisk {
	struct disk base; /* first */
	struct sim_process *process;
	struct disk *under;
	struct sim_disk *sim_disk;
	enum sim_mutation mutation;
	struct sim_serials *serials;
	void (*power_failed)(void *arg);
	void *arg;
	uint64_t operations;
	bool seal_due; /* the next one is not written */
	struct list files;
};

struct rfile {
	struct io_file base; /* first */
	struct io_file *under;
	struct list node;
	bool journal;  /* in delivery's own log */
	char path[64]; /* for those who watch */
	bool closed;
	unsigned late; /* syncs that are still to be done */
};

static struct sim_rdisk *disk_of(struct disk *disk)
{
	return (struct sim_rdisk *)(void *)disk;
}

static struct rfile *file_of(struct io_file *file)
{
	return (struct rfile *)(void *)file;
}

/* Before each operation: it takes its time, and may be the last of this process. */
static void before(struct sim_rdisk *d)
{
	struct sim_process *p = d->process;

	CHECK(!p->dead);
	process_disk_pause(p);
	d->operations++;
	sim_note(p->sim, d->operations);
	if (p->kill_in && --p->kill_in == 0) {
		if (!p->kill_after)
			process_kill(p);
		p->kill_now = true;
	}
}

static void after(struct sim_rdisk *d)
{
	struct sim_process *p = d->process;

	if (sim_disk_is_cut(d->sim_disk))
		d->power_failed(d->arg);
	if (p->kill_now)
		process_kill(p);
}

static void say(struct sim_rdisk *d, const char *what, const char *path, uint64_t offset, int64_t n,
	int err)
{
	struct sim_process *p = d->process;

	if (p->sim->verbose)
		sim_say(p->sim, "%s: %s %s at %llu, %lld bytes: %s", p->name, what, path,
			(unsigned long long)offset, (long long)n, err_text(err));
}

/* ---- files ---------------------------------------------------------------------------------- */

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

static int r_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	struct sim_rdisk *d = disk_of(disk);
	struct io_file *under = NULL;

	before(d);
	int err = disk_open(d->under, path, flags, &under);
	after(d);
	if (err)
		return err;
	struct rfile *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->base.disk = disk;
	f->under = under;
	f->journal = strncmp(path, "d/", 2) == 0;
	snprintf(f->path, sizeof(f->path), "%.60s", path);
	if (flags & DISK_CREATE)
		say(d, "made", path, 0, 0, err);
	if (flags & DISK_EXCLUSIVE && is_log(path) && was_used(d->serials, path))
		d->serials->reused(d->serials->arg, path);
	list_push_back(&d->files, &f->node);
	*out = &f->base;
	return 0;
}

static void rfile_free(struct rfile *f)
{
	if (f->late) {
		f->closed = true;
		return;
	}
	disk_close(&f->under);
	free(f);
}

static void r_close(struct io_file **file)
{
	struct rfile *f = file_of(*file);

	*file = NULL;
	list_remove(&f->node);
	rfile_free(f);
}

static int64_t r_write(
	struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = disk_of(file->disk);
	int64_t whole = 0;

	before(d);
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
	say(d, "write", f->path, offset, whole, n < 0 ? (int)n : 0);
	after(d);
	return n;
}

static int64_t r_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = disk_of(file->disk);

	before(d);
	int64_t got = disk_read(f->under, to, n, offset);
	after(d);
	if (d->mutation == MUTATION_FLIP_READ && got > 200 && sim_chance(d->process->sim, 20))
		((char *)to)[got / 2] ^= 4;
	return got;
}

static int64_t r_size(struct io_file *file)
{
	return disk_size(file_of(file)->under);
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
		rfile_free(late.file);
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

static int r_sync(struct io_file *file)
{
	struct rfile *f = file_of(file);
	struct sim_rdisk *d = disk_of(file->disk);

	before(d);
	if (d->mutation == MUTATION_NO_SYNC)
		return 0;
	if (d->mutation == MUTATION_LATE_SYNC)
		return sync_late(d, f);
	int err = disk_sync(f->under);
	if (err && d->mutation == MUTATION_RETRY_SYNC)
		err = disk_sync(f->under);
	d->seal_due = d->seal_due || (err && d->mutation == MUTATION_NO_SEAL);
	say(d, "sync", f->path, 0, 0, err);
	after(d);
	return err;
}

static void r_forget(struct io_file *file)
{
	disk_forget(file_of(file)->under);
}

static int r_allocate(struct io_file *file, uint64_t length)
{
	struct sim_rdisk *d = disk_of(file->disk);

	before(d);
	int err = disk_allocate(file_of(file)->under, length);
	after(d);
	return err;
}

static int r_truncate(struct io_file *file, uint64_t length)
{
	struct sim_rdisk *d = disk_of(file->disk);

	before(d);
	int err = disk_truncate(file_of(file)->under, length);
	say(d, "truncate", file_of(file)->path, length, 0, err);
	after(d);
	return err;
}

/* ---- names ---------------------------------------------------------------------------------- */

static int r_sync_dir(struct disk *disk, const char *path)
{
	struct sim_rdisk *d = disk_of(disk);

	before(d);
	if (d->mutation == MUTATION_NO_SYNC_DIR)
		return 0;
	int err = disk_sync_dir(d->under, path);
	say(d, "sync_dir", path, 0, 0, err);
	after(d);
	return err;
}

static int r_make_dir(struct disk *disk, const char *path)
{
	struct sim_rdisk *d = disk_of(disk);

	before(d);
	int err = disk_make_dir(d->under, path);
	after(d);
	return err;
}

static int remove_neighbour(void *arg, const char *name)
{
	char *found = arg;

	if (strstr(name, ".log"))
		snprintf(found, 64, "w0/%.32s", name);
	return 0;
}

static int r_unlink(struct disk *disk, const char *path)
{
	struct sim_rdisk *d = disk_of(disk);
	char other[64] = "";

	before(d);
	int err = disk_unlink(d->under, path);
	say(d, "unlink", path, 0, 0, err);
	if (d->mutation == MUTATION_UNLINK_EARLY && path[0] == 'w') {
		(void)disk_list(d->under, "w0", remove_neighbour, other);
		if (*other)
			(void)disk_unlink(d->under, other);
	}
	after(d);
	return err;
}

static int r_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_rdisk *d = disk_of(disk);

	before(d);
	int err = disk_rename(d->under, from, to);
	after(d);
	return err;
}

static int r_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	return disk_list(disk_of(disk)->under, path, each, arg);
}

static int r_free_bytes(struct disk *disk, uint64_t *out)
{
	return disk_free_bytes(disk_of(disk)->under, out);
}

static const struct disk_ops ops = {
	.open = r_open,
	.write = r_write,
	.read = r_read,
	.size = r_size,
	.sync = r_sync,
	.forget = r_forget,
	.allocate = r_allocate,
	.truncate = r_truncate,
	.close = r_close,
	.sync_dir = r_sync_dir,
	.make_dir = r_make_dir,
	.unlink = r_unlink,
	.rename = r_rename,
	.list = r_list,
	.free_bytes = r_free_bytes,
};

struct disk *sim_rdisk_new(struct sim_process *process, struct sim_disk *under,
	enum sim_mutation mutation, struct sim_serials *serials, void (*power_failed)(void *arg),
	void *arg)
{
	struct sim_rdisk *d = calloc(1, sizeof(*d));

	CHECK(d);
	d->base.ops = &ops;
	d->process = process;
	d->under = sim_disk_base(under);
	d->sim_disk = under;
	d->mutation = mutation;
	d->serials = serials;
	d->power_failed = power_failed;
	d->arg = arg;
	list_init(&d->files);
	return &d->base;
}

void sim_rdisk_abandon(struct disk *disk)
{
	struct sim_rdisk *d = disk_of(disk);

	LIST_FOR_EACH(node, &d->files)
	{
		list_remove(node);
		rfile_free(CONTAINER_OF(node, struct rfile, node));
	}
}

uint64_t sim_rdisk_operations(const struct disk *disk)
{
	return ((const struct sim_rdisk *)(const void *)disk)->operations;
}
