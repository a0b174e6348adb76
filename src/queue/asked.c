/*
 * Tries and probes that somebody asked for. They are made beside the schedule: where one fails
 * before its own time has come, nothing is counted, and what was planned stays planned. So looking
 * whether a next hop is back costs nobody a retry and puts nothing off.
 */
#include "queue/internal.h"

void unit_ask(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);

	unit_lift(q, unit);
	/* Without memory for its own time it is tried all the same, and that counts. */
	if (u->due > 0 && !(u->flags & UNIT_ASKED) && unit_extra(q, u)) {
		extra_at(q, u->extra)->own_due = u->due;
		u->flags |= UNIT_ASKED;
	}
	u->due = MIN(u->due, 0);
	unit_place(q, unit, false);
}

bool unit_asked_over(struct queue *q, struct unit *u)
{
	if (!(u->flags & UNIT_ASKED))
		return false;
	u->flags &= (uint16_t)~UNIT_ASKED;
	u->due = extra_at(q, u->extra)->own_due;
	unit_tidy_extra(q, u);
	if (u->due <= 0)
		return false;
	u->seen = destination_at(q, u->destination)->failures;
	return true;
}

int64_t unit_own_due_in(const struct queue *q, const struct unit *u)
{
	int64_t due_in = unit_due_in(q, u);

	if (!(u->flags & UNIT_ASKED))
		return due_in;
	return extra_at(q, u->extra)->own_due - u->due + due_in;
}

void destination_ask(const struct queue *q, struct destination *d)
{
	if (!d->down || d->probe_unit || d->next_probe <= q->clock)
		return;
	d->planned_probe = MAX(d->planned_probe, d->next_probe);
	d->next_probe = q->clock;
}

bool destination_asked_over(const struct queue *q, struct destination *d)
{
	int64_t planned = d->planned_probe;

	d->planned_probe = 0;
	if (planned <= q->clock)
		return false;
	d->next_probe = planned;
	return true;
}
