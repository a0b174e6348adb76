/*
 * The prioritised queue's rules (snapshot_priority): does one match a recipient of a message?
 */
#ifndef ROUTE_PRIORITY_H
#define ROUTE_PRIORITY_H

#include "base/netaddr.h"
#include "base/span.h"
#include "directory/snapshot.h"

#include <stdbool.h>

struct priority_subject {
	struct netaddr client;
	struct span sender; /* canonical; empty: the null sender, which only an empty pattern or "*"
			     * matches */
	struct span recipient; /* canonical */
	struct span domain;    /* where it goes, lower case */
	struct span transport; /* name; empty: a mailbox */
};

/* Every field of the rule that is not empty matches. */
bool priority_rule_matches(
	const struct priority_rule *rule, const struct priority_subject *subject);

/* Any rule of the generation matches: the first one that does goes to `out` (may be NULL). */
bool priority_matches(const struct snapshot *snapshot, const struct priority_subject *subject,
	struct priority_rule *out);

/* ASCII case does not matter; "*" stands for any bytes, also none. Time is bounded by the product
 * of the lengths. */
bool priority_pattern_matches(struct span pattern, struct span text);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. A malformed one matches nothing. */
bool priority_network_matches(struct span network, const struct netaddr *client);

#endif
