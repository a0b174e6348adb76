#include "io/room.h"

#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB	   (1ull << 20)
#define BLOCK	   512 /* of st_blocks */
#define DEPTH_MOST 1   /* folders below the folder */

/* ---- what is taken -------------------------------------------------------------------------- */

static int add_taken(int at, const char *name, int depth, uint64_t most, uint64_t *taken)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	int err = list ? 0 : err_from_errno(errno);

	if (!list && fd >= 0)
		close(fd);
	for (struct dirent *e; list && err == 0 && *taken < most && (e = readdir(list));) {
		struct stat info;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			fstatat(fd, e->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*taken += (uint64_t)info.st_blocks * BLOCK;
		if (S_ISDIR(info.st_mode) && depth < DEPTH_MOST)
			err = add_taken(fd, e->d_name, depth + 1, most, taken);
	}
	if (list)
		closedir(list);
	return err;
}

/* ---- what is free --------------------------------------------------------------------------- */

static int find_free(const char *folder, struct statvfs *disk)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", folder);
	while (statvfs(path, disk) != 0) {
		char *slash = strrchr(path, '/');
		if (errno != ENOENT || !slash || slash == path)
			return err_from_errno(errno);
		*slash = 0;
	}
	return 0;
}

int room_look(const char *folder, uint64_t enough, struct room *out)
{
	struct statvfs disk;
	struct room room = {0};
	int err = find_free(folder, &disk);

	if (err)
		return err;
	room.free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (room.free_bytes < enough)
		err = add_taken(AT_FDCWD, folder, 0, enough - room.free_bytes, &room.taken_bytes);
	if (err && err != ERR_NOT_FOUND)
		return err;
	*out = room;
	return 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

void room_add_size(struct buf *buf, uint64_t bytes)
{
	uint64_t tenths = bytes / MIB * 10 + bytes % MIB * 10 / MIB;

	buf_printf(buf, "%llu.%llu MiB", (unsigned long long)(tenths / 10),
		(unsigned long long)(tenths % 10));
}

bool room_lacks(const struct room *room, uint64_t files, uint64_t file_bytes, struct buf *out)
{
	uint64_t all = room->free_bytes + room->taken_bytes;

	if (all >= files * file_bytes)
		return false;
	buf_add_str(out, "the spool needs ");
	room_add_size(out, files * file_bytes);
	buf_printf(out, " for its reserve, %llu files of ", (unsigned long long)files);
	room_add_size(out, file_bytes);
	buf_add_str(out, ", and ");
	room_add_size(out, room->free_bytes);
	buf_add_str(out, " are free: mail may be refused as if the disk were full; give it more "
			 "room, or lower storage.segment-size");
	/* Half of it, so that the other half can hold mail. */
	if (all / 2 / files >= MIB)
		buf_printf(out, " to %lluM", (unsigned long long)(all / 2 / files / MIB));
	return true;
}
