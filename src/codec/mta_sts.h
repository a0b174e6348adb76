/*
 * MTA-STS (RFC 8461): the TXT record that says that there is a policy, and the policy itself.
 */
#ifndef CODEC_MTA_STS_H
#define CODEC_MTA_STS_H

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define MTA_STS_ID	 32	     /* bytes of an id */
#define MTA_STS_POLICY	 (64u << 10) /* bytes of a policy (RFC 8461 section 3.3) */
#define MTA_STS_MX	 64	     /* patterns of a policy; more is no policy */
#define MTA_STS_AGE_MOST 31557600u   /* seconds */

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint32_t max_age_s;
	struct span mx[MTA_STS_MX]; /* lower case A-labels; "*.example.org" for one label more */
	uint32_t mx_count;	    /* 0 only in mode none */
};

/* One string of a TXT record set, its character-strings joined. 0: it is a record "v=STSv1" and *id
 * points into it; ERR_NOT_FOUND: another kind of record; ERR_SYNTAX: one of ours, but broken. */
int mta_sts_record(struct span text, struct span *id);
/* The records of the answer (TXT rdata as in the DNS: length-prefixed strings): exactly one has to
 * be such (section 3.1), else ERR_NOT_FOUND. *id is in the arena. */
int mta_sts_find_record(
	const struct span *rdata, uint32_t count, struct arena *arena, struct span *id);
/* Fields in any order, CRLF or LF after each; unknown ones are ignored. A max_age above the most
 * becomes the most. ERR_SYNTAX: not valid; ERR_LIMIT: too long, or too many mx; ERR_NOMEM. */
int mta_sts_parse(struct span body, struct arena *arena, struct mta_sts_policy *out);
/* Is this exchanger (lower case, no final dot) one of the policy's (section 4.1)? */
bool mta_sts_allows(const struct mta_sts_policy *policy, struct span host);

#endif
