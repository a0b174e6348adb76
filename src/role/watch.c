#include "role/watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep(struct watched *watched, const struct stat *info)
{
	watched->device = info->st_dev;
	watched->inode = info->st_ino;
	watched->size = info->st_size;
	watched->changed = info->st_ctim;
}

static bool same(const struct watched *watched, const struct stat *info)
{
	return watched->device == info->st_dev && watched->inode == info->st_ino &&
	       watched->size == info->st_size && watched->changed.tv_sec == info->st_ctim.tv_sec &&
	       watched->changed.tv_nsec == info->st_ctim.tv_nsec;
}

void watch_begin(struct watched *watched, const char *path)
{
	struct stat info;

	*watched = (struct watched){.path = path};
	if (stat(path, &info) == 0)
		keep(watched, &info);
}

bool watch_look(struct watched *watched, int *out_fd)
{
	struct stat info;

	if (stat(watched->path, &info) < 0 || same(watched, &info))
		return false;
	int fd = open(watched->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	/* It may be another one by now: of the one that is open. */
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
		close(fd);
		return false;
	}
	keep(watched, &info);
	*out_fd = fd;
	return true;
}
