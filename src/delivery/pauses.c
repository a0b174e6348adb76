/*
 * What the queue knows of pauses, kept in a file: without it, time that something was paused would
 * be forgotten by a restart after (or just before) the resume, and cost everything that waited
 * there a retry. Written at each change of a pause, and only then. Nothing is lost with it but that
 * time.
 */
#include "delivery/core.h"

#define PAUSES_BYTES (16u << 20)

static uint64_t version(const void *owner)
{
	const struct delivery *d = owner;

	return queue_pauses_version(d->queue);
}

static void encode(const void *owner, struct buf *out)
{
	const struct delivery *d = owner;

	queue_pauses_encode(d->queue, out);
}

static int restore(void *owner, struct span bytes)
{
	struct delivery *d = owner;

	return queue_pauses_restore(d->queue, bytes, delivery_now(d));
}

const struct kept_kind pauses_kept = {
	.file = "d/pauses",
	.fresh = "d/pauses.new",
	.most = PAUSES_BYTES,
	.version = version,
	.encode = encode,
	.restore = restore,
	.unreadable = "what was kept of pauses cannot be read: mail that was paused may be tried "
		      "earlier than its schedule says, once",
	.unwritable =
		"pauses cannot be kept: after a restart now, mail that was paused may be tried "
		"earlier or later than its schedule says",
};
