/*
 * Trust anchors of DNSSEC (RFC 4033 section 2): the root's, and those of a file of the
 * administrator's. Pure.
 *
 * A file has one record in a line, as in a zone file: ". IN DS 20326 8 2 E06D…" or "corp.example.
 * IN DNSKEY 257 3 13 mdss…", with or without TTL and class; a semicolon begins a comment. Anchors
 * for "." stand for those that are built in. "insecure corp.example" names a zone that is not
 * signed although what is above it says otherwise, as an inside one that the outside does not know
 * (a negative trust anchor, RFC 7646).
 */
#ifndef IO_DNS_ANCHOR_H
#define IO_DNS_ANCHOR_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_ANCHORS	 64    /* lines of a file that say something; more are ERR_LIMIT */
#define DNS_ANCHOR_BYTES 65536 /* of a file */
#define DNS_ANCHOR_TEXT	 2048  /* bytes of one anchor */

enum dns_anchor_kind {
	DNS_ANCHOR_ROOT,
	DNS_ANCHOR_ZONE,
	DNS_ANCHOR_INSECURE,
};

struct dns_anchor {
	enum dns_anchor_kind kind;
	size_t zone_length; /* of the zone's name at the beginning of text, with its dot */
	char *text;	    /* the record, or the name alone; with a NUL */
};

struct dns_anchors {
	uint32_t count;
	struct dns_anchor list[2 * DNS_ANCHORS];
};

void dns_anchors_init(struct dns_anchors *anchors);
void dns_anchors_done(struct dns_anchors *anchors);

/* Adds those of a file; all or none. ERR_SYNTAX, ERR_LIMIT: a sentence is added to `problem`, where
 * that is not NULL; ERR_NOMEM. */
int dns_anchors_add(struct dns_anchors *anchors, struct span text, struct buf *problem);
bool dns_anchors_have_root(const struct dns_anchors *anchors);
/* The root's keys that are built in, and zones that are inside ones everywhere, unless there is an
 * anchor for them. ERR_NOMEM. */
int dns_anchors_add_root(struct dns_anchors *anchors);
int dns_anchors_add_inside(struct dns_anchors *anchors);

#endif
