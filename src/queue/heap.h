/*
 * A heap of item numbers ordered by a 64-bit key, four children to a node (fewer cache misses
 * than two), keys inside. Items with equal keys come out as they went in. Each item is told its
 * place, so that it can leave or move from the middle.
 */
#ifndef QUEUE_HEAP_H
#define QUEUE_HEAP_H

#include "queue/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct heap_entry {
	int64_t key;
	uint32_t item;
	uint32_t order; /* counts up, wraps around */
};

struct heap {
	struct heap_entry *entries;
	uint32_t count, room;
	uint32_t order;
};

/* The item is at this place (from 1) now; 0: no longer in the heap. */
typedef void (*heap_moved)(void *owner, uint32_t item, uint32_t place);

/* False: no memory, nothing changed. */
bool heap_push(struct heap *heap, struct mem *mem, uint32_t item, int64_t key, heap_moved moved,
	void *owner);
void heap_remove(struct heap *heap, uint32_t place, heap_moved moved, void *owner);
/* Another key for the item at the place; it comes after others of that key. */
void heap_change(struct heap *heap, uint32_t place, int64_t key, heap_moved moved, void *owner);
/* How many come before it, at most HEAP_AHEAD_MOST; *more: there are others. */
#define HEAP_AHEAD_MOST 1000
uint32_t heap_ahead(const struct heap *heap, uint32_t place, bool *more);
bool heap_holds(const struct heap *heap, uint32_t place, uint32_t item);
/* In order? */
bool heap_sound(const struct heap *heap);
void heap_done(struct heap *heap, struct mem *mem);

/* The smallest; only where count is not 0. */
static inline const struct heap_entry *heap_first(const struct heap *heap)
{
	return &heap->entries[0];
}

#endif
