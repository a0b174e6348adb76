/* Requests that change what is queued: what they are for, and their answers. */
#include "delivery/control_change.h"
#include "delivery/tell.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <string.h>

#define CONTROL_IDS 1000 /* in one request */

static const char *why_not(const struct change *change, int err)
{
	if (err == ERR_NOT_FOUND && span_equal(change->op, SPAN("release")))
		return "nothing of that message is held";
	if (err == ERR_CORRUPT)
		return "the message's envelope cannot be read, so nobody can be told; see "
		       "posternctl spool verify";
	return err_text(err);
}

static void put_done(struct change *change)
{
	struct json_write *json = &change->c->json;

	json_put_u64(json, "messages", change->messages);
	json_put_u64(json, "units", change->units);
	json_put_u64(json, "recipients", change->recipients);
	json_put_u64(json, "other_recipients", change->others);
	json_put_u64(json, "messages_with_others", change->with_others);
	json_put_u64(json, "active", change->active);
	json_put_u64(json, "paused", change->paused);
	json_put_u64(json, "held", change->held);
	if (change->dry)
		json_put_bool(json, "dry_run", true);
}

/* ---- by id ---------------------------------------------------------------------------------- */

/* Nobody knows whom it was for: it can only be kept or deleted. */
static const char *change_damaged(struct change *change, uint64_t id)
{
	struct delivery *d = change->c->d;
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.id = id,
		.wall_ms = delivery_now(d),
		.action = change->op,
		.actor = control_text(change->c, "by"),
		.reason = control_text(change->c, "reason"),
	};

	if (!span_equal(change->op, SPAN("delete")))
		return "the message's envelope is damaged: it can be deleted, nothing else";
	if (!change->dry) {
		event_emit(d->config.events, &event);
		int err = damaged_delete(d, id);

		if (err == ERR_NOT_FOUND)
			return "its record is damaged so far that the spool keeps all of its file, "
			       "for a person to look at; it cannot be deleted alone";
		if (err)
			return err_text(err);
	}
	change->messages++;
	return NULL;
}

/* All of a message, as hits. */
static void all_of(
	struct delivery *d, const struct queue_message_info *info, struct filter_hits *found)
{
	struct queue_unit_info unit;

	found->count = found->pick_count = 0;
	for (uint32_t at = info->first_unit; at; at = unit.next) {
		CHECK(!queue_unit_info(d->queue, at, delivery_now(d), &unit));
		found->hits[found->count++] = (struct filter_hit){.id = info->id,
			.unit = at,
			.first = (uint32_t)found->pick_count,
			.count = unit.rcpt_count};
		memcpy(found->picks + found->pick_count, unit.rcpts,
			unit.rcpt_count * sizeof(*unit.rcpts));
		found->pick_count += unit.rcpt_count;
	}
}

/* NULL: done. */
static const char *change_id(struct change *change, struct span text, struct filter_hits *found)
{
	struct delivery *d = change->c->d;
	struct queue_message_info info;
	uint64_t id;
	int err;

	if (text_parse_id(text, &id))
		return "a message's id is needed, 13 letters and digits";
	if (damaged_alone(d, id))
		return change_damaged(change, id);
	if (queue_message_info(d->queue, id, &info))
		return "no such message in the queue; posternctl trace tells what became of it";
	if (info.waiting > found->pick_room) {
		err = change_whole(change, &info);
	} else {
		all_of(d, &info, found);
		err = change_message(change, found->hits, found->count, found->picks);
	}

	return err ? why_not(change, err) : NULL;
}

static void change_by_id(struct change *change, struct filter_hits *found)
{
	struct control *c = change->c;
	const char *problem = change_id(change, control_text(c, "id"), found);

	if (problem) {
		control_refuse(c, problem);
		return;
	}
	json_open_object(&c->json, NULL);
	put_done(change);
	json_close_object(&c->json);
}

/* Each by itself: what is wrong with one does not stop the others. Ends early where notifications
 * pile up; "done" says how many of the ids were looked at. */
