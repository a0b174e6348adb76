/*
 * The queue: what is tried when, and for everything that is not being tried an exact answer to
 * "why not now". Pure: time comes in, decisions come out; addresses and bodies stay in the spool.
 *
 *   message      what the spool keeps under one id
 *   unit         those of its recipients that go to one destination together; recipients are known
 *                by their index in the envelope
 *   destination  a transport and a next hop: one for a fixed server (next hop empty), one per
 *                recipient domain for lookup-mx, one for the mailboxes
 *
 * Every unit is in exactly one place: ready, active, deferred until T, held, paused by its domain,
 * or waiting for its destination, which may be down, paused, or at a limit. queue_why() says which;
 * queue_check() proves it.
 *
 * Time: `now` is the wall clock in milliseconds at every call. Inside runs a clock of the queue's
 * own: it never goes back, and one call moves it on by at most QUEUE_GAP_MOST_MS. So a wall clock
 * that is set back delays nothing, and one that leaps ahead lets nothing burst. For that to hold,
 * call queue_run() whenever queue_next_time() says: it is never further away than QUEUE_TICK_MS
 * while anything is queued.
 *
 * Outages (outage.c, result.c). A destination is down
 *   - where it cannot be reached at all: DNS, connection, greeting, EHLO, TLS;
 *   - where it throttles: QUEUE_THROTTLED attempts in a row got a 4xx that is about the session or
 *     the server (421, "out of space"), and nothing was taken over or refused for good between.
 * A 4xx about some mail (to RCPT, or with a code about a mailbox or the content) is that mail's
 * own: it waits for its own retry, and nobody else does. Such replies take nothing down however
 * many there are, as whoever may send can cause them at will; where a hop does mean everybody, it
 * is asked once per mail and retry, which its schedule allows anyway. They end an outage, as what
 * gives them is there.
 * Down, a destination is probed by one unit at a time, with growing intervals: those that were
 * never tried go first, the others take turns, so that no mail that always fails keeps the rest
 * waiting.
 *
 * Retries: a transport's retry-count counts retries, so a unit is given up when attempt
 * retry-count + 1 fails. While a destination cannot be reached the units' own clocks go on: when a
 * unit's time comes and that failed for real since its last attempt, it counts as its attempt
 * ("virtual"), and why it cannot be reached is the unit's last reply. While a destination throttles
 * there are no such attempts: what it said was said to others, so each unit is given up only after
 * replies of its own, later than its schedule if need be. What is tried before its own time, as a
 * probe, as its destination is back, or as somebody asks for it (asked.c), is tried beside the
 * schedule: that counts for nothing unless its time comes meanwhile. So nothing is given up that
 * was never tried itself, unless its destination could not be reached after its arrival, its last
 * attempt, or a restart.
 *
 * Owner: the delivery role; one thread. Handles of units and destinations are small integers, never
 * 0. A unit's handle is good while the unit exists: from queue_next() to queue_unit_result(), or
 * within one turn of the loop for what a listing gave.
 *
 * Bounds: O(log n) per operation; queue_run() does at most QUEUE_RUN_STEP moves a call. What says
 * "goes over all units" is for administrators. About 200 bytes per message with one recipient.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/buf.h"
#include "base/prng.h"
#include "base/span.h"
#include "codec/envelope.h"
#include "codec/verdict.h"
#include "directory/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_TICK_MS	     60000	       /* queue_run() is wanted at least so often */
#define QUEUE_GAP_MOST_MS    (5ll * 60 * 1000) /* a longer gap between two calls is a clock jump */
#define QUEUE_RUN_STEP	     2000	       /* units moved by one queue_run() */
#define QUEUE_PROBE_FIRST_MS 5000 /* a destination that is down: first probe after … */
#define QUEUE_PROBE_MOST_MS  (5ll * 60 * 1000) /* … doubling up to this, each with up to … */
#define QUEUE_PROBE_JITTER   5		       /* … 1/5 added or taken away */
#define QUEUE_THROTTLED	     20		       /* 4xx about the server in a row: down, too … */
#define QUEUE_PROBE_THROTTLED_MS \
	60000 /* … and asked more often, as it is there and one mail a minute is no load */
