/*
 * Inside the queue: its records, and what its files ask of each other. Nothing outside src/queue
 * includes this but its tests.
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
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/list.h"
#include "directory/retry_text.h"
#include "queue/heap.h"
#include "queue/idtree.h"
#include "queue/intern.h"
#include "queue/queue.h"
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

enum down { DOWN_NOT, DOWN_FAILED, DOWN_THROTTLED };

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
	uint32_t failures;	    /* real ones, ever */
	uint32_t throttled;	    /* answers in a row that were all 4xx */
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

/* ---- clock.c -------------------------------------------------------------------------------- */

void queue_clock_set(struct queue *q, int64_t now);
int64_t queue_clock_wall(const struct queue *q, int64_t clock); /* as people read it */
int64_t queue_clock_of(const struct queue *q, int64_t wall);	/* not after now */
int64_t vclock(const struct queue *q, const struct transport_record *t);
int64_t sub_clamped(int64_t a, int64_t b); /* a - b within ± QUEUE_AGE_MOST_MS */

/* ---- unit.c: records and their parts -------------------------------------------------------- */

/* The recipients that a unit is made of. */
struct unit_rcpt {
	uint32_t rcpt, domain, destination;
	bool priority;
};
int unit_set_rcpts(struct queue *q, struct unit *u, const struct unit_rcpt *rcpts, uint32_t count);
void unit_drop_rcpts(struct queue *q, struct unit *u);
/* Keeps those for which keep() is true of their position (at least one). Takes no memory. */
typedef bool (*unit_keep)(const void *with, uint32_t at);
void unit_keep_rcpts(struct queue *q, struct unit *u, unit_keep keep, const void *with);
struct extra *unit_extra(struct queue *q, struct unit *u); /* made if need be; NULL: no memory */
void unit_drop_hold(struct queue *q, struct unit *u);
/* Only says who holds it; moving it is the caller's. ERR_NOMEM: nothing is changed. */
int unit_set_hold(struct queue *q, struct unit *u, const struct pause *hold);
/* Without what nobody needs any more. */
void unit_tidy_extra(struct queue *q, struct unit *u);
/* Who holds it, why, and where it was rerouted to, of another one instead of its own; that has none
 * then. `to` has an extra. */
void unit_take_names(struct queue *q, struct unit *to, struct unit *from);
/* A unit like another one (wherever that is), not in any place, without recipients; linked in after
 * `after`, of the same message. 0: no memory. */
uint32_t unit_clone(struct queue *q, uint32_t like, uint32_t after);
/* Out of any place already; frees it, unlinks it from its message. */
void unit_free(struct queue *q, uint32_t unit);
/* Tells ended() and forgets the unit (out of any place), and the message after its last one; where
 * keep() says that it cannot be given up, it is held. */
void unit_end(struct queue *q, uint32_t unit, enum queue_end_why why);
/* Forgets a unit (out of any place); changed() or finished() of its message. */
void unit_forget(struct queue *q, uint32_t unit);
void unit_describe_end(struct queue *q, struct unit *u, enum queue_end_why why,
	struct verdict *verdict, struct queue_end *out);
/* As much of a text as is kept. */
struct span unit_text(struct span text);
int unit_find(const struct queue *q, uint64_t id, uint32_t unit, uint32_t *message);

/* ---- reply.c -------------------------------------------------------------------------------- */

/* 0 where there is no memory: then nothing is remembered. */
uint32_t last_reply_take(struct queue *q, const struct verdict *verdict);
bool last_reply_verdict(const struct queue *q, uint32_t reply, struct verdict *out);
void last_reply_set(struct queue *q, uint32_t *reply, uint32_t to); /* takes over a reference */

/* ---- place.c: every move of a unit ---------------------------------------------------------- */

extern const heap_moved unit_moved, warn_moved, wake_moved;

/* Out of its place; due and born become distances. */
void unit_lift(struct queue *q, uint32_t unit);
/* To where it belongs, which its flags, its domain's pause, due and its destination say. `front`:
 * before others that are ready. Splits units of several domains of which some are paused. */
