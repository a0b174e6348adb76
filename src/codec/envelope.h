/*
 * A message's envelope (RFC 5321 section 2.3.1) and all that is known about its body: what the
 * SMTP server gathers, the spool keeps, and the queue and the client work from.
 *
 * Spans point into whatever it was decoded from or built in (an arena, a spool buffer).
 */
#ifndef CODEC_ENVELOPE_H
#define CODEC_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/netaddr.h"
#include "base/span.h"

#include <stdint.h>

/* RFC 3461 section 4.1 */
enum envelope_notify {
	NOTIFY_DEFAULT = 0, /* not given: failure, and delay at our discretion */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
};

enum envelope_return { RETURN_DEFAULT, RETURN_FULL, RETURN_HEADERS }; /* RFC 3461 section 4.3 */

enum envelope_flags {
	ENVELOPE_SMTPUTF8 = 1 << 0,	/* RFC 6531: the parameter was given */
	ENVELOPE_8BITMIME = 1 << 1,	/* BODY=8BITMIME */
	ENVELOPE_BINARYMIME = 1 << 2,	/* BODY=BINARYMIME: only BDAT can carry it */
	ENVELOPE_REQUIRETLS = 1 << 3,	/* RFC 8689 */
	ENVELOPE_TLS_OPTIONAL = 1 << 4, /* "TLS-Required: No" (section 5); never with REQUIRETLS */
	/* of the body's bytes */
	ENVELOPE_BODY_8BIT = 1 << 8,	    /* a byte over 0x7f occurs */
	ENVELOPE_HEADER_8BIT = 1 << 9,	    /* a byte over 0x7f occurs in the header section */
	ENVELOPE_BODY_NUL = 1 << 10,	    /* a NUL occurs */
	ENVELOPE_BODY_STUFFED = 1 << 11,    /* lines begin with a dot and are stored dot-stuffed */
	ENVELOPE_BODY_DOTS = 1 << 12,	    /* lines begin with a dot and are stored as they are */
	ENVELOPE_BODY_OPEN_END = 1 << 13,   /* the last line has no CRLF (BDAT only) */
	ENVELOPE_BODY_LONG_LINES = 1 << 14, /* a line is longer than 998 bytes without CRLF */
	ENVELOPE_BODY_BARE = 1 << 15,	    /* bare CR or LF occurs (BINARYMIME only) */
	/* of the message */
	ENVELOPE_DSN = 1 << 20,	     /* Postern's own delivery status notification */
	ENVELOPE_PRIORITY = 1 << 21, /* a priority rule matched */
};

struct envelope_rcpt {
	struct span address; /* the mailbox in its canonical wire form: local@domain */
	struct span orcpt;   /* RFC 3461 section 4.2, as given ("rfc822;xtext"); empty: not given */
	uint8_t notify;	     /* enum envelope_notify */
};

struct envelope {
	uint64_t id;	       /* given by the spool; never 0 once it is kept */
	int64_t arrived_ms;    /* wall clock at the end of the body */
	struct netaddr client; /* who handed it in; NETADDR_NONE: made here */
	struct span helo;      /* its EHLO or HELO argument */
	struct span listener;  /* name in the start file */
	struct span protocol;  /* RFC 3848: "ESMTP", "SMTP", "UTF8SMTP", … */
	struct span user;      /* who authenticated; empty: nobody */
	struct span sender;    /* reverse-path in canonical wire form; empty: the null sender */
	struct span envid;     /* RFC 3461 section 4.4, xtext as given */
	uint8_t ret;	       /* enum envelope_return */
	uint32_t flags;	       /* enum envelope_flags */
	uint16_t hops;	       /* Received fields in the header section */
	uint64_t body_bytes;   /* length of the body as stored, without the closing ".\r\n" */
	uint64_t header_bytes; /* of these, the header section with its empty line; body_bytes if
				  none */
	uint64_t body_hash;    /* XXH3 of the stored body, closing ".\r\n" not included */
	struct span prepend;   /* header lines (CRLF) that go before the body when it is sent */
	struct envelope_rcpt *rcpts;
	uint32_t rcpt_count;
};

#define ENVELOPE_BYTES (16u << 20) /* an encoded envelope is never longer */

/* The domain of a mailbox in canonical form: what follows the last "@"; empty where none does. */
struct span envelope_domain(struct span address);

/* Appends the encoded form. Overflow of the buffer is the only failure. */
void envelope_encode(struct buf *buf, const struct envelope *envelope);

/* The recipients' array is taken from the arena, spans point into `in`. ERR_CORRUPT, ERR_NOMEM. */
int envelope_decode(struct span in, struct arena *arena, struct envelope *out);

#endif
