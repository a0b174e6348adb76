#include "queue/internal.h"

int64_t sub_clamped(int64_t a, int64_t b)
{
	int64_t out;
	if (__builtin_sub_overflow(a, b, &out))
		return a > b ? QUEUE_AGE_MOST_MS : -QUEUE_AGE_MOST_MS;
	return MAX(MIN(out, QUEUE_AGE_MOST_MS), -QUEUE_AGE_MOST_MS);
}

void queue_clock_set(struct queue *q, int64_t now)
{
	int64_t passed = sub_clamped(now, q->wall);
	q->clock += MAX(0, MIN(passed, QUEUE_GAP_MOST_MS));
	q->wall = now;
}

int64_t queue_clock_wall(const struct queue *q, int64_t clock)
{
	return q->wall + (clock - q->clock);
}

int64_t queue_clock_of(const struct queue *q, int64_t wall)
{
	return q->clock - MAX(0, sub_clamped(q->wall, wall));
}

int64_t vclock(const struct queue *q, const struct transport_record *t)
{
	return (t->blockers ? t->freeze : q->clock) - t->shift;
}
