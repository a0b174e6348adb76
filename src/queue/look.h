/*
 * Looking into the queue: why something is not being tried now, what there is, and how much.
 * Changes nothing but queue_probe(), which asks a destination at once.
 */
#ifndef QUEUE_LOOK_H
#define QUEUE_LOOK_H

#include "queue/queue.h"

/* ---- why ------------------------------------------------------------------------------------ */

enum queue_state { /* as filters and summaries know it */
	QUEUE_READY,
	QUEUE_ACTIVE,
	QUEUE_DEFERRED,
	QUEUE_HELD,
	QUEUE_PAUSED,
	QUEUE_DOWN,
	QUEUE_STATES
};
/* "ready", "active", …; never NULL. */
const char *queue_state_name(enum queue_state state);

enum queue_why_kind {
	QUEUE_WHY_READY,	     /* starts as soon as `behind` others have started */
	QUEUE_WHY_LIMIT_DESTINATION, /* `limit` units of its destination are active; behind */
	QUEUE_WHY_LIMIT_RATE,	     /* `limit` a minute; the next start is at `until`; behind */
	QUEUE_WHY_LIMIT_HOST,	   /* its hosts have the `limit` sessions that one may have, of all
				    * destinations; tried again at `until`; behind */
	QUEUE_WHY_LIMIT_LOOKED_UP, /* the `limit` connections of mail by lookup-mx are in use;
				      behind */
	QUEUE_WHY_LIMIT_NULL,	   /* likewise of the null sender's mail by lookup-mx */
	QUEUE_WHY_LIMIT_ALL,	   /* `limit` units are active, all destinations together; behind */
	QUEUE_WHY_SHORTAGE, /* since `since` something is short here, says `verdict`; tried again at
			     * `until`; behind */
	QUEUE_WHY_ACTIVE,   /* being tried since `since` */
	QUEUE_WHY_DNS,	    /* being tried; waits for DNS since `since` */
	QUEUE_WHY_DEFERRED, /* until `until`, after `attempts`, the last with `verdict` */
	QUEUE_WHY_DOWN,	    /* its destination, since `since`, last with `verdict`; next
			     * probe at `until`, or `probing` right now; its own clock: own_until */
	QUEUE_WHY_PAUSED_ALL, /* by `by` since `since`, `reason` */
	QUEUE_WHY_PAUSED_TRANSPORT,
	QUEUE_WHY_PAUSED_DOMAIN,
	QUEUE_WHY_HELD,	  /* by `by` since `since`, `reason` */
	QUEUE_WHY_MEMORY, /* no memory to line it up; looked at again at each queue_run() */
};

struct queue_why {
	enum queue_why_kind kind;
	enum queue_state state;
	int64_t since_ms;
	int64_t until_ms;     /* 0: does not apply; for a deferred one that is paused or held as
			       * well: 0, as its clock stands still */
	int64_t own_until_ms; /* DOWN: when its own retry clock comes next; 0: it waits for a probe
			       */
	uint32_t behind;      /* units of its destination that start before it, as things are … */
	bool behind_more;     /* … and at least as many, when they were not all counted */
	uint32_t limit;
	uint32_t attempts;
	bool probing;
	bool has_verdict;
	struct verdict verdict; /* last heard about the unit, or (DOWN) about the destination */
	struct span by, reason; /* until the queue changes */
};

/* The exact answer at this moment. Of `behind` about QUEUE_BEHIND_MOST are counted one by one, so
 * that the answer costs the same in a queue of any length. ERR_NOT_FOUND. */
int queue_why(struct queue *queue, uint32_t unit, int64_t now, struct queue_why *out);

/* ---- listing -------------------------------------------------------------------------------- */

struct queue_message_info {
	uint64_t id;
	int64_t arrived_ms;
	uint64_t size;
	uint32_t rcpt_count; /* in its envelope */
	uint32_t waiting;    /* recipients that are not done */
	uint32_t first_unit; /* then queue_unit_info.next */
};
int queue_message_info(const struct queue *queue, uint64_t id, struct queue_message_info *out);

/* Ids after the cursor (0: from the start), ascending, up to `room`; returns how many. */
size_t queue_page(const struct queue *queue, uint64_t after, uint64_t *ids, size_t room);

struct queue_unit_info {
	uint32_t unit, next; /* next: of the same message; 0: no more */
	uint32_t destination;
	uint64_t id;
	enum queue_state state;
	bool priority, warned;
	bool held; /* also while it is being tried: then it is afterwards */
	uint32_t attempts;
	int64_t since_ms;    /* it is where it is */
	int64_t next_try_ms; /* 0: now, or its clock stands still */
	int64_t give_up_ms;  /* its last try, if nothing else happens; 0: its clock stands still */
	struct span transport, next_hop, reroute;
	struct span domain;    /* of its recipients; empty: several */
	const uint32_t *rcpts; /* indexes in the envelope */
	uint32_t rcpt_count;
};
int queue_unit_info(struct queue *queue, uint32_t unit, int64_t now, struct queue_unit_info *out);
/* The last reply that a unit got; ERR_NOT_FOUND where it has none. */
int queue_unit_verdict(const struct queue *queue, uint32_t unit, struct verdict *out);

struct queue_counts {
	uint64_t units[QUEUE_STATES];
	uint64_t joined;   /* of the active ones: split from another one that is being tried */
	uint64_t messages; /* only of the whole queue */
};
void queue_totals(struct queue *queue, struct queue_counts *out);

struct queue_destination_info {
	uint32_t destination;
	struct span transport, next_hop;
	struct queue_counts counts;
	bool down, probing;
	int64_t down_since_ms; /* 0: it is not */
	int64_t next_probe_ms;
	uint32_t limit; /* units that may be active now (it ramps up after an outage) */
	uint32_t active;
	bool has_verdict;
	struct verdict verdict; /* how it failed last, unless it has worked since */
	int64_t failed_ms;	/* when */
};
/* The next destination after the handle `after` (0: the first) in stable order; those that linger
 * empty are left out. ERR_NOT_FOUND: no more. */
int queue_destination_next(struct queue *queue, uint32_t after, struct queue_destination_info *out);
int queue_destination_info(
	struct queue *queue, uint32_t destination, struct queue_destination_info *out);
/* By its transport's name and its next hop (empty: the transport's fixed server); also one that
 * lingers empty. ERR_NOT_FOUND: nothing went there lately. */
int queue_destination_find(struct queue *queue, struct span transport, struct span next_hop,
	struct queue_destination_info *out);

/* Asks one that is down at once, whatever its units' own clocks say. ERR_NOT_FOUND: it is not down,
 * or paused, or is being asked already. */
int queue_probe(struct queue *queue, uint32_t destination, int64_t now);

struct queue_transport_info {
	struct span name;
	uint32_t destinations, down;
	struct queue_counts counts;
};
/* By position, 0 first; ERR_NOT_FOUND: no more. Adds up its destinations. */
int queue_transport_info(struct queue *queue, uint32_t at, struct queue_transport_info *out);

#endif
