/*
 * From a message's id to its number, in the order of ids: sorted leaves of a few hundred entries
 * and one sorted list of the leaves. Ids come nearly ascending (a few writers, each ascending), so
 * leaves are left full; a lookup is two binary searches. Putting a new leaf into the list moves
 * the rest of the list: for a million messages that is 32 KiB once in a hundred insertions.
 */
#ifndef QUEUE_IDMAP_H
#define QUEUE_IDMAP_H

#include "queue/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define IDMAP_LEAF 250

struct idmap_leaf;

struct idmap {
	struct idmap_leaf **leaves;
	uint32_t count, room;
	uint64_t entries;
};

/* The id must not be there. False: no memory, nothing changed. */
bool idmap_add(struct idmap *map, struct mem *mem, uint64_t id, uint32_t number);
/* 0: not there. */
uint32_t idmap_find(const struct idmap *map, uint64_t id);
void idmap_remove(struct idmap *map, struct mem *mem, uint64_t id);
/* Entries after the id, ascending, up to `room`; returns how many. ids or numbers may be NULL. */
size_t idmap_after(const struct idmap *map, uint64_t after, uint64_t *ids, uint32_t *numbers,
	size_t room);
bool idmap_sound(const struct idmap *map);
void idmap_done(struct idmap *map, struct mem *mem);

#endif
