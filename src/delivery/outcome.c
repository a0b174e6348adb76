/*
 * What became of an attempt, or of a message that the queue gave up: events, notifications, and the
 * queue's reckoning. Everything that one call here changes is in one record of the journal.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- events --------------------------------------------------------------------------------- */

static bool same_verdict(const struct verdict *a, const struct verdict *b)
{
	return a->kind == b->kind && a->code == b->code && a->enhanced.class == b->enhanced.class &&
	       a->enhanced.subject == b->enhanced.subject &&
	       a->enhanced.detail == b->enhanced.detail &&
	       span_equal(verdict_text(a), verdict_text(b));
}

static struct event attempt_event(const struct attempt *attempt, enum event_kind kind)
{
	const struct delivery *d = attempt->delivery;
	const struct session *session = attempt->session;
	int64_t began_ms =
		delivery_now(d) - (int64_t)((d->io->now_ns - attempt->began_ns) / NS_PER_MS);
	struct event event = {
		.kind = kind,
		.id = attempt->id,
		.wall_ms = delivery_now(d),
		.sender = attempt->envelope.sender,
		.sender_known = true,
		.size = attempt->envelope.body_bytes,
		.transport = attempt->transport,
		.attempt = attempt->attempts + 1,
		.attempt_us = (d->io->now_ns - attempt->began_ns) / 1000,
		.queued_us = began_ms > attempt->envelope.arrived_ms
				     ? (uint64_t)(began_ms - attempt->envelope.arrived_ms) * 1000
				     : 0,
	};

	if (session) {
		event.destination = span_str(session->host);
		event.peer = session->peer;
	} else if (attempt->maildir.path[0]) {
		event.destination = span_str(attempt->maildir.path);
	}
	return event;
}

/* One event for all picks of a kind that got the same answer, at most DELIVERY_EVENT_RCPTS in
 * one. */
static void emit_results(const struct attempt *attempt, enum verdict_kind kind, struct event *event,
	struct owed *owed)
{
	struct delivery *d = attempt->delivery;
	uint32_t count = attempt->pick_count;
	struct span one[1];
	bool first[1] = {false};
	struct span *names =
		count <= 1 ? one : calloc(MIN(count, DELIVERY_EVENT_RCPTS), sizeof(*names));
	bool *said = count <= 1 ? first : calloc(count, sizeof(*said));

	CHECK(names && said);
	for (uint32_t i = 0; i < count; i++) {
		const struct verdict *verdict = &attempt->results[i].verdict;
		uint32_t n = 0;

		if (said[i] || verdict->kind != kind)
			continue;
		for (uint32_t j = i; j < count && n < DELIVERY_EVENT_RCPTS; j++) {
			if (said[j] || !same_verdict(verdict, &attempt->results[j].verdict))
				continue;
			said[j] = true;
			names[n++] = attempt->envelope.rcpt_count
					     ? attempt->envelope.rcpts[attempt->picks[j]].address
					     : SPAN_NONE;
		}
		event->recipients = names;
		event->recipient_count = n;
		event->verdict = verdict;
		owed_tell(d, owed, event);
	}
	if (count > 1) {
		free(names);
		free(said);
	}
}

/* ---- notifications about an attempt --------------------------------------------------------- */

static struct owed *notify_results(
	const struct attempt *attempt, enum verdict_kind kind, enum notify_kind what)
{
	struct notify_rcpt one[1];
	struct notify_rcpt *rcpts =
		attempt->pick_count == 1 ? one : calloc(attempt->pick_count, sizeof(*rcpts));
	struct owed *owed = NULL;
	uint32_t n = 0;

	CHECK(rcpts);
	for (uint32_t i = 0; i < attempt->pick_count; i++)
		if (attempt->results[i].verdict.kind == kind)
			rcpts[n++] = (struct notify_rcpt){
				attempt->picks[i], &attempt->results[i].verdict};
	if (n)
		owed = notify(attempt->delivery, &attempt->envelope, what, rcpts, n,
			attempt->session ? span_str(attempt->session->host) : SPAN_NONE, 0);
	if (rcpts != one)
		free(rcpts);
	return owed;
}

