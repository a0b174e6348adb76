/*
 * Events: what happened to mail, one JSON object each, always with the message id where there is
 * one. The log, the trace and (later) the webhook stream are views of them. Code that makes events
 * knows only this header; where they go is the sink's concern (trace/writer, a test, the
 * simulator).
 */
#ifndef TRACE_EVENT_H
#define TRACE_EVENT_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/envelope.h"
#include "codec/verdict.h"

#include <stdint.h>

enum event_kind {
	EVENT_RECEPTION,	 /* a message was committed and 250 sent */
	EVENT_REJECTION,	 /* a client was refused: connection, sender, recipient, or body */
	EVENT_DELIVERY,		 /* recipients were taken over by the next hop or a mailbox */
	EVENT_TRANSIENT_FAILURE, /* an attempt failed for now */
	EVENT_BOUNCE,	    /* recipients failed for good; a DSN is made unless it may not be */
	EVENT_EXPIRATION,   /* given up after the last retry */
	EVENT_DISCARD,	    /* given up without a DSN, as the transport says */
	EVENT_DELAY,	    /* a delay warning was made */
	EVENT_RELAYED,	    /* handed to a hop without DSN support; a relayed DSN was made */
	EVENT_ADMIN_ACTION, /* hold, release, retry, reroute, bounce, delete, pause, resume */
	EVENT_DAMAGE,	    /* stored data failed its checksum */
	EVENT_KINDS
};

/* "Reception", "TransientFailure", … */
const char *event_name(enum event_kind kind);

/* An empty span, a zero or NETADDR_NONE means: does not apply, and is left out. */
struct event {
	enum event_kind kind;
	uint64_t id;
	int64_t wall_ms; /* when */
	struct span sender;
	bool sender_known; /* so that the null sender is told from none */
	const struct span *recipients;
	uint32_t recipient_count;
	/* the client */
	struct netaddr client;
	struct span helo, listener, protocol, user;
	struct span auth;  /* the mechanism by which the user logged in, or tried to */
	struct span relay; /* by what right it goes to a domain that is not served here */
	struct span tls;   /* how the link was protected: "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	/* the message */
	uint64_t size;
	uint64_t dsn_id;    /* the notification that was made */
	uint64_t parent_id; /* Reception of our own DSN: the message it speaks of */
	/* the next hop */
	struct span transport;
	struct span destination; /* host name, or the mailbox's path */
	struct netaddr peer;
	uint32_t attempt; /* 1: the first */
	uint64_t more; /* Rejection: so many others of this client, which are not told one by one */
	int64_t next_try_ms;
	const struct verdict *verdict;
	/* how long it took, in microseconds */
	uint64_t session_us; /* connect to here */
	uint64_t receive_us; /* MAIL to the end of the body */
	uint64_t commit_us;  /* end of the body to stable storage */
	uint64_t queued_us;  /* stable storage to the start of this attempt */
	uint64_t attempt_us; /* this attempt */
	/* people */
	struct span action, actor, reason;
};

struct event_sink {
	void (*emit)(struct event_sink *sink, const struct event *event);
};

/* sink may be NULL. */
static inline void event_emit(struct event_sink *sink, const struct event *event)
{
	if (sink)
		sink->emit(sink, event);
}

#endif
