/*
 * Ranges of IP addresses: "192.0.2.1", "192.0.2.0/24", "192.0.2.1-192.0.2.9", and the same in
 * version 6; and lists of them, one a line.
 *
 * An IPv4 address in its IPv6 form (::ffff:0:0/96) counts as IPv4, in ranges and where one is
 * looked up. So "::/0" is all of version 6 and nothing of version 4.
 */
#ifndef DIRECTORY_RANGE_H
#define DIRECTORY_RANGE_H

#include "base/buf.h"
#include "directory/snapshot.h"

/* ERR_SYNTAX; `why` (may be NULL) may get a part of a sentence: "the last address is before the
 * first". A network with bits set behind its prefix is an error, as a slip of the pen. */
int range_parse(struct span text, struct address_range *out, struct buf *why);
/* The canonical text: an address, a network where it is one, else two addresses. */
void range_add(struct buf *out, const struct address_range *range);
bool range_holds(const struct address_range *range, const struct netaddr *address);
/* Is the address in one of the ranges of a list in canonical form ("\n" between them)? For short
 * lists of the start file. */
bool range_list_holds(struct span list, const struct netaddr *address);

/* Without port and scope, and as IPv4 where it is such an address: as ranges have it. */
struct netaddr range_address(const struct netaddr *address);
/* A number below 0, 0, above 0: order by version, then by address; ports and scopes do not count.
 */
int range_compare_address(const struct netaddr *a, const struct netaddr *b);
/* Sorts them in place and makes one of those that overlap or touch. Returns how many are left. */
uint32_t range_merge(struct address_range *ranges, uint32_t count);

#endif
