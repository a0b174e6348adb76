/*
 * Retry schedules: what they come to, for the queue and for people, and how people write them (SPEC
 * 3): delays in minutes, a list whose last value repeats ("60,120,180"), or with units and repeats
 * ("1m, 5m*2, 1h*3"), and the total time until a message is given up.
 *
 * Grammar: entry *( "," entry ), entry = number [ unit ] [ "*" times ], unit = s, m, h, d or w,
 * minutes where none is given; blanks around an entry and its "*" are allowed. "*" on the last
 * entry changes nothing, since that one repeats in any case.
 */
#ifndef DIRECTORY_RETRY_TEXT_H
#define DIRECTORY_RETRY_TEXT_H

#include "base/buf.h"
#include "directory/snapshot.h"

#define RETRY_DELAY_LEAST_S 1u
#define RETRY_DELAY_MOST_S  2592000u /* 30 days */
#define RETRY_TIMES_MOST    10000u
#define RETRY_COUNT_MOST    10000u
#define RETRY_TEXT_BYTES    512u

/* A schedule with its text, as a field of a transport. */
struct retry_list {
	struct span text; /* as given */
	struct retry_step steps[RETRY_STEPS];
	uint32_t count; /* at least 1 once it was parsed */
};

/* Neighbours of equal delay become one step. ERR_SYNTAX; ERR_LIMIT: a delay, a repeat or the
 * number of steps is out of bounds. Nothing is written on failure. `text` stays a view of `in`. */
int retry_parse(struct span in, struct retry_list *out);

/* retry-count counts retries, not attempts: 30 with "60,120,180" is one attempt and 30 retries,
 * 60 + 120 + 28 * 180 minutes = 87 hours until it is given up.
 *
 * Seconds before retry number `retry` (1: the first). */
uint32_t retry_delay_s(const struct retry_step *steps, uint32_t count, uint32_t retry);

/* Seconds from the first attempt to the last of `retries` retries. */
uint64_t retry_total_s(const struct retry_step *steps, uint32_t count, uint32_t retries);

/* The longest wait of a schedule. */
uint32_t retry_longest_s(const struct retry_step *steps, uint32_t count);

/* "60,120,180" or "1m,5m*2,1h": the canonical text, minutes where all are whole ones. */
void retry_add(struct buf *buf, const struct retry_step *steps, uint32_t count);
/* "60,120,180,180,180..." : the first retries, in minutes, or with units as above. */
void retry_add_example(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries);
/* "60+120+(180*28)", "2s+(3s*4)" */
void retry_add_sum(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries);
/* "87 h (3.6 days)", "45 min", "30 s" */
void retry_add_total(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries);

#endif
