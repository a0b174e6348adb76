/*
 * What the queue gave up, or warns about: its events and notifications.
 */
#include "delivery/attempt.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

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
	if (note->verdict) {
		verdict = *note->verdict;
		/* What stays in the queue was never refused for good: this is an administrator's
		 * word (control_act.c), and for the sender. */
		verdict.open = note->why == QUEUE_BOUNCED && verdict.kind == VERDICT_PERMANENT;
	} else {
		verdict_set(&verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 4, 7},
			false, SPAN("no attempt has been answered yet"));
	}
	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	int err = delivery_envelope(d, note->id, &bytes, &arena, &envelope);
	/* It could be read a moment ago, when the queue asked. Nothing is on record yet: the role
	 * starts anew from the spool, and comes here again. */
	CHECK(err != ERR_NOMEM);
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
			owed = notify(d, &envelope, what, rcpts, note->rcpt_count, SPAN_NONE,
				note->give_up_ms);
		event.recipients = names;
		event.recipient_count = note->rcpt_count;
		owed_tell(d, owed, &event);
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
	tell_note(d, note, kind, kind != EVENT_DISCARD,
		note->why == QUEUE_EXPIRED ? NOTIFY_OF_EXPIRY : NOTIFY_OF_FAILURE);
}

void outcome_warned(struct delivery *d, const struct note *note)
{
	tell_note(d, note, EVENT_DELAY, true, NOTIFY_OF_DELAY);
}
