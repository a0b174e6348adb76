/*
 * What the files of this folder share. Nobody else includes it.
 */
#ifndef DELIVERY_CORE_H
#define DELIVERY_CORE_H

#include "base/arena.h"
#include "base/list.h"
#include "base/prng.h"
#include "delivery/delivery.h"
#include "delivery/peers.h"
#include "route/lookup.h"
#include "route/route.h"
#include "transport/client.h"
#include "transport/maildir.h"

#define DELIVERY_MAGIC 0x44454c49u

/* Destinations of our own, by names that no transport can have. */
#define DELIVERY_MAILBOXES "(mailboxes)"
#define DELIVERY_NOWHERE \
	"(no route)" /* what has no route: fails, with the reason, when it is started */

/* Why a message is held that cannot be told of. */
#define DELIVERY_UNREADABLE                                                                     \
	"its stored envelope cannot be read, so nobody can be told of its end: see posternctl " \
	"spool "                                                                                \
	"verify; release tries it again, delete ends it"

#define DELIVERY_ARENA	       (256u << 20) /* bytes of one attempt's envelope and results */
#define DELIVERY_ENVELOPE      ENVELOPE_BYTES
#define DELIVERY_ATTEMPTS_KEPT 64  /* finished attempts whose memory is used again */
#define DELIVERY_REROUTE_STEP  200 /* messages looked at per turn after a directory change */
#define DELIVERY_ADDRESSES_TRIED                                                         \
	10 /* by one session: RFC 5321 section 5.1 wants two at least. Those that failed \
	    * come last in the next one */
#define DELIVERY_SHORT_SAID_MS 60000 /* between two log lines about a shortage */
/* RFC 5321 section 4.5.3.2.1 wants five minutes for a greeting. A session that is not ready for
 * mail by then, whatever addresses it tried and however slowly they speak, gives its place to
 * others. */
#define DELIVERY_READY_MS (6ull * 60 * 1000)
/* Sessions to one host, of all destinations by lookup-mx: this part of outbound-connections. */
#define DELIVERY_HOST_SHARE	8
#define DELIVERY_HOST_SESSIONS	4     /* … but so many at least */
#define DELIVERY_ADDRESS_BAD_MS 60000 /* an address that failed is tried last for so long */
#define DELIVERY_ATTEMPT_BYTES_KEPT                                                              \
	(64u << 10)			       /* of an envelope, in a finished attempt's memory \
						*/
#define DELIVERY_HEADER_LOOKED_AT (256u << 10) /* bytes of a header section: Delivered-To, DSNs */
#define DELIVERY_STOP_LOOK_MS	  10   /* between two looks whether the journal is written */
#define DELIVERY_DAMAGED_MOST	  1000 /* damaged messages that are known by their id */
#define DELIVERY_DAMAGED_TEXT	  120
#define DELIVERY_HELD_MOST	  4096 /* files that writers name while loading */
#define DELIVERY_EVENT_RCPTS	  1000 /* recipients in one event; more come in further ones */

/* Notifications that are not on stable storage yet, in bytes; beyond it nothing is begun or given
 * up that may need more of them. */
#define DELIVERY_OWED_MOST (64u << 20)

struct link;
struct pauses_job;
struct session;
struct attempt;
struct owed;

/* What the queue told us inside a call; settled in order once the call has returned. */
enum note_kind { NOTE_ENDED, NOTE_WARNED, NOTE_CHANGED, NOTE_FINISHED, NOTE_REROUTE };

struct note {
	enum note_kind kind;
	uint64_t id;
	/* ENDED and WARNED only */
	enum queue_end_why why;
	uint32_t attempts;
	int64_t next_try_ms, give_up_ms;
	char *transport; /* with the recipients' indexes in one block of memory */
	size_t transport_length;
	uint32_t *rcpts;
	uint32_t rcpt_count;
	struct verdict *verdict; /* NULL: nothing was ever heard */
};

/* A notice, the last of its file; or that the writer is gone: what comes behind it is its
 * successor's. */
struct held {
	struct spool_notice notice;
	bool gone;
};

/* A message that is damaged: queued, or not even that. */
struct damaged {
	uint64_t id, offset;
	char path[64], what[DELIVERY_DAMAGED_TEXT];
};

struct delivery {
	uint32_t magic;
	struct delivery_config config;
	struct io *io;
	struct spool_store *store;
	struct queue *queue;
	struct snapshot *snapshot;
	struct prng prng;
	struct delivery_figures figures;

	struct note *notes;
	size_t note_count, note_room;
	bool settling;

	struct list owed; /* notifications that the journal does not have yet, in order */
	uint64_t owed_bytes;

