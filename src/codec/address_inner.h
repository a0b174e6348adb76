/*
 * What the two halves of codec/address.h share: address.c, paths and local parts; address_domain.c,
 * domain names and address literals. Nobody else includes it.
 */
#ifndef CODEC_ADDRESS_INNER_H
#define CODEC_ADDRESS_INNER_H

#include "codec/address.h"

/* The canonical form while it grows: at most a local part, "@", and a domain, each of which keeps
 * its own bound. */
struct address_scratch {
	char p[ADDRESS_LOCAL_BYTES + 1 + ADDRESS_DOMAIN_BYTES];
	size_t n;
};

/* Both read from the start of `in`, append the canonical form to `out`, and leave the rest of the
 * outputs untouched on failure. */
int address_take_domain(struct span in, struct address_scratch *out, bool *ulabel, size_t *used);
int address_take_literal(struct span in, struct address_scratch *out, size_t *used);

#endif