void unit_place(struct queue *q, uint32_t unit, bool front);
/* The same, without splitting it. */
void unit_place_whole(struct queue *q, uint32_t unit, bool front);
/* To an active unit of the same message and destination. */
void unit_join(struct queue *q, uint32_t unit, uint32_t leader);
/* From a place of its destination to active; its clocks stay as they are. */
void unit_activate(struct queue *q, uint32_t unit);
/* Due has come: to the line of its class. */
void unit_ready(struct queue *q, uint32_t unit);
/* To another destination; in no place. */
void unit_move(struct queue *q, uint32_t unit, uint32_t destination);
/* Of one that is lined up: when it has waited long enough. */
void unit_arm_warning(struct queue *q, uint32_t unit);
void limbo_retry(struct queue *q);

/* ---- asked.c -------------------------------------------------------------------------------- */

/* To its destination's line now, whatever its due; it is not being tried. */
void unit_ask(struct queue *q, uint32_t unit);
/* In no place, after a try that failed: its own due is back. True: that has not come, so the try
 * was one more, and does not count. */
bool unit_asked_over(struct queue *q, struct unit *u);
/* When its own time comes, whatever was asked for. */
int64_t unit_own_due_in(const struct queue *q, const struct unit *u);
/* The next probe may be made at once. */
void destination_ask(const struct queue *q, struct destination *d);
/* A probe is over and settled nothing. True: it was one more, and the planned one is next. */
bool destination_asked_over(const struct queue *q, struct destination *d);

/* ---- destination.c -------------------------------------------------------------------------- */

enum blocker {
	BLOCKER_NONE,
	BLOCKER_EMPTY,
	BLOCKER_PAUSED,
	BLOCKER_PROBING,
	BLOCKER_PROBE_WAIT,
	BLOCKER_LIMIT,
	BLOCKER_RATE,
	BLOCKER_BUSY,
};

struct transport_record *transport_find(const struct queue *q, struct span name);
/* Made with built-in settings where it is not there; NULL: no memory. */
struct transport_record *transport_get(struct queue *q, struct span name);
uint32_t destination_get(struct queue *q, struct span transport, struct span next_hop);
void destination_free(struct queue *q, uint32_t destination);
/* After anything changed: is it runnable, when is it to be looked at, is it empty? */
void destination_update(struct queue *q, uint32_t destination);
enum blocker destination_blocker(const struct queue *q, const struct destination *d);
uint32_t destination_limit(const struct queue *q, const struct destination *d);
uint32_t destination_ready(const struct destination *d, int class); /* while it is up */
uint32_t destination_lined_up(const struct destination *d);	    /* of all classes */
/* The share that its next one needs room in. */
enum share destination_share(const struct destination *d);
void runnable_remove(struct queue *q, struct destination *d);
/* When the rate lets the next one start; the past: now. */
int64_t destination_rate_time(const struct queue *q, const struct destination *d);
void destination_count_rate(struct queue *q, struct destination *d);
void linger_run(struct queue *q);

/* ---- schedule.c ----------------------------------------------------------------------------- */

/* There was no memory for a wake-up: every destination is looked at, until there is. */
void find_lost_wakes(struct queue *q);
/* From its next try to its last. */
int64_t retries_left_ms(const struct transport_record *t, uint32_t attempts);

/* No connection is to be opened now, for want of something here. */
static inline bool queue_is_short(const struct queue *q)
{
	return q->clock < q->short_until;
}

/* ---- turn.c --------------------------------------------------------------------------------- */

uint32_t share_most(const struct queue *q, enum share share);
/* The widest share on the way to this one that has no room. */
enum share share_full(const struct queue *q, enum share share, bool *full);
/* The destination that may start something now, or NULL. */
struct destination *turn_next(const struct queue *q);

/* ---- outage.c ------------------------------------------------------------------------------- */

void destination_success(struct queue *q, struct destination *d);
/* A failure of the destination itself. */
void destination_failure(struct queue *q, struct destination *d, enum down why, bool probe,
	const struct verdict *verdict);
void destination_come_up(struct queue *q, struct destination *d);
/* Its probe said nothing. */
void destination_probe_again(struct queue *q, struct destination *d);
/* One that is in no place is not due before a retry of it would be. */
void unit_put_off(struct queue *q, struct unit *u);
/* Counts an attempt of a unit that is in no place; false: it ended. */
bool unit_attempted(struct queue *q, uint32_t unit);
/* The same, for one in a place, since its destination is down. */
void unit_virtual_attempt(struct queue *q, uint32_t unit);

/* ---- split.c -------------------------------------------------------------------------------- */

