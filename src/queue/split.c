/*
 * Some recipients of a unit apart from the others, since an administrator means only them.
 *
 * A unit that is being tried stays one attempt, whose result comes for all recipients that it began
 * with. What is split from it meanwhile is joined to it (PLACE_JOINED): a unit of its own, with its
 * own wishes and holds, that shares the attempt's end. The attempt's recipients, all together, are
 * then kept with the unit that leads it (extra.attempt), in the order in which results come.
 */
#include "queue/internal.h"

/* ---- an attempt that several share ---------------------------------------------------------- */

static struct extra *shared(const struct queue *q, const struct unit *leader)
{
	struct extra *extra = leader->extra ? extra_at(q, leader->extra) : NULL;

	return extra && extra->attempt ? extra : NULL;
}

uint32_t split_attempt_count(const struct queue *q, const struct unit *leader)
{
	const struct extra *extra = shared(q, leader);

	return extra ? extra->attempt_count : leader->rcpt_count;
}

/* For a unit of it, while nothing of it has ended yet. */
uint32_t split_joined(const struct queue *q, uint32_t leader)
{
	const struct unit *u = unit_at(q, leader);

	if (!shared(q, u))
		return 0;
	for (uint32_t at = message_at(q, u->message)->first_unit; at; at = unit_at(q, at)->next)
		if (unit_at(q, at)->place == PLACE_JOINED && unit_at(q, at)->slot == leader)
			return at;
	return 0;
}

static uint32_t place_of(const uint32_t *sorted, uint32_t count, uint32_t rcpt)
{
	uint32_t from = 0;

	while (from < count) {
		uint32_t middle = from + (count - from) / 2;

		if (sorted[middle] == rcpt)
			return middle;
		if (sorted[middle] < rcpt)
			from = middle + 1;
		else
			count = middle;
	}
	CHECK(!"a recipient of the attempt");
	return 0;
}

struct left {
	const struct unit *unit;
	const struct extra *attempt; /* NULL: it is the unit's own, alone */
	const enum verdict_kind *kinds;
};

static bool is_left(const void *with, uint32_t at)
{
	const struct left *left = with;

	if (left->attempt)
		at = place_of(left->attempt->attempt, left->attempt->attempt_count,
			unit_rcpts(left->unit)[at]);
	return left->kinds[at] == VERDICT_TEMPORARY;
}

bool split_keep_left(
	struct queue *q, uint32_t unit, uint32_t leader, const enum verdict_kind *kinds)
{
	struct unit *u = unit_at(q, unit);
	struct left left = {u, shared(q, unit_at(q, leader)), kinds};
	uint32_t count = 0;

	for (uint32_t i = 0; i < u->rcpt_count; i++)
		count += is_left(&left, i);
	if (!count)
		return false;
	if (count < u->rcpt_count)
		unit_keep_rcpts(q, u, is_left, &left);
	return true;
}

void split_attempt_over(struct queue *q, uint32_t leader)
{
	struct unit *u = unit_at(q, leader);
	struct extra *extra = shared(q, u);

	if (!extra)
		return;
	mem_free(&q->mem, extra->attempt, extra->attempt_count * sizeof(*extra->attempt));
	extra->attempt = NULL;
	extra->attempt_count = 0;
	unit_tidy_extra(q, u);
}

/* The leader's own recipients are done: it goes on as one that is joined to it, whose record is
 * free then. */
static void take_over(struct queue *q, uint32_t leader, uint32_t joined)
{
	struct unit *to = unit_at(q, leader), *from = unit_at(q, joined);

	unit_drop_rcpts(q, to);
	to->rcpts = from->rcpts;
	to->rcpt_count = from->rcpt_count;
	to->domain = from->domain;
	uint16_t own = UNIT_DNS | UNIT_LOOKED_UP | UNIT_OF_NULL_SHARE;
	to->flags = (uint16_t)((from->flags & ~own) | (to->flags & own));
	last_reply_set(q, &to->reply, from->reply);
	from->reply = 0;
	from->rcpt_count = 0;
	from->rcpts.many = NULL;
	from->domain = 0;
	unit_take_names(q, to, from);
	unit_lift(q, joined);
	unit_free(q, joined);
}

static void shrink_attempt(struct queue *q, struct extra *extra, const enum verdict_kind *kinds)
{
	uint32_t kept = 0, had = extra->attempt_count;

	for (uint32_t i = 0; i < had; i++)
		if (kinds[i] == VERDICT_TEMPORARY)
			extra->attempt[kept++] = extra->attempt[i];
	extra->attempt_count = kept;
	CHECK(kept); /* those that were decided are not all */
	uint32_t *less = realloc(extra->attempt, kept * sizeof(*less));

	extra->attempt = less ? less : extra->attempt; /* shrinking cannot really fail */
	q->mem.bytes -= (had - kept) * sizeof(*less);
}

