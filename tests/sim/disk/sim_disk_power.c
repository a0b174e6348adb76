#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdio.h>

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
		sd_parent_of(names->list[i].path, parent);
		if (sd_is_dir(d, names, parent))
			continue;
		char path[SIM_PATH];
		snprintf(path, sizeof(path), "%s", names->list[i].path);
		sd_set_name(d, names, path, NULL);
		i = (size_t)-1;
	}
}

void sim_disk_power_cycle(struct sim_disk *d, enum sim_keep keep)
{
	sd_settle_names(d, NULL, keep, false);
	drop_homeless(d, &d->kept);
	for (size_t i = 0; i < d->inode_count; i++) {
		struct inode *inode = d->inodes[i];
		if (keep == SIM_KEEP_EVERYTHING)
			sd_keep_all(inode);
		else if (keep == SIM_KEEP_RANDOM)
			sd_keep_some(d, inode);
		if (inode->room) {
			/* Sectors that lie beyond the length are not part of the file. */
			if (keep == SIM_KEEP_RANDOM && inode->seen_length > inode->kept_length &&
				sd_coin(d))
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
		sd_set_name(d, &d->seen, d->seen.list[d->seen.count - 1].path, NULL);
	for (size_t i = 0; i < d->kept.count; i++)
		sd_set_name(d, &d->seen, d->kept.list[i].path, d->kept.list[i].inode);
	up_again(d);
	sd_note(d, 0xc0);
}

void sim_disk_process_died(struct sim_disk *d)
{
	up_again(d);
	sd_note(d, 0xc1);
}
