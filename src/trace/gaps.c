#include "trace/gaps.h"

#include <string.h>

static struct trace_gap *new_gap(struct trace_gaps *gaps, int64_t wall_ms)
{
	if (gaps->count == GAPS_MOST)
		memmove(gaps->list, gaps->list + 1, --gaps->count * sizeof(*gaps->list));
	struct trace_gap *gap = &gaps->list[gaps->count++];

	*gap = (struct trace_gap){.first_ms = wall_ms};
	return gap;
}

void trace_gaps_add(struct trace_gaps *gaps, uint64_t lines, int err, int64_t wall_ms)
{
	struct trace_gap *gap = gaps->count ? &gaps->list[gaps->count - 1] : NULL;

	if (!lines)
		return;
	/* A clock that was set back begins a new one. */
	if (!gap || gap->err != err || wall_ms - gap->last_ms > GAPS_JOIN_MS ||
		wall_ms < gap->first_ms)
		gap = new_gap(gaps, wall_ms);
	gap->lines += lines;
	gap->last_ms = wall_ms;
	gap->err = err;
}

struct trace_gaps trace_gaps_since(const struct trace_gaps *gaps, int64_t least_ms)
{
	struct trace_gaps out = {.count = 0};

	for (size_t i = 0; i < gaps->count; i++)
		if (gaps->list[i].last_ms >= least_ms)
			out.list[out.count++] = gaps->list[i];
	return out;
}
