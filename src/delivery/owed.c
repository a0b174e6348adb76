/*
 * Notifications on their way into the journal. A message's id is its place in the spool, so a
 * notification has none before it is written; events that name it wait until then. Should the role
 * die before, its cause happens again, and so do they.
 */
#include "delivery/tell.h"

#include "base/check.h"

#include <stdlib.h>

/* One event with all that it points to, in one block of memory. */
struct owed_event {
	struct list node;
	struct event event;
	struct verdict verdict;
	struct span recipients[];
};

/* Its own copy, taken from the room at *at. */
static struct span copy(char **at, struct span text)
{
	char *to = *at;

	if (text.n)
		memcpy(to, text.p, text.n);
	*at += text.n;
	return span_of(to, text.n);
}

static struct owed_event *copy_event(const struct event *event)
{
	size_t n = event->recipient_count, text = event->sender.n + event->transport.n +
						  event->destination.n + event->tls.n +
						  event->action.n;

	for (size_t i = 0; i < n; i++)
		text += event->recipients[i].n;
	struct owed_event *owed = calloc(1, sizeof(*owed) + n * sizeof(struct span) + text);
	CHECK(owed); /* as for notes: the role starts anew from the spool */
	char *at = (char *)&owed->recipients[n];

	owed->event = *event;
	owed->event.sender = copy(&at, event->sender);
	owed->event.transport = copy(&at, event->transport);
	owed->event.destination = copy(&at, event->destination);
	owed->event.tls = copy(&at, event->tls);
	owed->event.action = copy(&at, event->action);
	for (size_t i = 0; i < n; i++)
		owed->recipients[i] = copy(&at, event->recipients[i]);
	owed->event.recipients = owed->recipients;
	if (event->verdict) {
		owed->verdict = *event->verdict;
		owed->event.verdict = &owed->verdict;
	}
	list_init(&owed->node);
	return owed;
}

struct owed *owed_new(struct delivery *d, uint64_t parent, size_t bytes)
{
	struct owed *owed = calloc(1, sizeof(*owed));

	CHECK(owed);
	owed->parent = parent;
	owed->bytes = bytes;
	list_init(&owed->node);
	list_init(&owed->events);
	list_push_back(&d->owed, &owed->node);
	d->owed_bytes += bytes;
	return owed;
}

void owed_tell(struct delivery *d, struct owed *owed, const struct event *event)
{
	if (owed)
		list_push_back(&owed->events, &copy_event(event)->node);
	else
		event_emit(d->config.events, event);
}

static void owed_free(struct delivery *d, struct owed *owed)
{
	LIST_FOR_EACH(node, &owed->events)
	free(CONTAINER_OF(node, struct owed_event, node));
	list_remove(&owed->node);
	d->owed_bytes -= owed->bytes;
	free(owed);
}

void owed_forget(struct delivery *d)
{
	LIST_FOR_EACH(node, &d->owed)
	owed_free(d, CONTAINER_OF(node, struct owed, node));
}

/* They come out of the journal in the order in which they were put in. */
void owed_made(struct delivery *d, const struct envelope *envelope)
{
	struct owed *owed = LIST_FIRST(&d->owed, struct owed, node);

	if (!owed)
		return;
	LIST_FOR_EACH(node, &owed->events)
	{
		struct owed_event *event = CONTAINER_OF(node, struct owed_event, node);

		event->event.dsn_id = envelope->id;
		event_emit(d->config.events, &event->event);
	}
	struct event reception = {
		.kind = EVENT_RECEPTION,
		.id = envelope->id,
		.parent_id = owed->parent,
		.wall_ms = envelope->arrived_ms,
		.sender = envelope->sender,
		.sender_known = true,
		.recipients = &envelope->rcpts[0].address,
		.recipient_count = MIN(envelope->rcpt_count, 1),
		.protocol = envelope->protocol,
		.size = envelope->body_bytes,
	};

	event_emit(d->config.events, &reception);
	owed_free(d, owed);
}