void outcome_in_mailbox(const struct attempt *attempt, uint32_t pick)
{
	struct event event = attempt_event(attempt, EVENT_DELIVERY);

	event.recipients = &attempt->envelope.rcpts[attempt->picks[pick]].address;
	event.recipient_count = 1;
	event.verdict = &attempt->results[pick].verdict;
	event_emit(attempt->delivery->config.events, &event);
}

static void tell_delivered(const struct attempt *attempt)
{
	struct event event = attempt_event(attempt, EVENT_DELIVERY);

	/* Mailboxes were told of one by one, each with its own path. */
	if (attempt->link)
		emit_results(attempt, VERDICT_OK, &event, NULL);
	if (attempt->dsn_passed)
		return; /* the next hop's business now (RFC 3461 section 5.2.1) */
	struct owed *owed = notify_results(
		attempt, VERDICT_OK, attempt->link ? NOTIFY_OF_RELAY : NOTIFY_OF_DELIVERY);

	if (owed && attempt->link) {
		event.kind = EVENT_RELAYED;
		emit_results(attempt, VERDICT_OK, &event, owed);
	}
}

static void tell_failed(const struct attempt *attempt)
{
	struct event event = attempt_event(
		attempt, attempt->give_up == GIVE_UP_DISCARD ? EVENT_DISCARD : EVENT_BOUNCE);
	struct owed *owed = NULL;

	if (attempt->give_up != GIVE_UP_DISCARD)
		owed = notify_results(attempt, VERDICT_PERMANENT, NOTIFY_OF_FAILURE);
	emit_results(attempt, VERDICT_PERMANENT, &event, owed);
}

static void tell_deferred(const struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct event event = attempt_event(attempt, EVENT_TRANSIENT_FAILURE);
	struct queue_unit_info info;

	if (!queue_unit_info(d->queue, attempt->unit, delivery_now(d), &info) &&
		info.id == attempt->id)
		event.next_try_ms = info.next_try_ms;
	emit_results(attempt, VERDICT_TEMPORARY, &event, NULL);
}

/* ---- the ends of an attempt ----------------------------------------------------------------- */

void outcome(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	enum verdict_kind one[1];
	enum verdict_kind *kinds =
		attempt->pick_count == 1 ? one : calloc(attempt->pick_count, sizeof(*kinds));
	uint32_t counts[3] = {0};
	const struct verdict *stays = NULL;

	CHECK(kinds);
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		CHECK(!attempt->results[i].not_tried);
		kinds[i] = attempt->results[i].verdict.kind;
		counts[kinds[i]]++;
		if (kinds[i] == VERDICT_TEMPORARY)
			stays = &attempt->results[i].verdict;
	}
	d->figures.delivered += counts[VERDICT_OK];
	d->figures.deferred += counts[VERDICT_TEMPORARY];
	d->figures.failed += counts[VERDICT_PERMANENT];
	if (counts[VERDICT_OK])
		tell_delivered(attempt);
	if (counts[VERDICT_PERMANENT])
		tell_failed(attempt);
	queue_unit_result(d->queue, attempt->unit, kinds, stays, delivery_now(d));
	if (counts[VERDICT_TEMPORARY])
		tell_deferred(attempt);
	if (kinds != one)
		free(kinds);
	attempt->session = NULL;
	attempt_end(attempt);
}

void outcome_unreachable(struct attempt *attempt, const struct verdict *verdict)
{
	struct delivery *d = attempt->delivery;

	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		attempt->results[i].not_tried = false;
		attempt->results[i].verdict = *verdict;
		attempt->results[i].verdict.kind = VERDICT_TEMPORARY;
	}
	d->figures.deferred += attempt->pick_count;
	queue_destination_failed(d->queue, attempt->unit, verdict, delivery_now(d));
	tell_deferred(attempt);
	attempt_end(attempt);
}

