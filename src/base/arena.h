/*
 * Memory of one transaction: taken piece by piece, given back at once. Bounded; the overflow is
 * sticky, so that a chain of allocations is checked once, at its end, and answered with 452.
 *
 * Owner: one session or one job; not for sharing between threads.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;		    /* bytes handed out, with padding */
	size_t bound;		    /* the most it hands out */
	bool overflow;		    /* sticky: an allocation was refused */
};

void arena_init(struct arena *arena, size_t bound);

/* Frees everything; the arena can be used again at once. */
void arena_reset(struct arena *arena);

/* Zeroed memory aligned for any type, or NULL (and overflow) where the bound or memory is
 * reached. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy in the arena; the empty span on overflow. One NUL byte follows it (not counted). */
struct span arena_copy(struct arena *arena, struct span from);

#endif
