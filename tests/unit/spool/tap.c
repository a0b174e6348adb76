#include "tap.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>

#define FILES_MOST 512

struct open_file {
	const struct io_file *file;
	char path[64];
};

static struct tap tap;
static struct disk_ops ops;
static const struct disk_ops *under;
static struct open_file files[FILES_MOST];

static struct open_file *entry(const struct io_file *file)
{
	for (size_t i = 0; i < FILES_MOST; i++)
		if (files[i].file == file)
			return &files[i];
	return NULL;
}

static bool is_huge(const struct io_file *file)
{
	const struct open_file *at = entry(file);

	return at && tap.huge_path && strcmp(at->path, tap.huge_path) == 0;
}

static int tap_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	int err = under->open(disk, path, flags, out);

	tap.opens++;
	tap.read_opens += path[0] != 'd' && flags & DISK_READ;
	if (err)
		return err;
	struct open_file *at = entry(NULL);
	CHECK(at);
	at->file = *out;
	snprintf(at->path, sizeof(at->path), "%s", path);
	return 0;
}

static void tap_close(struct io_file **file)
{
	struct open_file *at = entry(*file);

	if (at)
		at->file = NULL;
	under->close(file);
}

static int64_t tap_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	const struct open_file *at = entry(file);

	tap.reads++;
	if (at && tap.bad_path && strncmp(at->path, tap.bad_path, strlen(tap.bad_path)) == 0 &&
		offset < tap.bad_to && offset + n > tap.bad_from) {
		if (!tap.good_reads)
			return ERR_IO;
		tap.good_reads--;
	}
	int64_t got = under->read(file, to, n, offset);
	tap.read_bytes += got > 0 ? (uint64_t)got : 0;
	if (at && tap.wrong_reads && strcmp(at->path, tap.wrong_path) == 0 && got > 0 &&
		offset <= tap.wrong_from && tap.wrong_from - offset < (uint64_t)got) {
		((char *)to)[tap.wrong_from - offset] ^= 1;
		tap.wrong_reads--;
	}
	if (!is_huge(file) || got < 0 || offset >= tap.huge_size)
		return got;
	uint64_t all = MIN(n, tap.huge_size - offset);
	memset((char *)to + got, 0, all - (uint64_t)got);
	tap.read_bytes += all - (uint64_t)got;
	return (int64_t)all;
}

static int64_t tap_size(struct io_file *file)
{
	tap.sizes++;
	return is_huge(file) ? (int64_t)tap.huge_size : under->size(file);
}

static int64_t tap_data(struct io_file *file, uint64_t offset)
{
	if (is_huge(file) && tap.huge_dense)
		return (int64_t)MIN(offset, tap.huge_size);
	int64_t at = under->data(file, offset);

	return is_huge(file) && at >= under->size(file) ? (int64_t)tap.huge_size : at;
}

static int tap_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	tap.lists++;
	return under->list(disk, path, each, arg);
}

static int64_t tap_write(
	struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset)
{
	tap.writes++;
	int64_t n = under->write(file, parts, count, offset);
	if (tap.writes_back && n > 0 && count > 1)
		under->sync(file);
	return n;
}

static int tap_sync(struct io_file *file)
{
	tap.syncs++;
	return under->sync(file);
}

static int tap_truncate(struct io_file *file, uint64_t length)
{
	tap.truncates++;
	return under->truncate(file, length);
}

static int tap_unlink(struct disk *disk, const char *path)
{
	tap.log_unlinks += path[0] == 'w';
	return under->unlink(disk, path);
}

static int tap_sync_dir(struct disk *disk, const char *path)
{
	tap.dir_syncs++;
	return under->sync_dir(disk, path);
}

struct tap *tap_on(struct sim_disk *disk)
{
	struct disk *base = sim_disk_base(disk);

	under = base->ops;
	ops = *under;
	ops.open = tap_open;
	ops.close = tap_close;
	ops.read = tap_read;
	ops.size = tap_size;
	ops.data = tap_data;
	ops.list = tap_list;
	ops.write = tap_write;
	ops.sync = tap_sync;
	ops.sync_dir = tap_sync_dir;
	ops.truncate = tap_truncate;
	ops.unlink = tap_unlink;
	base->ops = &ops;
	tap = (struct tap){0};
	memset(files, 0, sizeof(files));
	return &tap;
}