static void change_by_ids(struct change *change, const json_t *ids, struct filter_hits *found)
{
	struct control *c = change->c;
	size_t count = json_array_size(ids), done = 0;

	if (!count || count > CONTROL_IDS) {
		control_refuse(c, "ids: an array of one to a thousand ids is needed");
		return;
	}
	json_open_object(&c->json, NULL);
	json_open_array(&c->json, "problems");
	for (; done < count && (!done || !owed_too_much(c->d)); done++) {
		const json_t *one = json_array_get(ids, done);
		struct span text = span_of(json_string_value(one), json_string_length(one));
		const char *problem = change_id(change, text, found);

		if (!problem)
			continue;
		text.n = MIN(text.n, (size_t)TEXT_ID_LENGTH * 4);
		json_open_object(&c->json, NULL);
		json_put_string(&c->json, "id", text);
		json_put_str(&c->json, "error", problem);
		json_close_object(&c->json);
	}
	json_close_array(&c->json);
	put_done(change);
	json_put_u64(&c->json, "done", done);
	json_close_object(&c->json);
}

/* ---- by a filter ---------------------------------------------------------------------------- */

/* Changes what was found; stops, and moves the cursor back, where notifications pile up. */
static void change_found(struct change *change, const struct filter_hits *found, uint64_t *cursor)
{
	for (size_t i = 0, n; i < found->count; i += n) {
		const struct filter_hit *hits = &found->hits[i];

		for (n = 1; i + n < found->count && hits[n].id == hits[0].id;)
			n++;
		if (owed_too_much(change->c->d)) {
			*cursor = hits[0].id - 1;
			return;
		}
		(void)change_message(change, hits, n, found->picks);
	}
}

static bool filter_may_change(struct control *c, const struct filter *filter)
{
	if (filter_is_empty(filter))
		control_refuse(c, "an id or a filter is needed; to mean everything, say age>=0s");
	else if (filter_has_bare_address(filter))
		control_refuse(c, "an address alone may be the sender's or a recipient's: say "
				  "sender=… or recipient=…");
	else if (owed_too_much(c->d))
		control_refuse(c, "too many notifications wait to be written to the spool; go on "
				  "in a moment");
	else
		return true;
	return false;
}

static void change_by_filter(struct change *change, struct filter_hits *found)
{
	struct control *c = change->c;
	struct delivery *d = c->d;
	struct filter *filter = control_filter(c);
	uint64_t cursor;

	if (!filter)
		return;
	if (filter_may_change(c, filter) && control_after(c, &cursor)) {
		filter_select(filter, d->queue, delivery_now(d), &cursor, DELIVERY_CONTROL_STEP,
			control_load_subject, c, found);
		change_found(change, found, &cursor);
		json_open_object(&c->json, NULL);
		put_done(change);
		control_put_after(c, cursor);
		json_close_object(&c->json);
	}
	filter_free(&filter);
}

/* ---- which of them -------------------------------------------------------------------------- */

void control_change(struct control *c, struct span op)
{
	bool reroute = span_equal(op, SPAN("reroute"));
	struct change change = {
		.c = c,
		.op = op,
		.dry = json_is_true(json_object_get(c->request, "dry_run")),
		.goes_on =
			reroute || span_equal(op, SPAN("retry")) || span_equal(op, SPAN("release")),
		.needs_envelope = reroute || span_equal(op, SPAN("bounce")),
	};
	const json_t *ids = json_object_get(c->request, "ids");
	bool by_id = json_is_string(json_object_get(c->request, "id"));
	bool by_filter = json_is_string(json_object_get(c->request, "filter"));
	struct span name = control_text(c, "transport");
	struct transport transport;
	struct filter_hits found;

	if (by_id + by_filter + json_is_array(ids) > 1) {
		control_refuse(c, "id, ids, filter: one of them is needed, not several");
		return;
	}
	if (reroute && name.n && delivery_transport(c->d, name, &transport)) {
		control_refuse(
			c, "transport: there is none of that name; see posternctl transport list");
		return;
	}
	if (filter_hits_init(&found, CONTROL_HITS, CONTROL_PICKS)) {
		control_refuse(c, "out of memory");
		return;
	}
	if (by_id)
		change_by_id(&change, &found);
	else if (json_is_array(ids))
		change_by_ids(&change, ids, &found);
	else
		change_by_filter(&change, &found);
	filter_hits_done(&found);
	delivery_wake(c->d);
}
