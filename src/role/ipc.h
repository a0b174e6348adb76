/*
 * What roles say to each other: typed messages in datagrams over socket pairs. All input is
 * treated as hostile: an smtpd that was taken over may lie about its own log and nothing else.
 *
 * A datagram is a header (u16 type, u16 flags, u32 request, little-endian) and a payload. A payload
 * longer than one datagram goes on in further ones with IPC_MORE set on all but the last; an
 * ipc_port joins them, up to IPC_MESSAGE_BYTES.
 */
#ifndef ROLE_IPC_H
#define ROLE_IPC_H

#include "base/buf.h"
#include "base/cursor.h"
#include "io/io.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

enum role_kind {
	ROLE_SUPERVISOR,
	ROLE_SMTPD,
	ROLE_DELIVERY,
	ROLE_ADMIN,
	ROLE_KEYS,
	ROLE_FETCH,
	ROLE_KINDS
};

enum ipc_type {
	/* supervisor → role, while it starts; in this order */
	IPC_CONFIG = 1, /* bytes16 file name, bytes16 its folder, bytes32 its text */
	IPC_BOOT,	/* struct ipc_boot */
	IPC_DIRECTORY,	/* fd; u8 enum ipc_directory, bytes16 path */
	IPC_LISTENER,	/* fd; u16 place in config->listeners, IPC_LISTENER_CONTROL: the control
			   socket */
	IPC_CHANNEL, /* fd; u8 enum role_kind, u8 index: the channel to that role. Also later, when
		      * that role was started anew. */
	IPC_START,   /* all is there */
	/* role → supervisor */
	IPC_READY, /* it works */
	IPC_FATAL, /* bytes16 text: starting again will not help */
	/* supervisor → role, later */
	IPC_STOP,      /* u32: milliseconds to end in */
	IPC_LOG_LEVEL, /* u8 */
	IPC_FILE,      /* fd: a file of the system that changed, open for reading; to admin
			* /etc/passwd, to delivery /etc/resolv.conf */
	/* supervisor → keys, and back */
	IPC_KEYS,	/* fd; u32 set: private keys (role/tls_set.h) */
	IPC_KEYS_TAKEN, /* u32 set: it can sign with them */
	/* supervisor → smtpd, when keys can sign with the keys of these */
	IPC_CERTIFICATES, /* fd: of all listeners (role/tls_set.h) */
	IPC_TICKETS,	  /* the keys of session tickets, the newest first, 1 or 2 */
	/* admin → supervisor, and back with the same request number */
	IPC_TLS_RELOAD,
	IPC_TLS_RELOADED, /* u8 whether it could be done, bytes16 text */
	/* admin → smtpd, delivery, keys */
	IPC_SNAPSHOT, /* fd; u64 generation */
	/* admin → keys: of accounts; admin → delivery: of transports */
	IPC_SECRETS, /* fd (directory/secrets.h) */
	/* admin → keys, and back with the same request number */
	IPC_LOCKS_REQUEST, /* keys_put_locks() */
	IPC_LOCKS_REPLY,   /* JSON (keys/locks.h) */
	/* keys → smtpd, first on the channel */
	IPC_SIGNING, /* fd: questions for signatures, keys/message.h */
	/* smtpd → keys, and back with the same request number: keys/message.h */
	IPC_AUTH_QUERY,
	IPC_AUTH_ANSWER,
	/* smtpd → delivery, and back with the same request number: role/hops_message.h */
	IPC_HOPS_QUERY,
	IPC_HOPS_ANSWER,
	/* delivery → fetch, and back with the same request number: role/fetch_message.h */
	IPC_FETCH_QUERY, /* empty: the answer to that one is not wanted any more */
	IPC_FETCH_ANSWER,
	/* smtpd → delivery */
	IPC_NOTICE,   /* struct spool_notice, several */
	IPC_POSITION, /* struct spool_notice: the current file, first message on the channel */
	/* delivery → smtpd */
	IPC_QUEUE_FULL, /* u8 */
	/* admin → delivery, and back with the same request number */
	IPC_QUEUE_REQUEST, /* JSON */
	IPC_QUEUE_REPLY,   /* JSON */
	/* admin → smtpd, and back likewise */
	IPC_FIGURES_REQUEST,
	IPC_FIGURES_REPLY, /* JSON */
	/* admin → smtpd, delivery, and back when what waited of the trace is written */
	IPC_TRACE_REQUEST,
	IPC_TRACE_REPLY, /* {"lost": [{lines, first_ms, last_ms, why}]}: what could not be
			  * written, and when */
	IPC_TYPES
};

