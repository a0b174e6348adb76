/*
 * What the answers about a destination's hosts mean for its links. Inner header of
 * delivery/secure*.
 */
#ifndef DELIVERY_SECURE_PLAN_H
#define DELIVERY_SECURE_PLAN_H

#include "codec/tlsa.h"
#include "delivery/secure.h"

#define SECURE_ARENA (4u << 20) /* bytes: hosts with all their records, and a tls-ca file */
/* What refuses a host may be over with the next try, a file may become another one at any time, and
 * a policy that is being looked for be there soon; seconds. */
#define SECURE_AGAIN_S	   1
#define SECURE_AGAIN_CA_S  60
#define SECURE_AGAIN_STS_S 20

/* Of one host. */
struct secure_tlsa {
	struct span base; /* the name that they are of (RFC 7672 section 2.2.3); empty: not asked */
	bool failed;	  /* it cannot be told whether there are any: RFC 7672 section 2.1.2 */
	bool bogus;	  /* … since DNSSEC says that the answer is forged */
	bool found;	  /* records that DNSSEC vouches for … */
	struct tls_tlsa *usable;
	uint32_t usable_count; /* … some of which, or none, can be used */
};

struct secure_answers {
	struct secure_tlsa tlsa[MX_HOSTS];
};

/* secure_tlsa.c. Keeps what an answer says, in the arena of `secure`. */
void secure_take_tlsa(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer);

/* Fills in every host. Memory that is missing shows in the arena. */
void secure_plan(struct delivery *delivery, const struct transport *transport, struct span next_hop,
	const struct mx_result *hosts, const struct secure_answers *answers, struct secure *secure);

#endif
