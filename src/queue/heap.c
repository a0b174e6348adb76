#include "queue/heap.h"

#include "base/check.h"

#define HEAP_FIRST  4
#define HEAP_MOST   (1u << 30)
#define HEAP_FAMILY 4 /* children of a node */

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->key != b->key ? a->key < b->key : (int32_t)(a->order - b->order) < 0;
}

static void put(
	struct heap *heap, uint32_t at, struct heap_entry entry, heap_moved moved, void *owner)
{
	heap->entries[at] = entry;
	moved(owner, entry.item, at + 1);
}

static void sift(
	struct heap *heap, uint32_t at, struct heap_entry entry, heap_moved moved, void *owner)
{
	while (at && before(&entry, &heap->entries[(at - 1) / HEAP_FAMILY])) {
		put(heap, at, heap->entries[(at - 1) / HEAP_FAMILY], moved, owner);
		at = (at - 1) / HEAP_FAMILY;
	}
	for (;;) {
		uint32_t first = at * HEAP_FAMILY + 1;
		if (first >= heap->count)
			break;
		uint32_t best = first, end = MIN(first + HEAP_FAMILY, heap->count);
		for (uint32_t i = first + 1; i < end; i++)
			if (before(&heap->entries[i], &heap->entries[best]))
				best = i;
		if (!before(&heap->entries[best], &entry))
			break;
		put(heap, at, heap->entries[best], moved, owner);
		at = best;
	}
	put(heap, at, entry, moved, owner);
}

bool heap_push(struct heap *heap, struct mem *mem, uint32_t item, int64_t key, heap_moved moved,
	void *owner)
{
	if (heap->count == heap->room) {
		/* by half, not double: with a million entries the slack is what is paid for */
		uint32_t room = heap->room ? heap->room + heap->room / 2 : HEAP_FIRST;
		if (room > HEAP_MOST)
			return false;
		struct heap_entry *entries = mem_resize(mem, heap->entries,
			heap->room * sizeof(struct heap_entry), room * sizeof(struct heap_entry));
		if (!entries)
			return false;
		heap->entries = entries;
		heap->room = room;
	}
	struct heap_entry entry = {.key = key, .item = item, .order = ++heap->order};
	heap->count++;
	sift(heap, heap->count - 1, entry, moved, owner);
	return true;
}

void heap_remove(struct heap *heap, uint32_t place, heap_moved moved, void *owner)
{
	CHECK(place && place <= heap->count);
	moved(owner, heap->entries[place - 1].item, 0);
	struct heap_entry last = heap->entries[--heap->count];
	if (place - 1 < heap->count)
		sift(heap, place - 1, last, moved, owner);
}

void heap_change(struct heap *heap, uint32_t place, int64_t key, heap_moved moved, void *owner)
{
	CHECK(place && place <= heap->count);
	struct heap_entry entry = heap->entries[place - 1];
	entry.key = key;
	entry.order = ++heap->order;
	sift(heap, place - 1, entry, moved, owner);
}

/* Those before it are together at the top: nothing below one that is not can be. */
uint32_t heap_ahead(const struct heap *heap, uint32_t place, bool *more)
{
	const struct heap_entry *mine = &heap->entries[place - 1];
	uint32_t found[HEAP_AHEAD_MOST], count = 0;

	*more = false;
	if (!before(&heap->entries[0], mine))
		return 0;
	found[count++] = 0;
	for (uint32_t at = 0; at < count; at++) {
		uint64_t child = (uint64_t)found[at] * HEAP_FAMILY + 1;
		uint64_t end = MIN(child + HEAP_FAMILY, (uint64_t)heap->count);

		for (; child < end; child++) {
			if (!before(&heap->entries[child], mine))
				continue;
			if (count == HEAP_AHEAD_MOST) {
				*more = true;
				return count;
			}
			found[count++] = (uint32_t)child;
		}
	}
	return count;
}

bool heap_holds(const struct heap *heap, uint32_t place, uint32_t item)
{
	return place && place <= heap->count && heap->entries[place - 1].item == item;
}

bool heap_sound(const struct heap *heap)
{
	for (uint32_t i = 1; i < heap->count; i++)
		if (before(&heap->entries[i], &heap->entries[(i - 1) / HEAP_FAMILY]))
			return false;
	return true;
}

void heap_done(struct heap *heap, struct mem *mem)
{
	mem_free(mem, heap->entries, heap->room * sizeof(struct heap_entry));
	*heap = (struct heap){0};
}
