/*
 * Links and sessions: the way to one destination, and its SMTP sessions (link.c, session.c,
 * connect.c, open.c; requiretls.c).
 */
#ifndef DELIVERY_LINK_H
#define DELIVERY_LINK_H

#include "delivery/attempt.h"
#include "delivery/secure.h"

/* What is known of one of a link's addresses. */
struct link_address {
	uint64_t bad_until_ns; /* it failed: tried last */
	/* It has not what REQUIRETLS needs … */
	uint64_t lacks_until_ns;
	bool verified;	/* … though its certificate is the right one */
	uint32_t round; /* of strict sessions, in which it had its turn last */
};

/* One destination's hosts and sessions; made with its first attempt, gone with the destination. */
struct link {
	struct list node;
	struct delivery *delivery;
	uint32_t destination; /* the queue's handle */
	struct span name;     /* of the transport; own copy */
	struct span next_hop; /* own copy */
	struct list waiting;  /* attempts without a session */
	uint32_t waiting_count;
	struct list
		strict; /* those that need what only some of the hosts may have (requiretls.c) */
	uint32_t strict_count;
	struct session *strict_session; /* for these; NULL: there is none */
	uint32_t strict_round;
	struct list sessions;		    /* all of them … */
	uint32_t session_count, connecting; /* … but for the strict one */
	struct list idle;		    /* of these, those that wait for work */
	struct mx_lookup *lookup;
	struct mx_result *found; /* hosts of which it is being found out how their links are
				  * protected */
	struct secure_search *securing;
	struct mx_result *hosts;
	struct secure *secure; /* there with the hosts */
	uint64_t hosts_until_ns;
	uint32_t first_address; /* where the next session begins; hosts may have changed since */
	struct link_address *addresses; /* one for each of hosts->addresses */
};

/* A try with less than was planned, after one that failed for it. */
enum session_manner {
	SESSION_AS_PLANNED,
	SESSION_UNCHECKED, /* TLS, whatever the certificate: a policy that is only tested */
	SESSION_IN_CLEAR,
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
	enum session_manner manner;
	struct secure *secure;		/* that it was opened with … */
	const struct secure_host *plan; /* … and its host's part of it */
	struct tls_client security;
	char *sasl; /* user and secret, in one block of memory, while it opens */
	size_t sasl_bytes;
	/* No host lets in mail as the recipients' domain wants it protected: for what may go
	 * without (RFC 8689 section 5), and nothing else. */
	bool relaxed;
	/* For mail with REQUIRETLS that other hosts could not take, and nothing else … */
	bool strict;
	bool lenient;  /* … and, with the rest done, for the null sender's: it goes without */
	bool requires; /* its host has the right certificate, and offers REQUIRETLS */
	bool ready;
	bool counted;  /* in delivery->peers */
	bool outdated; /* it goes where the directory said before: no further work */
	struct netaddr peer;
	char host[256]; /* name of the host, for events and DSNs */
	char tls[96];	/* how the link is protected, for events */
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

/* ---- among link.c, session.c, connect.c, open.c ---------------------------------------------- */

/* The one that has waited longest, or NULL. */
struct attempt *link_take_waiting(struct link *link);
/* Likewise of those that may go by a relaxed session. */
struct attempt *link_take_relaxed(struct link *link);
bool link_has_relaxed(const struct link *link);
/* All that wait, but for strict ones, hear that the destination cannot be asked, or (PERMANENT)
 * never. */
void link_fail_waiting(struct link *link, const struct verdict *verdict);
/* Likewise they go back, as `what` is missing here. */
void link_short_waiting(struct link *link, const char *what);
/* What DNS is asked of a destination's hosts. */
void link_query(struct delivery *delivery, const struct transport *transport, struct span next_hop,
	struct mx_query *out);
/* Hosts, or how their links are protected, are being looked up. */
static inline bool link_looks_up(const struct link *link)
{
	return link->lookup || link->securing;
}

/* A temporary verdict of our own. */
void link_trouble(struct verdict *verdict, uint8_t subject, uint8_t detail, const char *text);

void session_end(struct session *session, bool polite);
extern const struct client_ops session_ops;
void session_run(struct session *session, struct attempt *attempt);

/* ---- secure_report.c
 * ---------------------------------------------------------------------------- */

/* For TLS reports, and for events: how the link of a session that is ready is protected … */
void secure_report_success(struct session *session);
/* … or why one never was ready, where that was about its protection. */
void secure_report_failure(struct session *session, enum client_stage stage);
/* A host that may not be connected to at all. */
void secure_report_refusal(
	const struct link *link, const struct secure_host *plan, struct span host);

/* ---- requiretls.c --------------------------------------------------------------------------- */

/* May this session carry the attempt? */
static inline bool strict_fits(const struct session *session, const struct attempt *attempt)
{
	return session->requires || !(attempt->envelope.flags & ENVELOPE_REQUIRETLS);
}

/* The attempt waits for a session to another host. */
void strict_wait(struct link *link, struct attempt *attempt);
/* What this session, which is strict, may carry; NULL: nothing. */
struct attempt *strict_take(struct session *session);
/* A session is ready: what its host has. False: it is a strict one, and of no use. */
bool strict_learn(struct session *session);
/* The next address of a strict session; false: all had their turn. */
bool strict_pick(struct session *session);
/* No address is left. */
void strict_failed(struct session *session);
/* Opens a session where something waits for one. */
void strict_open(struct link *link);
/* All that wait hear why they cannot be sent, or go back, as `what` is missing here. */
void strict_fail(struct link *link, const struct verdict *verdict);
void strict_short(struct link *link, const char *what);

/* ---- connect.c ------------------------------------------------------------------------------ */

/* Connects to the next address; false: it failed, with `last` where none is left, and is gone. */
bool session_try(struct session *session, const struct verdict *last);
/* A session that never was ready failed at this stage: the same address once more, in a weaker
 * manner, where the plan allows one. False: no. */
bool session_again(struct session *session, enum client_stage stage);
/* What it knows for opening is wiped. */
void session_forget_secret(struct session *session);
/* It is no longer one of its host's. */
void session_leave_host(struct session *session);
/* Its host has as many sessions as it may, of all destinations. */
bool session_host_full(const struct link *link, uint32_t address);
/* All addresses were tried in vain, or no session could be made. No other one is tried for what
 * waits: those that stand serve it, one after the other, or open one when they end. */
void session_failed(struct session *session, const struct verdict *verdict);

/* ---- open.c --------------------------------------------------------------------------------- */

/* All connections that may be open are: one that idles elsewhere makes room, or one that nobody
 * waits for. False: there is none; the pump comes back when a session ends. */
bool session_room(struct delivery *delivery);
/* NULL: no memory. */
struct session *session_make(struct link *link, bool strict);
/* One for each attempt that waits, where there may be so many. The hosts are known. */
void session_open_for(struct link *link);

#endif
