/*
 * Why not now: one exact answer for every unit, from the place that it is in.
 */
#include "queue/internal.h"

const char *queue_state_name(enum queue_state state)
{
	static const char *const names[QUEUE_STATES] = {
		"ready", "active", "deferred", "held", "paused", "down"};
	return (unsigned)state < QUEUE_STATES ? names[state] : "unknown";
}

enum queue_state unit_state(const struct queue *q, const struct unit *u)
{
	const struct destination *d = destination_at(q, u->destination);
	switch ((enum place)u->place) {
	case PLACE_ACTIVE:
	case PLACE_JOINED: return QUEUE_ACTIVE;
	case PLACE_HELD: return QUEUE_HELD;
	case PLACE_PAUSED: return QUEUE_PAUSED;
	default: break;
	}
	if (transport_of(q, d)->blockers)
		return QUEUE_PAUSED;
	if (u->place == PLACE_DEFERRED)
		return QUEUE_DEFERRED;
	if (u->place == PLACE_LIMBO)
		return QUEUE_READY;
	return d->down ? QUEUE_DOWN : QUEUE_READY;
}

/* Of those that are not prioritised, mail and the null sender's take turns: how many of the other
 * kind go before one that has `ahead` of its own before it. */
static uint32_t turns_before(
	const struct destination *d, int class, uint32_t others, uint32_t ahead)
{
	int next = d->null_turn ? CLASS_NULL : CLASS_ORDINARY;

	return (uint32_t)MIN((uint64_t)others, ahead + (uint64_t)(next != class));
}

/* After QUEUE_ORDINARY_TURN - 1 prioritised ones comes another one, as long as both wait. */
static uint32_t priority_first(const struct destination *d, uint32_t ahead)
{
	uint32_t run = QUEUE_ORDINARY_TURN - 1, first = run - MIN(d->turn, run);

	return (uint32_t)MIN(
		(uint64_t)destination_ready(d, CLASS_PRIORITY), first + (uint64_t)run * ahead);
}

static uint32_t others_between(const struct destination *d, uint32_t others, uint32_t ahead)
{
	uint32_t run = QUEUE_ORDINARY_TURN - 1, first = run - MIN(d->turn, run);

	return ahead < first ? 0 : MIN(others, 1 + (ahead - first) / run);
}

/* Starts of other classes before its own, when `ahead` of its own class go first. */
static uint32_t others_first(
	const struct queue *q, const struct destination *d, int class, uint32_t ahead)
{
	uint32_t ordinary = destination_ready(d, CLASS_ORDINARY);
	uint32_t null = destination_ready(d, CLASS_NULL);
	bool full = false;

	if (destination_looked_up(d) && class != CLASS_NULL)
		share_full(q, SHARE_NULL, &full);
	if (full)
		null = 0; /* they do not go, as things are */
	if (class == CLASS_PRIORITY)
		return others_between(d, ordinary + null, ahead);
	uint32_t turns = turns_before(d, class, class == CLASS_NULL ? ordinary : null, ahead);

	return turns + priority_first(d, ahead + turns);
}

static uint32_t behind(
	const struct queue *q, const struct destination *d, const struct unit *u, bool *more)
{
	int class = unit_class(u);
	uint32_t ahead;

	if (u->place == PLACE_WAITING) {
		ahead = heap_ahead(&d->waiting[class], u->slot, more);
	} else {
		ahead = ring_ahead(&d->ready[class], u->slot, QUEUE_BEHIND_MOST, more);
		ahead += d->waiting[class].count;
	}
	return ahead + others_first(q, d, class, ahead);
}

/* All connections, or the share of them that it may have, are in use. */
static bool why_share(const struct queue *q, const struct destination *d, const struct unit *u,
	struct queue_why *out)
{
	static const enum queue_why_kind kinds[SHARES] = {[SHARE_ALL] = QUEUE_WHY_LIMIT_ALL,
		[SHARE_LOOKED_UP] = QUEUE_WHY_LIMIT_LOOKED_UP,
		[SHARE_NULL] = QUEUE_WHY_LIMIT_NULL};
	enum share share = SHARE_ALL;
	bool full;

	if (destination_looked_up(d))
		share = unit_class(u) == CLASS_NULL ? SHARE_NULL : SHARE_LOOKED_UP;
	share = share_full(q, share, &full);
	if (!full)
		return false;
	out->kind = kinds[share];
	out->limit = share_most(q, share);
	return true;
}

