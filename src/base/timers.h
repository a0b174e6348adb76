/*
 * Timers as a binary heap of nodes that live inside their owners. It knows no clock: whoever owns
 * the heap asks for the next deadline and hands in the time. Order of equal deadlines: as armed,
 * so that a replay fires them alike.
 *
 * Owner: one event loop (or one simulator); not for sharing between threads.
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t at_ns;	 /* monotonic */
	uint64_t serial; /* order of arming */
	uint32_t slot;	 /* place in the heap plus 1; 0: not armed */
	void (*fire)(struct timer *timer);
};

struct timers {
	struct timer **heap;
	uint32_t count, room;
	uint64_t serial;
};

#define TIMERS_NEVER UINT64_MAX

void timers_init(struct timers *timers);
void timers_done(struct timers *timers);

/* Arms, or moves, a timer; timer->fire must be set. ERR_NOMEM leaves it unarmed. */
int timers_arm(struct timers *timers, struct timer *timer, uint64_t at_ns);

/* No harm where it is not armed. */
void timers_disarm(struct timers *timers, struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
	return timer->slot != 0;
}

/* The earliest deadline, or TIMERS_NEVER. */
uint64_t timers_next(const struct timers *timers);

/* Disarms and fires, in order, all timers due at now_ns, at most as many as are armed at the call;
 * a timer may arm or disarm any other. */
void timers_run(struct timers *timers, uint64_t now_ns);

#endif
