/*
 * The rules of route.h on their way for one recipient; for use within route/. route.c has the
 * rules, expand.c follows aliases.
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

/* A recipient in the queue that was refused: where it is an alias by now, which leads to one
 * mailbox alone, that takes it; else the decision stays as it is. */
void expand_to_mailbox(struct decide *d);

/* expand.c: the one account that an address leads to, by itself or by aliases. False: there is
 * none, or more. ERR_NOT_FOUND: it leads elsewhere, nowhere, or to several. */
int expand_account(const struct snapshot *snapshot, struct span address, struct account *out);

#endif
