/*
 * Units and messages as records: made, cut down, forgotten.
 */
#include "queue/internal.h"

struct extra *unit_extra(struct queue *q, struct unit *u)
{
	if (!u->extra)
		u->extra = slab_take(&q->extras, &q->mem);
	return u->extra ? extra_at(q, u->extra) : NULL;
}

static void drop_extra(struct queue *q, struct unit *u)
{
	if (!u->extra)
		return;
	struct extra *extra = extra_at(q, u->extra);
	intern_give(&q->names, &q->mem, extra->by);
	intern_give(&q->names, &q->mem, extra->reason);
	intern_give(&q->names, &q->mem, extra->reroute);
	mem_free(&q->mem, extra->attempt, extra->attempt_count * sizeof(*extra->attempt));
	slab_give(&q->extras, u->extra);
	u->extra = 0;
}

void unit_tidy_extra(struct queue *q, struct unit *u)
{
	const struct extra *extra = u->extra ? extra_at(q, u->extra) : NULL;

	if (extra && !(u->flags & (UNIT_HOLD | UNIT_ASKED)) && !extra->reroute && !extra->attempt)
		drop_extra(q, u);
}

void unit_take_names(struct queue *q, struct unit *to, struct unit *from)
{
	struct extra *names = from->extra ? extra_at(q, from->extra) : NULL;
	struct extra *extra = extra_at(q, to->extra);

	intern_give(&q->names, &q->mem, extra->by);
	intern_give(&q->names, &q->mem, extra->reason);
	intern_give(&q->names, &q->mem, extra->reroute);
	extra->by = names ? names->by : 0;
	extra->reason = names ? names->reason : 0;
	extra->reroute = names ? names->reroute : 0;
	extra->hold_since = names ? names->hold_since : 0;
	if (names)
		names->by = names->reason = names->reroute = 0;
}

void unit_drop_hold(struct queue *q, struct unit *u)
{
	u->flags &= (uint16_t)~UNIT_HOLD;
	if (!u->extra)
		return;
	struct extra *extra = extra_at(q, u->extra);
	intern_give(&q->names, &q->mem, extra->by);
	intern_give(&q->names, &q->mem, extra->reason);
	extra->by = extra->reason = 0;
	extra->hold_since = 0;
	unit_tidy_extra(q, u);
}

struct span unit_text(struct span text)
{
	return span_of(text.p, MIN(text.n, SAVED_TEXT));
}

int unit_set_hold(struct queue *q, struct unit *u, const struct pause *hold)
{
	struct extra *extra = unit_extra(q, u);
	uint32_t by, reason;

	if (!extra)
		return ERR_NOMEM;
	/* Who only makes sure takes nothing away from what was said. */
	if (u->flags & UNIT_HOLD && !hold->reason.n)
		return 0;
	if (!intern_take(&q->names, &q->mem, unit_text(hold->by), &by))
		return ERR_NOMEM;
	if (!intern_take(&q->names, &q->mem, unit_text(hold->reason), &reason)) {
		intern_give(&q->names, &q->mem, by);
		return ERR_NOMEM;
	}
	intern_give(&q->names, &q->mem, extra->by);
	intern_give(&q->names, &q->mem, extra->reason);
	extra->by = by;
	extra->reason = reason;
	if (!(u->flags & UNIT_HOLD))
		extra->hold_since = hold->since_ms;
	u->flags |= UNIT_HOLD;
	return 0;
}

uint32_t unit_clone(struct queue *q, uint32_t like, uint32_t after)
{
	uint32_t at = slab_take(&q->units, &q->mem);
	if (!at)
		return 0;
	struct unit *u = unit_at(q, at), *from = unit_at(q, like);
	CHECK(unit_at(q, after)->message == from->message);
	*u = *from;
	u->flags &= (uint16_t) ~(UNIT_LOOKED_UP | UNIT_OF_NULL_SHARE);
	u->due = unit_due_in(q, from);
	u->born = unit_age(q, from);
	u->place = PLACE_NONE;
	u->slot = u->warn_place = 0;
	u->rcpt_count = 0;
	u->domain = 0;
	u->rcpts.many = NULL;
	u->extra = 0;
	if (from->extra) {
		struct extra *extra = unit_extra(q, u);
		if (!extra) {
			slab_give(&q->units, at);
			return 0;
		}
		*extra = *extra_at(q, from->extra);
		extra->own_due = unit_own_due_in(q, from);
		extra->attempt = NULL;
		extra->attempt_count = 0;
		intern_hold(&q->names, extra->by);
		intern_hold(&q->names, extra->reason);
		intern_hold(&q->names, extra->reroute);
	}
	intern_hold(&q->replies, u->reply);
	destination_at(q, u->destination)->units++;
	transport_of(q, destination_at(q, u->destination))->units++;
	u->next = unit_at(q, after)->next;
	unit_at(q, after)->next = at;
	return at;
}

