/*
 * MTA-STS policies of recipients' domains (RFC 8461): found by the DNS, fetched, kept for their
 * max_age, over restarts too (a file beside the journal), so that whoever can keep us from the DNS
 * or the web server for a while cannot take a policy away.
 *
 * Mail waits where nothing is known of a domain, once, and for STS_WAIT_MS at most. A policy that
 * is kept is used while a newer one is looked for; where one cannot be had, that is remembered,
 * mail goes on without (RFC 8461 section 5.1: as if there were none), and it is looked for beside
 * it, less and less often. Another id in the DNS ends that pause (section 3.3: "per version ID").
 *
 * Bounds: STS_POLICIES domains and STS_BYTES of their policies, those not used longest go first; a
 * domain is asked about by one look-up at a time, whoever waits for it, and STS_SEARCHES of them
 * run at a time; the others wait in line, also STS_WAIT_MS at most.
 *
 *   sts.c         the domains
 *   sts_entry.c   what is known of one
 *   sts_ask.c     who asks and waits, and when it is looked up
 *   sts_search.c  one look-up
 *   sts_renew.c   what would end is fetched again
 *   sts_file.c    how it is kept
 */
#ifndef DELIVERY_STS_H
#define DELIVERY_STS_H

#include "codec/mta_sts.h"
#include "delivery/core.h"

#define STS_POLICIES 10000u
#define STS_BYTES    (32u << 20)
#define STS_SEARCHES 64
#define STS_WAIT_MS  20000 /* mail waits so long for the first word about a domain */
#define STS_NONE_MS \
	(5ull * 60 * 1000) /* a domain without a policy is asked again, by mail for it */
/* One that could not be had is looked for again after so long, then after twice as long, … */
#define STS_FAILED_MS	   (5ull * 60 * 1000)
#define STS_FAILED_MOST_MS (24ull * 60 * 60 * 1000)
#define STS_LOOK_MS	   (60ull * 60 * 1000) /* a kept policy: the DNS is asked for a newer one */
/* Of a kept policy, so that it does not end: it is fetched again when it is so old, or half its
 * time is over, whether there is mail or not; without any for STS_NEEDED_MS, or so many of its own
 * lives, not any more: short ones must not take the turns of those that are to last. */
#define STS_RENEW_MS	(24ll * 60 * 60 * 1000)
#define STS_NEEDED_MS	(31ull * 24 * 60 * 60 * 1000)
#define STS_NEEDED_AGES 4
/* Looks for such, and how many one of them begins to fetch. */
#define STS_TURN_MS   (5ull * 60 * 1000)
#define STS_TURN_MOST 16

struct sts;
struct sts_question;

enum sts_trouble {
	STS_FINE,
	STS_FETCH_ERROR,    /* the DNS says that there is one, and it cannot be had */
	STS_INVALID,	    /* it makes no sense */
	STS_WEBPKI_INVALID, /* the web server's certificate is not good */
};

struct sts_found {
	const struct mta_sts_policy *policy; /* NULL: none */
	const struct span *lines;	     /* of its text, for reports */
	uint32_t line_count;
	enum sts_trouble
		trouble;    /* of the last look-up; there may be an older policy all the same */
	const char *detail; /* in words, of trouble */
};

/* What is known at one time of a domain; immutable. Who gets one holds it as long as he uses what
 * is in it. */
struct sts_entry;

typedef void sts_done(void *owner, struct sts_entry *entry);

/* ERR_NOMEM. */
int sts_new(struct delivery *delivery, struct sts **out);
void sts_free(struct sts **sts);
/*
 * What is known of a domain (canonical). At once: *entry is set, done() is never called. Else *out
 * is set, and done() comes from the loop within STS_WAIT_MS, with NULL where nothing was found out
 * until then. Either entry is held for the caller. `private_hosts`: its web server may have an
 * address that is not public. ERR_NOMEM.
 */
int sts_ask(struct sts *sts, struct span domain, bool private_hosts, sts_done *done, void *owner,
	struct sts_question **out, struct sts_entry **entry);
/* done() will not be called. No harm where it is NULL. */
void sts_cancel(struct sts_question **question);
/* More is being found out about it: what is known now may be old soon. */
bool sts_looks(struct sts *sts, struct span domain);
void sts_found(const struct sts_entry *entry, struct sts_found *out);
/* No harm where it is NULL. */
void sts_release(struct sts_entry **entry);
/* Its file: read at the start, written at the end. */
void sts_load(struct sts *sts);
void sts_keep(struct sts *sts);
bool sts_busy(const struct sts *sts);

#endif
