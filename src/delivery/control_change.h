/* A change of what is queued, on its way: shared by control_change.c and control_act.c. */
#ifndef DELIVERY_CONTROL_CHANGE_H
#define DELIVERY_CONTROL_CHANGE_H

#include "delivery/control.h"

struct change {
	struct control *c;
	struct span op;
	bool dry;	     /* only counts */
	bool goes_on;	     /* it is to be delivered: what still keeps it is told */
	bool needs_envelope; /* without it nothing can be done */
	/* what was done */
	uint64_t messages, units, recipients;
	uint64_t others, with_others; /* recipients that the messages have besides; such messages */
	uint64_t active;	      /* of the recipients: being tried, which is let finish */
	uint64_t paused, held;	      /* of the recipients: waiting for that */
};

/* The hits are one message's, and follow each other in picks[]. ERR_NOT_FOUND: there is nothing of
 * it to which it could be done. */
int change_message(
	struct change *change, const struct filter_hit *hits, size_t count, const uint32_t *picks);

/* The same for all of a message that has more recipients than there is room for. */
int change_whole(struct change *change, const struct queue_message_info *info);

#endif
