/*
 * What the queue is made of: messages, units, destinations, transports, pauses. Nothing outside
 * src/queue includes this but its tests.
 *
 * Three clocks:
 *   wall     as handed in; only for people, and for what is saved
 *   clock    the queue's own; starts at the wall's value, never goes back (queue_clock_set())
 *   vclock   of a transport: the clock without the time in which the transport was paused; it
 *            stands still during a pause. unit.due and unit.born are in this one, so that a resume
 *            moves all of a transport's units at once.
 * A unit that is in a place where its own clock stands still (held, paused by its domain, limbo, or
 * on its way from one place to another) has `due` and `born` as distances instead: due in so many
 * milliseconds, this old.
 */
#ifndef QUEUE_RECORDS_H
#define QUEUE_RECORDS_H

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/list.h"
#include "directory/retry_text.h"
#include "queue/heap.h"
#include "queue/idtree.h"
#include "queue/intern.h"
#include "queue/look.h"
#include "queue/ring.h"
#include "queue/slab.h"

#define QUEUE_AGE_MOST_MS     (10ll * 365 * 24 * 3600 * 1000) /* older, or further off, is noise */
#define QUEUE_REPLY_POOL      (64u << 20) /* bytes of last replies; above, only codes are kept */
#define QUEUE_TRANSPORTS_MOST (1u << 20)
#define DOMAIN_MIXED	      UINT32_MAX

enum place {
	PLACE_NONE,    /* on its way; never between two calls */
	PLACE_READY,   /* in its destination's line; due has come */
	PLACE_WAITING, /* has waited for its destination: ready while that is up, else due counts */
	PLACE_DEFERRED, /* until due, whatever its destination does */
	PLACE_ACTIVE,
	PLACE_HELD,
	PLACE_PAUSED, /* by its domain */
	PLACE_LIMBO,  /* no memory to line it up */
	PLACE_JOINED, /* split from an active unit, whose attempt it shares (split.c) */
};

enum unit_flags {
	UNIT_PRIORITY = 1 << 0,
	UNIT_PRIORITY_SET = 1 << 1, /* by an administrator; else route() says */
	UNIT_WAITS = 1 << 2,	    /* its last failure was its destination's, not its own */
	UNIT_WARNED = 1 << 3,
	UNIT_HOLD = 1 << 4,
	UNIT_DNS = 1 << 5,
	/* while active: what becomes of what is left */
	UNIT_BOUNCE = 1 << 6,
	UNIT_DELETE = 1 << 7,
	UNIT_REROUTE = 1 << 8, /* queue_reroute_again() is owed */
	UNIT_NULL = 1 << 9,    /* from the null sender */
	/* while active: shares that it has part of */
	UNIT_LOOKED_UP = 1 << 10,
	UNIT_OF_NULL_SHARE = 1 << 11,
	UNIT_ASKED = 1 << 12, /* somebody wants it tried before its own time (asked.c) */
};

/* Lines of a destination. What is prioritised goes first, the others take turns. */
enum class { CLASS_ORDINARY, CLASS_PRIORITY, CLASS_NULL, CLASSES };

/* Parts of all connections, each within the one before (turn.c). */
enum share { SHARE_ALL, SHARE_LOOKED_UP, SHARE_NULL, SHARES };

struct message {
	uint64_t id; /* never 0 */
	int64_t arrived;
	uint64_t size;
	uint32_t first_unit;
	uint32_t rcpt_count;
};

struct unit {
	uint32_t message, next; /* next of the same message */
	uint32_t destination;
	uint32_t slot; /* ready: ticket; waiting, deferred: place; limbo: next; joined: leader */
	uint32_t warn_place;
	uint32_t reply; /* the last one */
	uint32_t extra;
	uint32_t domain; /* or DOMAIN_MIXED, then each recipient has its own */
	uint32_t rcpt_count;
	uint32_t seen; /* destination.failures at its last attempt */
	uint32_t attempts;
	uint16_t flags;
	uint8_t place;
	int64_t since; /* clock: it is in its place */
	int64_t due;   /* vclock, or a distance */
	int64_t born;  /* vclock, or the age */
	union {
		uint32_t one;
		uint32_t *many; /* indexes; with DOMAIN_MIXED as many domains after them */
	} rcpts;
};

/* What few units have. */
struct extra {
	uint32_t by, reason, reroute; /* names */
	int64_t hold_since;	      /* wall */
	int64_t own_due;	      /* of one that is asked for: as `due`, which is past then */
	uint32_t *attempt;	/* of one that others are joined to: all recipients that it … */
	uint32_t attempt_count; /* … is being tried for */
};

struct pausing {
	int64_t since; /* wall, as people read it; 0: not paused */
	int64_t clock; /* since when clocks stand still */
	uint32_t by, reason;
};

/* A pause that is over. */
struct past {
	enum queue_scope scope;
	uint32_t name;	      /* of names, or domains */
	int64_t since, until; /* wall */
};

struct domain_pause {
	uint32_t domain; /* 0: free */
	struct pausing pausing;
};

