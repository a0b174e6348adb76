/*
 * Mail that comes back: the checks at delivery. (smtpd refuses too many Received fields at input
 * with the same loop_hops(); the own-preference rule is in route/mx.h.)
 *
 * Each fills in a clear permanent verdict and returns true where there is a loop; else it returns
 * false and leaves the verdict alone.
 */
#ifndef ROUTE_LOOP_H
#define ROUTE_LOOP_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/verdict.h"
#include "directory/snapshot.h"
#include "route/self.h"

#include <stdbool.h>
#include <stdint.h>

/* More Received fields than `most`: 554 5.4.6 (RFC 5321 section 6.3). */
bool loop_hops(uint32_t received, uint32_t most, struct verdict *out);

/*
 * One header field, with or without its last CRLF, folded or not: is it a Delivered-To that names
 * this mailbox already? Then it was here before: 554 5.4.6. `account` is the account's address;
 * case does not matter.
 */
bool loop_delivered_to(struct span field, struct span account, struct verdict *out);

/* The same for a whole header section (up to its empty line, or all of it), as stored: a leading
 * dot may be doubled where the body is dot-stuffed, which no field name begins with. */
bool loop_delivered_to_header(struct span header, struct span account, struct verdict *out);

/*
 * A transport with a fixed server whose address and port are one of our own listeners: 554 5.4.6
 * with a text that names the transport and the listener. `address` has the port that will be
 * connected to.
 */
bool loop_fixed_server(const struct route_config *config, const struct transport *transport,
	const struct netaddr *address, struct verdict *out);

#endif
