/*
 * A map from a nonzero 64-bit id to a 64-bit value: open addressing, grows, never iterates over
 * more than a chain. Owner: one structure of the loop.
 */
#ifndef SPOOL_IDMAP_H
#define SPOOL_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap {
	struct idmap_slot *slots;
	size_t count, room; /* room is a power of two, or 0 */
};

void idmap_done(struct idmap *map);
/* Empties it and keeps its memory where that is small. */
void idmap_clear(struct idmap *map);
/* Sets or replaces. ERR_NOMEM. */
int idmap_put(struct idmap *map, uint64_t id, uint64_t value);
bool idmap_get(const struct idmap *map, uint64_t id, uint64_t *out);
void idmap_remove(struct idmap *map, uint64_t id);

#endif
