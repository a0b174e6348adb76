/*
 * When the next batch is started. A sync costs much the same for one message as for twenty, so
 * under load it pays to let a few gather; at rest a message must not wait for company that does
 * not come. The pace knows the distance between messages and decides:
 *
 *   fewer than PACE_WORTH messages to be expected within PACE_MOST_NS: at once
 *   PACE_BATCH messages are gathered: at once
 *   else: when about PACE_BATCH may be expected since the last start, PACE_MOST_NS after it at most
 *
 * Pure; time comes in.
 */
#ifndef SPOOL_PACE_H
#define SPOOL_PACE_H

#include <stdint.h>

#define PACE_BATCH   12		 /* messages that are worth a sync of their own */
#define PACE_WORTH   8		 /* to be expected, else nobody waits */
#define PACE_MOST_NS 10000000u	 /* no message waits longer for others */
#define PACE_IDLE_NS 1000000000u /* a longer distance counts as this */

struct pace {
	uint64_t started_ns;  /* of the last batch */
	uint64_t distance_ns; /* between messages, averaged over the last few batches */
};

static inline void pace_init(struct pace *pace)
{
	*pace = (struct pace){.distance_ns = PACE_IDLE_NS};
}

/* 0: start now; else the time when it is to be looked at again. `gathered` is at least 1. */
uint64_t pace_due(const struct pace *pace, uint64_t gathered, uint64_t now_ns);

/* A batch of so many messages was started. */
void pace_started(struct pace *pace, uint64_t messages, uint64_t now_ns);

#endif
