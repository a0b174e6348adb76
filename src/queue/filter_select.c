/*
 * A filter over the queue, a page at a time.
 */
#include "queue/filter_node.h"

#include "base/check.h"
#include "base/err.h"

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

/* What one message's units share: its envelope is read once for all of them. */
struct select {
	const struct filter *filter;
	struct queue *queue;
	int64_t now;
	struct filter_subject subject;
	struct buf reason;
	struct filter_hit *hits;
	size_t room, found;
};

static bool match_unit(struct select *select, const struct queue_unit_info *unit)
{
	struct filter_subject *s = &select->subject;
	s->state = unit->state;
	s->transport = unit->transport;
	s->next_hop = unit->next_hop;
	s->attempts = unit->attempts;
	s->priority = unit->priority;
	s->domain = unit->domain;
	s->rcpts = unit->rcpts;
	s->rcpt_count = unit->rcpt_count;
	reason_of(select->queue, unit->unit, &select->reason);
	s->reason = buf_span(&select->reason);
	return filter_match(select->filter, s);
}

/* All of a message's units that match, or, where there is not room for them, none: false. */
static bool select_message(struct select *select, uint64_t id)
{
	struct queue_message_info info;
	struct queue_unit_info unit;
	size_t before = select->found;

	if (queue_message_info(select->queue, id, &info) != 0)
		return true;
	struct filter_subject *s = &select->subject;
	*s = (struct filter_subject){.load = s->load, .context = s->context, .id = id};
	s->size = info.size;
	s->age_ms = (uint64_t)MAX(0, select->now - info.arrived_ms);
	for (uint32_t at = info.first_unit; at; at = unit.next) {
		if (queue_unit_info(select->queue, at, select->now, &unit) != 0)
			break;
		if (!match_unit(select, &unit))
			continue;
		if (select->found == select->room) {
			/* more units than would ever fit: what fits, then */
			if (!before)
				return true;
			select->found = before;
			return false;
		}
		select->hits[select->found++] = (struct filter_hit){.id = id, .unit = at};
	}
	return true;
}

size_t filter_select(const struct filter *filter, struct queue *queue, int64_t now,
	uint64_t *cursor, uint32_t steps, int (*load)(struct filter_subject *subject),
	void *context, struct filter_hit *hits, size_t room)
{
	struct select select = {
		.filter = filter, .queue = queue, .now = now, .hits = hits, .room = room};
	uint64_t ids[SELECT_PAGE], single = filter_single_id(filter);
	select.subject.load = load;
	select.subject.context = context;
	buf_init(&select.reason, VERDICT_TEXT + REASON_CODES);

	if (single) {
		if (*cursor < single)
			select_message(&select, single);
		*cursor = UINT64_MAX;
		steps = 0;
	}
	bool full = room == 0;
	while (steps && !full) {
		size_t n = queue_page(queue, *cursor, ids, MIN(steps, ARRAY_SIZE(ids)));
		if (!n)
			*cursor = UINT64_MAX;
		for (size_t i = 0; i < n && !full; i++) {
			full = !select_message(&select, ids[i]);
			if (!full)
				*cursor = ids[i];
		}
		steps = n ? steps - (uint32_t)n : 0;
	}
	buf_done(&select.reason);
	return select.found;
}
