/*
 * When lines of the trace were lost, for who searches it: nothing in the files tells that there was
 * more. The last GAPS_MOST times are known.
 */
#ifndef TRACE_GAPS_H
#define TRACE_GAPS_H

#include <stddef.h>
#include <stdint.h>

#define GAPS_MOST    8
#define GAPS_JOIN_MS 60000 /* losses not further apart are one */

struct trace_gap {
	uint64_t lines;
	int64_t first_ms, last_ms; /* wall */
	int err;		   /* enum err; 0: the disk was too slow */
};

struct trace_gaps {
	struct trace_gap list[GAPS_MOST]; /* oldest first */
	size_t count;
};

void trace_gaps_add(struct trace_gaps *gaps, uint64_t lines, int err, int64_t wall_ms);
/* Those that ended at `least_ms` or later. */
struct trace_gaps trace_gaps_since(const struct trace_gaps *gaps, int64_t least_ms);

#endif
