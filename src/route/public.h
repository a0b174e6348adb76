/*
 * Which addresses are anybody's to name as a mail host. What is loopback, private, link-local,
 * shared, reserved or for documentation is no host of the Internet (RFC 6890 and the registries of
 * IANA): a stranger who puts such an address into his DNS, or into an address literal, would have
 * us connect to servers that only trust their own network.
 */
#ifndef ROUTE_PUBLIC_H
#define ROUTE_PUBLIC_H

#include "base/netaddr.h"

#include <stdbool.h>

/* Addresses that stand for an IPv4 address (6to4, NAT64; IPv4-mapped ones are IPv4 here already)
 * are public where that one is. */
bool route_is_public(const struct netaddr *a);

#endif