void split_partly(struct queue *q, uint32_t leader, const enum verdict_kind *kinds)
{
	uint32_t message = unit_at(q, leader)->message, stays = 0, next;
	struct extra *extra = shared(q, unit_at(q, leader));

	if (!extra) {
		CHECK(split_keep_left(q, leader, leader, kinds));
		return;
	}
	for (uint32_t at = message_at(q, message)->first_unit; at; at = next) {
		next = unit_at(q, at)->next;
		if (unit_at(q, at)->place != PLACE_JOINED || unit_at(q, at)->slot != leader)
			continue;
		if (split_keep_left(q, at, leader, kinds)) {
			stays = at;
			continue;
		}
		unit_lift(q, at);
		unit_free(q, at);
	}
	bool own = split_keep_left(q, leader, leader, kinds);

	shrink_attempt(q, extra, kinds);
	if (!own)
		take_over(q, leader, stays);
}

/* ---- splitting ------------------------------------------------------------------------------ */

static int share_attempt(struct queue *q, struct unit *leader)
{
	if (shared(q, leader))
		return 0;
	size_t bytes = leader->rcpt_count * sizeof(uint32_t);
	struct extra *extra = unit_extra(q, leader);
	uint32_t *attempt = extra ? mem_zero(&q->mem, bytes) : NULL;

	if (!attempt) {
		unit_tidy_extra(q, leader);
		return ERR_NOMEM;
	}
	memcpy(attempt, unit_rcpts(leader), bytes);
	extra->attempt = attempt;
	extra->attempt_count = leader->rcpt_count;
	return 0;
}

/* Which of the unit's recipients are meant; false: one of them is not its, or they are in no
 * order. */
static bool choose(const struct unit *u, const uint32_t *rcpts, uint32_t count, bool *stays,
	struct unit_rcpt *apart)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < u->rcpt_count; i++) {
		stays[i] = chosen == count || unit_rcpts(u)[i] != rcpts[chosen];
		if (!stays[i])
			apart[chosen++] = (struct unit_rcpt){
				.rcpt = unit_rcpts(u)[i], .domain = unit_domain(u, i)};
	}
	return chosen == count;
}

static bool is_kept(const void *with, uint32_t at)
{
	return ((const bool *)with)[at];
}

/* The unit's recipients that are not to stay, in a new one where it is itself. */
static int part(struct queue *q, uint32_t unit, const bool *stays, struct unit_rcpt *apart,
	uint32_t count, uint32_t *out)
{
	bool tried = unit_is_tried(unit_at(q, unit));
	uint32_t leader = 0;

	if (tried) {
		leader = unit_at(q, unit)->place == PLACE_JOINED ? unit_at(q, unit)->slot : unit;
		int err = share_attempt(q, unit_at(q, leader));
		if (err)
			return err;
	}
	uint32_t other = unit_clone(q, unit, unit);
	if (!other)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++)
		intern_hold(&q->domains, apart[i].domain);
	int err = unit_set_rcpts(q, unit_at(q, other), apart, count);
	if (err) {
		route_give(q, apart, count);
		unit_free(q, other);
		return err;
	}
	unit_keep_rcpts(q, unit_at(q, unit), is_kept, stays);
	if (tried)
		unit_join(q, other, leader);
	else
		unit_place_whole(q, other, false);
	/* Without memory some waited with others whose domain is paused; these may be gone now. */
	if (unit_at(q, unit)->place == PLACE_PAUSED && !unit_pausing(q, unit_at(q, unit))) {
		unit_lift(q, unit);
		unit_place_whole(q, unit, false);
	}
	*out = other;
	return 0;
}

int queue_split(struct queue *q, uint64_t id, uint32_t unit, const uint32_t *rcpts, uint32_t count,
	int64_t now, uint32_t *out)
{
	uint32_t message;

	queue_clock_set(q, now);
	int err = unit ? unit_find(q, id, unit, &message) : ERR_NOT_FOUND;
	if (err)
		return err;
	const struct unit *u = unit_at(q, unit);
	if (!count || count > u->rcpt_count)
		return ERR_NOT_FOUND;
	bool *stays = malloc(u->rcpt_count * sizeof(*stays));
	struct unit_rcpt *apart = calloc(count, sizeof(*apart));
	if (!stays || !apart)
		err = ERR_NOMEM;
	else if (!choose(u, rcpts, count, stays, apart))
		err = ERR_NOT_FOUND;
	else if (count == u->rcpt_count)
		*out = unit;
	else
		err = part(q, unit, stays, apart, count, out);
	uint32_t destination = u->destination;
	free(stays);
	free(apart);
	destination_update(q, destination);
	return err;
}
