#include "sim_disk.h"

#include "base/check.h"
#include "base/err.h"
#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>

#define SIM_PATH 256

struct inode {
	bool is_dir;
	uint32_t links; /* names that readers see */
	uint32_t durable_links;
	uint32_t opens;
	uint32_t pending; /* directory operations that speak of it */
	uint8_t *seen, *kept;
	uint64_t seen_length, kept_length, room;
	uint64_t allocated; /* bytes */
	uint8_t *dirty;	    /* one byte a sector */
	bool length_dirty;
};

struct name {
	char path[SIM_PATH];
	struct inode *inode;
};

struct names {
	struct name *list;
	size_t count, room;
};

/* A change of names that is not durable yet: `path` stands for `inode` (NULL: is gone); `from` is
 * gone by the same stroke where it is set. */
struct change {
	char path[SIM_PATH], from[SIM_PATH];
	struct inode *inode;
};

struct sim_disk {
	struct disk base;
	struct prng prng;
	struct names seen, kept;
	struct change *changes;
	size_t change_count, change_room;
	struct inode **inodes;
	size_t inode_count, inode_room;
	struct sim_disk_faults faults;
	uint64_t capacity;
	uint64_t change_total, cut_at;
	uint64_t fail_at[SIM_OPS], calls[SIM_OPS];
	int fail_err[SIM_OPS];
	bool fail_keeps[SIM_OPS];
	bool full_next; /* the rest of a write finds no space */
	bool cut;
	bool lie_sync, lie_sync_dir;
	uint32_t life;
	uint64_t trace, fault_total;
};

struct sim_file {
	struct io_file base;
	struct inode *inode;
	uint32_t life;
	bool writable;
};

static struct sim_disk *sim_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct sim_disk, base);
}

static struct sim_file *file_of(struct io_file *file)
{
	return CONTAINER_OF(file, struct sim_file, base);
}

static void *grown(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? *room * 2 : 16;
	list = realloc(list, *room * size);
	CHECK(list);
	return list;
}

/* ---- the trace and the dice ------------------------------------------------------------- */

static void note(struct sim_disk *d, uint64_t value)
{
	d->trace = (d->trace ^ value) * 0x100000001b3ull;
	d->trace ^= d->trace >> 29;
}

static bool chance(struct sim_disk *d, uint32_t of_65536)
{
	return of_65536 && prng_below(&d->prng, 65536) < of_65536;
}

static bool coin(struct sim_disk *d)
{
	return prng_below(&d->prng, 2) == 0;
}

/* Begins a call: 0, or how it fails. */
static int enter(struct sim_disk *d, enum sim_op op, bool *scripted)
{
	*scripted = false;
	note(d, op);
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

/* ---- names ------------------------------------------------------------------------------ */

static struct name *find(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i].path, path) == 0)
			return &names->list[i];
	return NULL;
}

static void release(struct sim_disk *d, struct inode *inode)
{
	if (inode->links || inode->durable_links || inode->opens || inode->pending)
		return;
	for (size_t i = 0; i < d->inode_count; i++)
		if (d->inodes[i] == inode)
			d->inodes[i] = d->inodes[--d->inode_count];
	free(inode->seen);
	free(inode->kept);
	free(inode->dirty);
	free(inode);
}

static uint32_t *links_of(const struct sim_disk *d, const struct names *names, struct inode *inode)
{
	return names == &d->seen ? &inode->links : &inode->durable_links;
}

static void set_name(struct sim_disk *d, struct names *names, const char *path, struct inode *inode)
{
	struct name *name = find(names, path);
	struct inode *old = name ? name->inode : NULL;

	if (inode) {
		++*links_of(d, names, inode);
		if (!name) {
			names->list = grown(
				names->list, names->count, &names->room, sizeof(*names->list));
			name = &names->list[names->count++];
			snprintf(name->path, sizeof(name->path), "%s", path);
		}
		name->inode = inode;
	} else if (name) {
		/* In order, so that listing does not depend on history. */
		memmove(name, name + 1,
			(size_t)(names->list + names->count - (name + 1)) * sizeof(*name));
		names->count--;
	}
	if (old) {
		--*links_of(d, names, old);
		release(d, old);
	}
}

