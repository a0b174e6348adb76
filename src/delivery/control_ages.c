/*
 * How old what waits is, by destination:
 *
 *   {"op":"ages", "after":ID}
 *     {"groups":[{"transport":…, "next_hop":…, "ages":[N, …]}], "after":ID}
 *
 * "ages" counts units younger than 5 minutes, 30 minutes, 2 hours, 8 hours, a day, 3 days, and all
 * that are older. A reply is for some of the messages: those of one destination are to be added up.
 */
#include "delivery/control.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define AGES_MESSAGES 5000 /* looked at for one reply */
#define AGES_UNITS    20000
#define AGES_PAGE     256
#define AGES	      7

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS	  (60 * MINUTE_MS)

static const int64_t younger_than_ms[AGES - 1] = {
	5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 8 * HOUR_MS, 24 * HOUR_MS, 72 * HOUR_MS};

struct aged {
	uint32_t destination;
	uint32_t age; /* its place in "ages" */
};

static uint32_t age_of(int64_t ms)
{
	uint32_t at = 0;

	while (at < AGES - 1 && ms >= younger_than_ms[at])
		at++;
	return at;
}

static int by_destination(const void *a, const void *b)
{
	const struct aged *one = a, *other = b;

	return one->destination < other->destination ? -1 : one->destination > other->destination;
}

/* False: there is no room for all of it, and others are there already. */
static bool add_message(struct control *c, uint64_t id, struct aged *all, size_t *count)
{
	int64_t now = delivery_now(c->d);
	struct queue_message_info info;
	struct queue_unit_info unit;
	size_t before = *count;

	CHECK(!queue_message_info(c->d->queue, id, &info));
	for (uint32_t at = info.first_unit; at; at = unit.next) {
		if (*count == AGES_UNITS) {
			if (!before)
				return true; /* more than a client may give: the rest is left out */
			*count = before;
			return false;
		}
		CHECK(!queue_unit_info(c->d->queue, at, now, &unit));
		all[(*count)++] = (struct aged){unit.destination, age_of(now - info.arrived_ms)};
	}
	return true;
}

static void put_groups(struct control *c, struct aged *all, size_t count)
{
	qsort(all, count, sizeof(*all), by_destination);
	for (size_t i = 0; i < count;) {
		struct queue_destination_info info;
		uint64_t ages[AGES] = {0};
		uint32_t destination = all[i].destination;

		for (; i < count && all[i].destination == destination; i++)
			ages[all[i].age]++;
		CHECK(!queue_destination_info(c->d->queue, destination, &info));
		json_open_object(&c->json, NULL);
		json_put_string(&c->json, "transport", info.transport);
		if (info.next_hop.n)
			json_put_string(&c->json, "next_hop", info.next_hop);
		json_open_array(&c->json, "ages");
		for (int at = 0; at < AGES; at++)
			json_put_u64(&c->json, NULL, ages[at]);
		json_close_array(&c->json);
		json_close_object(&c->json);
	}
}

void control_ages(struct control *c)
{
	struct aged *all = malloc(AGES_UNITS * sizeof(*all));
	uint64_t ids[AGES_PAGE], cursor;
	size_t count = 0, n = 1;
	bool room = true;

	if (!all || !control_after(c, &cursor)) {
		if (!all)
			control_refuse(c, "out of memory");
		free(all);
		return;
	}
	for (size_t looked = 0; room && n && looked < AGES_MESSAGES; looked += n) {
		n = queue_page(c->d->queue, cursor, ids, AGES_PAGE);
		for (size_t i = 0; room && i < n; i++) {
			room = add_message(c, ids[i], all, &count);
			if (room)
				cursor = ids[i];
		}
	}
	json_open_object(&c->json, NULL);
	json_open_array(&c->json, "groups");
	put_groups(c, all, count);
	json_close_array(&c->json);
	control_put_after(c, n ? cursor : UINT64_MAX);
	json_close_object(&c->json);
	free(all);
}
