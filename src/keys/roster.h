/*
 * The accounts that have a password, found by a keyed digest of their names. The way is the same
 * for a name that there is and for one that there is not: as many steps, none of them a branch that
 * depends on the name, to one of the accounts. That one is the account, or, for a name that is
 * nobody's, its stand-in: always the same one, until an account comes or goes next to it. So
 * whatever kinds of verifiers there are, among made-up names each is about as frequent as among the
 * real ones.
 *
 * Made when the accounts come: 100,000 take about as long as two password hashes.
 */
#ifndef KEYS_ROSTER_H
#define KEYS_ROSTER_H

#include "base/span.h"
#include "directory/secrets.h"
#include "keys/keyed.h"

#include <stdbool.h>
#include <stdint.h>

struct roster;

/* Of a name: its first 8 bytes are the order. */
typedef void roster_digest(void *context, struct span name, uint8_t out[KEYED_DIGEST]);

/* Takes the accounts over, where there is no error. ERR_NOMEM, ERR_CORRUPT. */
int roster_new(struct secrets *accounts, roster_digest *digest, void *context, struct roster **out);
void roster_free(struct roster **roster);

/* An account, or a stand-in. Spans live as long as the roster. */
struct roster_found {
	bool known;	   /* the name is that of an account */
	struct span name;  /* of whom was found */
	struct span value; /* its verifiers (directory/secrets.h); empty: there is no account */
};

void roster_find(const struct roster *roster, const uint8_t digest[KEYED_DIGEST], struct span name,
	struct roster_found *out);
/* The name of whom this digest is of, or nothing. */
struct span roster_name(const struct roster *roster, const uint8_t digest[KEYED_DIGEST]);

#endif
