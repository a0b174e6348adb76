/*
 * One look-up of an MTA-STS policy (RFC 8461 section 3). Inner header of delivery/sts*.
 */
#ifndef DELIVERY_STS_SEARCH_H
#define DELIVERY_STS_SEARCH_H

#include "delivery/sts.h"

enum sts_outcome {
	STS_SEARCH_NONE,    /* the domain says, by its DNS, that it has none */
	STS_SEARCH_SAME,    /* the one that is kept is the newest */
	STS_SEARCH_POLICY,  /* `body` is a valid one, with `id` */
	STS_SEARCH_FAILED,  /* nothing is known: the DNS does not answer */
	STS_SEARCH_TROUBLE, /* there is one, and it cannot be had */
};

struct sts_result {
	enum sts_outcome outcome;
	enum sts_trouble trouble;
	const char *detail;   /* a constant */
	struct span id, body; /* valid during the call */
};

struct sts_search;

typedef void sts_search_done(void *owner, const struct sts_result *result);

/* `kept_id`: of the policy that is kept and need not be fetched again; empty: none. done() comes
 * from the loop, once. ERR_NOMEM. */
int sts_search_start(struct delivery *delivery, struct span domain, struct span kept_id,
	bool private_hosts, sts_search_done *done, void *owner, struct sts_search **out);
/* No harm where it is NULL. */
void sts_search_cancel(struct sts_search **search);

#endif
