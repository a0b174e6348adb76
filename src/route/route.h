/*
 * Who may relay, and where a recipient goes. Pure: one snapshot, one question, one answer; nothing
 * is kept between calls.
 *
 * Rules, in this order (route_decide):
 *   1. "<postmaster>" without a domain is postmaster at our host name (RFC 5321 section 4.5.1); an
 *      address literal that is ours means our host name too.
 *   2. A domain alias means its domain, for the recipient's address too. An alias means other
 *      addresses: each of them is decided by these rules, with the right to relay, since the
 *      administrator put them there; ROUTE_ALIAS names them.
 *   3. A domain that Postern serves needs no relaying right: mailboxes need an account (550 5.1.1
 *      where there is none), a transport takes every local part.
 *   4. Our host name, where it is no domain in the directory, has no mailboxes: 550 5.1.2.
 *      But where rules 3 and 4 know no account of postmaster, the directory's `postmaster` gets his
 *      mail, once: the decision is for that address, and needs no right to relay.
 *   5. Anything else is relaying. The right to it is had, in this order, by clients on a loopback
 *      address; whoever logged in; a client certificate that the listener's client-ca or the relay
 *      table's `certificates` knows; and by the listener's policy (route/relay.h). All others get
 *      550 5.7.1 with what to do. It leaves by the default transport; without one 550 5.4.4.
 *      Address forms that ask for a second hop, such as "user%b@a" and "b!user@a", mean nothing
 *      here: a local part is the business of its domain's own server. Where the domain is served by
 *      a transport, that server might read them so: they are refused (550 5.7.1) unless the client
 *      may relay.
 * A directory that cannot be read gives 451 4.3.5, never a decision.
 *
 * Local parts of accounts: as given, then in ASCII lower case, so that "Ann@" and "POSTMASTER@"
 * reach "ann@" and "postmaster@"; aliases likewise.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/verdict.h"
#include "directory/snapshot.h"
#include "route/self.h"

#include <stdbool.h>
#include <stdint.h>

struct route_query {
	struct netaddr client; /* who hands the message in */
	struct span listener;  /* name in the start file */
	struct span user;      /* who authenticated; empty: nobody */
	bool tls;
	/* The client's certificate, where it showed one; else NULL. */
	const struct route_certificate *certificate;
	struct span sender;    /* canonical; empty: the null sender */
	struct span recipient; /* canonical mailbox, "local@domain", or "postmaster" alone */
	/* The answer to ROUTE_ASK: NULL where it was not asked. */
	const struct route_hops *hops;
};

struct route_certificate {
	bool verified; /* by the listener's client-ca */
	uint8_t certificate_hash[32], key_hash[32];
};

/* Where mail for a domain would go, by a transport: what delivery says. */
struct route_hops {
	bool known;			 /* false: it cannot be said now */
	const struct netaddr *addresses; /* none: mail for it cannot be delivered */
	uint32_t count;
};

enum route_kind {
	ROUTE_TRANSPORT, /* leaves by `transport` */
	ROUTE_MAILBOX,	 /* goes into the mailbox of `account` */
	ROUTE_ALIAS,	 /* means other addresses: `alias`; route_expand() follows it */
	ROUTE_ASK, /* depends on the next hops' addresses: find out where mail for `domain` goes by
		    * `transport`, and decide again with query.hops */
	ROUTE_REFUSED, /* `verdict` says why; VERDICT_TEMPORARY or VERDICT_PERMANENT */
};

/* By what right a message may go to a domain that is not served here; what the trace says of it. */
enum route_right {
	ROUTE_RIGHT_NONE, /* none was needed */
	ROUTE_RIGHT_LOOPBACK,
	ROUTE_RIGHT_LOGIN,
	ROUTE_RIGHT_CERTIFICATE, /* by the hash of it, or by client-ca */
	ROUTE_RIGHT_KEY,	 /* by the hash of its certificate's key */
	ROUTE_RIGHT_FROM,
	ROUTE_RIGHT_TO,
	ROUTE_RIGHT_LOCAL_HOSTS,
	ROUTE_RIGHT_ACCEPT_HOSTS,
	ROUTE_RIGHT_LOCAL_USERS,
	ROUTE_RIGHT_ACCEPT_USERS,
	ROUTE_RIGHT_ANYONE,
	ROUTE_RIGHTS
};

/* "login", "from", "accept.hosts", …: as in the rules of `explain`; "certificate" for both kinds.
 * ROUTE_RIGHT_NONE has no name: "". */
const char *route_right_name(enum route_right right);

#define ROUTE_ADDRESS 254 /* bytes of an address (RFC 5321 section 4.5.3.1.3 without brackets) */

