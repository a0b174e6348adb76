/*
 * How the sessions to a destination's hosts are to be protected: the transport's `tls`, together
 * with what the DNS says of each host (DANE, RFC 7672) and the domain of itself (MTA-STS, RFC
 * 8461). Found out after the hosts, and before the first of them is connected to; good as long as
 * they are.
 *
 *   none           no TLS
 *   opportunistic  TLS where it is offered, with any certificate; in clear where that fails
 *   require        TLS, with any certificate
 *   verify         TLS, and the certificate is a pinned one (tls-pin), or has a chain to tls-ca (or
 * the system's roots) and the right name: the server's, where the administrator named it or DNSSEC
 * vouches for the exchanger; else the domain's own dane           where DNSSEC vouches for the host
 * and its TLSA records: TLS, by these; where it proves that there are none: as opportunistic; where
 * that cannot be told: not now mta-sts        as dane; and where that has nothing to say, the
 * domain's policy: in mode enforce only its exchangers, with TLS, chain and name; in mode testing
 * the same is tried, reported, and not insisted on; without a policy: as opportunistic
 */
#ifndef DELIVERY_SECURE_H
#define DELIVERY_SECURE_H

#include "codec/tls_rpt.h"
#include "delivery/sts.h"
#include "io/tls.h"
#include "transport/client.h"

/* Of one host. */
struct secure_host {
	bool refused; /* no session to it: `why` */
	struct verdict why;
	enum client_tls tls;
	bool testing; /* what fails is tried again without a check of the certificate */
	bool failing; /* it is used all the same, but counts as a failure in reports: `result` */
	enum tls_rpt_result result;
	const char *detail;
	enum tls_rpt_policy_type type; /* for reports */
	struct tls_client client;
};

/* Of all hosts of a destination, in their order. Held by its link, and by sessions that open. */
struct secure {
	uint32_t refs;
	uint32_t host_count;
	uint32_t ttl_s;
	struct secure_host *hosts;
	struct sts_entry *sts; /* or NULL */
	struct arena arena;
};

struct secure_search;

typedef void secure_done(void *owner, struct secure *secure);

/*
 * Begins to find out. At once: *now is set (and is the caller's), done() is never called. Else *out
 * is, and done() comes from the loop, with NULL where memory ran out. `transport`'s texts, and
 * `hosts`, must stay until then. ERR_NOMEM.
 */
int secure_start(struct delivery *delivery, const struct transport *transport, struct span next_hop,
	const struct mx_result *hosts, secure_done *done, void *owner, struct secure_search **out,
	struct secure **now);
void secure_cancel(struct secure_search **search);

struct secure *secure_hold(struct secure *secure);
void secure_release(struct secure **secure);

#endif
