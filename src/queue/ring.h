/*
 * A first-in-first-out line of item numbers (never 0), in a ring that grows. Each item gets a
 * ticket, by which it can leave from the middle; tickets count up and wrap around.
 */
#ifndef QUEUE_RING_H
#define QUEUE_RING_H

#include "queue/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct ring {
	uint32_t *slots; /* 0: left from the middle */
	uint32_t room;	 /* a power of two */
	uint32_t head;	 /* ticket of the first; its slot is never 0 unless the ring is empty */
	uint32_t tail;	 /* ticket that the next one gets */
	uint32_t count;
};

/* False: no memory, nothing changed. */
bool ring_push(struct ring *ring, struct mem *mem, uint32_t item, uint32_t *ticket);
bool ring_push_front(struct ring *ring, struct mem *mem, uint32_t item, uint32_t *ticket);
/* The first item, or 0. */
uint32_t ring_first(const struct ring *ring);
/* The first that is wanted among those in the first `most` places, or 0. */
uint32_t ring_find(const struct ring *ring, uint32_t most,
	bool (*wanted)(const void *with, uint32_t item), const void *with);
/* Of the item that has this ticket. */
void ring_remove(struct ring *ring, uint32_t ticket);
/* How many are before it. Looks at the first `most` places only; *more: it is behind all of these.
 */
uint32_t ring_ahead(const struct ring *ring, uint32_t ticket, uint32_t most, bool *more);
bool ring_holds(const struct ring *ring, uint32_t ticket, uint32_t item);
void ring_done(struct ring *ring, struct mem *mem);

#endif
