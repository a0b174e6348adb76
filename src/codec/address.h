/*
 * Mail addresses (RFC 5321 section 4.1.2, RFC 6531 section 3.3), parsed once into one canonical
 * form, so that two spellings of one mailbox are the same bytes everywhere else:
 *
 *   local part  quoted only where it must be ("ann"@x is ann@x, "a\b"@x is ab@x), case kept;
 *   domain      lower case, U-labels as A-labels (UTS #46, non-transitional), no trailing dot;
 *   literals    [192.0.2.1], [IPv6:2001:db8::1] (RFC 5952; an IPv4-mapped one becomes IPv4);
 *   source routes are parsed and dropped (RFC 5321 appendix C).
 *
 * The canonical form is also the wire form. Results live in the arena. A domain in plain ASCII
 * needs no libidn2 and no memory but the arena's.
 *
 * Errors: ERR_SYNTAX; ERR_LIMIT, too long; ERR_UNSUPPORTED, an address literal of a kind that
 * nobody knows; ERR_NOMEM, the arena is used up.
 */
#ifndef CODEC_ADDRESS_H
#define CODEC_ADDRESS_H

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>

/* RFC 5321 section 4.5.3.1, in octets, of the canonical form. */
#define ADDRESS_LOCAL_BYTES   64
#define ADDRESS_DOMAIN_BYTES  255
#define ADDRESS_LABEL_BYTES   63  /* of a domain: RFC 1035 section 2.3.4 */
#define ADDRESS_PATH_BYTES    256 /* with the angle brackets */
#define ADDRESS_MAILBOX_BYTES (ADDRESS_PATH_BYTES - 2)
/* As it is given, with a source route, needless quotes, and U-labels. */
#define ADDRESS_INPUT_BYTES 1024

enum address_flags {
	ADDRESS_NULL_ALLOWED = 1,	/* "<>", the null reverse-path of MAIL */
	ADDRESS_POSTMASTER_ALLOWED = 2, /* "<Postmaster>" without a domain, of RCPT */
	ADDRESS_LENIENT = 4,		/* white space before the path; no angle brackets */
};

struct address {
	struct span mailbox; /* local@domain; empty for the null path */
	struct span local;   /* part of mailbox */
	struct span domain;  /* part of mailbox; a literal with its square brackets */
	bool null;
	bool utf8;	 /* the local part is not ASCII: needs SMTPUTF8 wherever it goes */
	bool ulabel;	 /* the domain was given in U-labels (now it is ASCII) */
	bool literal;	 /* the domain is an address literal */
	bool postmaster; /* "postmaster" alone: mailbox is the local part, domain is empty */
};

/* Reads a path, "<ann@example.org>", from the start of `in`; *used is its length. What follows
 * (ESMTP parameters) is the caller's, which must see to it that a space stands between. */
int address_parse_path(
	struct span in, unsigned flags, struct arena *arena, struct address *out, size_t *used);

/* The whole input is a mailbox without angle brackets, as people write it into a configuration. */
int address_parse_mailbox(struct span in, struct arena *arena, struct address *out);

/* The whole input is a domain name (no literal). */
int address_parse_domain(struct span in, struct arena *arena, struct span *out);

/* Gives a lone postmaster its domain (canonical). ERR_LIMIT, ERR_NOMEM. */
int address_add_domain(struct address *address, struct span domain, struct arena *arena);

#endif
