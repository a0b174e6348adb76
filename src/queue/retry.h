/*
 * The retry schedule of a transport: how long to wait after each failed attempt, and when that is
 * enough. A schedule is a few steps; the last one repeats for ever.
 *
 * retry-count counts retries, not attempts: 30 with "60,120,180" is one attempt and 30 retries,
 * 60 + 120 + 28 * 180 minutes = 87 hours until it is given up.
 */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include "base/buf.h"
#include "base/span.h"
#include "directory/snapshot.h"

#include <stdint.h>

#define RETRY_DELAY_LEAST_S 1u
#define RETRY_DELAY_MOST_S  (30u * 24 * 3600)
#define RETRY_TIMES_MOST    10000u /* of one step */

/*
 * "60,120,180" (minutes), "1m, 5m*2, 1h*3", "90s": delays joined by commas, each a number with an
 * optional unit (s, m, h, d) and an optional repeat. ERR_SYNTAX, or ERR_LIMIT outside the bounds
 * above or with more than RETRY_STEPS steps; then *problem is a sentence for people and
 * *problem_at the offset in the text (both may be NULL).
 */
int retry_parse(struct span text, struct retry_step steps[RETRY_STEPS], uint32_t *count,
	const char **problem, size_t *problem_at);

/* The text of a schedule: minutes without a unit where all are whole minutes ("60,120,180"),
 * else with units ("30s,5m*2,1h"). Parsing it gives the same steps. */
void retry_format(struct buf *buf, const struct retry_step *steps, uint32_t count);

/* How long to wait after the attempt (1: the first). No steps at all: RETRY_DELAY_MOST_S. */
uint64_t retry_delay_ms(const struct retry_step *steps, uint32_t count, uint32_t attempt);

/* From the first attempt to the last, when all fail: the sum of the first retry_count delays. */
uint64_t retry_total_ms(const struct retry_step *steps, uint32_t count, uint32_t retry_count);

#endif
