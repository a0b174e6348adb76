#include "queue/idtree.h"

#include "base/check.h"

#define IDTREE_FIRST 16 /* leaves of the first allocation */

struct idtree_leaf {
	uint32_t count;
	uint32_t numbers[IDTREE_LEAF];
	uint64_t ids[IDTREE_LEAF];
};

/* The last leaf whose first id is not greater, or the first leaf. */
static uint32_t find_leaf(const struct idtree *map, uint64_t id)
{
	uint32_t low = 0, high = map->count;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		if (map->leaves[mid]->ids[0] <= id)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Where the id is or would be. */
static uint32_t find_in(const struct idtree_leaf *leaf, uint64_t id)
{
	if (leaf->count && leaf->ids[leaf->count - 1] < id)
		return leaf->count;
	uint32_t low = 0, high = leaf->count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (leaf->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct idtree_leaf *add_leaf(struct idtree *map, struct mem *mem, uint32_t at)
{
	if (map->count == map->room) {
		uint32_t room = map->room ? map->room * 2 : IDTREE_FIRST;
		struct idtree_leaf **leaves = mem_resize(
			mem, map->leaves, map->room * sizeof(*leaves), room * sizeof(*leaves));
		if (!leaves)
			return NULL;
		map->leaves = leaves;
		map->room = room;
	}
	struct idtree_leaf *leaf = mem_zero(mem, sizeof(*leaf));
	if (!leaf)
		return NULL;
	memmove(&map->leaves[at + 1], &map->leaves[at], (map->count - at) * sizeof(leaf));
	map->leaves[at] = leaf;
	map->count++;
	return leaf;
}

static void drop_leaf(struct idtree *map, struct mem *mem, uint32_t at)
{
	mem_free(mem, map->leaves[at], sizeof(struct idtree_leaf));
	map->count--;
	memmove(&map->leaves[at], &map->leaves[at + 1],
		(map->count - at) * sizeof(struct idtree_leaf *));
}

/* Moves entries [from, count) of a leaf to the end of another. */
static void move_entries(struct idtree_leaf *to, struct idtree_leaf *from, uint32_t at)
{
	uint32_t n = from->count - at;
	memcpy(&to->ids[to->count], &from->ids[at], n * sizeof(to->ids[0]));
	memcpy(&to->numbers[to->count], &from->numbers[at], n * sizeof(to->numbers[0]));
	to->count += n;
	from->count -= n;
}

bool idtree_add(struct idtree *map, struct mem *mem, uint64_t id, uint32_t number)
{
	if (!map->count && !add_leaf(map, mem, 0))
		return false;
	uint32_t at = find_leaf(map, id);
	struct idtree_leaf *leaf = map->leaves[at];
	uint32_t place = find_in(leaf, id);
	CHECK(place == leaf->count || leaf->ids[place] != id);
	if (leaf->count == IDTREE_LEAF) {
		struct idtree_leaf *next = add_leaf(map, mem, at + 1);
		if (!next)
			return false;
		/* at its end: leave it full, ids will go on ascending */
		uint32_t half = place == IDTREE_LEAF ? IDTREE_LEAF : IDTREE_LEAF / 2;
		move_entries(next, leaf, half);
		if (place > leaf->count || leaf->count == IDTREE_LEAF) {
			place -= leaf->count;
			leaf = next;
		}
	}
	uint32_t n = leaf->count - place;
	memmove(&leaf->ids[place + 1], &leaf->ids[place], n * sizeof(leaf->ids[0]));
	memmove(&leaf->numbers[place + 1], &leaf->numbers[place], n * sizeof(leaf->numbers[0]));
	leaf->ids[place] = id;
	leaf->numbers[place] = number;
	leaf->count++;
	map->entries++;
	return true;
}

uint32_t idtree_find(const struct idtree *map, uint64_t id)
{
	if (!map->count)
		return 0;
	const struct idtree_leaf *leaf = map->leaves[find_leaf(map, id)];
	uint32_t place = find_in(leaf, id);
	return place < leaf->count && leaf->ids[place] == id ? leaf->numbers[place] : 0;
}

void idtree_remove(struct idtree *map, struct mem *mem, uint64_t id)
{
	CHECK(map->count);
	uint32_t at = find_leaf(map, id);
	struct idtree_leaf *leaf = map->leaves[at];
	uint32_t place = find_in(leaf, id);
	CHECK(place < leaf->count && leaf->ids[place] == id);
	leaf->count--;
	uint32_t n = leaf->count - place;
	memmove(&leaf->ids[place], &leaf->ids[place + 1], n * sizeof(leaf->ids[0]));
	memmove(&leaf->numbers[place], &leaf->numbers[place + 1], n * sizeof(leaf->numbers[0]));
	map->entries--;
	if (!leaf->count) {
		drop_leaf(map, mem, at);
	} else if (leaf->count < IDTREE_LEAF / 4 && at + 1 < map->count &&
		   leaf->count + map->leaves[at + 1]->count <= IDTREE_LEAF / 2) {
		move_entries(leaf, map->leaves[at + 1], 0);
		drop_leaf(map, mem, at + 1);
	}
}

size_t idtree_after(
	const struct idtree *map, uint64_t after, uint64_t *ids, uint32_t *numbers, size_t room)
{
	size_t n = 0;
	if (!map->count || after == UINT64_MAX)
		return 0;
	uint32_t at = find_leaf(map, after + 1);
	uint32_t place = find_in(map->leaves[at], after + 1);
	for (; at < map->count && n < room; at++, place = 0) {
		const struct idtree_leaf *leaf = map->leaves[at];
		for (; place < leaf->count && n < room; place++, n++) {
			if (ids)
				ids[n] = leaf->ids[place];
			if (numbers)
				numbers[n] = leaf->numbers[place];
		}
	}
	return n;
}

bool idtree_sound(const struct idtree *map)
{
	uint64_t entries = 0, last = 0;
	for (uint32_t at = 0; at < map->count; at++) {
		const struct idtree_leaf *leaf = map->leaves[at];
		if (!leaf->count || leaf->count > IDTREE_LEAF)
			return false;
		for (uint32_t i = 0; i < leaf->count; i++, entries++) {
			if (entries && leaf->ids[i] <= last)
				return false;
			last = leaf->ids[i];
		}
	}
	return entries == map->entries;
}

void idtree_done(struct idtree *map, struct mem *mem)
{
	while (map->count)
		drop_leaf(map, mem, map->count - 1);
	mem_free(mem, map->leaves, map->room * sizeof(struct idtree_leaf *));
	*map = (struct idtree){0};
}