static void why_ready(const struct queue *q, const struct destination *d, const struct unit *u,
	struct queue_why *out)
{
	int64_t since = u->place == PLACE_WAITING ? MAX(u->since, d->up_since) : u->since;
	out->since_ms = queue_clock_wall(q, since);
	out->behind = behind(q, d, u, &out->behind_more);
	switch (destination_blocker(q, d)) {
	case BLOCKER_LIMIT:
		out->kind = QUEUE_WHY_LIMIT_DESTINATION;
		out->limit = destination_limit(q, d);
		return;
	case BLOCKER_RATE:
		out->kind = QUEUE_WHY_LIMIT_RATE;
		out->limit = transport_of(q, d)->rate_per_minute;
		out->until_ms = queue_clock_wall(q, destination_rate_time(q, d));
		return;
	case BLOCKER_BUSY:
		out->kind = QUEUE_WHY_LIMIT_HOST;
		out->limit = d->busy_limit;
		out->until_ms = queue_clock_wall(q, d->busy_until);
		return;
	default: break;
	}
	out->kind = QUEUE_WHY_READY;
	if (!why_share(q, d, u, out) && queue_is_short(q)) {
		out->kind = QUEUE_WHY_SHORTAGE;
		out->since_ms = queue_clock_wall(q, q->short_since);
		out->until_ms = queue_clock_wall(q, q->short_until);
		out->has_verdict = last_reply_verdict(q, q->short_reply, &out->verdict);
	}
}

static void why_down(const struct queue *q, const struct destination *d, const struct unit *u,
	struct queue_why *out)
{
	out->kind = QUEUE_WHY_DOWN;
	out->since_ms = queue_clock_wall(q, d->down_since);
	out->probing = d->probe_unit != 0;
	if (!out->probing)
		out->until_ms = queue_clock_wall(q, MAX(d->next_probe, q->clock));
	if (u->place == PLACE_WAITING)
		out->own_until_ms = q->wall + MAX(0, unit_due_in(q, u));
	out->has_verdict = last_reply_verdict(q, d->reply, &out->verdict);
}

static void why_paused(const struct queue *q, const struct pausing *pausing,
	enum queue_why_kind kind, struct queue_why *out)
{
	out->kind = kind;
	out->since_ms = pausing->since;
	out->by = intern_text(&q->names, pausing->by);
	out->reason = intern_text(&q->names, pausing->reason);
}

/* True: a pause, of its domain or of its transport, is the answer. */
static bool paused(const struct queue *q, const struct transport_record *t, const struct unit *u,
	struct queue_why *out)
{
	if (q->pausing.since)
		why_paused(q, &q->pausing, QUEUE_WHY_PAUSED_ALL, out);
	else if (t->pausing.since)
		why_paused(q, &t->pausing, QUEUE_WHY_PAUSED_TRANSPORT, out);
	else if (u->place == PLACE_PAUSED)
		why_paused(q, unit_pausing(q, u), QUEUE_WHY_PAUSED_DOMAIN, out);
	else
		return false;
	return true;
}

static void why_held(const struct queue *q, const struct unit *u, struct queue_why *out)
{
	const struct extra *extra = extra_at(q, u->extra);
	out->kind = QUEUE_WHY_HELD;
	out->since_ms = extra->hold_since;
	out->by = intern_text(&q->names, extra->by);
	out->reason = intern_text(&q->names, extra->reason);
}

static bool waits_for_dns(const struct queue *q, const struct unit *u)
{
	return (u->place == PLACE_JOINED ? unit_at(q, u->slot) : u)->flags & UNIT_DNS;
}

int queue_why(struct queue *q, uint32_t unit, int64_t now, struct queue_why *out)
{
	queue_clock_set(q, now);
	if (!unit || unit >= q->units.top || !unit_at(q, unit)->rcpt_count)
		return ERR_NOT_FOUND;
	const struct unit *u = unit_at(q, unit);
	const struct destination *d = destination_at(q, u->destination);
	*out = (struct queue_why){.state = unit_state(q, u), .attempts = u->attempts};
	out->has_verdict = last_reply_verdict(q, u->reply, &out->verdict);
	out->since_ms = queue_clock_wall(q, u->since);

	if (u->place == PLACE_HELD)
		why_held(q, u, out);
	else if (unit_is_tried(u))
		out->kind = waits_for_dns(q, u) ? QUEUE_WHY_DNS : QUEUE_WHY_ACTIVE;
	else if (paused(q, transport_of(q, d), u, out))
		;
	else if (u->place == PLACE_LIMBO)
		out->kind = QUEUE_WHY_MEMORY;
	else if (u->place == PLACE_DEFERRED) {
		out->kind = QUEUE_WHY_DEFERRED;
		out->until_ms = q->wall + MAX(0, unit_due_in(q, u));
	} else if (d->down)
		why_down(q, d, u, out);
	else
		why_ready(q, d, u, out);
	return 0;
}