#define QUEUE_PROBE_LOOK    1000 /* places in line that are looked at for one never tried */
#define QUEUE_ORDINARY_TURN 10	 /* every 10th start is ordinary when both kinds wait */
#define QUEUE_REUSE_FULL    10	 /* starts on one connection while others lack one */
#define QUEUE_LINGER_MS	    (10ll * 60 * 1000) /* an empty destination is remembered so long … */
#define QUEUE_LINGER_MOST   10000	       /* … and at most so many of them */
#define QUEUE_SHORTAGE_MS                                                                       \
	1000		      /* after a shortage of our own, until connections are tried again \
			       */
#define QUEUE_SHARE_KEPT    4 /* 1/4 of all connections is kept from mail by lookup-mx … */
#define QUEUE_SHARE_NULL    4 /* … which may have 1/4 of all, not more, for the null sender's */
#define QUEUE_BUSY_MS	    2000 /* after a host had too many sessions, until it is tried again */
#define QUEUE_BEHIND_MOST   1000
#define QUEUE_PAST_MOST	    500	 /* pauses that are over and remembered: the last ones */
#define QUEUE_PAST_LEAST_MS 1000 /* shorter ones are not worth it */
#define QUEUE_NEVER	    INT64_MAX
#define QUEUE_SELF	    "postern" /* who holds what we hold by ourselves */
#define QUEUE_ALL_UNITS	    0u	      /* for `unit`: every unit of the message */

struct queue;

/* Where a recipient goes. Spans need to live only until the callback's caller returns. */
struct queue_route {
	struct span transport; /* name; settings come by queue_set_transport() */
	struct span next_hop;  /* what tells destinations of a transport apart: the recipient domain
				* for lookup-mx, empty for a fixed server and for the mailboxes */
	struct span domain;    /* the recipient's domain, for pauses and filters */
	bool priority;	       /* a priority rule matches this recipient */
};

enum queue_end_why {
	QUEUE_EXPIRED, /* the retries are used up: DSN or discard, as the transport says */
	QUEUE_BOUNCED, /* an administrator wants it reported as failed */
	QUEUE_DELETED, /* an administrator wants it gone; no DSN */
};

/* Recipients that are given up, or (for warned()) told of a delay. */
struct queue_end {
	uint64_t id;
	enum queue_end_why why;
	struct span transport, next_hop;
	const uint32_t *rcpts; /* their indexes in the envelope, ascending */
	uint32_t rcpt_count;
	uint32_t attempts;	       /* made so far, virtual ones among them */
	const struct verdict *verdict; /* what was last heard; NULL: nothing, ever */
	/* for warned() */
	int64_t next_try_ms; /* when it is tried next; 0: as soon as possible */
	int64_t give_up_ms;  /* when the last retry comes, if nothing else happens */
};

/*
 * What the queue asks of and tells the delivery core. All but route() must not call back into
 * the queue; they may note ids and act when the call that they came from has returned.
 */
struct queue_ops {
	/* Where recipient `rcpt` goes now. `reroute` is the name of the transport that an
	 * administrator chose instead of the directory's; empty: none. Always gives an answer: what
	 * has no route goes to a destination of the core's own, which fails it when it is
	 * started. */
	void (*route)(void *context, const struct envelope *envelope, uint32_t rcpt,
		struct span reroute, struct queue_route *out);
	/* Asked before recipients are given up, but for a deletion: why they cannot be, since
	 * nobody could be told; empty: they can. They are held by QUEUE_SELF then, with that as the
	 * reason. May be NULL. The text needs to live only until the callback's caller returns. */
	struct span (*keep)(void *context, uint64_t id);
	/* These recipients are given up and leave the queue: make the DSN, the event. Comes before
	 * changed() or finished() of the same message. */
	void (*ended)(void *context, const struct queue_end *end);
	/* They waited longer than transport.delay_warning_s; said once. */
	void (*warned)(void *context, const struct queue_end *end);
	/* The state of a message should be kept: queue_state_encode(). May come more than once in a
	 * call. Virtual attempts do not ask for it; a checkpoint takes them along. */
	void (*changed)(void *context, uint64_t id);
	/* No recipient is left; the queue has forgotten the message. */
	void (*finished)(void *context, uint64_t id);
	/* An attempt ended for a unit that was rerouted meanwhile: read its envelope and call
	 * queue_reroute_again(); until then it goes on where it was. */
	void (*reroute)(void *context, uint64_t id);
	/* A destination is forgotten; `user` is what queue_destination_set_user() left. */
	void (*destination_gone)(void *context, uint32_t destination, void *user);
};

