/*
 * The rules of route.h on their way for one recipient; for use within route/.
 *
 *   meant.c   rules 1 and 2, and the postmaster: whose mail it is
 *   route.c   the other rules
 *   expand.c  aliases, followed to their end
 */
#ifndef ROUTE_DECIDE_H
#define ROUTE_DECIDE_H

#include "route/route.h"

struct decide {
	const struct snapshot *snapshot;
	const struct route_config *config; /* NULL: nothing is ours by name or address */
	const struct route_query *query;   /* NULL where trusted */
	struct route_trail *trail;
	struct span recipient;
	struct span local;
	int domain_error; /* of looking the domain up */
	bool trusted;	  /* an administrator put the address there: it needs no right to relay */
	struct route_decision *out;
};

/* route_decide(). */
void decide_recipient(struct decide *d);

/* 451: the decision where the directory cannot be read. */
void decide_broken(struct decide *d, int err);
bool decide_is_own_name(const struct decide *d);

/* Fills in the recipient, his domain, and what the directory says of that. False: it was refused.
 */
bool meant_find(struct decide *d);
/* True: the decision is ROUTE_ALIAS, or cannot be made. */
bool meant_alias(struct decide *d);
/* Where nobody else takes the mail of a postmaster of ours: from here on it is about whoever gets
 * it, which needs no right to relay. That may be another absent postmaster, so this happens once.
 * False: it was refused. */
bool meant_postmaster(struct decide *d, bool *followed);

/* A recipient in the queue that was refused: where it is an alias by now, which leads to one
 * mailbox alone, that takes it; else the decision stays as it is. */
void expand_to_mailbox(struct decide *d);

/* The one account that an address leads to, by itself or by aliases. ERR_NOT_FOUND: it leads
 * elsewhere, nowhere, or to several. */
int expand_account(const struct snapshot *snapshot, struct span address, struct account *out);

#endif
