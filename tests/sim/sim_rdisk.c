#include "sim_rdisk_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_rdisk *rdisk_of(struct disk *disk)
{
	return (struct sim_rdisk *)(void *)disk;
}

/* Before each operation: it takes its time, and may be the last of this process. */
void rdisk_before(struct sim_rdisk *d)
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

void rdisk_after(struct sim_rdisk *d)
{
	struct sim_process *p = d->process;

	if (sim_disk_is_cut(d->sim_disk))
		d->power_failed(d->arg);
	if (p->kill_now)
		process_kill(p);
}

void rdisk_say(struct sim_rdisk *d, const char *what, const char *path, uint64_t offset, int64_t n,
	int err)
{
	struct sim_process *p = d->process;

	if (p->sim->verbose)
		sim_say(p->sim, "%s: %s %s at %llu, %lld bytes: %s", p->name, what, path,
			(unsigned long long)offset, (long long)n, err_text(err));
}

/* ---- names ---------------------------------------------------------------------------------- */

static int r_sync_dir(struct disk *disk, const char *path)
{
	struct sim_rdisk *d = rdisk_of(disk);

	rdisk_before(d);
	if (d->mutation == MUTATION_NO_SYNC_DIR)
		return 0;
	int err = disk_sync_dir(d->under, path);
	rdisk_say(d, "sync_dir", path, 0, 0, err);
	rdisk_after(d);
	return err;
}

static int r_make_dir(struct disk *disk, const char *path)
{
	struct sim_rdisk *d = rdisk_of(disk);

	rdisk_before(d);
	int err = disk_make_dir(d->under, path);
	rdisk_after(d);
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
	struct sim_rdisk *d = rdisk_of(disk);
	char other[64] = "";

	rdisk_before(d);
	int err = disk_unlink(d->under, path);
	rdisk_say(d, "unlink", path, 0, 0, err);
	if (d->mutation == MUTATION_UNLINK_EARLY && path[0] == 'w') {
		(void)disk_list(d->under, "w0", remove_neighbour, other);
		if (*other)
			(void)disk_unlink(d->under, other);
	}
	rdisk_after(d);
	return err;
}

static int r_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_rdisk *d = rdisk_of(disk);

	rdisk_before(d);
	int err = disk_rename(d->under, from, to);
	rdisk_after(d);
	return err;
}

static int r_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	return disk_list(rdisk_of(disk)->under, path, each, arg);
}

static int r_free_bytes(struct disk *disk, uint64_t *out)
{
	return disk_free_bytes(rdisk_of(disk)->under, out);
}

static const struct disk_ops ops = {
	.open = rdisk_open,
	.write = rdisk_write,
	.read = rdisk_read,
	.size = rdisk_size,
	.data = rdisk_data,
	.sync = rdisk_sync,
	.forget = rdisk_forget,
	.allocate = rdisk_allocate,
	.truncate = rdisk_truncate,
	.close = rdisk_close,
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
	struct sim_rdisk *d = rdisk_of(disk);

	LIST_FOR_EACH(node, &d->files)
	{
		list_remove(node);
		rdisk_file_free(CONTAINER_OF(node, struct rfile, node));
	}
}

uint64_t sim_rdisk_operations(const struct disk *disk)
{
	return ((const struct sim_rdisk *)(const void *)disk)->operations;
}
