/*
 * `posternctl explain --client IP --from A --to B [--user U] [--tls] [--listener L] [--certificate
 * C]`: what would happen to such a message, rule by rule, as lines for people and as JSON. It
 * decides with the very functions that smtpd and delivery use.
 *
 *   explain.c        the question, and the decision
 *   explain_who.c    the listener, TLS, the certificate, the login
 *   explain_way.c    what comes after it: priority, pauses, retries, the server
 *   explain_link.c   TLS to the server, and the login there
 *   explain_hosts.c  what delivery says of the next hop: the DNS, and whether it is down
 *   explain_show.c   text and JSON
 */
#ifndef ROUTE_EXPLAIN_H
#define ROUTE_EXPLAIN_H

#include "base/json_write.h"
#include "directory/config.h"
#include "route/mx.h"
#include "route/priority.h"
#include "route/route.h"

#define EXPLAIN_ADDRESS 512 /* bytes of a canonical address */
#define EXPLAIN_PAUSES	3   /* everything, the domain, the transport */
#define EXPLAIN_HOSTS	8   /* that the lines show; JSON has all */
#define EXPLAIN_TARGETS 16  /* of an alias that are shown; more are counted */

/* As typed. */
struct explain_query {
	struct span client;   /* IP address */
	struct span listener; /* empty: the first one of the start file */
	struct span user;     /* logs in; empty: nobody does */
	bool no_password;     /* the account of this user has none */
	/* "verified": by the listener's client-ca; or a pin of the certificate or its key; empty:
	 * none is shown. */
	struct span certificate;
	struct span sender; /* "" or "<>": the null sender */
	struct span recipient;
	bool tls;
	/* What delivery said of the next hops, as explain_put_hosts(); empty: it was not asked. */
	struct span hosts;
};

/* Where one of an alias's addresses goes. */
struct explain_target {
	char recipient[ROUTE_ADDRESS];
	uint32_t length;
	enum route_kind kind;
	struct span transport;
	bool paused;
};

struct explain_pause {
	const char *what; /* "everything", "domain", "transport" */
	struct pause pause;
};

/* The destination fails, says delivery: nothing is sent there until a probe succeeds. */
struct explain_down {
	int64_t since_ms; /* 0: it is not down */
	int64_t next_probe_ms;
	bool probing;	     /* at this moment */
	bool failed;	     /* there is: */
	struct verdict last; /* failure */
};

struct explain {
	struct route_trail trail;
	bool login_refused;
	struct route_query query; /* as parsed; spans point into this structure */
	struct route_decision decision;
	bool parsed; /* the addresses are such; else decision is a refusal, of them or of the login
		      */
	const struct config_listener *listener;
	struct route_certificate certificate;
	struct route_hops hops;
	struct netaddr addresses[MX_ADDRESSES]; /* of hops */
	/* Where the recipient is an alias: decision is ROUTE_ALIAS, or, where it leads to one
	 * address alone, for that. */
	bool alias;
	struct explain_target targets[EXPLAIN_TARGETS];
	uint32_t target_count; /* more than EXPLAIN_TARGETS where there are */
	bool prioritised;
	struct priority_rule priority; /* the rule that matches */
	struct explain_pause pauses[EXPLAIN_PAUSES];
	uint32_t pause_count;
	struct verdict way; /* VERDICT_OK unless the next hop cannot be reached as things are */
	struct explain_down down;
	struct span hosts; /* JSON that explain_hosts() got; empty: none with hosts */
	char sender[EXPLAIN_ADDRESS];
	char recipient[EXPLAIN_ADDRESS];
};

/*
 * Big (about 40 KiB): the caller's own memory, not to be copied. The snapshot must be held, and the
 * start file and the query live, while it is used. ERR_SYNTAX: `client` is no IP address, or
 * `certificate` no pin; ERR_NOT_FOUND: there is no such listener. Then `why` has a sentence, and
 * nothing else is filled in.
 */
int explain_run(const struct snapshot *snapshot, const struct route_config *config,
	const struct config *start, const struct explain_query *query, struct explain *out,
	struct buf *why);

/* The rest depends on what delivery knows: what DNS says of this transport's next hop for the
 * decision's domain, and whether that destination works. Where the decision is ROUTE_ASK, run again
 * with the answer in query.hosts. */
bool explain_wants_hosts(const struct explain *explain);

/* How delivery answers that: {"hosts": [{"name", "preference", "addresses"}], "ttl"} or
 * {"refused": {"temporary", "code", "enhanced", "text"}}, as members of the open object; and, where
 * it is down, "down": {"since", "next_probe", "probing", "last_failure"}. */
void explain_put_hosts(const struct mx_result *result, struct json_write *json);
void explain_put_down(const struct explain_down *down, struct json_write *json);
/* That object, or, where delivery has none, {"error": TEXT}. Stays the caller's, and in use. */
void explain_hosts(struct explain *explain, struct span json);

/* Lines with "\n"; the last one says the outcome. */
void explain_text(const struct explain *explain, struct buf *out);

/* Members of the open object: outcome (transport, mailbox, alias, refused), client, listener, tls,
 * user, sender, recipient, alias (the addresses that it means), means (the address that it becomes:
 * at the domain that its own is another name of, or whoever gets the postmaster's mail), domain,
 * served; refusal, or: next (delivered, paused, bounces, waits), mailbox or transport (with retry),
 * priority, pauses, down, failure, dns, scans; and steps. */
void explain_json(const struct explain *explain, struct json_write *out);

/* For the files above. */
void explain_way(struct explain *explain, const struct snapshot *snapshot,
	const struct route_config *config, const struct config *start);
/* explain_link.c */
void explain_link(struct explain *explain);
/* explain_who.c: fills in explain->query; client and listener are known. Where the login is
 * refused, the decision is that. ERR_SYNTAX as above. */
int explain_who(struct explain *explain, const struct snapshot *snapshot,
	const struct explain_query *query, struct buf *why);
/* explain_hosts.c: explain->hops from what delivery said. */
void explain_read_hops(struct explain *explain, struct span json);
const char *explain_next(const struct explain *explain);
/* "transport site-a is down since …, next probe at …; it last failed with 421 4.4.1 …" */
void explain_add_down(struct buf *out, const struct explain *explain);

#endif
