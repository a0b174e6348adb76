/*
 * Delivery's side of what workers ask of next hops: their questions in turns to delivery_hosts(),
 * beside those of admin, whose tickets are others.
 *
 * Bounds: HOPS_DESK_OPEN at a time; HOPS_DESK_WAITING of a worker wait, more are answered at once
 * that nothing is known.
 */
#ifndef ROLE_HOPS_DESK_H
#define ROLE_HOPS_DESK_H

#include "base/list.h"
#include "directory/config.h"
#include "role/hops_message.h"

#define HOPS_DESK_OPEN	  8
#define HOPS_DESK_WAITING 256
/* Tickets from here on are the desk's; admin's own are smaller. */
#define HOPS_DESK_TICKETS 0xf0000000u

struct hops_desk {
	void *context;
	/* delivery_hosts(): answered by hops_desk_answer(), perhaps at once. */
	void (*ask)(void *context, uint32_t ticket, struct span request);
	void (*tell)(void *context, uint8_t worker, uint32_t request, struct span reply);
	struct list waiting[CONFIG_WORKERS];
	uint32_t counts[CONFIG_WORKERS];
	struct hops_open {
		bool used;
		bool orphaned; /* the worker is gone */
		uint8_t worker;
		uint32_t request;
	} open[HOPS_DESK_OPEN];
	uint8_t turn; /* the worker whose turn was last */
	bool busy;    /* starting */
};

void hops_desk_init(struct hops_desk *desk);
void hops_desk_ask(struct hops_desk *desk, uint8_t worker, uint32_t request, struct span query);
/* False: it is not one of the desk's. */
bool hops_desk_answer(struct hops_desk *desk, uint32_t ticket, struct span json);
void hops_desk_worker_gone(struct hops_desk *desk, uint8_t worker);

#endif
