/*
 * Files as the spool and the mailboxes see them. All calls block; those that can take long
 * (sync, big writes) belong into a job. Two implementations: io/disk_posix, below one directory,
 * and tests/sim, which tears writes, loses what was not synced, runs full and lies.
 *
 * Paths are relative to the disk's root, "/" between names, and never hold "..".
 * Results: 0 or a count, or a negative enum err (ERR_NO_SPACE and ERR_IO told apart).
 */
#ifndef IO_DISK_H
#define IO_DISK_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct io_file; /* open for positioned reading and writing */

enum disk_open {
	DISK_READ = 1,
	DISK_WRITE = 2,
	DISK_CREATE = 4,    /* make it where it is missing */
	DISK_EXCLUSIVE = 8, /* with CREATE: ERR_EXISTS where it is there */
};

struct disk;

struct disk_ops {
	int (*open)(struct disk *disk, const char *path, unsigned flags, struct io_file **out);
	/* Bytes written, at least 1, possibly fewer than given. */
	int64_t (*write)(
		struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset);
	/* Bytes read; fewer than asked only at the end of the file. */
	int64_t (*read)(struct io_file *file, void *to, size_t n, uint64_t offset);
	int64_t (*size)(struct io_file *file);
	/* Where bytes other than zero may begin, at or behind `offset`; the file's size where none
	 * do. A hint that saves reading holes; NULL: the disk does not know. */
	int64_t (*data)(struct io_file *file, uint64_t offset);
	/* False: no name leads to the file any more, so all that is in it is lost when it is
	 * closed. NULL: the disk does not know. */
	bool (*linked)(struct io_file *file);
	/* fdatasync: the bytes and the length are on stable storage. After an error nobody knows
	 * what is; it must not be asked again for the same file (principle in ARCHITECTURE.md). */
	int (*sync)(struct io_file *file);
	/* Drops what memory holds of the file and believes to be on the device, so that it is read
	 * from there: what a failed sync of an earlier life left in memory must not pass for
	 * durable. A hint, may be NULL. Unsynced bytes stay. */
	void (*forget)(struct io_file *file);
	/* Blocks for [0, length) are set aside; the length of the file stays. */
	int (*allocate)(struct io_file *file, uint64_t length);
	int (*truncate)(struct io_file *file, uint64_t length);
	void (*close)(struct io_file **file);
	/* The names in the directory are on stable storage ("" is the root). */
	int (*sync_dir)(struct disk *disk, const char *path);
	int (*make_dir)(struct disk *disk, const char *path); /* ERR_EXISTS where it is there */
	int (*unlink)(struct disk *disk, const char *path);
	int (*rename)(struct disk *disk, const char *from, const char *to);
	/* Calls each() for every name in the directory, in no order, "." and ".." left out. A
	 * nonzero result of each() ends it and is returned. */
	int (*list)(struct disk *disk, const char *path, int (*each)(void *arg, const char *name),
		void *arg);
	/* Bytes free for us on the device. */
	int (*free_bytes)(struct disk *disk, uint64_t *out);
};

struct disk {
	const struct disk_ops *ops;
};

struct io_file {
	struct disk *disk;
};

static inline int disk_open(struct disk *d, const char *path, unsigned flags, struct io_file **out)
{
	return d->ops->open(d, path, flags, out);
}
static inline int64_t disk_write(
	struct io_file *f, const struct iovec *parts, size_t count, uint64_t offset)
{
	return f->disk->ops->write(f, parts, count, offset);
}
static inline int64_t disk_read(struct io_file *f, void *to, size_t n, uint64_t offset)
{
	return f->disk->ops->read(f, to, n, offset);
}
static inline int64_t disk_size(struct io_file *f)
{
	return f->disk->ops->size(f);
}
static inline int64_t disk_data(struct io_file *f, uint64_t offset)
{
	return f->disk->ops->data ? f->disk->ops->data(f, offset) : (int64_t)offset;
}
static inline bool disk_linked(struct io_file *f)
{
	return !f->disk->ops->linked || f->disk->ops->linked(f);
}
static inline int disk_sync(struct io_file *f)
{
	return f->disk->ops->sync(f);
}
static inline void disk_forget(struct io_file *f)
{
	if (f->disk->ops->forget)
		f->disk->ops->forget(f);
}
static inline int disk_allocate(struct io_file *f, uint64_t length)
{
	return f->disk->ops->allocate(f, length);
}
static inline int disk_truncate(struct io_file *f, uint64_t length)
{
	return f->disk->ops->truncate(f, length);
}
static inline void disk_close(struct io_file **f)
{
	if (*f)
		(*f)->disk->ops->close(f);
}
static inline int disk_sync_dir(struct disk *d, const char *path)
{
	return d->ops->sync_dir(d, path);
}
static inline int disk_make_dir(struct disk *d, const char *path)
{
	return d->ops->make_dir(d, path);
}
static inline int disk_unlink(struct disk *d, const char *path)
{
	return d->ops->unlink(d, path);
}
static inline int disk_rename(struct disk *d, const char *from, const char *to)
{
	return d->ops->rename(d, from, to);
}
static inline int disk_list(
	struct disk *d, const char *path, int (*each)(void *, const char *), void *arg)
{
	return d->ops->list(d, path, each, arg);
}
static inline int disk_free_bytes(struct disk *d, uint64_t *out)
{
	return d->ops->free_bytes(d, out);
}

/* Writes all parts, calling write again after a short one; changes `parts`. */
int disk_write_all(struct io_file *file, struct iovec *parts, size_t count, uint64_t offset);

#endif
