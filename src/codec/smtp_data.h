/*
 * The scanner of a message's bytes on their way in: after DATA (RFC 5321 section 4.5.2) or in BDAT
 * chunks (RFC 3030). It changes nothing and copies nothing but the current header field; it says
 * how far the body goes and what is in it. The stored form is the wire form: after DATA
 * dot-stuffed, from BDAT not; the closing ".\r\n" is no part of it.
 *
 * Owner: the session, one for each message. The result does not depend on how the bytes are
 * split into inputs.
 *
 * Only CRLF ends a line and only CRLF "." CRLF ends the message, whatever else is wrong with it: a
 * peer that takes a bare LF for a line end and we can never disagree on where a message ends.
 */
#ifndef CODEC_SMTP_DATA_H
#define CODEC_SMTP_DATA_H

#include "base/span.h"
#include "codec/envelope.h"

#include <stdbool.h>
#include <stdint.h>

#define SMTP_DATA_LINE	      998 /* RFC 5322 section 2.1.1: longer lines are flagged */
#define SMTP_DATA_FIELD_BYTES 512 /* of a header field are looked at: name, colon, value */

/* What a body may be refused for; a set, complete when the body is. */
enum smtp_data_fault {
	SMTP_DATA_BARE_CR = 1,
	SMTP_DATA_BARE_LF = 2,
	SMTP_DATA_NUL = 4,
	SMTP_DATA_LONG_LINE = 8,    /* rules.line */
	SMTP_DATA_LONG_HEADER = 16, /* rules.header_bytes */
};

/* Header fields that are there. */
enum smtp_data_field { SMTP_DATA_DATE = 1, SMTP_DATA_FROM = 2, SMTP_DATA_MESSAGE_ID = 4 };

struct smtp_data_rules {
	bool chunked;  /* BDAT */
	bool binary;   /* BODY=BINARYMIME: bare CR, bare LF, NUL, long lines are no faults */
	uint32_t line; /* most bytes of a line, without CRLF and stuffed dot */
	uint32_t header_bytes; /* most bytes of the header section */
	/* Called for each header field as soon as it is complete; may be NULL. The value is trimmed
	 * but still folded; `cut`: only its first bytes are given (SMTP_DATA_FIELD_BYTES). */
	void (*field)(void *owner, struct span name, struct span value, bool cut);
	void *owner;
};

struct smtp_data {
	struct smtp_data_rules rules;
	/* Results; complete when the body is. */
	uint32_t flags;	 /* ENVELOPE_BODY_*, ENVELOPE_HEADER_8BIT (which comes with BODY_8BIT) */
	unsigned faults; /* enum smtp_data_fault; from the first on, bytes are worth nothing */
	unsigned fields; /* enum smtp_data_field */
	uint16_t hops;	 /* Received fields; stays at its greatest value */
	uint64_t bytes;	 /* of the body, so far */
	uint64_t header_bytes; /* the header section with its empty line; all bytes if there is none
				*/
	/* The scanner's own. */
	bool in_header, line_start, last_cr, field_cut;
	uint64_t line_bytes;  /* of the current line so far, without a stuffed dot */
	uint64_t cr, crlf;    /* seen: they differ where a CR is bare */
	uint32_t field_bytes; /* of field[] in use */
	char field[SMTP_DATA_FIELD_BYTES];
};

void smtp_data_init(struct smtp_data *scan, const struct smtp_data_rules *rules);

struct smtp_data_step {
	size_t stored;	 /* so many bytes from the start of the input are body */
	size_t consumed; /* with the end mark: so many are done with */
	bool end;	 /* DATA: the end mark was read; what follows is the next command */
};

/*
 * Looks at the next bytes. After DATA the last one or two bytes of the input may stay in doubt (a
 * dot that begins a line: the end, or not?): they are not consumed and must be given again, in
 * front of the bytes that follow. Of BDAT give the bytes of chunks alone; all of them are consumed.
 *
 * Where there are faults, stored is 0 and the rest of the message is swallowed up to its end.
 */
void smtp_data_feed(struct smtp_data *scan, const char *p, size_t n, struct smtp_data_step *out);

/* BDAT: the last chunk is complete. After DATA the end mark does this. */
void smtp_data_end(struct smtp_data *scan);

#endif
