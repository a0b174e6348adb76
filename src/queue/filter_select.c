/*
 * A filter over the queue, a page at a time.
 */
#include "queue/filter_node.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define SELECT_PAGE  64
#define REASON_CODES 24 /* bytes of "450 4.2.1 " */

static void reason_of(const struct queue *queue, uint32_t unit, struct buf *out)
{
	struct verdict verdict;
	buf_clear(out);
	if (queue_unit_verdict(queue, unit, &verdict) != 0)
		return;
	const struct enhanced_code *e = &verdict.enhanced;
	buf_add_u64(out, verdict.code);
	if (e->class)
		buf_printf(out, " %u.%u.%u", e->class, e->subject, e->detail);
	buf_add_char(out, ' ');
	buf_add_span(out, verdict_text(&verdict));
}

int filter_hits_init(struct filter_hits *hits, size_t room, size_t pick_room)
{
	*hits = (struct filter_hits){.room = room, .pick_room = pick_room};
	hits->hits = malloc(room * sizeof(*hits->hits));
	hits->picks = malloc(pick_room * sizeof(*hits->picks));
	if (hits->hits && hits->picks)
		return 0;
	filter_hits_done(hits);
	return ERR_NOMEM;
}

void filter_hits_done(struct filter_hits *hits)
{
	free(hits->hits);
	free(hits->picks);
	*hits = (struct filter_hits){0};
}

/* What one message's units share: its envelope is read once for all of them. */
struct select {
	const struct filter *filter;
	struct queue *queue;
	int64_t now;
	struct filter_subject subject;
	struct buf reason;
	struct filter_hits *out;
};

static void set_unit(struct select *select, const struct queue_unit_info *unit)
{
	struct filter_subject *s = &select->subject;
	s->state = unit->state;
	s->transport = unit->transport;
	s->next_hop = unit->next_hop;
	s->attempts = unit->attempts;
	s->priority = unit->priority;
	s->domain = unit->domain;
	reason_of(select->queue, unit->unit, &select->reason);
	s->reason = buf_span(&select->reason);
}

static bool match_some(struct select *select, const uint32_t *rcpts, uint32_t count)
{
	select->subject.rcpts = rcpts;
	select->subject.rcpt_count = count;
	return filter_match(select->filter, &select->subject);
}

/* Adds those of its recipients that match; false: there is no room for one more. */
static bool select_unit(struct select *select, const struct queue_unit_info *unit)
{
	struct filter_hits *out = select->out;
	bool apart = filter_tells_recipients(select->filter, unit->domain.n != 0);
	size_t first = out->pick_count;

	set_unit(select, unit);
	if (!apart && !match_some(select, unit->rcpts, unit->rcpt_count))
		return true;
	for (uint32_t i = 0; i < unit->rcpt_count; i++) {
		if (apart && !match_some(select, &unit->rcpts[i], 1))
			continue;
		if (out->pick_count == out->pick_room)
			return false;
		out->picks[out->pick_count++] = unit->rcpts[i];
	}
	uint32_t count = (uint32_t)(out->pick_count - first);
	if (!count)
		return true;
	if (out->count == out->room)
		return false;
	out->hits[out->count++] = (struct filter_hit){.id = select->subject.id,
		.unit = unit->unit,
		.first = (uint32_t)first,
		.count = count,
		.others = unit->rcpt_count - count};
	return true;
}

/* All that matches of a message, or, where there is not room for it, nothing: false. */
static bool select_message(struct select *select, uint64_t id)
{
	struct queue_message_info info;
	struct queue_unit_info unit;
	struct filter_hits *out = select->out;
	size_t before = out->count, picks_before = out->pick_count;

	if (queue_message_info(select->queue, id, &info) != 0)
		return true;
	struct filter_subject *s = &select->subject;
	*s = (struct filter_subject){
		.load = s->load, .context = s->context, .id = id, .effort = s->effort};
	s->size = info.size;
	s->age_ms = (uint64_t)MAX(0, select->now - info.arrived_ms);
	for (uint32_t at = info.first_unit; at; at = unit.next) {
		if (queue_unit_info(select->queue, at, select->now, &unit) != 0)
			break;
		if (select_unit(select, &unit))
			continue;
		/* more than would ever fit: what fits, then */
		if (!before)
			return true;
		out->count = before;
		out->pick_count = picks_before;
		return false;
	}
	return true;
}

void filter_select(const struct filter *filter, struct queue *queue, int64_t now, uint64_t *cursor,
	uint32_t steps, int (*load)(struct filter_subject *subject), void *context,
	struct filter_hits *hits)
{
	struct select select = {.filter = filter, .queue = queue, .now = now, .out = hits};
	uint64_t ids[SELECT_PAGE], single = filter_single_id(filter);
	hits->count = hits->pick_count = 0;
	hits->effort = 0;
	select.subject.load = load;
	select.subject.context = context;
	buf_init(&select.reason, VERDICT_TEXT + REASON_CODES);

	if (single) {
		if (*cursor < single)
			select_message(&select, single);
		*cursor = UINT64_MAX;
		steps = 0;
	}
	bool full = false;
	while (steps && !full && select.subject.effort < FILTER_EFFORT) {
		size_t n = queue_page(queue, *cursor, ids, MIN(steps, ARRAY_SIZE(ids)));
		if (!n)
			*cursor = UINT64_MAX;
		for (size_t i = 0; i < n && !full && select.subject.effort < FILTER_EFFORT; i++) {
			full = !select_message(&select, ids[i]);
			if (!full)
				*cursor = ids[i];
		}
		steps = n ? steps - (uint32_t)n : 0;
	}
	hits->effort = select.subject.effort;
	buf_done(&select.reason);
}
