/*
 * The SMTP server of one worker: takes accepted connections, holds their sessions, hands whole
 * messages to the spool writer. RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, CHUNKING,
 * BINARYMIME, ENHANCEDSTATUSCODES, LIMITS, STARTTLS, AUTH, REQUIRETLS; the PROXY protocol and
 * XCLIENT.
 *
 * Owner: the smtpd role (or the simulator, a test, a fuzzer). It reaches the world through struct
 * io and the spool writer only. Single-threaded.
 *
 * Bounds: sessions by limits.connections and limits.connections-per-client; a session by the other
 * limits and timeouts of the start file. An idle session holds under 1 KiB here.
 *
 * Promise: 250 after a body goes out only after the spool writer said that the message is durable;
 * where the writer cannot know (ERR_CLOSED), the connection closes without a reply.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "base/log.h"
#include "directory/config.h"
#include "directory/snapshot.h"
#include "io/io.h"
#include "route/self.h"
#include "spool/spool.h"
#include "trace/event.h"

#include <stdbool.h>
#include <stdint.h>

struct smtpd;
struct auth;
struct hops;
struct tls_server;

struct smtpd_config {
	struct io *io;
	const struct config *config;	  /* outlives the smtpd */
	const struct route_config *route; /* likewise */
	struct spool_writer *writer;	  /* likewise */
	struct event_sink *events;	  /* may be NULL */
	struct auth *auth;		  /* smtpd/auth.h; NULL: AUTH is not offered */
	struct hops *hops;		  /* smtpd/hops.h; NULL: next hops are unknown */
	struct log *log;		  /* may be NULL */
};

int smtpd_new(const struct smtpd_config *config, struct smtpd **out);

/* Closes what is left of sessions without a word. A message whose commit runs stays in the spool
 * and its outcome is not reported: drain first. */
void smtpd_free(struct smtpd **smtpd);

/* The generation that transactions from now on use; those that run keep theirs. The snapshot is
 * held here; the caller keeps its own reference. Before the first one MAIL is answered with 451. */
void smtpd_set_snapshot(struct smtpd *smtpd, struct snapshot *snapshot);

/* Certificates of a listener (its place in config->listeners), from now on; NULL: it has none (any
 * more), STARTTLS is not offered, and a connection to a listener with implicit TLS is closed. Held
 * here; connections that have begun keep theirs. */
void smtpd_set_tls(struct smtpd *smtpd, uint32_t listener, struct tls_server *server);

/* Delivery says that limits.queue-messages is reached, or no longer: MAIL is answered with 452. */
void smtpd_set_queue_full(struct smtpd *smtpd, bool full);

/*
 * An accepted connection; `listener` is its place in config->listeners. 0: the greeting is sent, or
 * what must come before it is awaited (a PROXY header, a handshake, which begins when the turn
 * ends), and handler and owner are to be set on the connection at once. Otherwise
 * (ERR_LIMIT: too many; ERR_BUSY: stopping, or the spool is not well; ERR_NOMEM, ERR_CLOSED) the
 * client was told 421 where that could be, the connection is closed, and `conn` is gone.
 */
int smtpd_session_start(struct smtpd *smtpd, struct io_conn *conn, uint32_t listener,
	const struct io_conn_handler **handler, void **owner);

/*
 * Graceful stop: new connections and sessions without a transaction get 421 and are closed;
 * transactions may end within `ms`, then they are cut off with 421 too. A commit that runs is
 * always waited for, and its client gets the reply. drained() is called once, from the loop, when
 * no session is left.
 */
void smtpd_drain(struct smtpd *smtpd, uint64_t ms, void (*drained)(void *arg), void *arg);

/* Why clients were refused. */
enum smtpd_refusal {
	SMTPD_REFUSED_CONNECTION, /* too many, stopping, spool not well */
	SMTPD_REFUSED_ABUSE,	  /* too many errors or commands, another protocol */
	SMTPD_REFUSED_TIMEOUT,
	SMTPD_REFUSED_SENDER,
	SMTPD_REFUSED_RECIPIENT,
	SMTPD_REFUSED_SIZE,
	SMTPD_REFUSED_CONTENT,	 /* bare CR or LF, line or header too long */
	SMTPD_REFUSED_LOOP,	 /* too many Received fields */
	SMTPD_REFUSED_TLS,	 /* a handshake failed, or bytes before it */
	SMTPD_REFUSED_AUTH,	 /* wrong password, or too many of them */
	SMTPD_REFUSED_PROXY,	 /* no PROXY header where one must be */
	SMTPD_REFUSED_RESOURCES, /* 451 and 452: spool, memory, queue, directory */
	SMTPD_REFUSALS
};

/* Counted since the start, but for sessions_now. */
struct smtpd_figures {
	uint64_t connections;
	uint64_t sessions_now;
	uint64_t messages;   /* committed */
	uint64_t recipients; /* of these */
	uint64_t bytes;	     /* of their bodies */
	uint64_t tls;	     /* handshakes that succeeded */
	uint64_t tls_resumed;
	uint64_t logins; /* that succeeded */
	uint64_t refused[SMTPD_REFUSALS];
};

void smtpd_figures(const struct smtpd *smtpd, struct smtpd_figures *out);
/* "connection", "abuse", …: the name of a refusal in status and metrics. */
const char *smtpd_refusal_name(enum smtpd_refusal refusal);

#endif
