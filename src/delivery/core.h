/*
 * What the files of this folder share; beside it attempt.h, link.h and tell.h. Nobody else includes
 * them.
 */
#ifndef DELIVERY_CORE_H
#define DELIVERY_CORE_H

#include "base/arena.h"
#include "base/list.h"
#include "base/prng.h"
#include "delivery/delivery.h"
#include "delivery/kept.h"
#include "delivery/peers.h"
#include "queue/look.h"
#include "route/lookup.h"
#include "route/route.h"

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

#define DELIVERY_PART	       8	    /* bytes of "message", with its NUL */
#define DELIVERY_READER	       256	    /* of who reads; a longer name is told for each piece */
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
/* After the start, mail that DANE may protect waits so long for word whether DNSSEC can be had. */
#define DELIVERY_DNSSEC_MS (10ull * 60 * 1000)
/* Sessions to one host, of all destinations by lookup-mx: this part of outbound-connections. */
#define DELIVERY_HOST_SHARE	8
#define DELIVERY_HOST_SESSIONS	4     /* … but so many at least */
#define DELIVERY_ADDRESS_BAD_MS 60000 /* an address that failed is tried last for so long */
/* One that lacks what REQUIRETLS needs is not asked for it for so long: longer than it takes to ask
 * all others. */
#define DELIVERY_LACKS_MS (10ull * 60 * 1000)
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
struct report;
struct session;
struct sts;
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

	/* What was read of a message last, so that the next piece of it is no reading of its own
	 * (control_content.c). */
	struct {
		uint64_t id, next; /* where it would go on; id 0: nowhere */
		char part[DELIVERY_PART], by[DELIVERY_READER];
	} reading;

	struct sts *sts;
	struct report *report;
	struct secrets *secrets; /* of transports; NULL: none came */

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
	uint64_t ca_said_ns;	/* likewise that a tls-ca file cannot be read */

	struct io_turn pump;
	struct timer timer;
	bool loading, loaded, stopping;
	int64_t started_ms;
	uint64_t started_ns;
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

	struct kept pauses;	 /* pauses.c */
	struct kept dnssec;	 /* dnssec.c */
	uint64_t dnssec_servers; /* that say what can be validated; 0: none */
	uint64_t dnssec_version;

	struct timer stop_timer;
	bool cut; /* the time for stopping is over: nothing goes on */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- noted.c -------------------------------------------------------------------------------- */

extern const struct queue_ops intake_queue_ops;
/* Settles the notes; called after every call into the queue that may leave some. */
void intake_settle(struct delivery *delivery);
/* No recipient of the message is left. */
void note_finished(struct delivery *delivery, uint64_t id);
/* Frees what a note holds. */
void note_done(struct note *note);

/* ---- intake.c ------------------------------------------------------------------------------- */

extern const struct spool_store_handler intake_store_handler;
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

extern const struct kept_kind pauses_kept;

/* ---- dnssec.c ------------------------------------------------------------------------------- */

enum dns_dnssec dnssec_state(const struct delivery *delivery);
/* What is known of it may have changed: kept over restarts. */
void dnssec_look(struct delivery *delivery);
extern const struct kept_kind dnssec_kept;

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