	struct damaged *damaged; /* by id; NULL: none yet */
	size_t damaged_count;

	struct list questions; /* of hosts.c */
	uint32_t question_count;

	struct list links;    /* all */
	struct list idle;     /* sessions that wait for work, the longest idle first */
	struct list attempts; /* all that are under way */
	struct list spare;    /* attempts whose memory can be used again */
	uint32_t spare_count;
	uint32_t sessions;	/* open or connecting, all links together */
	struct peers peers;	/* of these, by host: those by lookup-mx */
	uint64_t no_surplus_ns; /* all that were being opened at this time had somebody who waits */
	bool starved;		/* an attempt waits for a connection that may not be opened yet */

	uint64_t short_said_ns; /* when a shortage was logged last; 0: never */

	struct io_turn pump;
	struct timer timer;
	bool loading, loaded, stopping;
	int64_t started_ms;
	struct timer load_timer;
	struct spool_notice *live; /* writers as they stood when loading began */
	size_t live_count;
	struct held *held; /* what was heard of writers while loading, in that order */
	size_t held_count, held_room;
	bool held_told; /* that there were more */

	enum spool_health journal;
	int64_t journal_since_ms; /* it is not well */
	bool full_told;
	uint64_t reroute_after; /* cursor of the sweep after a directory change */
	bool rerouting;

	struct timer guard_timer;
	bool guarding; /* it is armed */

	struct {
		bool loaded;
		bool told;		/* that they cannot be kept */
		uint64_t version;	/* that is on disk */
		struct pauses_job *job; /* writes another one; NULL: none */
		struct timer again;
	} pauses;

