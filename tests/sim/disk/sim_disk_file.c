#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdlib.h>

static int stale(struct io_file *base)
{
	return sd_file_of(base)->life != sd_of(base->disk)->life ? ERR_IO : 0;
}

int sd_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	struct sim_disk *d = sd_of(disk);
	struct name *name = sd_find(&d->seen, path);
	char parent[SIM_PATH];
	bool scripted;

	CHECK(strlen(path) < SIM_PATH && !strstr(path, ".."));
	sd_parent_of(path, parent);
	if (d->cut)
		return ERR_IO;
	if (name && name->inode->is_dir)
		return ERR_IO;
	if (name && (flags & DISK_CREATE) && (flags & DISK_EXCLUSIVE))
		return ERR_EXISTS;
	if (!name && (!(flags & DISK_CREATE) || !sd_is_dir(d, &d->seen, parent)))
		return ERR_NOT_FOUND;
	if (!name) {
		int err = sd_enter(d, SIM_OPEN, &scripted);
		if (!err && sd_chance(d, d->faults.make_error)) {
			d->fault_total++;
			err = sd_coin(d) ? ERR_NO_SPACE : ERR_IO;
		}
		if (err)
			return err;
		sd_change_names(d, path, "", sd_new_inode(d, false));
		name = sd_find(&d->seen, path);
		if (d->cut)
			return ERR_IO;
	}
	struct sim_file *file = calloc(1, sizeof(*file));
	CHECK(file);
	*file = (struct sim_file){
		.base = {.disk = disk},
		.inode = name->inode,
		.life = d->life,
		.writable = (flags & DISK_WRITE) != 0,
	};
	name->inode->opens++;
	*out = &file->base;
	return 0;
}

void sd_close(struct io_file **at)
{
	struct sim_file *file = sd_file_of(*at);

	file->inode->opens--;
	sd_release(sd_of(file->base.disk), file->inode);
	free(file);
	*at = NULL;
}

static int write_fault(struct sim_disk *d, uint64_t whole, uint64_t *n)
{
	if (whole && sd_chance(d, d->faults.write_no_space)) {
		*n = prng_below(&d->prng, whole);
		return ERR_NO_SPACE;
	}
	if (sd_chance(d, d->faults.write_error)) {
		*n = prng_below(&d->prng, whole + 1);
		return ERR_IO;
	}
	if (whole > 1 && sd_chance(d, d->faults.write_short))
		*n = 1 + prng_below(&d->prng, whole - 1);
	return 0;
}

int64_t sd_write(struct io_file *base, const struct iovec *parts, size_t count, uint64_t offset)
{
	struct sim_disk *d = sd_of(base->disk);
	struct inode *inode = sd_file_of(base)->inode;
	uint64_t whole = 0, n;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	CHECK(sd_file_of(base)->writable);
	int err = sd_enter(d, SIM_WRITE, &scripted);
	if (err && !scripted)
		return err;
	sd_writeback(d);
	for (size_t i = 0; i < count; i++)
		whole += parts[i].iov_len;
	n = whole;
	if (d->full_next) {
		d->full_next = false;
		return ERR_NO_SPACE;
	}
	if (scripted)
		n = whole ? prng_below(&d->prng, whole) : 0;
	else
		err = write_fault(d, whole, &n);
	d->fault_total += !scripted && (err || n < whole);
	uint64_t most = sd_length_most(d, inode);
	if (offset + n > most) {
		n = offset < most ? most - offset : 0;
		if (!n && !err)
			err = ERR_NO_SPACE;
	}
	uint64_t left = n, at = offset;
	for (size_t i = 0; i < count && left; i++) {
		size_t some = MIN(parts[i].iov_len, left);
		sd_put(inode, at, parts[i].iov_base, some);
		sd_note(d, some ? ((const uint8_t *)parts[i].iov_base)[0] : 0);
		at += some;
		left -= some;
	}
	sd_note(d, n);
	/* A full disk is told after what fitted was written: a short count, then the error. */
	if (err == ERR_NO_SPACE && n) {
		d->full_next = true;
		err = 0;
	}
	return d->cut ? ERR_IO : err ? err : (int64_t)n;
}

