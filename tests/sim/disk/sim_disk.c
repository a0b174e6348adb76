#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdlib.h>

void sd_note(struct sim_disk *d, uint64_t value)
{
	d->trace = (d->trace ^ value) * 0x100000001b3ull;
	d->trace ^= d->trace >> 29;
}

bool sd_chance(struct sim_disk *d, uint32_t of_65536)
{
	return of_65536 && prng_below(&d->prng, 65536) < of_65536;
}

bool sd_coin(struct sim_disk *d)
{
	return prng_below(&d->prng, 2) == 0;
}

/* Begins a call: 0, or how it fails. */
int sd_enter(struct sim_disk *d, enum sim_op op, bool *scripted)
{
	*scripted = false;
	sd_note(d, op);
	if (d->cut)
		return ERR_IO;
	if (op != SIM_READ) {
		d->change_total++;
		if (d->cut_at && d->change_total >= d->cut_at)
			d->cut = true;
	}
	if (++d->calls[op] == d->fail_at[op]) {
		*scripted = true;
		d->fault_total++;
		return d->fail_err[op];
	}
	return 0;
}

static const struct disk_ops ops = {
	.open = sd_open,
	.write = sd_write,
	.read = sd_read,
	.size = sd_size,
	.data = sd_data,
	.linked = sd_linked,
	.sync = sd_sync,
	.forget = sd_forget,
	.allocate = sd_allocate,
	.truncate = sd_truncate,
	.close = sd_close,
	.sync_dir = sd_sync_dir,
	.make_dir = sd_make_dir,
	.unlink = sd_unlink,
	.rename = sd_rename,
	.list = sd_list,
	.free_bytes = sd_free_bytes,
};

int sim_disk_new(uint64_t seed, struct sim_disk **out)
{
	struct sim_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return ERR_NOMEM;
	d->base.ops = &ops;
	d->trace = seed;
	prng_seed(&d->prng, seed);
	*out = d;
	return 0;
}

void sim_disk_free(struct sim_disk **at)
{
	struct sim_disk *d = *at;

	*at = NULL;
	if (!d)
		return;
	sd_settle_names(d, NULL, SIM_KEEP_NOTHING, false);
	while (d->seen.count)
		sd_set_name(d, &d->seen, d->seen.list[d->seen.count - 1].path, NULL);
	while (d->kept.count)
		sd_set_name(d, &d->kept, d->kept.list[d->kept.count - 1].path, NULL);
	CHECK(d->inode_count == 0); /* else somebody holds a file open */
	free(d->seen.list);
	free(d->kept.list);
	free(d->changes);
	free(d->inodes);
	free(d);
}

struct disk *sim_disk_base(struct sim_disk *d)
{
	return &d->base;
}

void sim_disk_set_faults(struct sim_disk *d, const struct sim_disk_faults *faults)
{
	d->faults = *faults;
}

void sim_disk_set_capacity(struct sim_disk *d, uint64_t bytes)
{
	d->capacity = bytes;
}

void sim_disk_fail_nth(struct sim_disk *d, enum sim_op op, uint64_t nth, int err, bool keep_pages)
{
	d->fail_at[op] = d->calls[op] + nth;
	d->fail_err[op] = err;
	d->fail_keeps[op] = keep_pages;
}

uint64_t sim_disk_changes(const struct sim_disk *d)
{
	return d->change_total;
}

void sim_disk_cut_at(struct sim_disk *d, uint64_t nth)
{
	d->cut_at = nth ? d->change_total + nth : 0;
}

bool sim_disk_is_cut(const struct sim_disk *d)
{
	return d->cut;
}

uint64_t sim_disk_trace(const struct sim_disk *d)
{
	return d->trace;
}

uint64_t sim_disk_fault_count(const struct sim_disk *d)
{
	return d->fault_total;
}

void sim_disk_lie(struct sim_disk *d, bool sync, bool sync_dir)
{
	d->lie_sync = sync;
	d->lie_sync_dir = sync_dir;
}
