/*
 * What is kept of domains' MTA-STS policies. Inner header of delivery/sts*.
 */
#ifndef DELIVERY_STS_KEPT_H
#define DELIVERY_STS_KEPT_H

#include "delivery/sts_search.h"

#define STS_BUCKETS 4096u
#define STS_LINES   128 /* of a policy's text that are kept apart, for reports */

struct sts_entry {
	uint32_t refs;
	struct mta_sts_policy policy;
	bool has_policy;
	int64_t fetched_ms, expires_ms;
	struct span id, body;
	enum sts_trouble trouble;
	const char *detail;
	uint32_t line_count;
	struct span lines[STS_LINES];
	struct arena arena;
};

struct sts_domain {
	struct list bucket;
	struct list lru; /* the one used last at the end */
	struct sts *sts;
	struct sts_entry *entry; /* NULL: nothing is known yet */
	uint64_t look_ns;	 /* what is known is good until then */
	uint64_t asked_ns;	 /* there was mail */
	bool private_hosts;	 /* … of a transport that allows them */
	struct sts_search *search;
	struct list queued; /* in sts->queue, for a search */
	struct list waiting;
	struct timer patience; /* of those that wait for the search */
	bool overdue;	       /* it has taken too long */
	uint32_t failures;     /* searches in a row that came to nothing */
	uint64_t fetch_ns;     /* `failed` is not fetched before */
	struct sts_id failed;
	size_t name_length;
	char name[];
};

struct sts {
	struct delivery *delivery;
	struct list buckets[STS_BUCKETS];
	struct list lru;
	uint32_t count;
	size_t bytes; /* of the policies' texts */
	uint32_t searches;
	struct list queue; /* domains that nothing is known of, while STS_SEARCHES run */
	uint64_t version;
	struct kept kept;
	struct timer turn; /* policies that grow old are renewed */
};

/* ---- sts_entry.c */
/* Nothing is known. NULL: no memory. */
struct sts_entry *sts_entry_new(void);
/* NULL: no memory, or no policy (that was looked at before). */
struct sts_entry *sts_entry_of_policy(struct span id, struct span body, int64_t fetched_ms);
/* No harm where it is NULL. */
struct sts_entry *sts_hold(struct sts_entry *entry);

/* ---- sts.c */
/* NULL: nobody asked yet. */
struct sts_domain *sts_find(struct sts *sts, struct span name);
/* It is the one used last now. NULL: no memory. */
struct sts_domain *sts_get(struct sts *sts, struct span name);
/* Takes the entry over. */
void sts_set(struct sts_domain *domain, struct sts_entry *entry);
bool sts_has_policy(const struct sts_domain *domain);

/* ---- sts_ask.c */
/* Looks for what is known of it, if not so many searches run already. */
void sts_begin(struct sts_domain *domain);
/* A policy that should be fetched again, so that it does not end. */
bool sts_is_old(const struct sts_domain *domain);
/* It has waited for long. */
void sts_overdue(struct timer *patience);

/* ---- sts_renew.c */
void sts_renew(struct timer *turn);

/* ---- sts_file.c */
extern const struct kept_kind sts_kept;

#endif
