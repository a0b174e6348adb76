/*
 * Replies of an SMTP server (RFC 5321 section 4.2), read piece by piece as they arrive.
 *
 * Lenient where servers in the field are: LF alone ends a line, "250" may stand without text or
 * with its text right behind the hyphen or the code. Strict where guessing would be dangerous: a
 * line without a code, codes that differ within one reply, lines or replies without end.
 */
#ifndef CODEC_SMTP_REPLY_H
#define CODEC_SMTP_REPLY_H

#include "base/span.h"
#include "codec/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define SMTP_REPLY_LINE	 4096 /* bytes of one line; RFC 5321 section 4.5.3.1.5 says 512 */
#define SMTP_REPLY_LINES 512  /* lines of one reply */
#define SMTP_REPLY_TEXT	 4096 /* bytes of text kept of one reply; the rest is read and dropped */

struct smtp_reply {
	uint16_t code;		       /* 200 … 599 */
	struct enhanced_code enhanced; /* class 0: none, or not of the code's class (RFC 2034) */
	uint32_t lines;
	/* The text of the lines, without codes, joined by "\n"; enhanced codes are left in. May
	 * hold any byte but CR and LF. Valid until the parser is fed again. */
	struct span text;
};

struct smtp_reply_parser {
	uint32_t lines;	 /* complete ones of this reply */
	uint32_t line_n; /* bytes of the current line so far */
	uint16_t code;	 /* of the first line */
	uint16_t value;	 /* of this line, while its digits come in */
	bool cr;	 /* the last byte was CR */
	bool last;	 /* this line ends the reply */
	int failed;	 /* sticky error */
	uint32_t text_n;
	char text[SMTP_REPLY_TEXT];
};

void smtp_reply_init(struct smtp_reply_parser *parser);

/*
 * Reads up to the end of one reply. *used bytes of `in` are taken in any case. 0: *out is the
 * reply, and the next call begins another one. ERR_MORE: all was taken, the reply goes on.
 * ERR_SYNTAX, ERR_LIMIT: this is no SMTP server, nothing more can be read.
 */
int smtp_reply_feed(
	struct smtp_reply_parser *parser, struct span in, size_t *used, struct smtp_reply *out);

/* Something of a reply has been read, but not all of it. */
bool smtp_reply_begun(const struct smtp_reply_parser *parser);

/* 2xx, 4xx and 5xx as they say; a 3xx where a final reply is due is a protocol error: temporary,
 * with a text that says so. The enhanced code is taken out of the text's lines. */
void smtp_reply_verdict(const struct smtp_reply *reply, struct verdict *out);

/* "5.1.1" at the start of the text, followed by a blank or the end; *used gets its length without
 * the blank. Its class must be 2, 4 or 5. ERR_SYNTAX. */
int smtp_reply_enhanced(struct span text, struct enhanced_code *out, size_t *used);

#endif
