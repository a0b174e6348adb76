#include "spool/idmap.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define IDMAP_FIRST 64	 /* slots of the first allocation */
#define IDMAP_KEEP  4096 /* slots that idmap_clear() keeps */

struct idmap_slot {
	uint64_t id; /* 0: free */
	uint64_t value;
};

static size_t home(const struct idmap *map, uint64_t id)
{
	uint64_t h = (id ^ id >> 32) * 0x9e3779b97f4a7c15ull;

	return (size_t)(h >> 20) & (map->room - 1);
}

void idmap_done(struct idmap *map)
{
	free(map->slots);
	*map = (struct idmap){0};
}

void idmap_clear(struct idmap *map)
{
	if (map->room > IDMAP_KEEP)
		idmap_done(map);
	else if (map->count)
		memset(map->slots, 0, map->room * sizeof(*map->slots));
	map->count = 0;
}

static struct idmap_slot *find(const struct idmap *map, uint64_t id)
{
	size_t at = home(map, id);

	while (map->slots[at].id && map->slots[at].id != id)
		at = (at + 1) & (map->room - 1);
	return &map->slots[at];
}

static int grow(struct idmap *map)
{
	struct idmap bigger = {
		.room = map->room ? map->room * 2 : IDMAP_FIRST, .count = map->count};

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return ERR_NOMEM;
	for (size_t i = 0; i < map->room; i++)
		if (map->slots[i].id)
			*find(&bigger, map->slots[i].id) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return 0;
}

int idmap_put(struct idmap *map, uint64_t id, uint64_t value)
{
	CHECK(id != 0);
	if ((map->count + 1) * 4 > map->room * 3 && grow(map) != 0)
		return ERR_NOMEM;
	struct idmap_slot *slot = find(map, id);
	if (!slot->id)
		map->count++;
	*slot = (struct idmap_slot){id, value};
	return 0;
}

bool idmap_get(const struct idmap *map, uint64_t id, uint64_t *out)
{
	if (!map->count || !id)
		return false;
	const struct idmap_slot *slot = find(map, id);
	if (!slot->id)
		return false;
	*out = slot->value;
	return true;
}

/* Closes the gap, so that no mark of what was removed is needed (Knuth 6.4, algorithm R). */
void idmap_remove(struct idmap *map, uint64_t id)
{
	if (!map->count || !id)
		return;
	struct idmap_slot *slot = find(map, id);
	if (!slot->id)
		return;
	size_t gap = (size_t)(slot - map->slots), mask = map->room - 1;
	for (size_t at = (gap + 1) & mask; map->slots[at].id; at = (at + 1) & mask) {
		size_t want = home(map, map->slots[at].id);
		if (((at - want) & mask) >= ((at - gap) & mask)) {
			map->slots[gap] = map->slots[at];
			gap = at;
		}
	}
	map->slots[gap].id = 0;
	map->count--;
}
