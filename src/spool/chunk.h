/*
 * Memory for message bodies on their way in: chunks of two sizes, recycled, all together bounded.
 * Owner: one writer, on the loop. A job may read a chunk that was lent to it.
 */
#ifndef SPOOL_CHUNK_H
#define SPOOL_CHUNK_H

#include "spool/format.h"

#include <stddef.h>
#include <stdint.h>

#define CHUNK_SMALL (16u << 10) /* the first chunk of a body: most messages need no other */
#define CHUNK_LARGE (64u << 10)
#define CHUNK_LEAST (4u * CHUNK_LARGE) /* a pool is never smaller */

struct chunk {
	struct chunk *next;
	uint32_t size; /* of bytes, without the reserve for the end of the body */
	uint32_t used;
	char bytes[];
};

#define CHUNK_ROOM(whole) ((whole) - (uint32_t)sizeof(struct chunk) - FORMAT_END_BYTES)

struct chunk_pool {
	uint64_t bound;
	uint64_t held; /* bytes of all chunks there are, in use or free */
	uint64_t idle; /* of these, free */
	struct chunk *small, *large;
};

void chunk_pool_init(struct chunk_pool *pool, uint64_t bound);
void chunk_pool_done(struct chunk_pool *pool);

/* A large chunk, or a small one where asked for or memory is short; NULL: none to be had. */
struct chunk *chunk_take(struct chunk_pool *pool, bool small);
/* Gives a chain of chunks back. */
void chunk_give(struct chunk_pool *pool, struct chunk *chain);
/* How many small chunks could be taken now. */
uint64_t chunk_left(const struct chunk_pool *pool);

#endif