enum ipc_flags { IPC_MORE = 1 };

#define IPC_HEADER_BYTES     8
#define IPC_LISTENER_CONTROL 0xffff
#define IPC_MESSAGE_BYTES    (64u << 20) /* of one joined payload */
#define IPC_QUEUE_BYTES                                                               \
	(8u << 20)	/* wait in a port for a slow peer, at most, before it refuses \
			 */
#define IPC_NOTICES 512 /* in one datagram */

#define IPC_SECRET_BYTES 32

enum ipc_directory {
	IPC_DIRECTORY_SPOOL,
	IPC_DIRECTORY_MAILBOXES,
	IPC_DIRECTORY_TRACE,  /* of this role */
	IPC_DIRECTORY_TRACES, /* of all roles */
	IPC_DIRECTORIES
};

/* What a role must know that the start file does not say. */
struct ipc_boot {
	struct spool_serials serials; /* smtpd: for its spool writer */
	uint32_t start;		      /* how often this role was started before */
	uint8_t workers;
	int64_t began_ms;		  /* the server, by the wall clock */
	uint8_t secret[IPC_SECRET_BYTES]; /* keys: of this gateway, for salts; else zeros */
};

struct ipc_message {
	uint16_t type, flags;
	uint32_t request;
	struct span payload;
	const int *fds;
	size_t fd_count;
};

/* The header of one datagram. ERR_CORRUPT: too short, or an unknown type or flag. */
void ipc_put_header(struct buf *buf, uint16_t type, uint16_t flags, uint32_t request);
int ipc_get_header(struct span datagram, struct ipc_message *out);

void ipc_put_notice(struct buf *buf, const struct spool_notice *notice);
/* ERR_CORRUPT: damaged, or of another writer than `owner`. */
int ipc_get_notice(struct cursor *in, uint8_t owner, struct spool_notice *out);
void ipc_put_boot(struct buf *buf, const struct ipc_boot *boot);
int ipc_get_boot(struct span payload, struct ipc_boot *out);
int ipc_get_channel(struct span payload, enum role_kind *peer, uint8_t *index);

/* What holds a password or a key: no copy of it stays in memory. */
bool ipc_is_secret(uint16_t type);

const char *ipc_type_name(uint16_t type);
const char *role_kind_name(enum role_kind kind);

/*
 * A channel with joined messages and a bounded queue for a peer that is slow. Embedded in its
 * owner, who opens the channel with ipc_port_handler and the port as owner of it, and puts the
 * channel in port->channel.
 */
struct ipc_port;
struct ipc_port_calls {
	/* Descriptors are the callee's to close. */
	void (*message)(void *owner, struct ipc_port *port, const struct ipc_message *message);
	/* The peer is gone, or sent what no honest peer sends: the port is closed. */
	void (*closed)(void *owner, struct ipc_port *port);
};

struct ipc_waiting;
struct ipc_port {
	struct io_channel *channel; /* NULL: closed */
	const struct ipc_port_calls *calls;
	void *owner;
	enum role_kind peer;
	uint8_t peer_index;
	struct buf joined; /* a payload that has not ended */
	uint16_t joined_type;
	uint32_t joined_request;
	struct ipc_waiting *waiting, **waiting_tail;
	size_t waiting_bytes;
};

extern const struct io_channel_handler ipc_port_handler;

void ipc_port_init(struct ipc_port *port, enum role_kind peer, uint8_t peer_index,
	const struct ipc_port_calls *calls, void *owner);
void ipc_port_close(struct ipc_port *port);
/* The descriptors stay the caller's. ERR_LIMIT: the peer does not read and too much waits;
 * ERR_CLOSED. */
int ipc_send(struct ipc_port *port, uint16_t type, uint32_t request, struct span payload,
	const int *fds, size_t fd_count);
/* Is what was sent on its way? */
static inline bool ipc_port_idle(const struct ipc_port *port)
{
	return !port->waiting;
}

#endif
