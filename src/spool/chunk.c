#include "spool/chunk.h"

#include "base/check.h"

#include <stdlib.h>

void chunk_pool_init(struct chunk_pool *pool, uint64_t bound)
{
	*pool = (struct chunk_pool){.bound = MAX(bound, (uint64_t)CHUNK_LEAST)};
}

static uint32_t whole(const struct chunk *chunk)
{
	return chunk->size == CHUNK_ROOM(CHUNK_SMALL) ? CHUNK_SMALL : CHUNK_LARGE;
}

static struct chunk **list_of(struct chunk_pool *pool, uint32_t size)
{
	return size == CHUNK_SMALL ? &pool->small : &pool->large;
}

static struct chunk *pop(struct chunk_pool *pool, uint32_t size)
{
	struct chunk **list = list_of(pool, size), *chunk = *list;

	if (chunk) {
		*list = chunk->next;
		pool->idle -= size;
		chunk->next = NULL;
		chunk->used = 0;
	}
	return chunk;
}

static void drop(struct chunk_pool *pool, uint32_t size)
{
	free(pop(pool, size));
	pool->held -= size;
}

void chunk_pool_done(struct chunk_pool *pool)
{
	while (pool->small)
		drop(pool, CHUNK_SMALL);
	while (pool->large)
		drop(pool, CHUNK_LARGE);
	CHECK(pool->held == 0);
}

static struct chunk *take(struct chunk_pool *pool, uint32_t size)
{
	struct chunk *chunk = pop(pool, size);

	if (chunk)
		return chunk;
	/* Free chunks of the other size make room. */
	uint32_t other = size == CHUNK_SMALL ? CHUNK_LARGE : CHUNK_SMALL;
	while (pool->held + size > pool->bound && *list_of(pool, other))
		drop(pool, other);
	if (pool->held + size > pool->bound)
		return NULL;
	chunk = malloc(size);
	if (!chunk)
		return NULL;
	*chunk = (struct chunk){.size = CHUNK_ROOM(size)};
	pool->held += size;
	return chunk;
}

struct chunk *chunk_take(struct chunk_pool *pool, bool small)
{
	struct chunk *chunk = small ? NULL : take(pool, CHUNK_LARGE);

	return chunk ? chunk : take(pool, CHUNK_SMALL);
}

void chunk_give(struct chunk_pool *pool, struct chunk *chain)
{
	while (chain) {
		struct chunk *chunk = chain, **list = list_of(pool, whole(chunk));
		chain = chunk->next;
		pool->idle += whole(chunk);
		chunk->next = *list;
		*list = chunk;
	}
}

uint64_t chunk_left(const struct chunk_pool *pool)
{
	return (pool->bound - pool->held + pool->idle) / CHUNK_SMALL;
}
