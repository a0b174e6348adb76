/*
 * The answer to "why is this mail still here", in plain words: one sentence that names the blocker
 * and, where there is one, the time when it ends.
 */
#ifndef DELIVERY_WHY_TEXT_H
#define DELIVERY_WHY_TEXT_H

#include "base/buf.h"
#include "queue/look.h"

/* A stable word for scripts: "ready", "limit-destination", "down", …; never NULL. */
const char *why_kind_name(enum queue_why_kind kind);

/* Appends the sentence. transport and next_hop are those of the unit. */
void why_text(
	const struct queue_why *why, struct span transport, struct span next_hop, struct buf *out);

/* "550 5.1.1 text", the peer's bytes escaped. */
void why_add_verdict(struct buf *out, const struct verdict *verdict);

#endif
