#include "queue/ring.h"

#include "base/check.h"

#define RING_FIRST 4
#define RING_MOST  (1u << 30)

static bool grow(struct ring *ring, struct mem *mem)
{
	uint32_t span = ring->tail - ring->head;
	if (span < ring->room)
		return true;
	if (ring->room >= RING_MOST)
		return false;
	uint32_t room = ring->room ? ring->room * 2 : RING_FIRST;
	uint32_t *slots = mem_zero(mem, room * sizeof(uint32_t));
	if (!slots)
		return false;
	for (uint32_t t = ring->head; t != ring->tail; t++)
		slots[t & (room - 1)] = ring->slots[t & (ring->room - 1)];
	mem_free(mem, ring->slots, ring->room * sizeof(uint32_t));
	ring->slots = slots;
	ring->room = room;
	return true;
}

bool ring_push(struct ring *ring, struct mem *mem, uint32_t item, uint32_t *ticket)
{
	if (!grow(ring, mem))
		return false;
	*ticket = ring->tail++;
	ring->slots[*ticket & (ring->room - 1)] = item;
	ring->count++;
	return true;
}

bool ring_push_front(struct ring *ring, struct mem *mem, uint32_t item, uint32_t *ticket)
{
	if (!grow(ring, mem))
		return false;
	*ticket = --ring->head;
	ring->slots[*ticket & (ring->room - 1)] = item;
	ring->count++;
	return true;
}

uint32_t ring_first(const struct ring *ring)
{
	return ring->count ? ring->slots[ring->head & (ring->room - 1)] : 0;
}

uint32_t ring_find(const struct ring *ring, uint32_t most,
	bool (*wanted)(const void *with, uint32_t item), const void *with)
{
	uint32_t places = MIN(ring->tail - ring->head, most);

	for (uint32_t i = 0; i < places; i++) {
		uint32_t item = ring->slots[(ring->head + i) & (ring->room - 1)];
		if (item && wanted(with, item))
			return item;
	}
	return 0;
}

void ring_remove(struct ring *ring, uint32_t ticket)
{
	uint32_t mask = ring->room - 1;
	CHECK(ticket - ring->head < ring->tail - ring->head && ring->slots[ticket & mask]);
	ring->slots[ticket & mask] = 0;
	ring->count--;
	while (ring->head != ring->tail && !ring->slots[ring->head & mask])
		ring->head++;
}

uint32_t ring_ahead(const struct ring *ring, uint32_t ticket, uint32_t most, bool *more)
{
	uint32_t ahead = 0, places = ticket - ring->head;

	*more = places > most;
	for (uint32_t i = 0; i < MIN(places, most); i++)
		ahead += ring->slots[(ring->head + i) & (ring->room - 1)] != 0;
	return ahead;
}

bool ring_holds(const struct ring *ring, uint32_t ticket, uint32_t item)
{
	return ticket - ring->head < ring->tail - ring->head &&
	       ring->slots[ticket & (ring->room - 1)] == item;
}

void ring_done(struct ring *ring, struct mem *mem)
{
	mem_free(mem, ring->slots, ring->room * sizeof(uint32_t));
	*ring = (struct ring){0};
}
