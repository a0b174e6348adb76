#include "sim_disk_inner.h"

#include "base/err.h"

#include <stdlib.h>

static uint64_t blocks_of(const struct inode *inode)
{
	return (MAX(inode->allocated, inode->seen_length) + SIM_BLOCK - 1) / SIM_BLOCK;
}

uint64_t sd_used_bytes(const struct sim_disk *d)
{
	uint64_t blocks = 0;

	for (size_t i = 0; i < d->inode_count; i++)
		if (d->inodes[i]->links || d->inodes[i]->opens)
			blocks += blocks_of(d->inodes[i]);
	return blocks * SIM_BLOCK;
}

/* The length that the inode can have with what is free now. */
uint64_t sd_length_most(const struct sim_disk *d, const struct inode *inode)
{
	if (!d->capacity)
		return UINT64_MAX;
	uint64_t used = sd_used_bytes(d), free_now = used < d->capacity ? d->capacity - used : 0;

	return (blocks_of(inode) + free_now / SIM_BLOCK) * SIM_BLOCK;
}

void sd_ensure(struct inode *inode, uint64_t length)
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

bool sd_is_bad(const struct inode *inode, uint64_t offset, uint64_t n)
{
	for (size_t i = 0; i < inode->bad_count; i++)
		if (inode->bad[i] * SIM_SECTOR < offset + n &&
			(inode->bad[i] + 1) * SIM_SECTOR > offset)
			return true;
	return false;
}

/* The device puts another in place of a bad sector that is written. */
static void heal(struct inode *inode, uint64_t offset, uint64_t n)
{
	for (size_t i = inode->bad_count; i-- > 0;)
		if (inode->bad[i] * SIM_SECTOR < offset + n &&
			(inode->bad[i] + 1) * SIM_SECTOR > offset)
			inode->bad[i] = inode->bad[--inode->bad_count];
}

void sd_put(struct inode *inode, uint64_t offset, const void *from, size_t n)
{
	if (!n)
		return;
	sd_ensure(inode, offset + n);
	memcpy(inode->seen + offset, from, n);
	heal(inode, offset, n);
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

void sd_keep_all(struct inode *inode)
{
	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (inode->dirty[i])
			keep_sector(inode, i);
	keep_length(inode);
}

void sd_keep_some(struct sim_disk *d, struct inode *inode)
{
	/* From "almost none" to "almost all". */
	uint32_t odds = (uint32_t)prng_below(&d->prng, 65537);

	for (uint64_t i = 0; i < inode->room / SIM_SECTOR; i++)
		if (inode->dirty[i] && sd_chance(d, odds))
			keep_sector(inode, i);
	if (inode->length_dirty && sd_chance(d, odds))
		keep_length(inode);
}

void sd_writeback(struct sim_disk *d)
{
	if (!d->inode_count || !sd_chance(d, d->faults.writeback))
		return;
	sd_keep_some(d, d->inodes[prng_below(&d->prng, d->inode_count)]);
}
