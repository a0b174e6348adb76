/*
 * From recipients to destinations, and from one unit to several.
 */
#include "queue/internal.h"

void route_give(struct queue *q, struct unit_rcpt *rcpts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		intern_give(&q->domains, &q->mem, rcpts[i].domain);
}

int route_rcpts(struct queue *q, const struct envelope *envelope, struct span reroute,
	struct unit_rcpt *rcpts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct queue_route route = {0};
		q->ops->route(q->context, envelope, rcpts[i].rcpt, reroute, &route);
		rcpts[i].priority = route.priority;
		rcpts[i].destination = destination_get(q, route.transport, route.next_hop);
		if (!rcpts[i].destination ||
			!intern_take(&q->domains, &q->mem, route.domain, &rcpts[i].domain)) {
			route_give(q, rcpts, i);
			return ERR_NOMEM;
		}
	}
	return 0;
}

/* One of the units that recipients are spread over. */
struct group {
	uint32_t unit, first, count;
	bool priority;
};

static void finish_group(struct queue *q, const struct group *group, uint32_t destination)
{
	struct unit *u = unit_at(q, group->unit);
	unit_move(q, group->unit, destination);
	if (!(u->flags & UNIT_PRIORITY_SET)) {
		/* A stranger chooses where notifications go: no rule puts them before mail. */
		bool strange = u->flags & UNIT_NULL &&
			       destination_looked_up(destination_at(q, destination));

		u->flags &= (uint16_t)~UNIT_PRIORITY;
		if (group->priority && !strange)
			u->flags |= UNIT_PRIORITY;
	}
}

/* Which group each recipient belongs to; makes the units. */
static int make_groups(struct queue *q, uint32_t unit, const struct unit_rcpt *rcpts,
	uint32_t count, struct group *groups, uint32_t *of, uint32_t *made)
{
	uint64_t serial = ++q->serial;
	*made = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct destination *d = destination_at(q, rcpts[i].destination);
		if (d->open_serial != serial) {
			uint32_t at = unit;
			if (*made)
				at = unit_clone(q, unit, groups[*made - 1].unit);
			if (!at)
				return ERR_NOMEM;
			d->open_serial = serial;
			d->open_unit = *made;
			groups[(*made)++] = (struct group){.unit = at};
		}
		of[i] = d->open_unit;
		groups[of[i]].count++;
		groups[of[i]].priority |= rcpts[i].priority;
	}
	return 0;
}

/* Recipients in the order of their groups, ascending in each. */
static void sort_into_groups(const struct unit_rcpt *rcpts, uint32_t count, const uint32_t *of,
	struct group *groups, uint32_t made, struct unit_rcpt *sorted)
{
	uint32_t first = 0;
	for (uint32_t g = 0; g < made; g++) {
		groups[g].first = first;
		first += groups[g].count;
		groups[g].count = 0;
	}
	for (uint32_t i = 0; i < count; i++)
		sorted[groups[of[i]].first + groups[of[i]].count++] = rcpts[i];
}

static int fill_groups(struct queue *q, struct group *groups, uint32_t made,
	struct unit_rcpt *sorted, uint32_t count)
{
	/* A reference more for each, so that after a failure the caller's are still there. */
	for (uint32_t i = 0; i < count; i++)
		intern_hold(&q->domains, sorted[i].domain);
	int err = 0;
	uint32_t g = 0;
	for (; !err && g < made; g++)
		err = unit_set_rcpts(
			q, unit_at(q, groups[g].unit), sorted + groups[g].first, groups[g].count);
	if (!err) {
		route_give(q, sorted, count);
		return 0;
	}
	route_give(q, sorted + groups[g - 1].first, count - groups[g - 1].first);
	unit_drop_rcpts(q, unit_at(q, groups[0].unit));
	return err;
}

static int spread_many(struct queue *q, uint32_t unit, const struct unit_rcpt *rcpts,
	uint32_t count, uint32_t *last)
{
	struct group *groups = calloc(count, sizeof(*groups));
	uint32_t *of = malloc(count * sizeof(*of)), made = 0;
	struct unit_rcpt *sorted = calloc(count, sizeof(*sorted));
	int err = ERR_NOMEM;

	if (groups && of && sorted)
		err = make_groups(q, unit, rcpts, count, groups, of, &made);
	if (!err) {
		sort_into_groups(rcpts, count, of, groups, made, sorted);
		err = fill_groups(q, groups, made, sorted, count);
	}
	for (uint32_t g = 0; g < made; g++) {
		if (!err)
			finish_group(q, &groups[g], sorted[groups[g].first].destination);
		else if (g)
			unit_free(q, groups[g].unit);
	}
	if (!err)
		*last = groups[made - 1].unit;
	free(groups);
	free(of);
	free(sorted);
	return err;
}

int route_spread(struct queue *q, uint32_t unit, const struct unit_rcpt *rcpts, uint32_t count,
	uint32_t *last)
{
	if (count > 1)
		return spread_many(q, unit, rcpts, count, last);
	struct group group = {.unit = unit, .count = 1, .priority = rcpts[0].priority};
	int err = unit_set_rcpts(q, unit_at(q, unit), rcpts, 1);
	if (err)
		return err;
	finish_group(q, &group, rcpts[0].destination);
	*last = unit;
	return 0;
}
