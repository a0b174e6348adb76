/*
 * Pauses that are over. A unit that is in memory has had their time added to its clock; one that is
 * loaded after them has not: its saved state says when its clock was read, and what it was paused
 * since then is reckoned here. So a pause costs no retry, whether the restart comes before or after
 * its end, and its end writes nothing for any message.
 *
 *   kept  = version count *pause
 *   pause = scope since until name
 *
 * Wall-clock times in milliseconds; `until` 0: it lasts. The file that has them is the core's.
 */
#include "queue/internal.h"
#include "queue/varint.h"

#define KEPT_VERSION 1
#define KEPT_TIME_MOST                                                                       \
	(1ll << 50) /* milliseconds: further off is damage, and sums of them do not overflow \
		     */

static struct intern *names_of(struct queue *q, enum queue_scope scope)
{
	return scope == QUEUE_SCOPE_DOMAIN ? &q->domains : &q->names;
}

static void drop_first(struct queue *q)
{
	const struct past *first = &q->past[0];

	intern_give(names_of(q, first->scope), &q->mem, first->name);
	memmove(q->past, q->past + 1, --q->past_count * sizeof(*q->past));
}

static bool make_room(struct queue *q)
{
	if (q->past_count == QUEUE_PAST_MOST)
		drop_first(q);
	if (q->past_count < q->past_room)
		return true;
	uint32_t had = q->past_room, room = had ? had * 2 : 8;
	struct past *grown =
		mem_resize(&q->mem, q->past, had * sizeof(*grown), room * sizeof(*grown));
	if (!grown)
		return false;
	q->past = grown;
	q->past_room = room;
	return true;
}

/* In the order of their ends, which is that of time but where a clock was set back. */
void past_add(
	struct queue *q, enum queue_scope scope, struct span name, int64_t since, int64_t until)
{
	uint32_t number;

	if (until - since < QUEUE_PAST_LEAST_MS ||
		!intern_take(names_of(q, scope), &q->mem, name, &number))
		return;
	if (!make_room(q)) {
		intern_give(names_of(q, scope), &q->mem, number);
		return;
	}
	uint32_t at = q->past_count++;
	for (; at && q->past[at - 1].until > until; at--)
		q->past[at] = q->past[at - 1];
	q->past[at] = (struct past){scope, number, since, until};
}

void past_done(struct queue *q)
{
	while (q->past_count) {
		const struct past *last = &q->past[--q->past_count];
		intern_give(names_of(q, last->scope), &q->mem, last->name);
	}
	mem_free(&q->mem, q->past, q->past_room * sizeof(*q->past));
	q->past = NULL;
	q->past_room = 0;
}

static bool concerns(const struct queue *q, const struct past *past, const struct unit *u)
{
	switch (past->scope) {
	case QUEUE_SCOPE_ALL: return true;
	case QUEUE_SCOPE_TRANSPORT:
		return transport_of(q, destination_at(q, u->destination))->name == past->name;
	case QUEUE_SCOPE_DOMAIN: break;
	}
	for (uint32_t i = 0; i < (u->domain == DOMAIN_MIXED ? u->rcpt_count : 1); i++)
		if (unit_domain(u, i) == past->name)
			return true;
	return false;
}

/* From the last to the first: what is not covered by those that ended later is not covered by any
 * that ended before either, so each millisecond counts once. */
int64_t past_between(const struct queue *q, const struct unit *u, int64_t from, int64_t to)
{
	int64_t paused = 0;

	for (uint32_t i = q->past_count; i && to > from; i--) {
		const struct past *past = &q->past[i - 1];
		if (past->until <= from)
			break;
		int64_t since = MAX(past->since, from), until = MIN(past->until, to);
		if (since >= until || !concerns(q, past, u))
			continue;
		paused += until - since;
		to = since;
	}
	return paused;
}

/* ---- what is kept --------------------------------------------------------------------------- */

static void put_pause(
	struct buf *out, enum queue_scope scope, struct span name, int64_t since, int64_t until)
{
	buf_put_u8(out, (uint8_t)scope);
	put_signed(out, since);
	put_signed(out, until);
	put_text(out, name, SAVED_TEXT);
}

static uint32_t lasting_count(const struct queue *q)
{
	uint32_t count = q->domain_pause_count + (q->pausing.since != 0);

	for (uint32_t i = 0; i < q->transport_count; i++)
		count += q->transports[i]->pausing.since != 0;
	return count;
}

static void put_lasting(const struct queue *q, struct buf *out)
{
	if (q->pausing.since)
		put_pause(
			out, QUEUE_SCOPE_ALL, SPAN_NONE, queue_clock_wall(q, q->pausing.clock), 0);
	for (uint32_t i = 0; i < q->transport_count; i++) {
		const struct transport_record *t = q->transports[i];
		if (t->pausing.since)
			put_pause(out, QUEUE_SCOPE_TRANSPORT, intern_text(&q->names, t->name),
				queue_clock_wall(q, t->pausing.clock), 0);
	}
	for (uint32_t i = 0; i < q->domain_pause_room; i++) {
		const struct domain_pause *p = &q->domain_pauses[i];
		if (p->domain)
			put_pause(out, QUEUE_SCOPE_DOMAIN, intern_text(&q->domains, p->domain),
				queue_clock_wall(q, p->pausing.clock), 0);
	}
}

void queue_pauses_encode(const struct queue *q, struct buf *out)
{
	buf_put_u8(out, KEPT_VERSION);
	put_number(out, q->past_count + lasting_count(q));
	for (uint32_t i = 0; i < q->past_count; i++) {
		const struct past *past = &q->past[i];
		const struct intern *names =
			past->scope == QUEUE_SCOPE_DOMAIN ? &q->domains : &q->names;
		put_pause(
			out, past->scope, intern_text(names, past->name), past->since, past->until);
	}
	put_lasting(q, out);
}

int queue_pauses_restore(struct queue *q, struct span kept, int64_t now)
{
	struct cursor in = cursor_of(kept);
	int err = 0;

	if (cursor_u8(&in) != KEPT_VERSION)
		return ERR_CORRUPT;
	uint64_t count = get_bounded(&in, cursor_left(&in));
	for (uint64_t i = 0; i < count && !err; i++) {
		uint8_t scope = cursor_u8(&in);
		int64_t since = get_signed(&in), until = get_signed(&in);
		struct span name = get_text(&in, SAVED_TEXT);
		if (!cursor_ok(&in) || scope > QUEUE_SCOPE_DOMAIN || since <= 0 || until < 0 ||
			since > KEPT_TIME_MOST || until > KEPT_TIME_MOST)
			return ERR_CORRUPT;
		const struct pause pause = {.since_ms = since};
		if (until)
			past_add(q, scope, name, since, until);
		else
			err = queue_set_pause(q, scope, name, &pause, now);
	}
	if (!err && (!cursor_ok(&in) || cursor_left(&in)))
		err = ERR_CORRUPT;
	return err;
}

uint64_t queue_pauses_version(const struct queue *q)
{
	return q->pauses_version;
}
