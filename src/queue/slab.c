#include "queue/slab.h"

static bool add_chunk(struct slab *slab, struct mem *mem)
{
	if (slab->chunk_count == slab->chunk_room) {
		uint32_t room = slab->chunk_room ? slab->chunk_room * 2 : 8;
		char **chunks = mem_resize(mem, slab->chunks, slab->chunk_room * sizeof(char *),
			room * sizeof(char *));
		if (!chunks)
			return false;
		slab->chunks = chunks;
		slab->chunk_room = room;
	}
	char *chunk = mem_zero(mem, slab->item * SLAB_CHUNK);
	if (!chunk)
		return false;
	slab->chunks[slab->chunk_count++] = chunk;
	return true;
}

uint32_t slab_take(struct slab *slab, struct mem *mem)
{
	uint32_t at = slab->free;
	if (at) {
		void *item = slab_at(slab, at);
		memcpy(&slab->free, item, sizeof(slab->free));
		memset(item, 0, slab->item);
	} else {
		if (slab->top >= SLAB_MOST)
			return 0;
		if (slab->top >> SLAB_SHIFT == slab->chunk_count && !add_chunk(slab, mem))
			return 0;
		at = slab->top++;
	}
	slab->used++;
	return at;
}

void slab_give(struct slab *slab, uint32_t at)
{
	CHECK(at && at < slab->top && slab->used);
	void *item = slab_at(slab, at);
	memset(item, 0, slab->item);
	memcpy(item, &slab->free, sizeof(slab->free));
	slab->free = at;
	slab->used--;
}

void slab_done(struct slab *slab, struct mem *mem)
{
	for (uint32_t i = 0; i < slab->chunk_count; i++)
		mem_free(mem, slab->chunks[i], slab->item * SLAB_CHUNK);
	mem_free(mem, slab->chunks, slab->chunk_room * sizeof(char *));
	*slab = (struct slab){0};
}
