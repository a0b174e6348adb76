/*
 * What somebody decided about a recipient or a message: the next hop, a policy, a mailbox, DNS.
 * It is news about mail, never an enum err about us.
 */
#ifndef CODEC_VERDICT_H
#define CODEC_VERDICT_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum verdict_kind {
	VERDICT_OK,	   /* 2xx: taken over */
	VERDICT_TEMPORARY, /* 4xx, or it could not be asked: try again */
	VERDICT_PERMANENT, /* 5xx: never */
};

/* RFC 3463: "5.1.1" */
struct enhanced_code {
	uint8_t class; /* 2, 4, 5; 0: none given */
	uint16_t subject;
	uint16_t detail;
};

#define VERDICT_TEXT 512 /* bytes of reply text that are kept; more is cut off */

struct verdict {
	enum verdict_kind kind;
	uint16_t code; /* the SMTP reply code, or the one that stands for the reason */
	struct enhanced_code enhanced;
	bool remote; /* the next hop's own words (else ours: DNS, connection, policy) */
	bool open;   /* our own words, but for the sender of the message, too: they name no host or
		      * setting of the inside. Otherwise a notification says what the code means
		      * (codec/dsn.h), and only log, trace and queue the text */
	uint16_t length;
	char text[VERDICT_TEXT]; /* reply text without codes; lines of a multi-line reply joined by
				  * " "; may hold any byte that a peer sends but CR, LF and NUL */
};

/* Fills one in, not open; text longer than VERDICT_TEXT is cut, control bytes become "?". */
void verdict_set(struct verdict *verdict, enum verdict_kind kind, uint16_t code,
	struct enhanced_code enhanced, bool remote, struct span text);

static inline struct span verdict_text(const struct verdict *verdict)
{
	return span_of(verdict->text, verdict->length);
}

#endif
