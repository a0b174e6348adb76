/*
 * Questions to the DNS. An interface like struct disk: io/dns_unbound asks the real world, the
 * simulator and the tests answer from a table.
 *
 * Single-threaded, on the role's one loop. An answer never comes inside dns_ask(): always later,
 * from the loop, exactly once, unless the question was cancelled before. Every question ends: at
 * the latest by its timeout, as DNS_TEMPORARY.
 *
 * What comes back was said by strangers: it is parsed (io/dns_rdata), bounded, and in one form:
 * names are lower case, without a final dot, and only of letters, digits, hyphen and underscore; a
 * record that cannot be such is left out and counted in `dropped`.
 */
#ifndef IO_DNS_H
#define IO_DNS_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_RECORDS   128  /* records of one answer; more are dropped */
#define DNS_NAME      253  /* bytes of a name as text */
#define DNS_TTL_MOST  3600 /* seconds; what is cached longer cannot be mended by its owner */
#define DNS_TTL_LEAST 1	   /* seconds */

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };

enum dns_status {
	DNS_OK,	       /* records of the type that was asked for */
	DNS_NODATA,    /* the name exists, without such records */
	DNS_NXDOMAIN,  /* the name does not exist */
	DNS_TEMPORARY, /* nobody could or would answer: SERVFAIL, REFUSED, timeout, no memory */
	DNS_BOGUS, /* DNSSEC proves the answer forged or broken: as temporary, never to be used */
};

/* Can what servers say be validated? */
enum dns_dnssec {
	DNSSEC_UNKNOWN, /* nothing was asked yet, or they did not answer for the root */
	DNSSEC_YES,	/* answers are validated */
	DNSSEC_NO,	/* they do not pass on what that would need */
};

struct dns_mx {
	uint16_t preference;
	struct span name; /* empty: the root, "." (RFC 7505) */
};

/* Valid during the callback only. `count` entries are in the one array that fits the type; the
 * others are NULL. count is never 0 where status is DNS_OK: where all records were unfit it is
 * DNS_NODATA with `dropped` above 0, so that a broken MX is told from none. */
struct dns_answer {
	enum dns_status status;
	bool secure;	       /* validated with DNSSEC, absence as well */
	uint32_t ttl_s;	       /* DNS_TTL_LEAST … DNS_TTL_MOST */
	struct span canonical; /* where CNAMEs led; empty: the name itself */
	uint32_t count;
	uint32_t dropped;		 /* records that were unfit or too many */
	const struct netaddr *addresses; /* A and AAAA; port 0 */
	const struct dns_mx *mx;	 /* MX, in the order of the answer */
	const struct span *rdata;	 /* other types: raw bytes */
	struct span reason; /* TEMPORARY and BOGUS: a short phrase of ours for people */
};

typedef void dns_done(void *owner, const struct dns_answer *answer);

struct dns;
struct dns_question;

struct dns_ops {
	int (*ask)(struct dns *dns, struct span servers, struct span name, enum dns_type type,
		dns_done *done, void *owner, struct dns_question **out);
	void (*cancel)(struct dns_question **question);
};

struct dns {
	const struct dns_ops *ops;
};

/* Every question begins with a pointer to its dns. */
struct dns_question {
	struct dns *dns;
};

/*
 * Asks. `servers` is the comma list of a transport's `query` (names or addresses, each with an
 * optional port: "ns1.example.org,192.0.2.53,127.0.0.1:5353,[::1]:53"); empty: the system's. `name`
 * is text with or without the final dot. Both are copied. *out is valid until done() was called or
 * the question was cancelled; the owner forgets it then. Errors that are returned (and done() never
 * called): ERR_SYNTAX (no such name or server can be), ERR_NOMEM.
 */
static inline int dns_ask(struct dns *dns, struct span servers, struct span name,
	enum dns_type type, dns_done *done, void *owner, struct dns_question **out)
{
	return dns->ops->ask(dns, servers, name, type, done, owner, out);
}

/* done() will not be called. *question becomes NULL. No harm where it is NULL. */
static inline void dns_cancel(struct dns_question **question)
{
	if (*question)
		(*question)->dns->ops->cancel(question);
}

#endif