/* `seed` for jitter; `connections`: units active at a time, all destinations together. */
int queue_new(const struct queue_ops *ops, void *context, uint64_t seed, uint32_t connections,
	int64_t now, struct queue **out);
void queue_free(struct queue **queue);
/* Bytes in use, everything included. */
size_t queue_memory(const struct queue *queue);
void queue_set_connections(struct queue *queue, uint32_t connections, int64_t now);

/* ---- directory ------------------------------------------------------------------------------ */

/* Settings and pause of a transport, new or changed; also for names that are the core's own
 * (mailboxes). Known before the first message goes to it, else built-in settings are used. Goes
 * over all units where delay_warning_s changed. */
int queue_set_transport(struct queue *queue, const struct transport *transport, int64_t now);

/* Its mail goes another way from now on (another server, other credentials): what the old one did
 * says nothing about the new one. Its destinations are not down any more, what they put off is
 * tried at once, beginning with one at a time. Goes over the transport's deferred units. */
void queue_transport_moved(struct queue *queue, struct span name, int64_t now);

enum queue_scope { QUEUE_SCOPE_ALL, QUEUE_SCOPE_TRANSPORT, QUEUE_SCOPE_DOMAIN };

/* Pauses where pause->since_ms is set, else resumes; the same again changes nothing. On resume
 * all clocks go on as if no time had passed, and destinations that are down, of the transport or
 * with mail of the domain, are probed at once. Set before the messages are loaded, a pause counts
 * from since_ms. QUEUE_SCOPE_DOMAIN goes over all units. */
int queue_set_pause(struct queue *queue, enum queue_scope scope, struct span name,
	const struct pause *pause, int64_t now);
/* Domains that are paused, for comparing with a new snapshot: the name at or after `at` and the
 * position after it, or the empty span. */
struct span queue_paused_domain(const struct queue *queue, uint32_t *at);
/* The same of transports. */
struct span queue_paused_transport(const struct queue *queue, uint32_t *at);

/* All pauses, those that last and those that are over: what a restart must know of them, so that a
 * message that is loaded later has its paused time. Changes with the version. */
uint64_t queue_pauses_version(const struct queue *queue);
void queue_pauses_encode(const struct queue *queue, struct buf *out);
/* Before the first message. What lasted then is paused, by nobody, until queue_set_pause() says who
 * or that it is over. ERR_CORRUPT: as far as could be read; ERR_NOMEM. */
int queue_pauses_restore(struct queue *queue, struct span kept, int64_t now);

/* ---- messages ------------------------------------------------------------------------------- */

/*
 * Takes a message in. `state` is what queue_state_encode() gave before, empty for a new one.
 * ERR_EXISTS: the id is queued. ERR_NOT_FOUND: the state says that all recipients are done.
 * ERR_CORRUPT: the state is damaged (add it with an empty one: better twice than never).
 * ERR_SYNTAX: no recipients. ERR_NOMEM, ERR_LIMIT. Nothing is changed on failure. What an
 * administrator wanted bounced or deleted while it was being tried ends within this call.
 */
int queue_add(struct queue *queue, const struct envelope *envelope, struct span state, int64_t now);

