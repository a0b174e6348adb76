/*
 * `posternctl explain --client IP --from A --to B [--user U] [--tls]`: what would happen to such a
 * message, rule by rule, as lines for people and as JSON. It decides with the very functions that
 * smtpd and delivery use.
 *
 * It asks no DNS: for lookup-mx it says which questions delivery would ask, and whom.
 */
#ifndef ROUTE_EXPLAIN_H
#define ROUTE_EXPLAIN_H

#include "base/json_write.h"
#include "route/route.h"

#define EXPLAIN_ADDRESS 512 /* bytes of a canonical address */

/* As typed. */
struct explain_query {
	struct span client;   /* IP address */
	struct span listener; /* empty: not said */
	struct span user;
	struct span sender; /* "" or "<>": the null sender */
	struct span recipient;
	bool tls;
};

struct explain {
	struct route_trail trail;
	struct route_query query; /* as parsed; spans point into this structure */
	struct route_decision decision;
	bool parsed; /* the addresses are such; else decision is a refusal */
	char sender[EXPLAIN_ADDRESS];
	char recipient[EXPLAIN_ADDRESS];
};

/* Big (about 12 KiB): the caller's own memory. The snapshot must be held while it is used.
 * ERR_SYNTAX only where `client` is no IP address, and then nothing is filled in. */
int explain_run(const struct snapshot *snapshot, const struct route_config *config,
	const struct explain_query *query, struct explain *out);

/* Lines with "\n"; the last one says the outcome. */
void explain_text(const struct explain *explain, struct buf *out);

/* One object: outcome, code, text, sender, recipient, domain, transport, retry, steps. */
void explain_json(const struct explain *explain, struct json_write *out);

#endif
