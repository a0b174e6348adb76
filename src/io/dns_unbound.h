/*
 * The real struct dns: libunbound, each context with a thread of its own, answers taken on the
 * loop.
 *
 * One context asks the system's servers (or those of the start file), and one more each distinct
 * list of servers of a transport: they keep separate caches, so that a customer's private zone
 * never answers for the Internet. Server names in such a list are resolved with the system's
 * context and asked again when their TTL is over.
 *
 * Equal questions in flight are asked once. No zone is answered out of the program's own head but
 * "localhost"; /etc/hosts is not read (mail goes by the DNS). Caches keep what they got for its
 * TTL, an hour at most; absence for a minute at most.
 *
 * DNSSEC is validated here, from the root's keys on: those of `anchors`, or else those that are
 * built in and those of the system (ROOT_KEY). But where the servers do not pass signatures on, or
 * are not of the Internet, all would be bogus, and no mail went out. So each list of servers is
 * tried first, with the first question and later now and then: where what it says of the root does
 * not stand up, its answers are taken as they are, none of them `secure`, and the log says so.
 * Where `anchors` has keys of the root, that is the administrator's word that the system's servers
 * are fit: they are not tried, and what is bogus stays so. Other zones of `anchors` are always
 * validated.
 *
 * Bounds: DNS_CONTEXTS lists of servers, DNS_CONTEXT_OPEN questions of a context under way at once;
 * others wait their turn within their timeout.
 */
#ifndef IO_DNS_UNBOUND_H
#define IO_DNS_UNBOUND_H

#include "base/log.h"
#include "io/dns.h"
#include "io/loop.h"

#define DNS_CONTEXTS	  64
#define DNS_BELIEVED_MS	  (24ull * 60 * 60 * 1000)
#define RESOLV_CONF	  "/etc/resolv.conf"
#define RESOLV_CONF_BYTES 16384 /* of it that are looked at */
#define DNS_CONTEXT_OPEN  256
#define ROOT_KEY	  "/usr/share/dns/root.key" /* of Debian's dns-root-data */
#define ROOT_KEY_BYTES	  16384			    /* of it that are looked at */

struct dns_unbound_options {
	struct span servers;	 /* the start file's list: addresses only; empty: resolv_conf */
	const char *resolv_conf; /* NULL: RESOLV_CONF. Read in dns_unbound_new(); without a server
				  * in it, or where it is missing, 127.0.0.1 is asked */
	uint64_t timeout_ms;	 /* of a question, all its tries together */
	struct span anchors;	 /* as io/dns_anchor.h has them; not kept */
	struct log *log;	 /* may be NULL */
};

/* Opens no socket and starts no thread before the first question, but reads its files now, so the
 * sandbox can be closed in between. ERR_SYNTAX: `servers`, `anchors`; ERR_LIMIT: `anchors`;
 * ERR_NOMEM. */
int dns_unbound_new(struct loop *loop, const struct dns_unbound_options *options, struct dns **out);

/* Of the system's servers. */
enum dns_dnssec dns_unbound_dnssec(const struct dns *dns);
/* Stands for the system's servers: other ones have another number. Never 0. */
uint64_t dns_unbound_servers(const struct dns *dns);
/* In a former life what these servers said could be validated. Where they are the same ones still,
 * it is validated from the first question on, and silence about the root changes that only when it
 * has lasted for DNS_BELIEVED_MS. */
void dns_unbound_believe(struct dns *dns, uint64_t servers);

/* Another /etc/resolv.conf: further questions go to the servers that it names. ERR_EXISTS: nothing
 * changes, since these are asked already, the start file names others, or it names none; ERR_NOMEM:
 * likewise. */
int dns_unbound_resolv_conf(struct dns *dns, struct span text);

/* Open questions are dropped without an answer. Not from within an answer. */
void dns_unbound_free(struct dns **dns);

#endif