struct transport_record {
	uint32_t name;
	struct retry_step retry[RETRY_STEPS];
	uint32_t retry_steps, retry_count, delay_warning_s, connections, rate_per_minute;
	struct pausing pausing;
	uint32_t blockers; /* its own pause and the one of everything: 0, 1 or 2 */
	int64_t freeze;	   /* clock: stands still since */
	int64_t shift;	   /* paused time so far */
	uint32_t units;
	struct list destinations;
};

enum down {
	DOWN_NOT,
	DOWN_FAILED,	/* it cannot be reached */
	DOWN_THROTTLED, /* it is there, and takes nothing */
};

struct destination {
	uint32_t transport; /* position + 1 */
	uint32_t self;	    /* its own number */
	uint32_t next_hop;
	uint32_t hash_next;
	uint32_t units; /* all that are its own, wherever they are */
	uint32_t active, held, paused, limbo, joined;
	struct ring ready[CLASSES];
	struct heap waiting[CLASSES], deferred, warn;
	uint8_t down;		    /* enum down */
	uint8_t turn;		    /* starts since an ordinary one had its turn */
	bool null_turn;		    /* of the others, the null sender's is next */
	uint8_t runnable_share;	    /* the list that it is in */
	uint8_t reused;		    /* starts by queue_next_for() in a row */
	uint32_t probe_unit;	    /* that finds out right now; 0: none */
	uint32_t failures;	    /* times that it could not be reached, ever */
	uint32_t throttled;	    /* attempts in a row that got a 4xx about the server */
	uint32_t ramp, ramp_credit; /* ramp 0: as many as the transport says */
	uint32_t reply;		    /* how it failed last */
	uint32_t wake_place;
	uint32_t open_unit;   /* while units are made: the one that takes more recipients … */
	uint64_t open_serial; /* … for this operation */
	int64_t down_since, up_since, last_success, last_failure, next_probe; /* clock */
	int64_t planned_probe; /* clock: the one that stands when the one asked for fails; 0: none
				*/
	int64_t probe_step;
	int64_t rate_at_us; /* clock in microseconds: the next start is due by rate */
	int64_t empty_since;
	int64_t busy_until; /* clock: its hosts take no further session */
	uint32_t busy_limit;
	uint64_t runnable_serial;
	struct list runnable; /* something can start now, or empty */
	struct list linger;
	struct list of_transport; /* next is NULL in a free item */
	void *user;
};

struct queue {
	const struct queue_ops *ops;
	void *context;
	struct prng prng;
	struct mem mem;
	int64_t wall, clock;
	uint32_t connections, active, active_looked_up, active_null;
	uint64_t serial; /* of operations that make units */
	struct slab messages, units, extras, destinations;
	struct idtree ids;
	struct intern names, domains,
		replies; /* tags: transport position + 1; pause position + 1 */
	struct transport_record **transports;
	uint32_t transport_count, transport_room;
	uint32_t *table; /* of destinations, chained by hash_next */
	uint32_t table_room;
	struct pausing pausing; /* of everything */
	struct domain_pause *domain_pauses;
	uint32_t domain_pause_room;
	uint32_t domain_pause_count;
	struct past *past; /* by their ends */
	uint32_t past_count, past_room;
	uint64_t pauses_version;
	struct heap wakes; /* destinations by clock */
	struct list runnable[SHARES], linger;
	uint32_t runnable_count;
	uint64_t runnable_serial;
	uint32_t linger_count;
	int64_t short_since, short_until; /* clock: something is short here */
	uint32_t short_reply;		  /* what */
	uint64_t guard_after;		  /* guard.c: messages up to this one are looked at … */
	uint32_t guard_destination;	  /* … and destinations up to this one */
	uint32_t limbo;			  /* first unit in limbo */
	bool wakes_lost;		  /* there was no memory for an entry of wakes */
};

static inline struct message *message_at(const struct queue *q, uint32_t at)
{
	return slab_at(&q->messages, at);
}

static inline struct unit *unit_at(const struct queue *q, uint32_t at)
{
	return slab_at(&q->units, at);
}

static inline struct extra *extra_at(const struct queue *q, uint32_t at)
{
	return slab_at(&q->extras, at);
}

static inline struct destination *destination_at(const struct queue *q, uint32_t at)
{
	return slab_at(&q->destinations, at);
}

static inline struct transport_record *transport_of(
	const struct queue *q, const struct destination *d)
{
	return q->transports[d->transport - 1];
}

static inline const uint32_t *unit_rcpts(const struct unit *u)
{
	return u->rcpt_count == 1 && u->domain != DOMAIN_MIXED ? &u->rcpts.one : u->rcpts.many;
}

static inline uint32_t unit_domain(const struct unit *u, uint32_t rcpt)
{
	return u->domain == DOMAIN_MIXED ? u->rcpts.many[u->rcpt_count + rcpt] : u->domain;
}

static inline int unit_class(const struct unit *u)
{
	if (u->flags & UNIT_PRIORITY)
		return CLASS_PRIORITY;
	return u->flags & UNIT_NULL ? CLASS_NULL : CLASS_ORDINARY;
}

/* By lookup-mx: whoever wrote the address chose where it goes. */
static inline bool destination_looked_up(const struct destination *d)
{
	return d->next_hop != 0;
}

/* It is being tried. */
static inline bool unit_is_tried(const struct unit *u)
{
	return u->place == PLACE_ACTIVE || u->place == PLACE_JOINED;
}

#endif
