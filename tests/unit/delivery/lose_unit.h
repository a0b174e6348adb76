/* A mistake that the queue does not make. Apart, as the queue's inside does not go with others'. */
#ifndef TEST_DELIVERY_LOSE_UNIT_H
#define TEST_DELIVERY_LOSE_UNIT_H

#include <stdint.h>

struct queue;
/* The message's first unit, which is deferred, is no longer in the line of its destination. */
void lose_unit(struct queue *queue, uint64_t id);

#endif
