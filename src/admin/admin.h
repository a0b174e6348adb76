/*
 * The admin core: writer of the directory, and the door for administrators (the control socket
 * now; the JSON API later). On struct io; the role gives it channels to the others.
 *
 *   admin.c     life, the directory's generations
 *   door.c      control connections: one JSON object a line in, one a line out
 *   bounds.c    what is not read
 *   dispatch.c  which command a request is
 *   objects.c   apply, single objects, pause and resume
 *   change.c    carries out what they plan
 *   objects_show.c  export, list, show
 *   audit.c     the audit
 *   ask.c       questions to the other roles
 *   queue.c     requests that delivery answers
 *   queue_change.c  those of them that change the queue, and are in the audit
 *   status.c    what all roles say of themselves
 *   status_queue.c  the oldest message, what is down
 *   trace.c     searches of the trace
 *   explain.c   what would happen to a message
 *   relay.c     who may relay
 *   password.c  what is kept of a password
 *   secret.c    passwords and secrets that come with a request
 *   user.c      accounts with what is known of their passwords
 *   locks.c     who is wrong about passwords too often
 *   import.c, import_read.c  accounts from files of other programs
 *   tls.c       certificates are read again
 *   depends.c   how many messages go by what a change takes away
 *   anchors.c   whether delivery can read the tls-ca files that are named
 *   check.c     what an administrator should know of the directory
 *
 * A request is {"cmd":NAME, …}; a reply {"error":TEXT} or the command's own object. Requests of
 * one connection are answered in order, one at a time.
 *
 * Bounds: ADMIN_DOORS connections, ADMIN_REQUEST bytes of a request, ADMIN_REPLY of a reply.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/log.h"
#include "directory/config.h"
#include "directory/secrets.h"
#include "directory/snapshot.h"
#include "io/disk.h"
#include "io/io.h"
#include "route/self.h"
#include "trace/event.h"

#define ADMIN_DOORS	64
#define ADMIN_REQUEST	(128u << 20)
#define ADMIN_REQUESTS	(160u << 20) /* of all connections together */
#define ADMIN_VALUES	10000	     /* in a request; what is long in it is text */
#define ADMIN_REPLY	(256u << 20)
#define ADMIN_ACTOR	64    /* bytes of a name of who does something */
#define ADMIN_ANSWER_MS 10000 /* another role that does not answer in time is left out */
#define ADMIN_FLUSH_MS                                                                      \
	1000	       /* a search does not wait longer for events that are not on disk yet \
			*/
#define ADMIN_DEPTH 32 /* JSON values inside one another, in what comes in */

/* Who can be asked: delivery, each worker, and keys. */
#define ADMIN_DELIVERY	   0u
#define ADMIN_SMTPD(index) (1u + (index))
#define ADMIN_SUPERVISOR   (1u + CONFIG_WORKERS) /* by reload_tls() alone */
#define ADMIN_KEYS	   (2u + CONFIG_WORKERS)
#define ADMIN_PARTIES	   (3u + CONFIG_WORKERS)

enum admin_question {
	ADMIN_ASK_QUEUE,   /* delivery: JSON, as delivery/control.c describes */
	ADMIN_ASK_FIGURES, /* a worker: its figures */
	ADMIN_ASK_TRACE,   /* either: to write what waits of its trace, and to answer {} then */
	ADMIN_ASK_LOCKS,   /* keys: keys_put_locks() in, JSON (keys/locks.h) out */
};

struct admin;

#define ADMIN_TICKET 0x7fffffffu /* those above are for what roles ask of themselves */

struct admin_config {
	struct io *io;
	const struct config *config;
	const struct route_config *route;
	const char *directory_path; /* of the database, as this process reaches it */
	struct disk *trace;	    /* root: all roles' trace directories */
	struct event_sink *events;  /* may be NULL */
	struct log *log;
	const char *version;
	int64_t began_ms; /* when the server was started */
	void *context;
	/* A new generation: the descriptor is to be sent to the other roles; it stays the
	 * admin's. */
	void (*generation)(void *context, int memfd, uint64_t number);
	/* The secrets of a kind are others now: for role keys (accounts) or delivery (transports);
	 * the descriptor stays the admin's. Comes before the generation that they belong to. May be
	 * NULL. */
	void (*secrets)(void *context, enum secret_kind kind, int memfd);
	/* The supervisor is to read certificates and keys again; its answer comes by
	 * admin_tls_reloaded(). ERR_CLOSED. May be NULL. */
	int (*reload_tls)(void *context, uint32_t ticket);
	/* The answer comes by admin_answer() with the same ticket, which is at most ADMIN_TICKET,
	 * any time later. ERR_CLOSED: it is not running at the moment. */
	int (*ask)(void *context, uint32_t party, enum admin_question question, uint32_t ticket,
		struct span request);
	/* Writes what waits of admin's own trace; may be NULL. */
	void (*flush)(void *context);
};

/* Opens the directory; on failure `why` says in a sentence what to do. */
int admin_new(const struct admin_config *config, struct admin **out, struct buf *why);
void admin_free(struct admin **admin);

/* The present generation for a role that has just been connected; the descriptor stays the
 * admin's. */
int admin_generation(struct admin *admin, uint64_t *number);
/* The present secrets of a kind, likewise; -1: they could not be read. */
int admin_secrets(struct admin *admin, enum secret_kind kind);

/* A connection of the control socket; `actor` names who it is, for the audit and the trace
 * ("root", "ann (uid 1000)"). */
int admin_accept(struct admin *admin, struct io_conn *conn, struct span actor,
	const struct io_conn_handler **handler, void **owner);

/* An answer to a ticket. What nobody waits for is ignored, and what another one was asked. */
void admin_answer(struct admin *admin, uint32_t party, uint32_t ticket, struct span json);
/* Of reload_tls(): whether it could be done, and what is to be said about it: a line, then one for
 * each warning. */
void admin_tls_reloaded(struct admin *admin, uint32_t ticket, bool done, struct span text);

#endif
