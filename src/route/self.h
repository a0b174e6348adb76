/*
 * Who we are: the names and addresses by which this gateway is reached. Loop rules and address
 * literals need it.
 *
 * Everything is borrowed; it lives as long as the start file.
 */
#ifndef ROUTE_SELF_H
#define ROUTE_SELF_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct config;

struct route_config {
	struct span hostname; /* of the start file, lower case */
	const struct netaddr
		*listeners; /* what we listen on, with port; "0.0.0.0" and "::" as such */
	uint32_t listener_count;
	const struct netaddr
		*addresses; /* of this machine's interfaces; they count where a listener
			     * has "0.0.0.0" or "::". Ports are ignored. May be NULL. */
	uint32_t address_count;
	const struct config *start; /* for a listener's open-relay; NULL: none has it */
};

/* A connection to this address and port (0: 25) would end at one of our own listeners. */
bool route_is_self(const struct route_config *config, const struct netaddr *a);

/*
 * This address is ours whatever the port: it is the address of a listener, or, where a listener has
 * "0.0.0.0" or "::", of an interface. A loopback address that no listener names is ours only where
 * route_is_self() says so, since it may be another server's on this machine.
 */
bool route_is_own_address(const struct route_config *config, const struct netaddr *a);

/*
 * A mail exchanger of this address, with the port that will be connected to (0: 25), is us (RFC
 * 5321 section 5.1). Port 25 may be redirected to a listener elsewhere, so there the address alone
 * counts; on any other port only a listener does: the rest are other servers on our machine.
 */
bool route_is_own_exchanger(const struct route_config *config, const struct netaddr *a);
/* The same of one known by its name. */
bool route_is_own_exchanger_name(
	const struct route_config *config, struct span name, uint16_t port);

/* One of our names? A final dot and the case do not matter. */
bool route_is_own_name(const struct route_config *config, struct span name);

#endif