/* ---- what the queue gave up ----------------------------------------------------------------- */

static enum event_kind end_event(const struct note *note, enum give_up give_up)
{
	switch (note->why) {
	case QUEUE_EXPIRED: return give_up == GIVE_UP_DISCARD ? EVENT_DISCARD : EVENT_EXPIRATION;
	case QUEUE_BOUNCED: return EVENT_BOUNCE;
	case QUEUE_DELETED: return EVENT_DISCARD;
	}
	return EVENT_DISCARD;
}

/* Reads the envelope, makes the notification if `what` may be, and the event. */
static void tell_note(struct delivery *d, const struct note *note, enum event_kind kind,
	bool may_notify, enum notify_kind what)
{
	struct buf bytes;
	struct arena arena;
	struct envelope envelope = {0};
	struct verdict verdict;
	struct owed *owed = NULL;
	struct span *names = calloc(note->rcpt_count, sizeof(*names));
	struct notify_rcpt *rcpts = calloc(note->rcpt_count, sizeof(*rcpts));
	struct event event = {
		.kind = kind,
		.id = note->id,
		.wall_ms = delivery_now(d),
		.transport = span_of(note->transport, note->transport_length),
		.attempt = note->attempts,
		.next_try_ms = note->next_try_ms,
		.verdict = note->verdict,
		.action = note->why == QUEUE_DELETED && kind != EVENT_DELAY ? SPAN("delete")
									    : SPAN_NONE,
	};

	CHECK(names && rcpts);
	if (note->verdict)
		verdict = *note->verdict;
	else
		verdict_set(&verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 4, 7},
			false, SPAN("no attempt has been answered yet"));
	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	int err = delivery_envelope(d, note->id, &bytes, &arena, &envelope);
	for (uint32_t i = 0; !err && i < note->rcpt_count; i++) {
		if (note->rcpts[i] >= envelope.rcpt_count) {
			err = ERR_CORRUPT;
			break;
		}
		names[i] = envelope.rcpts[note->rcpts[i]].address;
		rcpts[i] = (struct notify_rcpt){note->rcpts[i], &verdict};
	}
	if (!err) {
		event.sender = envelope.sender;
		event.sender_known = true;
		event.size = envelope.body_bytes;
		if (may_notify)
			owed = notify(d, &envelope, what, rcpts, note->rcpt_count, SPAN_NONE, 0);
		for (uint32_t i = 0; i < note->rcpt_count; i += event.recipient_count) {
			event.recipients = names + i;
			event.recipient_count = MIN(note->rcpt_count - i, DELIVERY_EVENT_RCPTS);
			owed_tell(d, owed, &event);
		}
	} else {
		log_write(d->config.log, LOG_ERROR,
			"the envelope of a queued message cannot be read", LOG_ID("id", note->id),
			LOG_STR("error", err_text(err)));
		event_emit(d->config.events, &event);
	}
	arena_reset(&arena);
	buf_done(&bytes);
	free(rcpts);
	free(names);
}

void outcome_ended(struct delivery *d, const struct note *note)
{
	struct transport transport;
	enum give_up give_up = GIVE_UP_DSN;

	if (!delivery_transport(d, span_of(note->transport, note->transport_length), &transport))
		give_up = transport.give_up;
	if (note->why == QUEUE_EXPIRED)
		d->figures.expired += note->rcpt_count;
	enum event_kind kind = end_event(note, give_up);
	if (kind == EVENT_DISCARD)
		d->figures.discarded += note->rcpt_count;
	tell_note(d, note, kind, kind != EVENT_DISCARD, NOTIFY_OF_FAILURE);
}

void outcome_warned(struct delivery *d, const struct note *note)
{
	tell_note(d, note, EVENT_DELAY, true, NOTIFY_OF_DELAY);
}
