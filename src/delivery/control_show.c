/* Requests that list and show messages. */
#include "delivery/control.h"

#include "base/check.h"
#include "base/text.h"

#define CONTROL_LIST_MOST 500	     /* messages in one listing */
#define CONTROL_LIST	  100	     /* … unless asked for otherwise */
#define CONTROL_LIST_STEP 20	     /* messages between two looks at how long the reply is */
#define CONTROL_RCPTS	  1000	     /* recipients shown of one unit in a listing */
#define CONTROL_PAGE	  (8u << 20) /* bytes of a listing; then "after" says how to go on */

/* Those that no queue has come first, where the listing is of everything or of that one. */
static void list_damaged(struct control *c, uint64_t only)
{
	struct delivery *d = c->d;

	if (!only && control_text(c, "filter").n)
		return;
	for (size_t i = 0; i < d->damaged_count; i++) {
		const struct damaged *damaged = &d->damaged[i];

		if ((only && damaged->id != only) || !damaged_alone(d, damaged->id))
			continue;
		control_put_damaged(c, damaged);
	}
}

/* The hits are one message's. */
static void list_message(
	struct control *c, const struct filter_hit *hits, size_t count, const uint32_t *picks)
{
	struct delivery *d = c->d;
	struct queue_message_info info;
	struct queue_unit_info unit;

	CHECK(!queue_message_info(d->queue, hits[0].id, &info));
	json_open_object(&c->json, NULL);
	control_put_message_head(c, &info);
	json_open_array(&c->json, "units");
	for (size_t i = 0; i < count; i++)
		if (!queue_unit_info(d->queue, hits[i].unit, delivery_now(d), &unit))
			control_put_unit(
				c, &unit, picks + hits[i].first, hits[i].count, CONTROL_RCPTS);
	json_close_array(&c->json);
	json_close_object(&c->json);
}

static uint32_t list_found(struct control *c, const struct filter_hits *found)
{
	uint32_t shown = 0;

	for (size_t i = 0, n; i < found->count; i += n, shown++) {
		const struct filter_hit *hits = &found->hits[i];

		for (n = 1; i + n < found->count && hits[n].id == hits[0].id;)
			n++;
		list_message(c, hits, n, found->picks);
	}
	return shown;
}

/* A small step each, so that the listing can end after `most` messages exactly. */
static void list_filtered(struct control *c, const struct filter *filter, uint32_t most,
	uint64_t *cursor, struct filter_hits *found)
{
	struct delivery *d = c->d;
	uint64_t only = filter_single_id(filter), effort = 0;

	if (only && *cursor < only)
		*cursor = only - 1;
	for (uint32_t looked = 0, shown = 0; looked < DELIVERY_CONTROL_STEP && shown < most &&
					     c->reply->n < CONTROL_PAGE && effort < FILTER_EFFORT &&
					     *cursor != UINT64_MAX;) {
		uint32_t step = MIN(most - shown, DELIVERY_CONTROL_STEP - looked);

		/* Messages that may have thousands of recipients come a few at a time. */
		step = MIN(step, CONTROL_LIST_STEP);
		filter_select(filter, d->queue, delivery_now(d), cursor, step, control_load_subject,
			c, found);
		looked += step;
		effort += found->effort;
		shown += list_found(c, found);
		if (only && *cursor >= only)
			*cursor = UINT64_MAX;
	}
}

void control_list(struct control *c)
{
	json_int_t limit = json_integer_value(json_object_get(c->request, "limit"));
	uint32_t most = limit > 0 && limit <= CONTROL_LIST_MOST ? (uint32_t)limit : CONTROL_LIST;
	struct filter *filter = control_filter(c);
	struct filter_hits found = {0};
	uint64_t cursor;

	if (!filter)
		return;
	if (filter_hits_init(&found, CONTROL_HITS, CONTROL_PICKS)) {
		control_refuse(c, "out of memory");
	} else if (control_after(c, &cursor)) {
		json_open_object(&c->json, NULL);
		json_open_array(&c->json, "messages");
		if (cursor == 0)
			list_damaged(c, filter_single_id(filter));
		list_filtered(c, filter, most, &cursor, &found);
		json_close_array(&c->json);
		control_put_after(c, cursor);
		json_close_object(&c->json);
	}
	filter_hits_done(&found);
	filter_free(&filter);
}

static void put_envelope(struct control *c)
{
	const struct envelope *e = &c->envelope;

	json_put_string(&c->json, "helo", e->helo);
	json_put_string(&c->json, "listener", e->listener);
	json_put_string(&c->json, "protocol", e->protocol);
	if (e->envid.n)
		json_put_string(&c->json, "envid", e->envid);
	json_put_u64(&c->json, "hops", e->hops);
	json_put_bool(&c->json, "notification", (e->flags & ENVELOPE_DSN) != 0);
	json_put_bool(&c->json, "smtputf8", (e->flags & ENVELOPE_SMTPUTF8) != 0);
	json_put_bool(&c->json, "8bit", (e->flags & ENVELOPE_BODY_8BIT) != 0);
	json_put_bool(&c->json, "binary", (e->flags & ENVELOPE_BINARYMIME) != 0);
	json_put_string(&c->json, "added_header", e->prepend);
	json_put_u64(&c->json, "header_bytes", e->header_bytes);
}

void control_show(struct control *c)
{
	struct delivery *d = c->d;
	struct queue_message_info info;
	uint64_t id;

	if (!text_parse_id(control_text(c, "id"), &id) && damaged_alone(d, id)) {
		control_put_damaged(c, damaged_find(d, id));
		return;
	}
	if (!control_queued(c, &id))
		return;
	CHECK(!queue_message_info(d->queue, id, &info));
	json_open_object(&c->json, NULL);
	control_put_message_head(c, &info);
	if (c->envelope_id == id)
		put_envelope(c);
	json_put_u64(&c->json, "recipients_at_first", info.rcpt_count);
	json_put_u64(&c->json, "recipients_waiting", info.waiting);
	json_open_array(&c->json, "units");
	for (uint32_t at = info.first_unit; at;) {
		struct queue_unit_info unit;

		if (queue_unit_info(d->queue, at, delivery_now(d), &unit))
			break;
		control_put_unit(c, &unit, unit.rcpts, unit.rcpt_count, UINT32_MAX);
		at = unit.next;
	}
	json_close_array(&c->json);
	json_close_object(&c->json);
}
