/*
 * Builds a delivery status notification (RFC 3464, RFC 6533 where UTF-8 is involved): a
 * multipart/report of a text for people, the status for machines, and the original message or its
 * header section. Pure: date, identity and boundary come in.
 *
 * Everything that came from a peer is made harmless: no CR, LF or NUL in a field, no bytes over
 * 0x7f unless the notification is a UTF-8 one, lines of at most 998 bytes. All recipients are
 * listed in the machine-readable part; the text names the first DSN_TEXT_RCPTS of them.
 *
 * Whether one may be sent at all (null sender, NOTIFY, discard) is the caller's to decide.
 */
#ifndef CODEC_DSN_H
#define CODEC_DSN_H

#include "base/buf.h"
#include "base/span.h"
#include "codec/envelope.h"
#include "codec/verdict.h"

#include <stdint.h>

#define DSN_TEXT_RCPTS 50 /* recipients named in the text for people */

/* RFC 3464 section 2.3.3. In one notification: either all are DELAYED, or all FAILED, or any of the
 * three good ones. */
enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED, /* into a mailbox */
	DSN_RELAYED,   /* to a hop that has no DSN */
	DSN_EXPANDED,
};

struct dsn_rcpt {
	const struct envelope_rcpt *rcpt; /* address and ORCPT */
	enum dsn_action action;
	const struct verdict *verdict; /* gives Status, and Diagnostic-Code: the remote server's
					* words or open ones of ours; of others what the code means,
					* since the reader may be anybody */
	struct span remote_mta;	       /* name or address of the host that said so; empty: none */
	int64_t last_attempt_ms;       /* 0: none was made */
	int64_t tried_since_ms;	       /* FAILED, DELAYED: how long it was tried; 0: not told */
	int64_t retry_until_ms;	       /* DELAYED only; 0: not known */
};

struct dsn {
	struct span hostname; /* reporting MTA; also the domain of the From address */
	const struct envelope
		*original; /* sender, envid, ret, arrived_ms, flags, header_bytes, id */
	uint64_t id;	   /* makes the Message-ID, together with hostname and date;
			    * any number that differs from notification to notification */
	uint64_t boundary; /* a random number */
	int64_t now_ms;	   /* wall clock */
	const struct dsn_rcpt *rcpts;
	uint32_t rcpt_count; /* at least one */
	/* The original as stored, from its first byte: its header section (the first
	 * original->header_bytes bytes) or all body_bytes; original->prepend goes before it. Fewer
	 * bytes than the header section are a cut header, which is returned as far as it goes.
	 * Dot-stuffing is taken out where original->flags say that it is there. */
	struct span content;
};

/*
 * True: the whole message should be returned, so `content` must hold all of it. That is so for
 * RET=FULL, and without RET, when it has at most `most` bytes and can go inside a message; only
 * failures return a whole message (RFC 3461 section 4.3).
 */
bool dsn_wants_body(const struct envelope *original, enum dsn_action action, uint64_t most);

/*
 * Appends the message: header section, empty line, body; CRLF line ends, not dot-stuffed. *flags
 * gets what is to be known about it (enum envelope_flags: DSN, SMTPUTF8, 8BITMIME, BODY_8BIT,
 * HEADER_8BIT, BODY_DOTS), *header_bytes the length of its header section with the empty line.
 * ERR_LIMIT: the buffer's bound was reached; it is then back at its old length.
 */
int dsn_build(const struct dsn *dsn, struct buf *out, uint32_t *flags, uint64_t *header_bytes);

#endif