void unit_free(struct queue *q, uint32_t unit)
{
	struct unit *u = unit_at(q, unit);
	CHECK(u->place == PLACE_NONE && !u->warn_place);
	uint32_t *link = &message_at(q, u->message)->first_unit;
	while (*link != unit)
		link = &unit_at(q, *link)->next;
	*link = u->next;
	if (u->rcpt_count)
		unit_drop_rcpts(q, u);
	drop_extra(q, u);
	last_reply_set(q, &u->reply, 0);
	struct destination *d = destination_at(q, u->destination);
	uint32_t destination = u->destination;
	CHECK(d->units && transport_of(q, d)->units);
	d->units--;
	transport_of(q, d)->units--;
	slab_give(&q->units, unit);
	destination_update(q, destination);
}

void unit_forget(struct queue *q, uint32_t unit)
{
	uint32_t message = unit_at(q, unit)->message;
	unit_free(q, unit);
	struct message *m = message_at(q, message);
	uint64_t id = m->id;
	if (m->first_unit) {
		q->ops->changed(q->context, id);
		return;
	}
	idtree_remove(&q->ids, &q->mem, id);
	slab_give(&q->messages, message);
	q->ops->finished(q->context, id);
}

void unit_describe_end(struct queue *q, struct unit *u, enum queue_end_why why,
	struct verdict *verdict, struct queue_end *out)
{
	const struct destination *d = destination_at(q, u->destination);
	*out = (struct queue_end){
		.id = message_at(q, u->message)->id,
		.why = why,
		.transport = intern_text(&q->names, transport_of(q, d)->name),
		.next_hop = intern_text(&q->domains, d->next_hop),
		.rcpts = unit_rcpts(u),
		.rcpt_count = u->rcpt_count,
		.attempts = u->attempts,
		.verdict = last_reply_verdict(q, u->reply, verdict) ? verdict : NULL,
	};
}

/* Nobody could be told of its end: it stays for a person to see to. */
static bool keep_back(struct queue *q, uint32_t unit, enum queue_end_why why)
{
	struct unit *u = unit_at(q, unit);
	uint64_t id = message_at(q, u->message)->id;

	if (why == QUEUE_DELETED || !q->ops->keep)
		return false;
	struct pause hold = {.since_ms = q->wall, .by = SPAN(QUEUE_SELF)};
	hold.reason = q->ops->keep(q->context, id);
	if (!hold.reason.n)
		return false;
	u->flags &= (uint16_t)~UNIT_BOUNCE;
	/* Without memory for that it is asked about again in a while. */
	u->due = unit_set_hold(q, u, &hold) ? QUEUE_TICK_MS : 0;
	unit_place(q, unit, false);
	q->ops->changed(q->context, id);
	return true;
}

void unit_end(struct queue *q, uint32_t unit, enum queue_end_why why)
{
	struct verdict verdict;
	struct queue_end end;

	if (keep_back(q, unit, why))
		return;
	unit_describe_end(q, unit_at(q, unit), why, &verdict, &end);
	q->ops->ended(q->context, &end);
	unit_forget(q, unit);
}

int unit_find(const struct queue *q, uint64_t id, uint32_t unit, uint32_t *message)
{
	uint32_t at = idtree_find(&q->ids, id);
	if (!at)
		return ERR_NOT_FOUND;
	if (unit && (unit >= q->units.top || unit_at(q, unit)->message != at ||
			    !unit_at(q, unit)->rcpt_count))
		return ERR_NOT_FOUND;
	*message = at;
	return 0;
}
