#include "lose_unit.h"

#include "queue/internal.h"

void lose_unit(struct queue *q, uint64_t id)
{
	struct queue_message_info info;

	CHECK(!queue_message_info(q, id, &info));
	struct unit *u = unit_at(q, info.first_unit);
	CHECK(u->place == PLACE_DEFERRED);
	uint32_t slot = u->slot;
	heap_remove(&destination_at(q, u->destination)->deferred, slot, unit_moved, q);
	u->slot = slot;
	destination_update(q, u->destination);
}
