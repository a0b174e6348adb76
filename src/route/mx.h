/*
 * From a domain (or a fixed server's name) to the addresses to connect to, in order: RFC 5321
 * section 5.1 as a pure machine. It says which DNS questions to ask, takes the answers in any
 * order, and ends with a list or a verdict. route/lookup.h runs it over a struct dns.
 *
 * Rules:
 *   - Mail exchangers by preference; equal ones in an order drawn from `random`; none: the domain's
 *     own A/AAAA ("implicit MX"). A single "." is a null MX (RFC 7505): 556 5.1.10, permanent.
 *   - The name does not exist: 550 5.1.2, permanent. DNS fails (SERVFAIL, timeout, bogus):
 * 451 4.4.3, temporary. Exchangers of which none has a usable address: 451 4.4.3 where one of them
 * only could not be asked, else 550 5.4.4, permanent.
 *   - An exchanger that could not be asked is left out while others can be used, but it still keeps
 *     its place in the own-preference rule by its name.
 *   - Own preference: where an exchanger is us (by name or by address, with the port that will be
 *     connected to: route_is_own_exchanger()), it and all with the same or a higher preference
 * value are dropped. Nothing left: 554 5.4.6, "loops back".
 *   - Addresses of a host alternate IPv6, IPv4, IPv6 … within the families we can use, IPv6 first.
 *     0.0.0.0/8, "::", multicast, broadcast and link-local IPv6 are never used.
 *   - Addresses that are not public (route/public.h) are left out, unless `private_hosts` says
 *     otherwise: the DNS and address literals are anybody's. Nothing left: 550 5.4.4. Where zone or
 *     query made it the administrator's own DNS, the setting was forgotten: 451 4.4.4.
 *   - zone: appended to the recipient's domain, for its MX and for its own A/AAAA. The names of
 *     exchangers are absolute as they stand in the zone's data (RFC 1035) and are looked up as they
 *     are, from the same DNS servers.
 *   - A domain that is an address literal, and a fixed server that is an address, need no DNS. A
 *     fixed server that is a name: A/AAAA only. The own-preference rule does not apply to a fixed
 *     server; loop_fixed_server() (route/loop.h) looks at its addresses. Its name is the
 * administrator's word, so that a mistake in it must not bounce mail: all its failures are
 * temporary, 451 4.4.4 where the name does not exist or has no address.
 */
#ifndef ROUTE_MX_H
#define ROUTE_MX_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/verdict.h"
#include "io/dns.h"
#include "route/self.h"

#include <stdbool.h>
#include <stdint.h>

#define MX_HOSTS	      32 /* of a domain that are looked at, the lowest preferences first */
#define MX_ADDRESSES	      64 /* of all hosts together in a result */
#define MX_ADDRESSES_PER_HOST 16

struct mx_query {
	struct span domain; /* the recipient's, lower case A-labels, or a literal; lookup-mx */
	struct span host; /* a fixed server (transport.host): name or address; not empty: domain and
			   * zone do not matter */
	struct span zone; /* transport.zone; empty: none */
	uint16_t port;	  /* transport.port: goes into every address */
	bool v4, v6;	  /* families we can send from; at least one */
	bool private_hosts; /* transport.private_hosts: addresses that are not public are used too
			     */
	bool own_dns;	    /* transport.query: the DNS asked is the administrator's */
	uint64_t random;    /* orders exchangers of equal preference */
	const struct route_config *self; /* must outlive the machine */
};

struct mx_host {
	struct span name;    /* lower case; the literal for an address; what TLS and logs show */
	uint16_t preference; /* 0 for an implicit MX or a fixed server */
	bool secure;	     /* MX and addresses validated with DNSSEC */
	bool named;	     /* its name is vouched for: by DNSSEC (MX), or who named the server */
	struct span canonical; /* where CNAMEs led; empty: the name itself */
};

struct mx_address {
	struct netaddr address; /* with port */
	uint16_t host;		/* index of its host */
};

/* One block of memory; free with mx_result_free(). */
struct mx_result {
	struct verdict verdict; /* VERDICT_OK: there are addresses; else why not */
	uint32_t ttl_s;		/* how long it may be kept, DNS_TTL_LEAST … DNS_TTL_MOST */
	uint32_t host_count;	/* only hosts with addresses, in the order to try them */
	bool incomplete;	/* there is a host whose addresses could not be had now */
	const struct mx_host *hosts;
	struct span canonical;	/* of the domain, likewise, where it has MX */
	uint32_t address_count; /* in the order to try them, a host's addresses together */
	const struct mx_address *addresses;
};

void mx_result_free(struct mx_result **result);

/* ---- the machine ------------------------------------------------------------------------ */

struct mx;

struct mx_question {
	uint32_t id;	  /* goes into mx_answer() */
	struct span name; /* lives as long as the machine */
	enum dns_type type;
};

/* ERR_NOMEM is the only failure; a domain that cannot be asked about ends in a verdict. */
int mx_new(const struct mx_query *query, struct mx **out);
void mx_free(struct mx **mx);

/* A question that has to be asked now; false: there is none (more may come after answers). */
bool mx_next(struct mx *mx, struct mx_question *out);

/* The answer to a question; what it points to is copied. An id that is not open is ignored. */
void mx_answer(struct mx *mx, uint32_t id, const struct dns_answer *answer);

/* All was asked and answered: mx_finish() has the result. */
bool mx_finished(const struct mx *mx);

/* Makes the result. ERR_NOMEM. */
int mx_finish(struct mx *mx, struct mx_result **out);

#endif
