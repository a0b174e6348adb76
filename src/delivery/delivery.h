/*
 * The delivery core: joins store, queue, DNS, SMTP client and mailboxes. It is all that the
 * delivery role does, on struct io, struct disk and struct dns, so that the simulator runs it
 * unchanged.
 *
 *   delivery.c   life, the pump that starts what the queue says
 *   directory.c  settings, pauses, and what goes another way than before
 *   load.c       the queue as a former life left it
 *   stop.c       the end
 *   intake.c     what the store and the queue tell us, settled in order at the end of each call
 *   link.c       a destination's hosts, and what waits for a session to it
 *   secure*.c    how its links are to be protected, and what came of it
 *   sts*.c       policies of recipients' domains (MTA-STS)
 *   report*.c    TLS reports: what is gathered, and sent after the day
 *   https.c      one exchange by HTTPS, through role fetch
 *   open.c       sessions for what waits, where there may be so many
 *   connect.c    how one begins
 *   session.c    its sessions, and the work that they carry
 *   requiretls.c mail that only some of the hosts can take
 *   start.c      how an attempt begins
 *   attempt.c    one unit being tried
 *   mailbox.c    … into mailboxes
 *   outcome.c    what became of it: events, states, DSNs
 *   ended.c      what the queue gave up
 *   notify.c     builds and stores a DSN
 *   own_mail.c   mail of our own: DSNs and reports
 *   owed.c       DSNs that the journal does not have yet, and the events that name them
 *   kept.c       small files beside the journal
 *   damaged.c    messages that the spool has, but cannot read
 *   guard.c      the queue's check at run time
 *   control.c    queue work for administrators
 *   hosts.c      what the DNS says of a destination, for them
 *
 * Promise: what was taken over by a next hop is recorded (done, or its state) in the same atomic
 * journal record as the DSN that it caused; nothing is started while the journal cannot be written.
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "base/buf.h"
#include "base/log.h"
#include "directory/config.h"
#include "directory/snapshot.h"
#include "io/disk.h"
#include "io/dns.h"
#include "io/io.h"
#include "queue/queue.h"
#include "route/self.h"
#include "spool/spool.h"
#include "trace/event.h"

struct delivery;
struct fetch;
struct secrets;

struct delivery_config {
	struct io *io;
	struct disk *spool;	/* its root is the spool directory */
	struct disk *mailboxes; /* its root is the mailboxes directory */
	struct dns *dns;
	const struct config *config; /* all that is pointed to outlives the delivery */
	const struct route_config *route;
	struct fetch *fetch;	   /* io/fetch.h; NULL: nothing can be had by HTTPS */
	struct event_sink *events; /* may be NULL */
	struct log *log;	   /* may be NULL */
	void *context;
	/* Can what the DNS servers say be validated with DNSSEC? NULL: it is. Else also: which
	 * servers that is (a number, never 0), and that they are believed it, as in a former life.
	 */
	enum dns_dnssec (*dnssec)(void *context);
	uint64_t (*dnssec_servers)(void *context);
	void (*dnssec_believe)(void *context, uint64_t servers);
	/* The text of a transport's tls-ca file, as it is now. Blocks a little. ERR_NOT_FOUND,
	 * ERR_DENIED, ERR_SYNTAX (no certificates), … NULL: none can be read. */
	int (*read_ca)(void *context, struct span path, struct buf *out);
	/* What is wrong with such a file, as words that follow its name; false: nothing. Blocks a
	 * little. NULL: nobody looks. */
	bool (*check_ca)(void *context, struct span path, struct buf *why);
	/* limits.queue-messages is reached, or no longer. May be NULL. */
	void (*queue_full)(void *context, bool full);
	/* Answers to delivery_hosts(). May be NULL where that is never asked. */
	void (*answer)(void *context, uint32_t ticket, struct span json);
	/* The journal's health changed. May be NULL. */
	void (*health)(void *context, enum spool_health health);
};

int delivery_new(const struct delivery_config *config, struct delivery **out);
/* Sessions are closed at once, attempts forgotten; the journal must be idle (delivery_idle()). */
void delivery_free(struct delivery **delivery);

/* The first generation comes before delivery_start(); each later one takes effect at once, also for
 * what is queued. Held here; the caller keeps its own reference. */
int delivery_set_snapshot(struct delivery *delivery, struct snapshot *snapshot);

/* Secrets of transports (sasl.secret) from now on; taken over. */
void delivery_set_secrets(struct delivery *delivery, struct secrets *secrets);

/* Begins to load the queue; `live` as in spool_store_load(). Deliveries begin as soon as messages
 * are read. loaded() below turns true at the end. A spool that cannot be read is logged, and
 * tried again every DELIVERY_LOAD_AGAIN_MS. */
#define DELIVERY_LOAD_AGAIN_MS 5000
void delivery_start(struct delivery *delivery, const struct spool_notice *live, size_t live_count);
bool delivery_loaded(const struct delivery *delivery);

void delivery_notice(struct delivery *delivery, const struct spool_notice *notice);
void delivery_writer_gone(struct delivery *delivery, uint8_t owner);

/* Starts nothing any more; attempts under way go on for `ms` at most, then are put back. stopped()
 * is called once, from the loop, when none is left and the journal is durable; at the latest
 * DELIVERY_STOP_JOURNAL_MS after that: what a sick disk has not taken by then is done again. */
#define DELIVERY_STOP_JOURNAL_MS 1500 /* less than the supervisor waits before it kills */
void delivery_stop(struct delivery *delivery, uint64_t ms, void (*stopped)(void *arg), void *arg);

/* Queue work: a JSON request, a JSON reply (control.c lists them). One call looks at no more than
 * DELIVERY_CONTROL_STEP messages, fewer where comparing them is much work (queue/filter.h); the
 * reply says how to go on. */
#define DELIVERY_CONTROL_STEP 1000
void delivery_control(struct delivery *delivery, struct span request, struct buf *reply);

/* Where mail for a domain would go by a transport at this moment, as the DNS says: {"op":"hosts",
 * "transport":NAME, "domain":DOMAIN}. config.answer() is called once with the ticket, perhaps at
 * once, and what route/explain.h says of hosts, or {"error":TEXT}. False: it is another request. */
bool delivery_hosts(struct delivery *delivery, uint32_t ticket, struct span request);

struct delivery_figures {
	uint64_t attempts, delivered, deferred, failed, expired,
		discarded; /* recipients, but for attempts */
	uint64_t notifications;
	uint64_t connections, sessions_now, attempts_now;
	uint64_t queued;
	uint64_t queue_bytes; /* of memory */
	uint64_t mended;      /* how often the queue's check at run time found something wrong */
};
void delivery_figures(const struct delivery *delivery, struct delivery_figures *out);

/* For tests and the simulator: every invariant of the queue (queue_check()), and that every active
 * unit has an attempt. */
int delivery_check(struct delivery *delivery, struct buf *problem);

#endif