int64_t sd_read(struct io_file *base, void *to, size_t n, uint64_t offset)
{
	struct sim_disk *d = sd_of(base->disk);
	struct inode *inode = sd_file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = sd_enter(d, SIM_READ, &scripted);
	if (!err && sd_chance(d, d->faults.read_error)) {
		d->fault_total++;
		err = ERR_IO;
	}
	if (err)
		return err;
	if (offset >= inode->seen_length)
		return 0;
	n = MIN(n, inode->seen_length - offset);
	if (sd_is_bad(inode, offset, n))
		return ERR_IO;
	if (n)
		memcpy(to, inode->seen + offset, n);
	return (int64_t)n;
}

int64_t sd_size(struct io_file *base)
{
	if (stale(base) || sd_of(base->disk)->cut)
		return ERR_IO;
	return (int64_t)sd_file_of(base)->inode->seen_length;
}

bool sd_linked(struct io_file *base)
{
	return stale(base) || sd_file_of(base)->inode->links;
}

/* A block of zeros is a hole, whether it was ever written or not. */
int64_t sd_data(struct io_file *base, uint64_t offset)
{
	static const uint8_t zeros[SIM_BLOCK];
	const struct inode *inode = sd_file_of(base)->inode;
	uint64_t end = inode->seen_length;

	if (stale(base) || sd_of(base->disk)->cut)
		return ERR_IO;
	for (uint64_t at = offset; at < end; at = (at / SIM_BLOCK + 1) * SIM_BLOCK) {
		uint64_t n = MIN(SIM_BLOCK - at % SIM_BLOCK, end - at);
		if (memcmp(inode->seen + at, zeros, n) != 0 || sd_is_bad(inode, at, n))
			return (int64_t)at;
	}
	return (int64_t)end;
}

/* As Linux does it: the pages count as clean afterwards, whatever became of them. */
static void fail_sync(struct sim_disk *d, struct inode *inode, bool keep_pages)
{
	sd_keep_some(d, inode);
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++) {
		if (inode->dirty[i] && !keep_pages)
			memcpy(inode->seen + i * SIM_SECTOR, inode->kept + i * SIM_SECTOR,
				SIM_SECTOR);
		inode->dirty[i] = 0;
	}
}

int sd_sync(struct io_file *base)
{
	struct sim_disk *d = sd_of(base->disk);
	struct inode *inode = sd_file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = sd_enter(d, SIM_SYNC, &scripted);
	bool keep_pages = scripted ? d->fail_keeps[SIM_SYNC] : sd_coin(d);
	if (!err && sd_chance(d, d->faults.sync_error)) {
		d->fault_total++;
		err = ERR_IO;
		scripted = true;
	}
	if (err) {
		if (scripted)
			fail_sync(d, inode, keep_pages);
		return err;
	}
	if (d->cut) {
		sd_keep_some(d, inode);
		return ERR_IO;
	}
	if (!d->lie_sync)
		sd_keep_all(inode);
	return 0;
}

/* Clean sectors that a failed sync left behind show what is really there. */
void sd_forget(struct io_file *base)
{
	struct inode *inode = sd_file_of(base)->inode;

	if (stale(base))
		return;
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (!inode->dirty[i])
			memcpy(inode->seen + i * SIM_SECTOR, inode->kept + i * SIM_SECTOR,
				SIM_SECTOR);
}

int sd_allocate(struct io_file *base, uint64_t length)
{
	struct sim_disk *d = sd_of(base->disk);
	struct inode *inode = sd_file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = sd_enter(d, SIM_ALLOCATE, &scripted);
	if (!err && sd_chance(d, d->faults.make_error)) {
		d->fault_total++;
		err = sd_coin(d) ? ERR_NO_SPACE : ERR_IO;
	}
	if (err || d->cut)
		return err ? err : ERR_IO;
	if (length > sd_length_most(d, inode))
		return ERR_NO_SPACE;
	inode->allocated = MAX(inode->allocated, length);
	return 0;
}

int sd_truncate(struct io_file *base, uint64_t length)
{
	struct sim_disk *d = sd_of(base->disk);
	struct inode *inode = sd_file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = sd_enter(d, SIM_TRUNCATE, &scripted);
	if (err)
		return err;
	sd_ensure(inode, length);
	if (length < inode->seen_length) {
		memset(inode->seen + length, 0, inode->seen_length - length);
		memset(inode->dirty + length / SIM_SECTOR, 1,
			(inode->seen_length - 1) / SIM_SECTOR - length / SIM_SECTOR + 1);
	}
	inode->length_dirty = inode->length_dirty || inode->seen_length != length;
	inode->seen_length = length;
	inode->allocated = MIN(inode->allocated, length);
	return d->cut ? ERR_IO : 0;
}
