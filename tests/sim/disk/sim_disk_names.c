#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static void *grown(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? *room * 2 : 16;
	list = realloc(list, *room * size);
	CHECK(list);
	return list;
}

struct name *sd_find(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i].path, path) == 0)
			return &names->list[i];
	return NULL;
}

void sd_release(struct sim_disk *d, struct inode *inode)
{
	if (inode->links || inode->durable_links || inode->opens || inode->pending)
		return;
	for (size_t i = 0; i < d->inode_count; i++)
		if (d->inodes[i] == inode)
			d->inodes[i] = d->inodes[--d->inode_count];
	free(inode->seen);
	free(inode->kept);
	free(inode->dirty);
	free(inode->bad);
	free(inode);
}

static uint32_t *links_of(const struct sim_disk *d, const struct names *names, struct inode *inode)
{
	return names == &d->seen ? &inode->links : &inode->durable_links;
}

void sd_set_name(struct sim_disk *d, struct names *names, const char *path, struct inode *inode)
{
	struct name *name = sd_find(names, path);
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
		sd_release(d, old);
	}
}

void sd_parent_of(const char *path, char out[SIM_PATH])
{
	const char *slash = strrchr(path, '/');

	snprintf(out, SIM_PATH, "%.*s", slash ? (int)(slash - path) : 0, path);
}

bool sd_is_dir(struct sim_disk *d, const struct names *names, const char *path)
{
	(void)d;
	const struct name *name = sd_find(names, path);

	return !*path || (name && name->inode->is_dir);
}

static void apply(struct sim_disk *d, struct names *names, const struct change *change)
{
	if (change->from[0])
		sd_set_name(d, names, change->from, NULL);
	sd_set_name(d, names, change->path, change->inode);
}

void sd_change_names(struct sim_disk *d, const char *path, const char *from, struct inode *inode)
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

	sd_parent_of(change->path, parent);
	if (strcmp(parent, dir) == 0)
		return true;
	sd_parent_of(change->from, parent);
	return change->from[0] && strcmp(parent, dir) == 0;
}

/* Settles pending changes of one directory (NULL: all): `keep` says which become durable; of the
 * others, `wait` says that they stay pending. */
void sd_settle_names(struct sim_disk *d, const char *dir, enum sim_keep keep, bool wait)
{
	size_t left = 0;
	bool waiting = false;

	for (size_t i = 0; i < d->change_count; i++) {
		struct change *change = &d->changes[i];
		bool kept = keep == SIM_KEEP_EVERYTHING || (keep == SIM_KEEP_RANDOM && sd_coin(d));
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
			sd_release(d, change->inode);
		}
	}
	d->change_count = left;
}

struct inode *sd_new_inode(struct sim_disk *d, bool dir)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	CHECK(inode);
	inode->is_dir = dir;
	d->inodes = grown(d->inodes, d->inode_count, &d->inode_room, sizeof(struct inode *));
	d->inodes[d->inode_count++] = inode;
	return inode;
}
