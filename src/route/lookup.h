/*
 * Runs the machine of route/mx.h over a struct dns: one call, one callback.
 *
 * Like dns_ask(): done() comes from the loop, never inside mx_lookup_start(), exactly once, unless
 * the lookup was cancelled. The one exception is named there.
 */
#ifndef ROUTE_LOOKUP_H
#define ROUTE_LOOKUP_H

#include "route/mx.h"

struct mx_lookup;

/* The result is the owner's; it is NULL where memory ran out (treat as temporary). */
typedef void mx_lookup_done(void *owner, struct mx_result *result);

/*
 * `servers` is transport.query. ERR_NOMEM: done() is never called.
 * Where no DNS is needed (an address, a literal, a domain that is no name) or nothing can be asked
 * (`servers` makes no sense) *result is filled in at once, *out stays NULL and done() is never
 * called; otherwise *result is NULL.
 */
int mx_lookup_start(struct dns *dns, struct span servers, const struct mx_query *query,
	mx_lookup_done *done, void *owner, struct mx_lookup **out, struct mx_result **result);

/* done() will not be called. *lookup becomes NULL. */
void mx_lookup_cancel(struct mx_lookup **lookup);

#endif