/* Only what belongs to the kind is filled in. Spans point into the snapshot, the query or config,
 * but for `recipient`: by a domain alias it is another address, which lies in the decision itself.
 * So a decision is not to be copied, and whoever keeps its recipient copies that. */
struct route_decision {
	enum route_kind kind;
	bool served;		/* the domain is in the directory */
	enum route_right right; /* that it took; always filled in */
	struct span recipient;	/* the query's; or at the domain that its own is an alias of, or
				 * whoever gets the postmaster's mail; canonical */
	struct span domain; /* the recipient's, after rules 1 and 2; a literal keeps its brackets */
	struct domain served_domain; /* where served: its pause among others */
	struct transport transport;
	struct account account;
	uint32_t alias, alias_count; /* for snapshot_alias_target() */
	struct verdict verdict;
	char rewritten[ROUTE_ADDRESS]; /* see above */
};

#define ROUTE_ALIAS_DEPTH   10	 /* an alias may lead to aliases, so deep */
#define ROUTE_ALIAS_TARGETS 1000 /* of one recipient, all together */

/* ---- the trail: what `explain` shows ---------------------------------------------------- */

#define ROUTE_STEPS	 64    /* more are dropped, and the trail says so */
#define ROUTE_TRAIL_TEXT 16384 /* bytes of sentences, all together */

struct route_step {
	const char *rule; /* a short constant name: "relay", "domain", "account", "transport", … */
	const char *result; /* a constant word: "yes", "no", "refused", "accepted", "uses", … */
	struct span text;   /* a plain sentence; peer bytes in it are escaped */
};

struct route_trail {
	struct route_step steps[ROUTE_STEPS];
	uint32_t count;
	bool cut; /* a step did not fit */
	uint32_t used;
	char text[ROUTE_TRAIL_TEXT];
};

void route_trail_init(struct route_trail *trail);
/* trail may be NULL: then nothing happens. rule and result must be constants. */
void route_trail_add(struct route_trail *trail, const char *rule, const char *result,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- the decisions ---------------------------------------------------------------------- */

/* For RCPT, where aliases need not be followed. trail is NULL but for `explain`. */
void route_decide(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail, struct route_decision *out);

/*
 * Every address that a recipient means in the end, aliases followed: each(), once for each, in
 * order, with its decision (ROUTE_TRANSPORT or ROUTE_MAILBOX, with its recipient), which is valid
 * during the call. Where it is no alias that is itself. *out is the decision for the whole:
 * ROUTE_ALIAS where it was an alias, else as route_decide() (each() is not called for ROUTE_ASK);
 * ROUTE_REFUSED
 * where one of the addresses is refused (temporary before permanent), an alias leads back to itself
 * or further than the bounds allow (451 4.3.5, as an administrator can mend that); then each() may
 * have been called for some: the caller drops them. each() returns false to stop: ROUTE_REFUSED,
 * 452.
 */
void route_expand(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail,
	bool (*each)(void *context, const struct route_decision *decision), void *context,
	struct route_decision *out);

/*
 * For MAIL: may somebody who logged in (query.user) send as query.sender? By the listener's
 * `senders`. The null sender is allowed (RFC 8098 section 3 wants it). Refused: 553 5.7.1 with what
 * is allowed; 451 4.3.5 where the directory cannot be read. Without a user: always allowed, and
 * nothing looked at.
 *
 * His own address in any case of letters that leads to his account, by any name of its domain;
 * aliases that lead to him alone; the account's send-as addresses, and all of a domain there.
 */
bool route_sender_allowed(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out);

/*
 * For a recipient in the queue: the same without the right to relay, since that was decided when
 * the message was taken in. `override` is the transport that an administrator rerouted the message
 * to (empty: none); while a transport of that name exists it takes every recipient, else the
 * ordinary rules apply. A domain that is served no longer leaves by the default transport; without
 * one 550 5.4.4. An account that is gone gives 550 5.1.1. Aliases were followed when the message
 * was taken in; where an account has since become an alias that leads to one mailbox alone, that
 * gets it. (Whoever makes new mail, such as a notification, follows them with route_expand().)
 */
void route_for_delivery(const struct snapshot *snapshot, const struct route_config *config,
	struct span recipient, struct span override, struct route_decision *out);

/* What follows the last "@", or nothing; "postmaster" alone gives the host name. */
struct span route_domain(const struct route_config *config, struct span recipient);

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3), port 0. ERR_SYNTAX where it is
 * no literal of an IP address. */
int route_literal(struct span domain, struct netaddr *out);

#endif
