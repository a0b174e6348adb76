/*
 * A transport's retry schedule in milliseconds, as the queue reckons with it. How schedules are
 * written and shown is directory/retry_text.h.
 *
 * retry-count counts retries, not attempts: 30 with "60,120,180" is one attempt and 30 retries,
 * 60 + 120 + 28 * 180 minutes = 87 hours until it is given up.
 */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include "directory/snapshot.h"

#include <stdint.h>

#define RETRY_NO_STEPS_S 3600u /* delay of a schedule without steps, which no parser gives */

/* How long to wait after the attempt (1: the first). */
uint64_t retry_delay_ms(const struct retry_step *steps, uint32_t count, uint32_t attempt);

/* The longest wait of a schedule. */
uint64_t retry_longest_ms(const struct retry_step *steps, uint32_t count);

/* From the first attempt to the last, when all fail: the sum of the first retry_count delays. */
uint64_t retry_total_ms(const struct retry_step *steps, uint32_t count, uint32_t retry_count);

#endif
