/*
 * What people are told of a message: events, and notifications on their way into the journal.
 */
#ifndef DELIVERY_TELL_H
#define DELIVERY_TELL_H

#include "delivery/core.h"

/* ---- ended.c
 * ---------------------------------------------------------------------------------- */

/* A note of the queue: given up, or late. */
void outcome_ended(struct delivery *delivery, const struct note *note);
void outcome_warned(struct delivery *delivery, const struct note *note);

/* ---- notify.c
 * --------------------------------------------------------------------------------- */

enum notify_kind {
	NOTIFY_OF_FAILURE,
	NOTIFY_OF_EXPIRY, /* a failure after the last retry */
	NOTIFY_OF_DELAY,
	NOTIFY_OF_RELAY,
	NOTIFY_OF_DELIVERY,
};

struct notify_rcpt {
	uint32_t rcpt; /* index in the envelope */
	const struct verdict *verdict;
};

/* Makes a DSN for those recipients that want one (RFC 3461 section 4.1), in the journal's current
 * record. NULL where nobody wants one or nobody may have one. */
struct owed *notify(struct delivery *delivery, const struct envelope *envelope,
	enum notify_kind kind, const struct notify_rcpt *rcpts, uint32_t count,
	struct span remote_mta, int64_t retry_until_ms);

/* ---- own_mail.c ----------------------------------------------------------------------------- */

/* A mail of our own, into the journal's current record; aliases are followed. */
int own_mail_add(struct delivery *delivery, struct span to, struct span text, uint32_t flags,
	uint64_t header_bytes);
/* The same for a report, which goes also where links are not as they should be (RFC 8460 section
 * 3): a whole one of 7 bits, without leading dots. */
int own_mail_send(struct delivery *delivery, struct span to, struct span text);

/* ---- owed.c
 * -----------------------------------------------------------------------------------
 */

/* A notification that was given to the journal. */
struct owed {
	struct list node;   /* in delivery->owed */
	uint64_t parent;    /* the message that it speaks of */
	size_t bytes;	    /* of its text */
	struct list events; /* told when it has its id */
};

struct owed *owed_new(struct delivery *delivery, uint64_t parent, size_t bytes);
/* Tells it when the notification is written; at once where there is none. */
void owed_tell(struct delivery *delivery, struct owed *owed, const struct event *event);
/* The next notification is written. */
void owed_made(struct delivery *delivery, const struct envelope *envelope);
void owed_forget(struct delivery *delivery);

static inline bool owed_too_much(const struct delivery *delivery)
{
	return delivery->owed_bytes > DELIVERY_OWED_MOST;
}

#endif
