/*
 * From a message's id to its number, in the order of ids: sorted leaves of a few hundred entries
 * and one sorted list of the leaves. Ids come nearly ascending (a few writers, each ascending), so
 * leaves are left full; a lookup is two binary searches. Putting a new leaf into the list moves
 * the rest of the list: for a million messages that is 32 KiB once in a hundred insertions.
 */
#ifndef QUEUE_IDTREE_H
#define QUEUE_IDTREE_H

#include "queue/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define IDTREE_LEAF 250

struct idtree_leaf;

struct idtree {
	struct idtree_leaf **leaves;
	uint32_t count, room;
	uint64_t entries;
};

/* The id must not be there. False: no memory, nothing changed. */
bool idtree_add(struct idtree *map, struct mem *mem, uint64_t id, uint32_t number);
/* 0: not there. */
uint32_t idtree_find(const struct idtree *map, uint64_t id);
void idtree_remove(struct idtree *map, struct mem *mem, uint64_t id);
/* Entries after the id, ascending, up to `room`; returns how many. ids or numbers may be NULL. */
size_t idtree_after(
	const struct idtree *map, uint64_t after, uint64_t *ids, uint32_t *numbers, size_t room);
bool idtree_sound(const struct idtree *map);
void idtree_done(struct idtree *map, struct mem *mem);

#endif
