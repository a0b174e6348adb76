/*
 * The Received field that Postern puts before a message (RFC 5321 section 4.4), its `with` keyword
 * (RFC 3848, RFC 6531 section 4.3). Who logged in is not told: it goes to strangers.
 */
#ifndef SMTPD_RECEIVED_H
#define SMTPD_RECEIVED_H

#include "base/buf.h"
#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_info;

struct received {
	struct span helo; /* as the client said it; hostile */
	struct netaddr client;
	struct span hostname;	    /* ours */
	struct span protocol;	    /* received_protocol() */
	const struct tls_info *tls; /* NULL: the link was not protected */
	uint64_t id;
	struct span
		recipient; /* only where the message has just one, since others must not show it */
	int64_t wall_ms;
};

#define RECEIVED_LINE 78  /* RFC 5322 section 2.1.1: wherever a word is not longer itself */
#define RECEIVED_HELO 255 /* bytes of the client's name that are shown */

/* Appends the field with its CRLF. Bytes that have no place in a header become "?". */
void received_add(struct buf *buf, const struct received *received);

struct received_how {
	bool extended;	/* EHLO */
	bool utf8;	/* the SMTPUTF8 parameter */
	bool tls, user; /* the link was protected; somebody had logged in */
};

/* "SMTP" after HELO, "ESMTP" after EHLO, "UTF8SMTP" with SMTPUTF8; the latter two with an "S" for
 * TLS and an "A" for AUTH. */
struct span received_protocol(const struct received_how *how);

#endif
