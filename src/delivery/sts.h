/*
 * MTA-STS policies of recipients' domains (RFC 8461): found by the DNS, fetched, kept for their
 * max_age, over restarts too (a file beside the journal), so that whoever can keep us from the DNS
 * or the web server for a while cannot take a policy away.
 *
 * Bounds: STS_POLICIES domains, those not used longest go first; a domain is asked about by one
 * look-up at a time, whoever waits for it.
 */
#ifndef DELIVERY_STS_H
#define DELIVERY_STS_H

#include "codec/mta_sts.h"
#include "delivery/core.h"

#define STS_POLICIES 10000u
#define STS_NONE_MS                                                                   \
	(5ull * 60 * 1000) /* a domain without a policy, or whose policy could not be \
			    * fetched, is not asked about again sooner */
#define STS_LOOK_MS                                                                  \
	(60ull * 60 * 1000) /* a kept policy: how often the DNS is asked for a newer \
			     * one */
#define STS_WAIT_MS 20000   /* mail waits so long for a first policy */

struct sts;
struct sts_question;

enum sts_trouble {
	STS_FINE,
	STS_FETCH_ERROR,    /* the DNS says that there is one, and it cannot be had */
	STS_INVALID,	    /* it makes no sense */
	STS_WEBPKI_INVALID, /* the web server's certificate is not good */
};

struct sts_found {
	const struct mta_sts_policy *policy; /* NULL: none. Valid while the answer is held … */
	struct span text;		     /* its lines, for reports */
	enum sts_trouble trouble; /* with a NULL policy, or with a kept one that could not be
				   * renewed */
};

/* Holds an answer as long as its memory is used. */
struct sts_entry;

typedef void sts_done(void *owner, struct sts_entry *entry);

int sts_new(struct delivery *delivery, struct sts **out);
void sts_free(struct sts **sts);
/* For an answer at once *entry is set and done() never called; else *out, and done() comes from the
 * loop. Either entry is held for the caller. ERR_NOMEM. */
int sts_ask(struct sts *sts, struct span domain, sts_done *done, void *owner,
	struct sts_question **out, struct sts_entry **entry);
void sts_cancel(struct sts_question **question);
void sts_found(const struct sts_entry *entry, struct sts_found *out);
void sts_release(struct sts_entry **entry);

#endif