/* Recipients that an active unit is being tried for, with those of units that are joined to it. */
uint32_t split_attempt_count(const struct queue *q, const struct unit *leader);
/* One that is joined to it, or 0. */
uint32_t split_joined(const struct queue *q, uint32_t leader);
/* Drops those of the unit that are decided (kinds are those of the whole attempt); false: it has
 * none that are left, and is as it was. */
bool split_keep_left(
	struct queue *q, uint32_t unit, uint32_t leader, const enum verdict_kind *kinds);
/* Its attempt is over, and so is what is known of it. */
void split_attempt_over(struct queue *q, uint32_t leader);
/* Drops those that are decided from all units of an attempt that goes on. */
void split_partly(struct queue *q, uint32_t leader, const enum verdict_kind *kinds);

/* ---- admin.c -------------------------------------------------------------------------------- */

/* The units that are meant: calls act() for each; the message may be gone after the last. */
typedef int (*unit_act)(struct queue *q, uint32_t unit, const void *with);
int unit_each(struct queue *q, uint64_t id, uint32_t unit, unit_act act, const void *with);

/* ---- route.c -------------------------------------------------------------------------------- */

/* Asks route() for each recipient of rcpts[] and fills in the rest. ERR_NOMEM: what was taken is
 * given back. */
int route_rcpts(struct queue *q, const struct envelope *envelope, struct span reroute,
	struct unit_rcpt *rcpts, uint32_t count);
void route_give(struct queue *q, struct unit_rcpt *rcpts, uint32_t count);
/* Spreads the recipients over the unit (in no place, without recipients) and clones of it, one for
 * each destination; they take over the domains. *last: the last of them in the message's chain.
 * ERR_NOMEM: the unit and rcpts[] are as they were. */
int route_spread(struct queue *q, uint32_t unit, const struct unit_rcpt *rcpts, uint32_t count,
	uint32_t *last);

/* ---- pause.c -------------------------------------------------------------------------------- */

const struct pausing *domain_pausing(const struct queue *q, uint32_t domain);
/* Of any of its recipients' domains; NULL: none is paused. */
const struct pausing *unit_pausing(const struct queue *q, const struct unit *u);
/* The wall clock at which the unit's own clock stands, or now. */
int64_t unit_wall(const struct queue *q, const struct unit *u);
/* due and born as distances, wherever it is. */
int64_t unit_due_in(const struct queue *q, const struct unit *u);
int64_t unit_age(const struct queue *q, const struct unit *u);

/* ---- past.c --------------------------------------------------------------------------------- */

/* A pause is over. Without memory it is not remembered, and costs those a retry that are loaded
 * after it. */
void past_add(
	struct queue *q, enum queue_scope scope, struct span name, int64_t since, int64_t until);
/* How long a unit was paused in this time (wall), by pauses that are over. */
int64_t past_between(const struct queue *q, const struct unit *u, int64_t from, int64_t to);
void past_done(struct queue *q);

/* ---- state.c -------------------------------------------------------------------------------- */

/* One unit of a saved state. Its recipients are rcpts[0 … count). */
struct saved_unit {
	uint32_t flags; /* enum unit_flags */
	uint32_t attempts, count;
	int64_t read_wall; /* when its clock was read */
	int64_t due_wall, correction, hold_since;
	struct span by, reason, reroute;
	bool has_reply;
	struct verdict reply;
};
struct saved {
	struct cursor in;
	uint8_t version;
	uint64_t units;	     /* that are still to come */
	uint32_t rcpt_count; /* of the envelope */
	int64_t arrived;
	uint8_t *taken; /* bits: recipients that a unit has */
};
int saved_open(struct saved *saved, struct span state, const struct envelope *envelope);
/* ERR_NOT_FOUND: there are no more. rcpts[] has room for all of the envelope's. */
int saved_next(struct saved *saved, struct saved_unit *out, struct unit_rcpt *rcpts);
void saved_close(struct saved *saved);

#define SAVED_TEXT 255 /* bytes that are kept of a name or a reason */

/* ---- check.c -------------------------------------------------------------------------------- */

/* Of queue_check(), what can be seen of one message, of one destination; true: it is sound. */
bool check_message(const struct queue *q, uint32_t message, struct buf *problem);
bool check_destination_goes_on(const struct queue *q, uint32_t destination, struct buf *problem);

/* ---- why.c ---------------------------------------------------------------------------------- */

enum queue_state unit_state(const struct queue *q, const struct unit *u);

#endif
