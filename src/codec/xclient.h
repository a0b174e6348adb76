/*
 * The argument of XCLIENT, as Postfix defines it: attributes as xtext, by which a trusted proxy or
 * filter says for whom it speaks.
 */
#ifndef CODEC_XCLIENT_H
#define CODEC_XCLIENT_H

#include "base/arena.h"
#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>

#define XCLIENT_ATTRIBUTES \
	"NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" /* of the EHLO line */

struct xclient {
	bool has_address, has_helo, has_login, has_extended;
	struct netaddr address; /* ADDR and PORT; ADDR=[UNAVAILABLE] leaves has_address false */
	struct span name, helo; /* in the arena; name empty: not said, or [UNAVAILABLE] */
	struct span login;	/* has_login and empty: nobody is logged in */
	bool extended;		/* PROTO=ESMTP */
};

/* ERR_SYNTAX: an attribute that is unknown, twice there, or has a bad value. ERR_NOMEM. */
int xclient_parse(struct span argument, struct arena *arena, struct xclient *out);

#endif
