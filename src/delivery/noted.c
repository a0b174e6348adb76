/*
 * What the queue tells us. It speaks inside its own calls and must not be called back from there,
 * so what it says is noted and settled, in order, once the call has returned. The order matters: a
 * DSN comes before "finished" of its message, so both are in one record of the journal.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- notes ---------------------------------------------------------------------------------- */

static struct note *note_new(struct delivery *d, enum note_kind kind, uint64_t id)
{
	if (d->note_count == d->note_room) {
		size_t room = d->note_room ? d->note_room * 2 : 64;
		struct note *notes = realloc(d->notes, room * sizeof(*notes));

		/* What the queue says must not be lost: the role starts anew from the spool. */
		CHECK(notes);
		d->notes = notes;
		d->note_room = room;
	}
	struct note *note = &d->notes[d->note_count++];
	*note = (struct note){.kind = kind, .id = id};
	return note;
}

void note_done(struct note *note)
{
	free(note->rcpts);
	free(note->verdict);
}

/* Of recipients, `count` from `first` on. */
static void note_some(struct delivery *d, enum note_kind kind, const struct queue_end *end,
	uint32_t first, uint32_t count)
{
	struct note *note = note_new(d, kind, end->id);
	size_t rcpts = count * sizeof(*end->rcpts);

	note->why = end->why;
	note->attempts = end->attempts;
	note->next_try_ms = end->next_try_ms;
	note->give_up_ms = end->give_up_ms;
	note->rcpts = malloc(rcpts + end->transport.n);
	CHECK(note->rcpts);
	memcpy(note->rcpts, end->rcpts + first, rcpts);
	note->rcpt_count = count;
	note->transport = (char *)note->rcpts + rcpts;
	note->transport_length = end->transport.n;
	if (end->transport.n)
		memcpy(note->transport, end->transport.p, end->transport.n);
	if (end->verdict) {
		note->verdict = malloc(sizeof(*note->verdict));
		CHECK(note->verdict);
		*note->verdict = *end->verdict;
	}
}

/* In pieces, so that none needs much memory, however many there are: each has its event and its
 * notification. */
static void note_end(struct delivery *d, enum note_kind kind, const struct queue_end *end)
{
	for (uint32_t i = 0; i < end->rcpt_count; i += DELIVERY_EVENT_RCPTS)
		note_some(d, kind, end, i, MIN(end->rcpt_count - i, DELIVERY_EVENT_RCPTS));
}

/* Without its envelope nobody can be told of its end, nor whom it was for: then it is not given up
 * (DESIGN: nothing is lost silently). */
static struct span on_keep(void *context, uint64_t id)
{
	struct delivery *d = context;
	struct envelope envelope;
	struct buf bytes;
	struct arena arena;

	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	int err = delivery_envelope(d, id, &bytes, &arena, &envelope);
	arena_reset(&arena);
	buf_done(&bytes);
	return err ? SPAN(DELIVERY_UNREADABLE) : SPAN_NONE;
}

static void on_ended(void *context, const struct queue_end *end)
{
	note_end(context, NOTE_ENDED, end);
}

static void on_warned(void *context, const struct queue_end *end)
{
	note_end(context, NOTE_WARNED, end);
}

static void on_changed(void *context, uint64_t id)
{
	struct delivery *d = context;

	if (d->note_count) {
		const struct note *last = &d->notes[d->note_count - 1];

		if (last->kind == NOTE_CHANGED && last->id == id)
			return;
	}
	note_new(d, NOTE_CHANGED, id);
}

void note_finished(struct delivery *d, uint64_t id)
{
	note_new(d, NOTE_FINISHED, id);
}

static void on_finished(void *context, uint64_t id)
{
	note_finished(context, id);
}

static void on_reroute(void *context, uint64_t id)
{
	note_new(context, NOTE_REROUTE, id);
}

/* ---- settling ------------------------------------------------------------------------------- */

static void keep_state(struct delivery *d, uint64_t id)
{
	struct buf state;

	buf_init(&state, SPOOL_STATE_BYTES);
	bool any = queue_state_encode(d->queue, id, &state);
	/* A message that is back to its first state says so with an empty one. */
	if (queue_message_info(d->queue, id, &(struct queue_message_info){0}) == 0 &&
		buf_ok(&state)) {
		int err = spool_store_state(d->store, id, any ? buf_span(&state) : SPAN_NONE);

		if (err)
			log_write(d->config.log, LOG_ERROR, "the state of a message cannot be kept",
				LOG_ID("id", id), LOG_STR("error", err_text(err)));
	}
	buf_done(&state);
}

static void reroute_again(struct delivery *d, uint64_t id)
{
	struct buf bytes;
	struct arena arena;
	struct envelope envelope;

	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	if (!delivery_envelope(d, id, &bytes, &arena, &envelope))
		queue_reroute_again(d->queue, &envelope, delivery_now(d));
	arena_reset(&arena);
	buf_done(&bytes);
}

static void settle_one(struct delivery *d, const struct note *note)
{
	switch (note->kind) {
	case NOTE_ENDED: outcome_ended(d, note); break;
	case NOTE_WARNED: outcome_warned(d, note); break;
	case NOTE_CHANGED: keep_state(d, note->id); break;
	case NOTE_REROUTE: reroute_again(d, note->id); break;
	case NOTE_FINISHED: {
		int err = spool_store_done(d->store, note->id);

		damaged_gone(d, note->id);
		if (err)
			log_write(d->config.log, LOG_ERROR,
				"a finished message cannot be forgotten", LOG_ID("id", note->id),
				LOG_STR("error", err_text(err)));
		break;
	}
	}
}

void intake_settle(struct delivery *d)
{
	if (d->settling)
		return; /* the outer call goes on until no note is left */
	d->settling = true;
	for (size_t i = 0; i < d->note_count; i++) {
		struct note note = d->notes[i]; /* settling may add notes and move the array */

		settle_one(d, &note);
		note_done(&note);
	}
	d->note_count = 0;
	d->settling = false;
}

/* ---- routes --------------------------------------------------------------------------------- */

static void on_route(void *context, const struct envelope *envelope, uint32_t rcpt,
	struct span reroute, struct queue_route *out)
{
	struct delivery *d = context;
	struct span address = envelope->rcpts[rcpt].address;
	struct route_decision decision;

	*out = (struct queue_route){
		.domain = envelope_domain(address),
		.priority = (envelope->flags & ENVELOPE_PRIORITY) != 0,
	};
	route_for_delivery(d->snapshot, d->config.route, address, reroute, &decision);
	switch (decision.kind) {
	case ROUTE_TRANSPORT:
		out->transport = decision.transport.name;
		out->next_hop = decision.transport.host.n ? SPAN_NONE : decision.domain;
		break;
	case ROUTE_MAILBOX: out->transport = SPAN(DELIVERY_MAILBOXES); break;
	case ROUTE_ALIAS: /* followed when the message was taken in */
	case ROUTE_ASK:	  /* the right to relay was, too */
	case ROUTE_REFUSED: out->transport = SPAN(DELIVERY_NOWHERE); break;
	}
}

const struct queue_ops intake_queue_ops = {
	.route = on_route,
	.keep = on_keep,
	.ended = on_ended,
	.warned = on_warned,
	.changed = on_changed,
	.finished = on_finished,
	.reroute = on_reroute,
	.destination_gone = link_destination_gone,
};
