#include "io/disk_posix.h"

#include "base/check.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_MODE   0640
#define DIR_MODE    0750
#define WRITE_PARTS IOV_MAX /* of one system call */

struct disk_posix {
	struct disk base;
	int root;
};

struct file_posix {
	struct io_file base;
	int fd;
};

static int root_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct disk_posix, base)->root;
}

static int fd_of(const struct io_file *file)
{
	return CONTAINER_OF(file, const struct file_posix, base)->fd;
}

static int last_error(void)
{
	return err_from_errno(errno);
}

/* ---- files ------------------------------------------------------------------------------ */

static int posix_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	bool reads = (flags & DISK_READ) != 0, writes = (flags & DISK_WRITE) != 0;
	int how = writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;

	if (flags & DISK_CREATE)
		how |= O_CREAT;
	if (flags & DISK_EXCLUSIVE)
		how |= O_EXCL;
	struct file_posix *file = calloc(1, sizeof(*file));
	if (!file)
		return ERR_NOMEM;
	file->base.disk = disk;
	do
		file->fd = openat(root_of(disk), path,
			how | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
	while (file->fd < 0 && errno == EINTR);
	if (file->fd < 0) {
		int err = last_error();
		free(file);
		return err;
	}
	*out = &file->base;
	return 0;
}

static void posix_close(struct io_file **at)
{
	struct file_posix *file = CONTAINER_OF(*at, struct file_posix, base);

	/* Errors of close() concern bytes that were not synced; whoever cares has synced before. */
	close(file->fd);
	free(file);
	*at = NULL;
}

static int64_t posix_write(
	struct io_file *file, const struct iovec *parts, size_t count, uint64_t offset)
{
	int n = (int)MIN(count, (size_t)WRITE_PARTS);
	ssize_t wrote;

	if (offset > INT64_MAX)
		return ERR_LIMIT;
	do
		wrote = pwritev(fd_of(file), parts, n, (off_t)offset);
	while (wrote < 0 && errno == EINTR);
	return wrote < 0 ? last_error() : wrote;
}

static int64_t posix_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	size_t got = 0;

	if (offset > INT64_MAX || n > (size_t)INT64_MAX - (size_t)offset)
		return ERR_LIMIT;
	while (got < n) {
		ssize_t some = pread(fd_of(file), (char *)to + got, n - got, (off_t)(offset + got));
		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			return last_error();
		if (some == 0)
			break;
		got += (size_t)some;
	}
	return (int64_t)got;
}

static int64_t posix_size(struct io_file *file)
{
	struct stat st;

	return fstat(fd_of(file), &st) == 0 ? (int64_t)st.st_size : last_error();
}

static int64_t posix_data(struct io_file *file, uint64_t offset)
{
	off_t at = offset <= INT64_MAX ? lseek(fd_of(file), (off_t)offset, SEEK_DATA) : -1;

	if (at >= 0)
		return at;
	/* Behind all data, or the file system cannot tell. */
	return errno == ENXIO || offset > INT64_MAX ? posix_size(file) : (int64_t)offset;
}

static bool posix_linked(struct io_file *file)
{
	struct stat st;

	return fstat(fd_of(file), &st) < 0 || st.st_nlink > 0;
}

/* Not repeated, not even when interrupted: the second call may say 0 for bytes that the first one
 * lost. */
static int posix_sync(struct io_file *file)
{
	return fdatasync(fd_of(file)) == 0 ? 0 : errno == EINTR ? ERR_IO : last_error();
}

static void posix_forget(struct io_file *file)
{
	posix_fadvise(fd_of(file), 0, 0, POSIX_FADV_DONTNEED);
}

static int posix_allocate(struct io_file *file, uint64_t length)
{
	int result;

	if (length > INT64_MAX)
		return ERR_LIMIT;
	if (length == 0)
		return 0;
	do
		result = fallocate(fd_of(file), FALLOC_FL_KEEP_SIZE, 0, (off_t)length);
	while (result < 0 && errno == EINTR);
	return result == 0 ? 0 : last_error();
}

static int posix_truncate(struct io_file *file, uint64_t length)
{
	int result;

	if (length > INT64_MAX)
		return ERR_LIMIT;
	do
		result = ftruncate(fd_of(file), (off_t)length);
	while (result < 0 && errno == EINTR);
	return result == 0 ? 0 : last_error();
}

/* ---- names ------------------------------------------------------------------------------ */

static int open_dir(struct disk *disk, const char *path, int *out)
{
	int fd = openat(
		root_of(disk), *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return last_error();
	*out = fd;
	return 0;
}

static int posix_sync_dir(struct disk *disk, const char *path)
{
	int fd = -1;

	int err = open_dir(disk, path, &fd);
	if (err)
		return err;
	if (fsync(fd) != 0)
		err = errno == EINTR ? ERR_IO : last_error();
	close(fd);
	return err;
}

static int posix_make_dir(struct disk *disk, const char *path)
{
	return mkdirat(root_of(disk), path, DIR_MODE) == 0 ? 0 : last_error();
}

static int posix_unlink(struct disk *disk, const char *path)
{
	return unlinkat(root_of(disk), path, 0) == 0 ? 0 : last_error();
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
	return renameat(root_of(disk), from, root_of(disk), to) == 0 ? 0 : last_error();
}

static int posix_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	int fd = -1, result = 0;

	int err = open_dir(disk, path, &fd);
	if (err)
		return err;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		err = last_error();
		close(fd);
		return err;
	}
	while (!result) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry) {
			result = errno ? last_error() : 0;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = each(arg, entry->d_name);
	}
	closedir(dir);
	return result;
}

static int posix_free_bytes(struct disk *disk, uint64_t *out)
{
	struct statvfs st;

	if (fstatvfs(root_of(disk), &st) != 0)
		return last_error();
	*out = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static const struct disk_ops ops = {
	.open = posix_open,
	.write = posix_write,
	.read = posix_read,
	.size = posix_size,
	.data = posix_data,
	.linked = posix_linked,
	.sync = posix_sync,
	.forget = posix_forget,
	.allocate = posix_allocate,
	.truncate = posix_truncate,
	.close = posix_close,
	.sync_dir = posix_sync_dir,
	.make_dir = posix_make_dir,
	.unlink = posix_unlink,
	.rename = posix_rename,
	.list = posix_list,
	.free_bytes = posix_free_bytes,
};

/* ---- the disk --------------------------------------------------------------------------- */

int disk_posix_new(const char *root, struct disk **out)
{
	struct disk_posix *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return ERR_NOMEM;
	disk->base.ops = &ops;
	disk->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk->root < 0) {
		int err = last_error();
		free(disk);
		return err;
	}
	*out = &disk->base;
	return 0;
}

void disk_posix_free(struct disk **at)
{
	if (!*at)
		return;
	struct disk_posix *disk = CONTAINER_OF(*at, struct disk_posix, base);

	close(disk->root);
	free(disk);
	*at = NULL;
}

int disk_posix_fd(const struct io_file *file)
{
	return file->disk->ops == &ops ? fd_of(file) : -1;
}
