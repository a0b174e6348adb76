/*
 * Delivery status notifications (RFC 3461, RFC 3464): who gets one, with how much of the message,
 * and into the journal's current record, so that it is there exactly when its cause is.
 */
#include "delivery/attempt.h"

#include "base/check.h"
#include "base/err.h"
#include "codec/dsn.h"

#include <stdlib.h>

#define NOTIFY_TEXT                                                                   \
	(1u << 20) /* bytes that a notification may have besides the returned content \
		    */

#define NOTIFY_RCPTS 500 /* recipients in one notification; more come in further ones */

static const enum dsn_action actions[] = {
	[NOTIFY_OF_FAILURE] = DSN_FAILED,
	[NOTIFY_OF_EXPIRY] = DSN_FAILED,
	[NOTIFY_OF_DELAY] = DSN_DELAYED,
	[NOTIFY_OF_RELAY] = DSN_RELAYED,
	[NOTIFY_OF_DELIVERY] = DSN_DELIVERED,
};

/* RFC 3461 section 4.1; without NOTIFY: failures, and delays at our discretion. */
static bool wanted(uint8_t notify, enum notify_kind kind)
{
	if (notify & NOTIFY_NEVER)
		return false;
	switch (kind) {
	case NOTIFY_OF_FAILURE:
	case NOTIFY_OF_EXPIRY: return notify == NOTIFY_DEFAULT || (notify & NOTIFY_FAILURE);
	case NOTIFY_OF_DELAY: return notify == NOTIFY_DEFAULT || (notify & NOTIFY_DELAY);
	case NOTIFY_OF_RELAY:
	case NOTIFY_OF_DELIVERY: return (notify & NOTIFY_SUCCESS) != 0;
	}
	return false;
}

/* The original's header, or all of it; what cannot be read is not returned. */
static struct span read_content(
	struct delivery *d, const struct envelope *envelope, enum dsn_action action, char **memory)
{
	uint64_t most = d->config.config->limits.dsn_return_bytes;
	uint64_t n = dsn_wants_body(envelope, action, most)
			     ? envelope->body_bytes
			     : MIN(envelope->header_bytes, DELIVERY_HEADER_LOOKED_AT);
	struct spool_body body;
	int64_t got;

	*memory = NULL;
	int err = n ? spool_store_body(d->store, envelope->id, &body) : ERR_NOT_FOUND;
	if (err && err != ERR_AGAIN)
		return SPAN_NONE;
	*memory = malloc(n);
	/* A long one that is only now being checked: its first part will do. */
	if (err)
		got = *memory ? spool_store_peek(d->store, envelope->id, *memory, n) : 0;
	else
		got = *memory ? disk_read(body.file, *memory, MIN(n, body.bytes), body.offset) : 0;
	if (!err)
		spool_store_body_done(d->store, &body);
	return span_of(*memory, got > 0 ? (size_t)got : 0);
}

/* Builds it and gives it to the journal. */
static int make(struct delivery *d, const struct dsn *dsn, struct owed **out)
{
	struct buf text;
	uint32_t flags = 0;
	uint64_t header_bytes = 0;

	/* Each recipient has its own few lines, and all its reply's text. */
	buf_init(&text, NOTIFY_TEXT + 2 * dsn->content.n + (size_t)dsn->rcpt_count * 4096);
	int err = dsn_build(dsn, &text, &flags, &header_bytes);
	if (!err)
		err = own_mail_add(d, dsn->original->sender, buf_span(&text),
			flags | (dsn->original->flags & ENVELOPE_REQUIRETLS), header_bytes);
	if (!err) {
		d->figures.notifications++;
		*out = owed_new(d, dsn->original->id, text.n);
	}
	buf_done(&text);
	return err;
}

/* About these, in one notification. */
static struct owed *notify_of(struct delivery *d, const struct envelope *envelope,
	const struct dsn_rcpt *rcpts, uint32_t n)
{
	struct owed *owed = NULL;
	char *memory;
	struct dsn dsn = {
		.hostname = d->config.config->hostname,
		.original = envelope,
		.id = prng_u64(&d->prng),
		.boundary = prng_u64(&d->prng),
		.now_ms = delivery_now(d),
		.rcpts = rcpts,
		.rcpt_count = n,
	};

	dsn.content = read_content(d, envelope, rcpts->action, &memory);
	int err = make(d, &dsn, &owed);
	if (err && dsn.content.n) {
		/* Better without what it is about than not at all. */
		dsn.content = SPAN_NONE;
		err = make(d, &dsn, &owed);
	}
	/* It is short, and must not get lost: the role starts anew from the spool. */
	CHECK(err != ERR_NOMEM);
	if (err)
		log_write(d->config.log, LOG_ERROR, "a notification cannot be made",
			LOG_ID("id", envelope->id), LOG_STR("error", err_text(err)));
	free(memory);
	return owed;
}

struct owed *notify(struct delivery *d, const struct envelope *envelope, enum notify_kind kind,
	const struct notify_rcpt *rcpts, uint32_t count, struct span remote_mta,
	int64_t retry_until_ms)
{
	struct owed *owed = NULL;
	bool was_tried = kind == NOTIFY_OF_EXPIRY || kind == NOTIFY_OF_DELAY;
	uint32_t n = 0;

	/* RFC 3461 section 6.1, RFC 5321 section 6.1: nothing is ever said to the null sender. */
	if (!envelope->sender.n || (envelope->flags & ENVELOPE_DSN))
		return NULL;
	struct dsn_rcpt *listed = calloc(MIN(count, NOTIFY_RCPTS), sizeof(*listed));
	CHECK(listed);
	for (uint32_t i = 0; i < count; i++) {
		const struct envelope_rcpt *rcpt = &envelope->rcpts[rcpts[i].rcpt];

		if (!wanted(rcpt->notify, kind))
			continue;
		if (n == NOTIFY_RCPTS) {
			owed = notify_of(d, envelope, listed, n);
			n = 0;
		}
		listed[n++] = (struct dsn_rcpt){
			.rcpt = rcpt,
			.action = actions[kind],
			.verdict = rcpts[i].verdict,
			.remote_mta = rcpts[i].verdict->remote ? remote_mta : SPAN_NONE,
			.last_attempt_ms = delivery_now(d),
			.tried_since_ms = was_tried ? envelope->arrived_ms : 0,
			.retry_until_ms = retry_until_ms,
		};
	}
	if (n)
		owed = notify_of(d, envelope, listed, n);
	free(listed);
	return owed;
}
