#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define ARENA_BLOCK_MIN 1000 /* bytes of payload of the first block */

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t bound)
{
	*arena = (struct arena){.bound = bound};
}

void arena_reset(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->next;
		free(block);
	}
	arena->used = 0;
	arena->overflow = false;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t unit = alignof(max_align_t);

	if (size > SIZE_MAX - unit)
		goto refused;
	size = size ? (size + unit - 1) / unit * unit : unit;
	if (arena->overflow || size > arena->bound - arena->used)
		goto refused;

	struct arena_block *block = arena->blocks;
	if (!block || block->size - block->used < size) {
		size_t room = block ? block->size * 2 : ARENA_BLOCK_MIN / unit * unit;
		if (room < size)
			room = size;
		block = calloc(1, sizeof(*block) + room);
		if (!block)
			goto refused;
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *at = block->bytes + block->used;
	block->used += size;
	arena->used += size;
	return at;
refused:
	arena->overflow = true;
	return NULL;
}

struct span arena_copy(struct arena *arena, struct span from)
{
	if (from.n == SIZE_MAX)
		return SPAN_NONE;
	char *to = arena_alloc(arena, from.n + 1);
	if (!to)
		return SPAN_NONE;
	if (from.n)
		memcpy(to, from.p, from.n);
	return span_of(to, from.n);
}
