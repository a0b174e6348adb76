/*
 * One look-up of an MTA-STS policy (RFC 8461 section 3). Inner header of delivery/sts*.
 */
#ifndef DELIVERY_STS_SEARCH_H
#define DELIVERY_STS_SEARCH_H

#include "base/check.h"
#include "delivery/sts.h"

#include <string.h>

enum sts_outcome {
	STS_SEARCH_NONE,    /* the domain says, by its DNS, that it has none */
	STS_SEARCH_SAME,    /* the one that is kept is the newest */
	STS_SEARCH_LATER,   /* the one that could not be had is, and it is too early to try again */
	STS_SEARCH_POLICY,  /* `body` is a valid one, with `id` */
	STS_SEARCH_FAILED,  /* nothing is known: the DNS does not answer */
	STS_SEARCH_TROUBLE, /* there is one, and it cannot be had */
};

struct sts_result {
	enum sts_outcome outcome;
	enum sts_trouble trouble;
	const char *detail;   /* a constant */
	struct span id, body; /* valid during the call; id: of POLICY and TROUBLE */
};

struct sts_id {
	size_t length;
	char text[MTA_STS_ID];
};

static inline struct span sts_id_span(const struct sts_id *id)
{
	return span_of(id->text, id->length);
}

/* No id is longer. */
static inline void sts_id_set(struct sts_id *id, struct span text)
{
	id->length = MIN(text.n, sizeof(id->text));
	if (id->length)
		memcpy(id->text, text.p, id->length);
}

struct sts_search;

typedef void sts_search_done(void *owner, const struct sts_result *result);

/* Ids that are not fetched; empty: none. */
struct sts_ids {
	struct span kept;   /* of the policy that is kept and need not be fetched again */
	struct span failed; /* of one that could not be had lately */
};

/* done() comes from the loop, once. ERR_NOMEM. */
int sts_search_start(struct delivery *delivery, struct span domain, const struct sts_ids *ids,
	bool private_hosts, sts_search_done *done, void *owner, struct sts_search **out);
/* No harm where it is NULL. */
void sts_search_cancel(struct sts_search **search);

#endif