/* Appends what must outlive a restart; returns false, appending nothing, where that is no more
 * than the envelope says (a new message). ERR_NOT_FOUND never: an unknown id gives false. */
bool queue_state_encode(const struct queue *queue, uint64_t id, struct buf *out);

uint64_t queue_messages(const struct queue *queue);

/* ---- scheduling ----------------------------------------------------------------------------- */

/* A unit that is to be tried now; it is active from here on. */
struct queue_start {
	uint32_t unit;
	uint32_t destination;
	uint64_t id;
	struct span transport, next_hop; /* live as long as the unit */
	struct span reroute;		 /* as in route(): an administrator's choice; or empty */
	const uint32_t *rcpts; /* indexes in the envelope, ascending; until the next call */
	uint32_t rcpt_count;
	uint32_t attempts; /* made before this one */
	bool priority;
	bool probe; /* the destination is down: this is the one that finds out */
	int64_t arrived_ms, ready_ms;
	uint64_t size;
};

/* Makes due what is due: promotes deferred units, counts virtual attempts, reports what is given
 * up and what is late. At most QUEUE_RUN_STEP moves; then queue_next_time() says `now`. */
void queue_run(struct queue *queue, int64_t now);

/* When to call queue_run() and queue_next() again: `now` where there is something to do at once;
 * QUEUE_NEVER where only a call can change anything (nothing queued). */
int64_t queue_next_time(struct queue *queue, int64_t now);

/* The next unit to start, destinations in turn. ERR_AGAIN: nothing may start now. */
int queue_next(struct queue *queue, int64_t now, struct queue_start *out);

/* The next for this destination, over a connection that is open and idle. ERR_AGAIN: close it
 * (or keep it idle): nothing is ready, a limit is reached, or others have waited for a
 * connection longer. */
int queue_next_for(struct queue *queue, uint32_t destination, int64_t now, struct queue_start *out);

/* An active unit waits for DNS, or no longer does; only for queue_why(). */
void queue_unit_set_dns(struct queue *queue, uint32_t unit, bool waits, int64_t now);

/* Some recipients of an attempt that goes on have their answer: of kinds[] those that are OK or
 * PERMANENT leave the queue, as below; the others, TEMPORARY here, stay with the unit, which is
 * still active. At least one of each. */
void queue_unit_partly(
	struct queue *queue, uint32_t unit, const enum verdict_kind *kinds, int64_t now);

/* Whom the replies to those that stay speak of. */
enum queue_answer {
	QUEUE_ANSWER_NONE,   /* nobody: trouble of our own, or the session broke off */
	QUEUE_ANSWER_MAIL,   /* this mail: its recipients, its sender, what is in it */
	QUEUE_ANSWER_SERVER, /* the session or the server: other mail would have got the same */
};

/*
 * An attempt ended with an answer about the message. kinds[i] is that of rcpts[i] of the start:
 * OK and PERMANENT leave the queue (the core has reported them), TEMPORARY stays for a retry or,
 * when retries are used up, comes back through ended(). `verdict` is the reply to those that
 * stay (NULL where none does). Where all stay, `answer` says what that means for others.
 */
void queue_unit_result(struct queue *queue, uint32_t unit, const enum verdict_kind *kinds,
	enum queue_answer answer, const struct verdict *verdict, int64_t now);

/*
 * The destination could not be asked: DNS, connection, greeting, EHLO, TLS. It goes down and
 * is probed, unless others got through since this attempt began: then its concurrency is halved.
 * The unit goes back; this counts as an attempt where its time had come.
 */
void queue_destination_failed(
	struct queue *queue, uint32_t unit, const struct verdict *verdict, int64_t now);

/* It was not tried after all (no descriptor, shutting down): back to the front, nothing counted. */
void queue_unit_put_back(struct queue *queue, uint32_t unit, int64_t now);

/* It could not be begun for a reason of its own that may pass (its envelope cannot be read at the
 * moment): tried again when a retry would be, nothing counted, so that it is never given up for
 * that. */
