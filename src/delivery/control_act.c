/* What an administrator's request does to one message, or to some recipients of it. */
#include "delivery/control_change.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define CONTROL_REASON 1000 /* bytes of a reason or a name of an administrator */

/* ---- the event ------------------------------------------------------------------------------ */

static size_t put_names(
	const struct change *change, const uint32_t *rcpts, size_t count, struct span *names)
{
	const struct envelope *envelope = &change->c->envelope;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (rcpts[i] < envelope->rcpt_count)
			names[n++] = envelope->rcpts[rcpts[i]].address;
	return n;
}

/* Before what follows from it is told. Its envelope was read before, as it may be gone now. */
static void tell_action(struct change *change, uint64_t id, const uint32_t *rcpts, size_t count)
{
	struct control *c = change->c;
	size_t most = MIN(count, DELIVERY_EVENT_RCPTS);
	struct span *names = most ? calloc(most, sizeof(*names)) : NULL;
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.id = id,
		.wall_ms = delivery_now(c->d),
		.action = change->op,
		.actor = control_text(c, "by"),
		.reason = control_text(c, "reason"),
		.transport = control_text(c, "transport"),
	};

	if (c->envelope_id == id) {
		event.sender = c->envelope.sender;
		event.sender_known = true;
		if (names) {
			event.recipients = names;
			event.recipient_count = (uint32_t)put_names(change, rcpts, most, names);
		}
	}
	event_emit(c->d->config.events, &event);
	free(names);
}

/* ---- the deed ------------------------------------------------------------------------------- */

static int bounce(struct change *change, uint64_t id, uint32_t unit, struct span reason)
{
	struct delivery *d = change->c->d;
	struct verdict verdict;

	verdict_set(&verdict, VERDICT_PERMANENT, 554, (struct enhanced_code){5, 7, 0}, false,
		reason.n ? reason : SPAN("returned by the administrator of the mail gateway"));
	return queue_bounce(d->queue, id, unit, &verdict, delivery_now(d));
}

static int act_on_unit(struct change *change, uint64_t id, uint32_t unit)
{
	struct control *c = change->c;
	struct queue *queue = c->d->queue;
	struct span op = change->op, by = control_text(c, "by"), reason = control_text(c, "reason");
	int64_t now = delivery_now(c->d);

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
	if (span_equal(op, SPAN("bounce")))
		return bounce(change, id, unit, reason);
	return queue_reroute(queue, &c->envelope, unit, control_text(c, "transport"), now);
}

/* What the answer says of these recipients, beside how many they are. */
static void count_state(struct change *change, enum queue_state state, uint32_t count)
{
	if (state == QUEUE_ACTIVE)
		change->active += count;
	else if (state == QUEUE_PAUSED)
		change->paused += count;
	else if (state == QUEUE_HELD)
		change->held += count;
}

static int act_on_hit(struct change *change, const struct filter_hit *hit, const uint32_t *rcpts)
{
	struct delivery *d = change->c->d;
	struct queue_unit_info unit;
	uint32_t part = hit->unit;
	int64_t now = delivery_now(d);
	int err = queue_unit_info(d->queue, hit->unit, now, &unit);

	if (!err && span_equal(change->op, SPAN("release")) && !unit.held)
		err = ERR_NOT_FOUND;
	if (!err && !change->dry && hit->others)
		err = queue_split(d->queue, hit->id, hit->unit, rcpts, hit->count, now, &part);
	if (!err && !change->dry)
		err = act_on_unit(change, hit->id, part);
	if (err)
		return err;
	enum queue_state state = unit.state;
	/* What keeps it still, once it was told to go on; its handle is good while it is queued. */
	if (!change->dry && change->goes_on && state != QUEUE_ACTIVE &&
		!queue_unit_info(d->queue, part, now, &unit) && unit.id == hit->id)
		state = unit.state;
	count_state(change, state, hit->count);
	change->units++;
	change->recipients += hit->count;
	return 0;
}

int change_whole(struct change *change, const struct queue_message_info *info)
{
	struct delivery *d = change->c->d;
	int err = control_envelope(change->c, info->id);

	if (err && change->needs_envelope)
		return err;
	err = change->dry ? 0 : act_on_unit(change, info->id, QUEUE_ALL_UNITS);
	if (err)
		return err;
	change->messages++;
	change->units++;
	change->recipients += info->waiting;
	if (!change->dry)
		tell_action(change, info->id, NULL, 0);
	intake_settle(d);
	return 0;
}

int change_message(
	struct change *change, const struct filter_hit *hits, size_t count, const uint32_t *picks)
{
	struct delivery *d = change->c->d;
	uint64_t id = hits[0].id, before = change->recipients;
	struct queue_message_info info;
	size_t meant = 0;
	int err = queue_message_info(d->queue, id, &info), first = 0;

	if (err)
		return err;
	/* Nobody could be told of a return; who is rerouted must be known. */
	err = control_envelope(change->c, id);
	if (err && change->needs_envelope)
		return err;
	for (size_t i = 0; i < count; i++) {
		err = act_on_hit(change, &hits[i], picks + hits[i].first);
		meant += hits[i].count;
		if (err && !first)
			first = err;
	}
	uint64_t done = change->recipients - before;
	if (!done)
		return first;
	change->messages++;
	if (info.waiting > done) {
		change->others += info.waiting - done;
		change->with_others++;
	}
	if (!change->dry)
		tell_action(change, id, picks + hits[0].first, meant);
	/* Each message by itself, so that its notification counts for the next. */
	intake_settle(d);
	return first == ERR_NOT_FOUND ? 0 : first;
}