	struct timer stop_timer;
	bool cut; /* the time for stopping is over: nothing goes on */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- link.c
 * ----------------------------------------------------------------------------------- */

/* One destination's hosts and sessions; made with its first attempt, gone with the destination. */
struct link {
	struct list node;
	struct delivery *delivery;
	uint32_t destination; /* the queue's handle */
	struct span name;     /* of the transport; own copy */
	struct span next_hop; /* own copy */
	struct list waiting;  /* attempts without a session */
	uint32_t waiting_count;
	struct list sessions; /* all of them */
	uint32_t session_count, connecting;
	struct list idle; /* of these, those that wait for work */
	struct mx_lookup *lookup;
	struct mx_result *hosts;
	uint64_t hosts_until_ns;
	uint32_t first_address; /* where the next session begins; hosts may have changed since */
	uint64_t *bad_until_ns; /* one for each of hosts->addresses */
};

/* One SMTP session of a link. */
struct session {
	struct list node;      /* in link->sessions */
	struct list idle_node; /* in link->idle */
	struct list lru_node;  /* in delivery->idle */
	struct link *link;
	struct client *client;
	struct attempt *attempt; /* under way; NULL: connecting or idle */
	struct timer timer;	 /* not ready, later idle, for too long */
	uint32_t address;	 /* of the hosts, as they were when it began */
	uint32_t tried;		 /* addresses that failed before */
	uint32_t jobs;		 /* transactions done */
	uint32_t jobs_most;	 /* 0: no limit */
	bool ready;
	bool counted;  /* in delivery->peers */
	bool outdated; /* it goes where the directory said before: no further work */
	struct netaddr peer;
	char host[256]; /* name of the host, for events and DSNs */
};

int link_get(struct delivery *delivery, uint32_t destination, struct span transport,
	struct span next_hop, struct link **out);
/* The attempt takes an idle session or waits for one; never calls back at once with a result. */
void link_run(struct link *link, struct attempt *attempt);
/* Opens sessions for what waits, where it may. */
void link_open(struct link *link);
/* An attempt that waits is given up by its owner. */
void link_forget(struct link *link, struct attempt *attempt);
/* A new directory generation: hosts are looked up anew, sessions end with the job they have. */
void link_refresh(struct link *link);
/* What is open goes by its new limits. */
void link_set_limits(struct link *link);
void link_destination_gone(void *context, uint32_t destination, void *user);
void link_free(struct link *link);
/* Cuts a session off in the middle of its work. */
void link_drop_session(struct session *session);
/* The session has done its job: what it does next. */
void session_free_for_work(struct session *session);

/* ---- attempt.c
 * -------------------------------------------------------------------------------- */

struct attempt {
	struct list node;    /* in delivery->attempts, or spare */
	struct list waiting; /* in link->waiting */
	struct delivery *delivery;
	struct link *link; /* NULL for mailboxes */
	struct session *session;
	/* from the queue */
	uint32_t unit;
	uint64_t id;
	uint32_t attempts; /* before this one */
	int64_t ready_ms;
	uint32_t *picks; /* recipients: indexes in the envelope */
	uint32_t pick_count;
	/* from the spool */
	struct buf bytes;
	struct arena arena;
	struct envelope envelope;
	struct spool_body body;
	bool body_open;
	/* The spool looks at its body before it gives it out. */
	enum { BODY_NOT_AWAITED, BODY_AWAITED, BODY_LOOKED_AT } body_check;
	/* of the transport */
	struct span transport; /* in the arena */
	struct span next_hop;  /* likewise */
	uint32_t destination;
	enum give_up give_up;
	uint64_t began_ns;
	/* results, one for each pick */
	struct client_result *results;
	/* What telling of them needs, as many of each: taken at the beginning, when there may still
	 * be no memory for it. */
	struct {
		enum verdict_kind *kinds;
		bool *said;
		struct notify_rcpt *notified;
	} telling;
	/* Of the transaction that is over, and so of every recipient that it delivered to: those of
	 * earlier ones are gone from `results` (RFC 3461 sections 4.2 and 5.2). */
	bool dsn_passed;
	struct client_job job; /* a transaction: all picks, or those not tried yet */
	uint32_t *job_picks;
	uint32_t *job_places; /* place of each in picks */
	struct client_result *job_results;
	bool job_again; /* not the first transaction of this attempt */
	/* mailboxes: one recipient after the other */
	struct maildir_delivery maildir;
	uint32_t mailbox;  /* place in picks */
	bool maildir_runs; /* a helper thread has it */
};

/* Empty, in no list; NULL: no memory. */
struct attempt *attempt_new(struct delivery *delivery);
/* Starts what the queue gave (start.c). */
void attempt_start(struct delivery *delivery, const struct queue_start *start);
/* The body of this message was checked: attempts that wait for it go on. */
void attempts_body_checked(struct delivery *delivery, uint64_t id);
/* Sends the job of the recipients that were not tried yet over attempt->session. */
void attempt_send(struct attempt *attempt);
/* The transaction ended; true: the attempt goes on (recipients that were not tried). */
bool attempt_job_done(struct attempt *attempt, struct client_job *job);
/* The transaction did not happen: its recipients are still to be tried. */
void attempt_job_undone(struct attempt *attempt);
/* No answer about the message: the destination could not be asked. */
void attempt_destination_failed(struct attempt *attempt, const struct verdict *verdict);
/* Something of our own is short: not its fault, nor the destination's. */
void attempt_short(struct attempt *attempt, const struct verdict *verdict);
/* Its destination's hosts take no further session; `limit`: they have so many. */
void attempt_busy(struct attempt *attempt, uint32_t limit);
/* As attempt_short(), where there is no attempt yet. */
void attempt_queue_short(struct delivery *delivery, uint32_t unit, const struct verdict *verdict);
/* One verdict for all recipients that have none yet, then the outcome. */
void attempt_finish_all(struct attempt *attempt, const struct verdict *verdict);
/* Back to the queue, nothing counted; but what is known of some recipients is kept. */
void attempt_put_back(struct attempt *attempt);
/* Forgotten as if it had never begun; nobody is told anything. */
void attempt_drop(struct attempt *attempt);
/* Its memory; the queue has its result already. */
void attempt_end(struct attempt *attempt);
/* For recipients whose turn did not come before the end. */
void attempt_stopped(struct attempt *attempt);
/* A verdict of our own. */
void attempt_verdict(struct verdict *verdict, enum verdict_kind kind, uint16_t code,
	uint8_t subject, uint8_t detail, const char *text);

/* ---- mailbox.c ------------------------------------------------------------------------------ */

/* Begins with the first recipient that has no result, or goes on; ends the attempt. */
void mailbox_deliver(struct attempt *attempt);

/* ---- outcome.c
 * -------------------------------------------------------------------------------- */

/* One transaction of several is over: what it decided is told and recorded at once, so that a crash
 * does not send it again. What is left goes on. */
void outcome_so_far(struct attempt *attempt);
/* All results are in: events, DSN, the queue's own reckoning. Ends the attempt. */
void outcome(struct attempt *attempt);
/* The destination could not be asked at all; nothing is known about the message. */
void outcome_unreachable(struct attempt *attempt, const struct verdict *verdict);
/* It could not be begun, for a reason that may pass and counts for nothing. */
void outcome_postponed(struct attempt *attempt, const struct verdict *verdict);
/* One recipient's copy lies in its mailbox, at attempt->maildir.path. */
void outcome_in_mailbox(const struct attempt *attempt, uint32_t pick);

/* ---- ended.c
 * ---------------------------------------------------------------------------------- */

/* A note of the queue: given up, or late. */
void outcome_ended(struct delivery *delivery, const struct note *note);
void outcome_warned(struct delivery *delivery, const struct note *note);

/* ---- notify.c
 * --------------------------------------------------------------------------------- */

enum notify_kind { NOTIFY_OF_FAILURE, NOTIFY_OF_DELAY, NOTIFY_OF_RELAY, NOTIFY_OF_DELIVERY };

struct notify_rcpt {
	uint32_t rcpt; /* index in the envelope */
	const struct verdict *verdict;
};

/* Makes a DSN for those recipients that want one (RFC 3461 section 4.1), in the journal's current
 * record. NULL where nobody wants one or nobody may have one. */
struct owed *notify(struct delivery *delivery, const struct envelope *envelope,
	enum notify_kind kind, const struct notify_rcpt *rcpts, uint32_t count,
	struct span remote_mta, int64_t retry_until_ms);

/* ---- owed.c
 * -----------------------------------------------------------------------------------
 */

/* A notification that was given to the journal. */
struct owed {
	struct list node;   /* in delivery->owed */
	uint64_t parent;    /* the message that it speaks of */
	size_t bytes;	    /* of its text */
	struct list events; /* told when it has its id */
};

struct owed *owed_new(struct delivery *delivery, uint64_t parent, size_t bytes);
/* Tells it when the notification is written; at once where there is none. */
void owed_tell(struct delivery *delivery, struct owed *owed, const struct event *event);
/* The next notification is written. */
void owed_made(struct delivery *delivery, const struct envelope *envelope);
void owed_forget(struct delivery *delivery);

static inline bool owed_too_much(const struct delivery *delivery)
{
	return delivery->owed_bytes > DELIVERY_OWED_MOST;
}

/* ---- intake.c
 * --------------------------------------------------------------------------------- */

extern const struct spool_store_handler intake_store_handler;
extern const struct queue_ops intake_queue_ops;
/* Settles the notes; called after every call into the queue that may leave some. */
void intake_settle(struct delivery *delivery);
/* Frees what a note holds. */
void note_done(struct note *note);
void intake_notice(struct delivery *delivery, const struct spool_notice *notice);

/* ---- damaged.c
 * -------------------------------------------------------------------------------- */

/* Tells people, once for each message (id 0: a part of a file), and remembers it. */
void damaged_add(struct delivery *delivery, uint64_t id, const char *path, uint64_t offset,
	const char *what);
const struct damaged *damaged_find(const struct delivery *delivery, uint64_t id);
/* It is damaged, and no queue has it. */
bool damaged_alone(const struct delivery *delivery, uint64_t id);
/* An administrator wants such a one gone. */
int damaged_delete(struct delivery *delivery, uint64_t id);
/* The message has come to its end. */
void damaged_gone(struct delivery *delivery, uint64_t id);

/* ---- guard.c -------------------------------------------------------------------------------- */

void guard_step(struct timer *timer);
/* Something is queued: it is looked at in a while. */
void guard_wake(struct delivery *delivery);

/* ---- pauses.c ------------------------------------------------------------------------------- */

/* Before the first directory, which says who pauses, and what goes on. */
void pauses_load(struct delivery *delivery);
/* Pauses may have changed: they are written where they have. */
void pauses_keep(struct delivery *delivery);
void pauses_again(struct timer *timer);
bool pauses_busy(const struct delivery *delivery);
void pauses_done(struct delivery *delivery);

/* ---- hosts.c -------------------------------------------------------------------------------- */

/* Nobody hears an answer any more. */
void hosts_forget(struct delivery *delivery);

/* ---- delivery.c
 * ------------------------------------------------------------------------------- */

/* The pump runs at the end of this turn. */
void delivery_wake(struct delivery *delivery);
/* Reads a message's envelope. */
int delivery_envelope(struct delivery *delivery, uint64_t id, struct buf *bytes,
	struct arena *arena, struct envelope *out);

/* ---- load.c, stop.c ------------------------------------------------------------------------- */

void load_step(struct timer *timer);
void stop_now(struct timer *timer);
/* From the pump, while stopping. */
void stop_finish(struct delivery *delivery);

/* ---- directory.c ---------------------------------------------------------------------------- */

/* After a change of routes every queued message is asked about again, some each turn. */
void directory_reroute_some(struct delivery *delivery);
/* Settings for a transport by its name, in the present generation; those of the core's own too. */
int delivery_transport(struct delivery *delivery, struct span name, struct transport *out);
/* Pauses everything, or resumes, as the directory and the journal's health say. */
int delivery_set_pauses(struct delivery *delivery);

static inline int64_t delivery_now(const struct delivery *delivery)
{
	return delivery->io->wall_ms;
}

#endif
