/*
 * The Received field that Postern puts before a message (RFC 5321 section 4.4), its `with` keyword
 * (RFC 3848, RFC 6531 section 4.3).
 */
#ifndef SMTPD_RECEIVED_H
#define SMTPD_RECEIVED_H

#include "base/buf.h"
#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct received {
	struct span helo; /* as the client said it; hostile */
	struct netaddr client;
	struct span hostname; /* ours */
	struct span protocol; /* received_protocol() */
	uint64_t id;
	struct span
		recipient; /* only where the message has just one, since others must not show it */
	int64_t wall_ms;
};

#define RECEIVED_LINE 78  /* RFC 5322 section 2.1.1: wherever a word is not longer itself */
#define RECEIVED_HELO 255 /* bytes of the client's name that are shown */

/* Appends the field with its CRLF. Bytes that have no place in a header become "?". */
void received_add(struct buf *buf, const struct received *received);

/* "SMTP" after HELO, "ESMTP" after EHLO, "UTF8SMTP" with the SMTPUTF8 parameter. */
struct span received_protocol(bool extended, bool utf8);

#endif