void queue_unit_postpone(
	struct queue *queue, uint32_t unit, const struct verdict *verdict, int64_t now);

/* It could not be begun as something is short here (descriptors, memory): back to the front,
 * nothing counted, nothing said of the destination. For QUEUE_SHORTAGE_MS queue_next() gives
 * nothing; open connections go on with queue_next_for(). `verdict` says what is short. */
void queue_unit_short(
	struct queue *queue, uint32_t unit, const struct verdict *verdict, int64_t now);

/* No further session may be opened to its hosts, which have `limit`: back to the front, nothing
 * counted, nothing said of the destination. For QUEUE_BUSY_MS it gets no turn; sessions that are
 * open go on with queue_next_for(). */
void queue_unit_busy(struct queue *queue, uint32_t unit, uint32_t limit, int64_t now);

/* A place for the core's own record of a destination (its connections). */
void queue_destination_set_user(struct queue *queue, uint32_t destination, void *user);
void *queue_destination_user(const struct queue *queue, uint32_t destination);

/* ---- administration: one message; unit QUEUE_ALL_UNITS or one of its units --------------------
 *
 * ERR_NOT_FOUND: no such message, or the unit is not one of its. What is being tried right now is
 * let finish; hold, bounce, delete and reroute then apply to the recipients that are left, also
 * when a restart comes between. */

/* Some of a unit's recipients apart, to do something to them alone: *out is a unit with just these
 * (the same one where they are all that it has). `rcpts`: indexes in the envelope, ascending. What
 * is being tried stays one attempt, and its result comes for all. ERR_NOT_FOUND also where one is
 * not the unit's. */
int queue_split(struct queue *queue, uint64_t id, uint32_t unit, const uint32_t *rcpts,
	uint32_t count, int64_t now, uint32_t *out);

/* Who holds again without a reason leaves what was said before. */
int queue_hold(struct queue *queue, uint64_t id, uint32_t unit, struct span by, struct span reason,
	int64_t now);
/* ERR_NOT_FOUND also where nothing of it is held. Its clocks go on as if no time had passed. */
int queue_release(struct queue *queue, uint64_t id, uint32_t unit, int64_t now);
/* Ready at once, and the destination, if down, may be probed at once. Holds and pauses stay. */
int queue_retry(struct queue *queue, uint64_t id, uint32_t unit, int64_t now);
int queue_bounce(struct queue *queue, uint64_t id, uint32_t unit, const struct verdict *verdict,
	int64_t now);
int queue_delete(struct queue *queue, uint64_t id, uint32_t unit, int64_t now);
int queue_prioritise(struct queue *queue, uint64_t id, uint32_t unit, bool priority, int64_t now);
/* To a transport by name; empty: where the directory says, again. */
int queue_reroute(struct queue *queue, const struct envelope *envelope, uint32_t unit,
	struct span transport, int64_t now);
/* Asks route() anew for every unit, e.g. as the directory changed; keeps administrators' choices.
 * Units whose destination stays the same are not touched. */
int queue_reroute_again(struct queue *queue, const struct envelope *envelope, int64_t now);

/* ---- is it sound? ---------------------------------------------------------------------------- */

/* Every invariant: each unit in exactly one place that answers for it, counters, orders, timers.
 * ERR_CORRUPT, and what is wrong in `problem`. Goes over everything. */
int queue_check(const struct queue *queue, struct buf *problem);

/*
 * The same in production, some at a time: looks at about `steps` recipients and destinations, going
 * on where the last call ended. 0: all were looked at, ERR_AGAIN: there is more. ERR_CORRUPT: what
 * is said in `problem` was not true of the message *id (0: of a destination). Then everything was
 * put into its place anew, what the problem was with is ready to be tried, and queue_check() says
 * that all is well; where it does not, this ends the process (CHECK), as the spool knows better.
 */
int queue_guard(
	struct queue *queue, uint32_t steps, int64_t now, uint64_t *id, struct buf *problem);

#endif
