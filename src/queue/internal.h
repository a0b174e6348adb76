/*
 * Inside the queue: what its files ask of each other. Nothing outside src/queue includes this but
 * its tests.
 */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include "queue/records.h"

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
/* 0: there is none. */
uint32_t destination_find(const struct queue *q, struct span transport, struct span next_hop);
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
