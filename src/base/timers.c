#include "base/timers.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define TIMERS_FIRST 64 /* slots of the first allocation */

void timers_init(struct timers *timers)
{
	*timers = (struct timers){0};
}

void timers_done(struct timers *timers)
{
	for (uint32_t i = 0; i < timers->count; i++)
		timers->heap[i]->slot = 0;
	free(timers->heap);
	*timers = (struct timers){0};
}

static bool before(const struct timer *a, const struct timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->serial < b->serial;
}

static void put(struct timers *timers, uint32_t at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->slot = at + 1;
}

static void sift_up(struct timers *timers, uint32_t at, struct timer *timer)
{
	while (at) {
		uint32_t up = (at - 1) / 2;
		if (!before(timer, timers->heap[up]))
			break;
		put(timers, at, timers->heap[up]);
		at = up;
	}
	put(timers, at, timer);
}

static void sift_down(struct timers *timers, uint32_t at, struct timer *timer)
{
	for (;;) {
		uint32_t down = 2 * at + 1;
		if (down >= timers->count)
			break;
		if (down + 1 < timers->count && before(timers->heap[down + 1], timers->heap[down]))
			down++;
		if (!before(timers->heap[down], timer))
			break;
		put(timers, at, timers->heap[down]);
		at = down;
	}
	put(timers, at, timer);
}

int timers_arm(struct timers *timers, struct timer *timer, uint64_t at_ns)
{
	CHECK(timer->fire);
	timers_disarm(timers, timer);
	if (timers->count == timers->room) {
		uint32_t room = timers->room ? timers->room * 2 : TIMERS_FIRST;
		struct timer **heap = realloc(timers->heap, room * sizeof(struct timer *));
		if (!heap)
			return ERR_NOMEM;
		timers->heap = heap;
		timers->room = room;
	}
	timer->at_ns = at_ns;
	timer->serial = ++timers->serial;
	sift_up(timers, timers->count++, timer);
	return 0;
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
	if (!timer->slot)
		return;
	uint32_t at = timer->slot - 1;
	CHECK(at < timers->count && timers->heap[at] == timer);
	timer->slot = 0;
	struct timer *last = timers->heap[--timers->count];
	if (last == timer)
		return;
	if (at && before(last, timers->heap[(at - 1) / 2]))
		sift_up(timers, at, last);
	else
		sift_down(timers, at, last);
}

uint64_t timers_next(const struct timers *timers)
{
	return timers->count ? timers->heap[0]->at_ns : TIMERS_NEVER;
}

void timers_run(struct timers *timers, uint64_t now_ns)
{
	for (uint32_t most = timers->count; most && timers_next(timers) <= now_ns; most--) {
		struct timer *timer = timers->heap[0];
		timers_disarm(timers, timer);
		timer->fire(timer);
	}
}
