/*
 * The inside of the machine of route/mx.h, shared by its parts: mx.c begins and asks,
 * mx_answer.c listens, mx_finish.c judges and makes the result.
 */
#ifndef ROUTE_MX_STATE_H
#define ROUTE_MX_STATE_H

#include "route/mx.h"

/* The question for MX; those for a host's addresses are 1 + host * MX_FAMILIES + family. */
#define MX_ID 0u

enum mx_family { MX_V6, MX_V4, MX_FAMILIES }; /* in the order in which addresses are tried */

enum mx_ask { MX_ASK_NO, MX_ASK_WANTED, MX_ASK_OPEN, MX_ASK_DONE };

/* What a name turned out to be for one family of addresses. */
struct mx_side {
	enum mx_ask ask;
	enum dns_status status; /* once MX_ASK_DONE */
	bool secure;
	uint8_t count;
	struct netaddr addresses[MX_ADDRESSES_PER_HOST];
};

/* Where CNAMEs led; length 0: nowhere else. */
struct mx_alias {
	uint16_t length;
	char name[DNS_NAME + 1];
};

struct mx_candidate {
	char name[DNS_NAME + 1];
	uint16_t name_length;
	uint16_t preference;
	uint64_t order; /* among equal preferences */
	bool unfit;	/* no name that mail can be sent to: an address, or nonsense */
	struct mx_alias alias;
	struct mx_side sides[MX_FAMILIES];
};

enum mx_kind {
	MX_OF_DOMAIN, /* lookup-mx */
	MX_OF_SERVER, /* a fixed server that is a name */
};

struct mx {
	enum mx_kind kind;
	const struct route_config *self;
	bool use[MX_FAMILIES];
	uint16_t port;
	bool private_hosts, own_dns;
	uint64_t random;
	struct verdict verdict; /* as soon as it is known: VERDICT_OK while it is not */
	uint32_t ttl_s;
	struct span domain;	 /* as the query said, for texts; the bytes are in `text` */
	char name[DNS_NAME + 1]; /* what MX is asked for: domain and zone, or the server */
	uint16_t name_length;
	enum mx_ask ask; /* MX */
	bool mx_secure;
	struct mx_alias alias; /* of the MX */
	bool implicit;	       /* the domain has no MX */
	bool own_seen;	       /* exchangers were dropped because of the own-preference rule */
	struct netaddr direct; /* no DNS needed: the address */
	uint32_t count;
	struct mx_candidate *candidates; /* in the order to try them */
	char text[DNS_NAME + 1];
};

/* Could the DNS be asked about it at all? An underscore never hurt. */
bool mx_is_name(struct span name);
struct span mx_without_dot(struct span name);
/* Could mail be sent there? */
bool mx_is_usable(const struct netaddr *a);
/* A host whose addresses have to be asked for; preference and order are the caller's. */
void mx_start_candidate(struct mx *mx, struct mx_candidate *c, struct span name);
/* The name itself is the one host: a fixed server, or a domain without MX. ERR_NOMEM. */
int mx_start_single(struct mx *mx);

#endif
