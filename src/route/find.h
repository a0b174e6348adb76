/*
 * Looking an address up; for use within route/.
 */
#ifndef ROUTE_FIND_H
#define ROUTE_FIND_H

#include "directory/snapshot.h"

/* Where its last "@" is, or address.n: a quoted local part may hold others, a domain or a literal
 * none. */
size_t find_at(struct span address);

/* The local part as given, then in ASCII lower case; `domain` is canonical. ERR_NOT_FOUND. */
int find_account(const struct snapshot *snapshot, struct span local, struct span domain,
	struct account *out);
int find_alias(const struct snapshot *snapshot, struct span local, struct span domain,
	uint32_t *index, uint32_t *count);
int find_accepted(const struct snapshot *snapshot, struct span local, struct span domain);

#endif
