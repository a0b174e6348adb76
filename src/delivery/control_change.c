/* Requests that change what is queued. */
#include "delivery/control.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>

#define CONTROL_REASON 1000 /* bytes of a reason or a name of an administrator */

static int change_one(struct control *c, struct span op, uint64_t id, uint32_t unit)
{
	struct delivery *d = c->d;
	struct queue *queue = d->queue;
	struct span by = control_text(c, "by"), reason = control_text(c, "reason");
	int64_t now = delivery_now(d);
	struct verdict verdict;

	by.n = MIN(by.n, CONTROL_REASON);
	reason.n = MIN(reason.n, CONTROL_REASON);
	if (span_equal(op, SPAN("retry")))
		return queue_retry(queue, id, unit, now);
	if (span_equal(op, SPAN("hold")))
		return queue_hold(queue, id, unit, by, reason, now);
	if (span_equal(op, SPAN("release")))
		return queue_release(queue, id, unit, now);
	if (span_equal(op, SPAN("delete")))
		return queue_delete(queue, id, unit, now);
	if (span_equal(op, SPAN("prioritise")))
		return queue_prioritise(queue, id, unit, true, now);
	if (span_equal(op, SPAN("unprioritise")))
		return queue_prioritise(queue, id, unit, false, now);
	if (span_equal(op, SPAN("bounce"))) {
		verdict_set(&verdict, VERDICT_PERMANENT, 554, (struct enhanced_code){5, 7, 0},
			false,
			reason.n ? reason
				 : SPAN("returned by the administrator of the mail gateway"));
		return queue_bounce(queue, id, unit, &verdict, now);
	}
	int err = control_envelope(c, id);

	return err ? err
		   : queue_reroute(queue, &c->envelope, unit, control_text(c, "transport"), now);
}

/* Before what follows from it is told. Its envelope was read before, as it may be gone now. */
static void tell_action(struct control *c, struct span op, uint64_t id)
{
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.id = id,
		.wall_ms = delivery_now(c->d),
		.action = op,
		.actor = control_text(c, "by"),
		.reason = control_text(c, "reason"),
		.transport = control_text(c, "transport"),
	};

	if (c->envelope_id == id) {
		event.sender = c->envelope.sender;
		event.sender_known = true;
	}
	event_emit(c->d->config.events, &event);
}

static void refuse_change(struct control *c, struct span op, int err)
{
	if (err == ERR_NOT_FOUND && span_equal(op, SPAN("release")))
		control_refuse(c, "nothing of that message is held");
	else if (err == ERR_CORRUPT)
		control_refuse(c, "the message's envelope cannot be read, so nobody can be told; "
				  "see posternctl "
				  "spool verify");
	else
		control_refuse(c, err_text(err));
}

static void put_done(struct control *c)
{
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "messages", 1);
	json_close_object(&c->json);
}

/* Nobody knows whom it was for: it can only be kept or deleted. */
static void change_damaged(struct control *c, struct span op, uint64_t id)
{
	if (!span_equal(op, SPAN("delete"))) {
		control_refuse(
			c, "the message's envelope is damaged: it can be deleted, nothing else");
		return;
	}
	tell_action(c, op, id);
	int err = damaged_delete(c->d, id);
	if (err == ERR_NOT_FOUND)
		control_refuse(c, "its record is damaged so far that the spool keeps all of its "
				  "file, for a person to look at; it cannot be deleted alone");
	else if (err)
		control_refuse(c, err_text(err));
	else
		put_done(c);
}

static void change_by_id(struct control *c, struct span op)
{
	uint64_t id;

	if (text_parse_id(control_text(c, "id"), &id)) {
		control_refuse(c, "id: a message's id is needed, 13 letters and digits");
		return;
	}
	if (damaged_alone(c->d, id)) {
		change_damaged(c, op, id);
		return;
	}
	if (queue_message_info(c->d->queue, id, &(struct queue_message_info){0})) {
		control_refuse(c,
			"no such message in the queue; posternctl trace tells what became of it");
		return;
	}
	int err = control_envelope(c, id);
	/* Nobody could be told. */
	if (!err || !span_equal(op, SPAN("bounce")))
		err = change_one(c, op, id, QUEUE_ALL_UNITS);
	if (!err)
		tell_action(c, op, id);
	intake_settle(c->d);
	if (err)
		refuse_change(c, op, err);
	else
		put_done(c);
}

/* Changes what was found; stops, and moves the cursor back, where notifications pile up. */
static size_t change_hits(struct control *c, struct span op, const struct filter_hit *hits,
	size_t count, uint64_t *cursor, uint64_t *messages)
{
	uint64_t last = 0, told = 0;
	size_t units = 0;

	for (size_t i = 0; i < count; i++) {
		if (hits[i].id != last && owed_too_much(c->d)) {
			*cursor = last ? last : hits[i].id - 1;
			break;
		}
		last = hits[i].id;
		if (control_envelope(c, last) && span_equal(op, SPAN("bounce")))
			continue;
		if (change_one(c, op, last, hits[i].unit))
			continue;
		if (told != last) {
			tell_action(c, op, last);
			++*messages;
		}
		told = last;
		units++;
		/* Each message by itself, so that its notification counts for the next. */
		if (i + 1 == count || hits[i + 1].id != last)
			intake_settle(c->d);
	}
	intake_settle(c->d);
	return units;
}

static void change_by_filter(struct control *c, struct span op)
{
	struct delivery *d = c->d;
	struct filter_hit *hits;
	struct filter *filter;
	uint64_t cursor, messages = 0;

	if (owed_too_much(d)) {
		control_refuse(c,
			"too many notifications wait to be written to the spool; go on in a "
			"moment");
		return;
	}
	filter = control_filter(c);
	if (!filter)
		return;
	if (filter_is_empty(filter)) {
		control_refuse(c, "an id or a filter is needed; to mean everything, say age>=0s");
		filter_free(&filter);
		return;
	}
	hits = calloc(CONTROL_HITS, sizeof(*hits));
	if (!hits || !control_after(c, &cursor)) {
		if (!hits)
			control_refuse(c, "out of memory");
		free(hits);
		filter_free(&filter);
		return;
	}
	size_t count = filter_select(filter, d->queue, delivery_now(d), &cursor,
		DELIVERY_CONTROL_STEP, control_load_subject, c, hits, CONTROL_HITS);
	size_t units = change_hits(c, op, hits, count, &cursor, &messages);
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "messages", messages);
	json_put_u64(&c->json, "units", units);
	control_put_after(c, cursor);
	json_close_object(&c->json);
	free(hits);
	filter_free(&filter);
}

void control_change(struct control *c, struct span op)
{
	struct transport transport;
	struct span name = control_text(c, "transport");

	if (span_equal(op, SPAN("reroute")) && name.n &&
		delivery_transport(c->d, name, &transport)) {
		control_refuse(
			c, "transport: there is none of that name; see posternctl transport list");
		return;
	}
	bool by_id = json_is_string(json_object_get(c->request, "id"));

	if (by_id && json_is_string(json_object_get(c->request, "filter")))
		control_refuse(c, "id, filter: one of them is needed, not both");
	else if (by_id)
		change_by_id(c, op);
	else
		change_by_filter(c, op);
	delivery_wake(c->d);
}
