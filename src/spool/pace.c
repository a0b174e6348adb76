#include "spool/pace.h"

#include "base/check.h"

#define PACE_WEIGHT 4 /* a batch counts one in so many in the average */

uint64_t pace_due(const struct pace *pace, uint64_t gathered, uint64_t now_ns)
{
	if (gathered >= PACE_BATCH || pace->distance_ns * PACE_WORTH > PACE_MOST_NS)
		return 0;
	uint64_t due =
		pace->started_ns + MIN(pace->distance_ns * PACE_BATCH, (uint64_t)PACE_MOST_NS);

	return due > now_ns ? due : 0;
}

void pace_started(struct pace *pace, uint64_t messages, uint64_t now_ns)
{
	CHECK(messages);
	uint64_t distance = MIN((now_ns - pace->started_ns) / messages, (uint64_t)PACE_IDLE_NS);

	pace->distance_ns = (pace->distance_ns * (PACE_WEIGHT - 1) + distance) / PACE_WEIGHT;
	pace->started_ns = now_ns;
}
