#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdlib.h>

int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t bit)
{
	const struct name *name = sd_find(&d->seen, path);

	if (!name || bit / 8 >= name->inode->seen_length)
		return ERR_NOT_FOUND;
	name->inode->seen[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	if (bit / 8 < name->inode->kept_length)
		name->inode->kept[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	return 0;
}

int sim_disk_spoil(struct sim_disk *d, const char *path, uint64_t offset)
{
	const struct name *name = sd_find(&d->seen, path);
	struct inode *inode = name ? name->inode : NULL;

	if (!inode || offset >= inode->seen_length)
		return ERR_NOT_FOUND;
	inode->bad = realloc(inode->bad, (inode->bad_count + 1) * sizeof(*inode->bad));
	CHECK(inode->bad);
	inode->bad[inode->bad_count++] = offset / SIM_SECTOR;
	return 0;
}

int sim_disk_plant(struct sim_disk *d, const char *path, uint64_t offset, struct span bytes)
{
	char parent[SIM_PATH];

	sd_parent_of(path, parent);
	if (*parent && !sd_find(&d->seen, parent)) {
		sd_change_names(d, parent, "", sd_new_inode(d, true));
		sd_settle_names(d, "", SIM_KEEP_EVERYTHING, false);
	}
	if (!sd_find(&d->seen, path)) {
		sd_change_names(d, path, "", sd_new_inode(d, false));
		sd_settle_names(d, parent, SIM_KEEP_EVERYTHING, false);
	}
	struct inode *inode = sd_find(&d->seen, path)->inode;
	sd_put(inode, offset, bytes.p, bytes.n);
	sd_keep_all(inode);
	return 0;
}

int sim_disk_peek(struct sim_disk *d, const char *path, struct span *out)
{
	const struct name *name = sd_find(&d->seen, path);

	if (!name || name->inode->is_dir)
		return ERR_NOT_FOUND;
	*out = span_of(name->inode->seen, name->inode->seen_length);
	return 0;
}
