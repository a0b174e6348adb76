/*
 * Equal items in large chunks, named by a small integer instead of a pointer: half the size in
 * every link, and addresses that never move. Item 0 does not exist.
 *
 * An item that is free begins with the number of the next free one.
 */
#ifndef QUEUE_SLAB_H
#define QUEUE_SLAB_H

#include "base/check.h"
#include "queue/mem.h"

#include <stdint.h>

#define SLAB_SHIFT 9
#define SLAB_CHUNK (1u << SLAB_SHIFT) /* items */
#define SLAB_MOST  0xfffffff0u

struct slab {
	size_t item;
	char **chunks;
	uint32_t chunk_count, chunk_room;
	uint32_t top;  /* items below it were handed out at least once */
	uint32_t free; /* first free item below top, or 0 */
	uint32_t used;
};

static inline void slab_init(struct slab *slab, size_t item)
{
	*slab = (struct slab){.item = item, .top = 1};
}

static inline void *slab_at(const struct slab *slab, uint32_t at)
{
	return slab->chunks[at >> SLAB_SHIFT] + (at & (SLAB_CHUNK - 1)) * slab->item;
}

/* A zeroed item, or 0. */
uint32_t slab_take(struct slab *slab, struct mem *mem);
void slab_give(struct slab *slab, uint32_t at);
void slab_done(struct slab *slab, struct mem *mem);

#endif
