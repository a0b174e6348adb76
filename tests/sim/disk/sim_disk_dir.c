#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdlib.h>

int sd_sync_dir(struct disk *disk, const char *path)
{
	struct sim_disk *d = sd_of(disk);
	bool scripted;

	if (d->cut)
		return ERR_IO;
	if (!sd_is_dir(d, &d->seen, path))
		return ERR_NOT_FOUND;
	int err = sd_enter(d, SIM_SYNC_DIR, &scripted);
	if (!err && sd_chance(d, d->faults.sync_dir_error)) {
		d->fault_total++;
		err = ERR_IO;
	}
	if (err || d->cut) {
		if (!d->cut)
			sd_settle_names(d, path, SIM_KEEP_RANDOM, true);
		return ERR_IO;
	}
	if (!d->lie_sync_dir)
		sd_settle_names(d, path, SIM_KEEP_EVERYTHING, false);
	return 0;
}

int sd_make_dir(struct disk *disk, const char *path)
{
	struct sim_disk *d = sd_of(disk);
	bool scripted;
	char parent[SIM_PATH];

	sd_parent_of(path, parent);
	if (d->cut)
		return ERR_IO;
	if (sd_find(&d->seen, path))
		return ERR_EXISTS;
	if (!sd_is_dir(d, &d->seen, parent))
		return ERR_NOT_FOUND;
	int err = sd_enter(d, SIM_MAKE_DIR, &scripted);
	if (err)
		return err;
	sd_change_names(d, path, "", sd_new_inode(d, true));
	return d->cut ? ERR_IO : 0;
}

int sd_unlink(struct disk *disk, const char *path)
{
	struct sim_disk *d = sd_of(disk);
	bool scripted;

	if (d->cut)
		return ERR_IO;
	const struct name *name = sd_find(&d->seen, path);
	if (!name || name->inode->is_dir)
		return ERR_NOT_FOUND;
	int err = sd_enter(d, SIM_UNLINK, &scripted);
	if (err)
		return err;
	sd_change_names(d, path, "", NULL);
	return d->cut ? ERR_IO : 0;
}

int sd_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *d = sd_of(disk);
	bool scripted;
	char parent[SIM_PATH];

	sd_parent_of(to, parent);
	if (d->cut)
		return ERR_IO;
	const struct name *name = sd_find(&d->seen, from);
	if (!name || name->inode->is_dir || !sd_is_dir(d, &d->seen, parent))
		return ERR_NOT_FOUND;
	int err = sd_enter(d, SIM_RENAME, &scripted);
	if (err)
		return err;
	sd_change_names(d, to, from, name->inode);
	return d->cut ? ERR_IO : 0;
}

int sd_list(
	struct disk *disk, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct sim_disk *d = sd_of(disk);
	char parent[SIM_PATH];
	int result = 0;

	if (d->cut)
		return ERR_IO;
	if (!sd_is_dir(d, &d->seen, path))
		return ERR_NOT_FOUND;
	/* each() may make or remove names. */
	size_t count = d->seen.count;
	struct name *copy = calloc(count + 1, sizeof(*copy));
	CHECK(copy);
	if (count)
		memcpy(copy, d->seen.list, count * sizeof(*copy));
	for (size_t i = 0; i < count && !result; i++) {
		sd_parent_of(copy[i].path, parent);
		if (strcmp(parent, path) != 0)
			continue;
		result = each(arg, copy[i].path + (*path ? strlen(path) + 1 : 0));
	}
	free(copy);
	return result;
}

int sd_free_bytes(struct disk *disk, uint64_t *out)
{
	const struct sim_disk *d = sd_of(disk);
	uint64_t used = sd_used_bytes(d), size = d->capacity ? d->capacity : UINT64_MAX / 2;

	*out = used < size ? size - used : 0;
	return 0;
}