static void parent_of(const char *path, char out[SIM_PATH])
{
	const char *slash = strrchr(path, '/');

	snprintf(out, SIM_PATH, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static bool is_dir(struct sim_disk *d, const struct names *names, const char *path)
{
	(void)d;
	const struct name *name = find(names, path);

	return !*path || (name && name->inode->is_dir);
}

static void apply(struct sim_disk *d, struct names *names, const struct change *change)
{
	if (change->from[0])
		set_name(d, names, change->from, NULL);
	set_name(d, names, change->path, change->inode);
}

static void change_names(
	struct sim_disk *d, const char *path, const char *from, struct inode *inode)
{
	d->changes = grown(d->changes, d->change_count, &d->change_room, sizeof(*d->changes));
	struct change *change = &d->changes[d->change_count++];

	*change = (struct change){.inode = inode};
	snprintf(change->path, sizeof(change->path), "%s", path);
	snprintf(change->from, sizeof(change->from), "%s", from);
	if (inode)
		inode->pending++;
	apply(d, &d->seen, change);
}

static bool touches(const struct change *change, const char *dir)
{
	char parent[SIM_PATH];

	parent_of(change->path, parent);
	if (strcmp(parent, dir) == 0)
		return true;
	parent_of(change->from, parent);
	return change->from[0] && strcmp(parent, dir) == 0;
}

/* Settles pending changes of one directory (NULL: all): `keep` says which become durable; of the
 * others, `wait` says that they stay pending. */
static void settle_names(struct sim_disk *d, const char *dir, enum sim_keep keep, bool wait)
{
	size_t left = 0;
	bool waiting = false;

	for (size_t i = 0; i < d->change_count; i++) {
		struct change *change = &d->changes[i];
		bool kept = keep == SIM_KEEP_EVERYTHING || (keep == SIM_KEEP_RANDOM && coin(d));
		bool meant = !dir || touches(change, dir);
		/* What waits is applied in order. */
		waiting = waiting || (meant && wait && !kept);
		if (!meant || waiting) {
			d->changes[left++] = *change;
			continue;
		}
		if (kept)
			apply(d, &d->kept, change);
		if (change->inode) {
			change->inode->pending--;
			release(d, change->inode);
		}
	}
	d->change_count = left;
}

static struct inode *new_inode(struct sim_disk *d, bool dir)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	CHECK(inode);
	inode->is_dir = dir;
	d->inodes = grown(d->inodes, d->inode_count, &d->inode_room, sizeof(struct inode *));
	d->inodes[d->inode_count++] = inode;
	return inode;
}

/* ---- bytes ------------------------------------------------------------------------------ */

static uint64_t blocks_of(const struct inode *inode)
{
	return (MAX(inode->allocated, inode->seen_length) + SIM_BLOCK - 1) / SIM_BLOCK;
}

static uint64_t used_bytes(const struct sim_disk *d)
{
	uint64_t blocks = 0;

	for (size_t i = 0; i < d->inode_count; i++)
		if (d->inodes[i]->links || d->inodes[i]->opens)
			blocks += blocks_of(d->inodes[i]);
	return blocks * SIM_BLOCK;
}

/* The length that the inode can have with what is free now. */
static uint64_t length_most(const struct sim_disk *d, const struct inode *inode)
{
	if (!d->capacity)
		return UINT64_MAX;
	uint64_t used = used_bytes(d), free_now = used < d->capacity ? d->capacity - used : 0;

	return (blocks_of(inode) + free_now / SIM_BLOCK) * SIM_BLOCK;
}

static void ensure(struct inode *inode, uint64_t length)
{
	if (length <= inode->room)
		return;
	uint64_t room = MAX(inode->room * 2, (length + SIM_BLOCK - 1) / SIM_BLOCK * SIM_BLOCK);
	inode->seen = realloc(inode->seen, room);
	inode->kept = realloc(inode->kept, room);
	inode->dirty = realloc(inode->dirty, room / SIM_SECTOR);
	CHECK(inode->seen && inode->kept && inode->dirty);
	memset(inode->seen + inode->room, 0, room - inode->room);
	memset(inode->kept + inode->room, 0, room - inode->room);
	memset(inode->dirty + inode->room / SIM_SECTOR, 0, (room - inode->room) / SIM_SECTOR);
	inode->room = room;
}

static void put(struct inode *inode, uint64_t offset, const void *from, size_t n)
{
	if (!n)
		return;
	ensure(inode, offset + n);
	memcpy(inode->seen + offset, from, n);
	memset(inode->dirty + offset / SIM_SECTOR, 1,
		(offset + n - 1) / SIM_SECTOR - offset / SIM_SECTOR + 1);
	if (offset + n > inode->seen_length) {
		inode->seen_length = offset + n;
		inode->length_dirty = true;
	}
}

static void keep_sector(struct inode *inode, uint64_t sector)
{
	memcpy(inode->kept + sector * SIM_SECTOR, inode->seen + sector * SIM_SECTOR, SIM_SECTOR);
	inode->dirty[sector] = 0;
}

static void keep_length(struct inode *inode)
{
	/* What lay beyond a shorter length is gone for good. */
	if (inode->seen_length < inode->kept_length)
		memset(inode->kept + inode->seen_length, 0,
			inode->kept_length - inode->seen_length);
	inode->kept_length = inode->seen_length;
	inode->length_dirty = false;
}

static void keep_all(struct inode *inode)
{
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (inode->dirty[i])
			keep_sector(inode, i);
	keep_length(inode);
}

static void keep_some(struct sim_disk *d, struct inode *inode)
{
	/* From "almost none" to "almost all". */
	uint32_t odds = (uint32_t)prng_below(&d->prng, 65537);

	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (inode->dirty[i] && chance(d, odds))
			keep_sector(inode, i);
	if (inode->length_dirty && chance(d, odds))
		keep_length(inode);
}

static void writeback(struct sim_disk *d)
{
	if (!d->inode_count || !chance(d, d->faults.writeback))
		return;
	keep_some(d, d->inodes[prng_below(&d->prng, d->inode_count)]);
}

/* ---- operations on files ---------------------------------------------------------------- */

static int stale(struct io_file *base)
{
	return file_of(base)->life != sim_of(base->disk)->life ? ERR_IO : 0;
}

static int sim_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	struct sim_disk *d = sim_of(disk);
	struct name *name = find(&d->seen, path);
	char parent[SIM_PATH];
	bool scripted;

	CHECK(strlen(path) < SIM_PATH && !strstr(path, ".."));
	parent_of(path, parent);
	if (d->cut)
		return ERR_IO;
	if (name && name->inode->is_dir)
		return ERR_IO;
	if (name && (flags & DISK_CREATE) && (flags & DISK_EXCLUSIVE))
		return ERR_EXISTS;
	if (!name && (!(flags & DISK_CREATE) || !is_dir(d, &d->seen, parent)))
		return ERR_NOT_FOUND;
	if (!name) {
		int err = enter(d, SIM_OPEN, &scripted);
		if (!err && chance(d, d->faults.make_error)) {
			d->fault_total++;
			err = coin(d) ? ERR_NO_SPACE : ERR_IO;
		}
		if (err)
			return err;
		change_names(d, path, "", new_inode(d, false));
		name = find(&d->seen, path);
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

static void sim_close(struct io_file **at)
{
	struct sim_file *file = file_of(*at);

	file->inode->opens--;
	release(sim_of(file->base.disk), file->inode);
	free(file);
	*at = NULL;
}

static int write_fault(struct sim_disk *d, uint64_t whole, uint64_t *n)
{
	if (whole && chance(d, d->faults.write_no_space)) {
		*n = prng_below(&d->prng, whole);
		return ERR_NO_SPACE;
	}
	if (chance(d, d->faults.write_error)) {
		*n = prng_below(&d->prng, whole + 1);
		return ERR_IO;
	}
	if (whole > 1 && chance(d, d->faults.write_short))
		*n = 1 + prng_below(&d->prng, whole - 1);
	return 0;
}

static int64_t sim_write(
	struct io_file *base, const struct iovec *parts, size_t count, uint64_t offset)
{
	struct sim_disk *d = sim_of(base->disk);
	struct inode *inode = file_of(base)->inode;
	uint64_t whole = 0, n;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	CHECK(file_of(base)->writable);
	int err = enter(d, SIM_WRITE, &scripted);
	if (err && !scripted)
		return err;
	writeback(d);
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
	uint64_t most = length_most(d, inode);
	if (offset + n > most) {
		n = offset < most ? most - offset : 0;
		if (!n && !err)
			err = ERR_NO_SPACE;
	}
	uint64_t left = n, at = offset;
	for (size_t i = 0; i < count && left; i++) {
		size_t some = MIN(parts[i].iov_len, left);
		put(inode, at, parts[i].iov_base, some);
		note(d, some ? ((const uint8_t *)parts[i].iov_base)[0] : 0);
		at += some;
		left -= some;
	}
	note(d, n);
	/* A full disk is told after what fitted was written: a short count, then the error. */
	if (err == ERR_NO_SPACE && n) {
		d->full_next = true;
		err = 0;
	}
	return d->cut ? ERR_IO : err ? err : (int64_t)n;
}

static int64_t sim_read(struct io_file *base, void *to, size_t n, uint64_t offset)
{
	struct sim_disk *d = sim_of(base->disk);
	struct inode *inode = file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = enter(d, SIM_READ, &scripted);
	if (!err && chance(d, d->faults.read_error)) {
		d->fault_total++;
		err = ERR_IO;
	}
	if (err)
		return err;
	if (offset >= inode->seen_length)
		return 0;
	n = MIN(n, inode->seen_length - offset);
	if (n)
		memcpy(to, inode->seen + offset, n);
	return (int64_t)n;
}

static int64_t sim_size(struct io_file *base)
{
	if (stale(base) || sim_of(base->disk)->cut)
		return ERR_IO;
	return (int64_t)file_of(base)->inode->seen_length;
}

/* As Linux does it: the pages count as clean afterwards, whatever became of them. */
static void fail_sync(struct sim_disk *d, struct inode *inode, bool keep_pages)
{
	keep_some(d, inode);
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++) {
		if (inode->dirty[i] && !keep_pages)
			memcpy(inode->seen + i * SIM_SECTOR, inode->kept + i * SIM_SECTOR,
				SIM_SECTOR);
		inode->dirty[i] = 0;
	}
}

static int sim_sync(struct io_file *base)
{
	struct sim_disk *d = sim_of(base->disk);
	struct inode *inode = file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = enter(d, SIM_SYNC, &scripted);
	bool keep_pages = scripted ? d->fail_keeps[SIM_SYNC] : coin(d);
	if (!err && chance(d, d->faults.sync_error)) {
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
		keep_some(d, inode);
		return ERR_IO;
	}
	if (!d->lie_sync)
		keep_all(inode);
	return 0;
}

/* Clean sectors that a failed sync left behind show what is really there. */
static void sim_forget(struct io_file *base)
{
	struct inode *inode = file_of(base)->inode;

	if (stale(base))
		return;
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (!inode->dirty[i])
			memcpy(inode->seen + i * SIM_SECTOR, inode->kept + i * SIM_SECTOR,
				SIM_SECTOR);
}

static int sim_allocate(struct io_file *base, uint64_t length)
{
	struct sim_disk *d = sim_of(base->disk);
	struct inode *inode = file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = enter(d, SIM_ALLOCATE, &scripted);
	if (!err && chance(d, d->faults.make_error)) {
		d->fault_total++;
		err = coin(d) ? ERR_NO_SPACE : ERR_IO;
	}
	if (err || d->cut)
		return err ? err : ERR_IO;
	if (length > length_most(d, inode))
		return ERR_NO_SPACE;
	inode->allocated = MAX(inode->allocated, length);
	return 0;
}

static int sim_truncate(struct io_file *base, uint64_t length)
{
	struct sim_disk *d = sim_of(base->disk);
	struct inode *inode = file_of(base)->inode;
	bool scripted;

	if (stale(base))
		return ERR_IO;
	int err = enter(d, SIM_TRUNCATE, &scripted);
	if (err)
		return err;
	ensure(inode, length);
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

/* ---- operations on names ---------------------------------------------------------------- */

static int sim_sync_dir(struct disk *disk, const char *path)
{
	struct sim_disk *d = sim_of(disk);
	bool scripted;

	if (d->cut)
		return ERR_IO;
	if (!is_dir(d, &d->seen, path))
		return ERR_NOT_FOUND;
	int err = enter(d, SIM_SYNC_DIR, &scripted);
	if (!err && chance(d, d->faults.sync_dir_error)) {
		d->fault_total++;
		err = ERR_IO;
	}
	if (err || d->cut) {
		if (!d->cut)
			settle_names(d, path, SIM_KEEP_RANDOM, true);
		return ERR_IO;
	}
	if (!d->lie_sync_dir)
		settle_names(d, path, SIM_KEEP_EVERYTHING, false);
	return 0;
}

static int sim_make_dir(struct disk *disk, const char *path)
{
	struct sim_disk *d = sim_of(disk);
	bool scripted;
	char parent[SIM_PATH];

	parent_of(path, parent);
	if (d->cut)
		return ERR_IO;
	if (find(&d->seen, path))
		return ERR_EXISTS;
	if (!is_dir(d, &d->seen, parent))
		return ERR_NOT_FOUND;
	int err = enter(d, SIM_MAKE_DIR, &scripted);
	if (err)
		return err;
	change_names(d, path, "", new_inode(d, true));
	return d->cut ? ERR_IO : 0;
}

static int sim_unlink(struct disk *disk, const char *path)
{
	struct sim_disk *d = sim_of(disk);
	bool scripted;

	if (d->cut)
		return ERR_IO;
	const struct name *name = find(&d->seen, path);
	if (!name || name->inode->is_dir)
		return ERR_NOT_FOUND;
	int err = enter(d, SIM_UNLINK, &scripted);
	if (err)
		return err;
	change_names(d, path, "", NULL);
	return d->cut ? ERR_IO : 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *d = sim_of(disk);
	bool scripted;
	char parent[SIM_PATH];

	parent_of(to, parent);
	if (d->cut)
		return ERR_IO;
	const struct name *name = find(&d->seen, from);
	if (!name || name->inode->is_dir || !is_dir(d, &d->seen, parent))
		return ERR_NOT_FOUND;
	int err = enter(d, SIM_RENAME, &scripted);
	if (err)
		return err;
	change_names(d, to, from, name->inode);
	return d->cut ? ERR_IO : 0;
}

static int sim_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct sim_disk *d = sim_of(disk);
	char parent[SIM_PATH];
	int result = 0;

	if (d->cut)
		return ERR_IO;
	if (!is_dir(d, &d->seen, path))
		return ERR_NOT_FOUND;
	/* each() may make or remove names. */
	size_t count = d->seen.count;
	struct name *copy = calloc(count + 1, sizeof(*copy));
	CHECK(copy);
	if (count)
		memcpy(copy, d->seen.list, count * sizeof(*copy));
	for (size_t i = 0; i < count && !result; i++) {
		parent_of(copy[i].path, parent);
		if (strcmp(parent, path) != 0)
			continue;
		result = each(arg, copy[i].path + (*path ? strlen(path) + 1 : 0));
	}
	free(copy);
	return result;
}

static int sim_free_bytes(struct disk *disk, uint64_t *out)
{
	const struct sim_disk *d = sim_of(disk);
	uint64_t used = used_bytes(d), size = d->capacity ? d->capacity : UINT64_MAX / 2;

	*out = used < size ? size - used : 0;
	return 0;
}

static const struct disk_ops ops = {
	.open = sim_open,
	.write = sim_write,
	.read = sim_read,
	.size = sim_size,
	.sync = sim_sync,
	.forget = sim_forget,
	.allocate = sim_allocate,
	.truncate = sim_truncate,
	.close = sim_close,
	.sync_dir = sim_sync_dir,
	.make_dir = sim_make_dir,
	.unlink = sim_unlink,
	.rename = sim_rename,
	.list = sim_list,
	.free_bytes = sim_free_bytes,
};

/* ---- the machine ------------------------------------------------------------------------ */

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
	settle_names(d, NULL, SIM_KEEP_NOTHING, false);
	while (d->seen.count)
		set_name(d, &d->seen, d->seen.list[d->seen.count - 1].path, NULL);
	while (d->kept.count)
		set_name(d, &d->kept, d->kept.list[d->kept.count - 1].path, NULL);
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

static void up_again(struct sim_disk *d)
{
	d->life++;
	d->cut = false;
	d->cut_at = 0;
	d->full_next = false;
	memset(d->fail_at, 0, sizeof(d->fail_at));
}

/* A name below a directory that was lost is lost as well. */
static void drop_homeless(struct sim_disk *d, struct names *names)
{
	char parent[SIM_PATH];

	for (size_t i = 0; i < names->count; i++) {
		parent_of(names->list[i].path, parent);
		if (is_dir(d, names, parent))
			continue;
		char path[SIM_PATH];
		snprintf(path, sizeof(path), "%s", names->list[i].path);
		set_name(d, names, path, NULL);
		i = (size_t)-1;
	}
}

void sim_disk_power_cycle(struct sim_disk *d, enum sim_keep keep)
{
	settle_names(d, NULL, keep, false);
	drop_homeless(d, &d->kept);
	for (size_t i = 0; i < d->inode_count; i++) {
		struct inode *inode = d->inodes[i];
		if (keep == SIM_KEEP_EVERYTHING)
			keep_all(inode);
		else if (keep == SIM_KEEP_RANDOM)
			keep_some(d, inode);
		if (inode->room) {
			/* Sectors that lie beyond the length are not part of the file. */
			if (keep == SIM_KEEP_RANDOM && inode->seen_length > inode->kept_length &&
				coin(d))
				inode->kept_length += prng_below(
					&d->prng, inode->seen_length - inode->kept_length + 1);
			memset(inode->kept + inode->kept_length, 0,
				inode->room - inode->kept_length);
			memcpy(inode->seen, inode->kept, inode->room);
			memset(inode->dirty, 0, inode->room / SIM_SECTOR);
		}
		inode->seen_length = inode->kept_length;
		inode->length_dirty = false;
	}
	while (d->seen.count)
		set_name(d, &d->seen, d->seen.list[d->seen.count - 1].path, NULL);
	for (size_t i = 0; i < d->kept.count; i++)
		set_name(d, &d->seen, d->kept.list[i].path, d->kept.list[i].inode);
	up_again(d);
	note(d, 0xc0);
}

void sim_disk_process_died(struct sim_disk *d)
{
	up_again(d);
	note(d, 0xc1);
}

/* ---- for tests -------------------------------------------------------------------------- */

int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t bit)
{
	const struct name *name = find(&d->seen, path);

	if (!name || bit / 8 >= name->inode->seen_length)
		return ERR_NOT_FOUND;
	name->inode->seen[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	if (bit / 8 < name->inode->kept_length)
		name->inode->kept[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	return 0;
}

int sim_disk_plant(struct sim_disk *d, const char *path, uint64_t offset, struct span bytes)
{
	char parent[SIM_PATH];

	parent_of(path, parent);
	if (*parent && !find(&d->seen, parent)) {
		change_names(d, parent, "", new_inode(d, true));
		settle_names(d, "", SIM_KEEP_EVERYTHING, false);
	}
	if (!find(&d->seen, path)) {
		change_names(d, path, "", new_inode(d, false));
		settle_names(d, parent, SIM_KEEP_EVERYTHING, false);
	}
	struct inode *inode = find(&d->seen, path)->inode;
	put(inode, offset, bytes.p, bytes.n);
	keep_all(inode);
	return 0;
}

int sim_disk_peek(struct sim_disk *d, const char *path, struct span *out)
{
	const struct name *name = find(&d->seen, path);

	if (!name || name->inode->is_dir)
		return ERR_NOT_FOUND;
	*out = span_of(name->inode->seen, name->inode->seen_length);
	return 0;
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
