/*
 * One SMTP command line, parsed: verb, address, and parameters of RFC 5321 and the extensions that
 * the server knows. Nothing is decided here but syntax; what does not parse comes with the reply
 * that the RFC wants.
 *
 * Owner: the session. Spans point into the line or into the arena; the result lives as long as
 * both. Bound: the line, SMTP_COMMAND_BYTES.
 */
#ifndef CODEC_SMTP_COMMAND_H
#define CODEC_SMTP_COMMAND_H

#include "base/arena.h"
#include "base/span.h"
#include "codec/address.h"
#include "codec/envelope.h"
#include "codec/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/* RFC 5321 section 4.5.3.1.4 has 512 octets with CRLF, to which each extension adds its own: RFC
 * 3461 500 for ORCPT, RFC 4954 500 for AUTH=, and the rest some dozens. */
#define SMTP_COMMAND_BYTES    2048
#define SMTP_HELO_BYTES	      255
#define SMTP_ENVID_BYTES      100 /* RFC 3461 section 4.4 */
#define SMTP_ORCPT_BYTES      500 /* RFC 3461 section 4.2 */
#define SMTP_AUTH_PARAM_BYTES 500 /* RFC 4954 section 4 */

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_XCLIENT,
};

/* Which parameters are known: those of extensions that were offered. SMTP_LENIENT tolerates what
 * common clients do wrong: "MAIL FROM: <a@b>", "MAIL FROM:a@b". */
enum smtp_command_flags {
	SMTP_WITH_SIZE = 1 << 0,       /* RFC 1870 */
	SMTP_WITH_8BITMIME = 1 << 1,   /* RFC 6152 */
	SMTP_WITH_BINARYMIME = 1 << 2, /* RFC 3030 */
	SMTP_WITH_SMTPUTF8 = 1 << 3,   /* RFC 6531 */
	SMTP_WITH_DSN = 1 << 4,	       /* RFC 3461 */
	SMTP_WITH_REQUIRETLS = 1 << 5, /* RFC 8689 */
	SMTP_WITH_AUTH = 1 << 6,       /* RFC 4954: the AUTH= parameter of MAIL */
	SMTP_LENIENT = 1 << 7,
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

struct smtp_mail {
	bool has_size;
	uint64_t size; /* UINT64_MAX where it does not fit */
	enum smtp_body body;
	bool smtputf8;
	bool requiretls;
	uint8_t ret;	   /* enum envelope_return */
	struct span envid; /* xtext as given; empty: not given */
	struct span auth;  /* xtext as given, or "<>"; empty: not given */
};

struct smtp_rcpt {
	uint8_t notify;	   /* enum envelope_notify */
	struct span orcpt; /* as given; empty: not given */
};

struct smtp_command {
	enum smtp_verb verb;
	struct span argument; /* HELO, EHLO: the name; VRFY, EXPN, NOOP, HELP, XCLIENT: the rest */
	struct address address; /* MAIL, RCPT */
	bool utf8; /* RCPT, VRFY, EXPN: a byte over 0x7f occurs, in the address (also as a
		    * U-label) or in ORCPT: only good with SMTPUTF8 (RFC 6531 section
		    * 3.4). MAIL is checked here already. */
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	uint64_t chunk_bytes; /* BDAT */
	bool chunk_last;
	struct span mechanism; /* AUTH */
	struct span initial;   /* AUTH: the initial response in base64, or "="; empty: not given */
};

/* The reply to a command that does not parse. */
struct smtp_refusal {
	uint16_t code;
	struct enhanced_code enhanced;
	const char *text; /* a constant */
};

/* The verb alone, however wrong the rest is. */
enum smtp_verb smtp_command_verb(struct span line);
const char *smtp_verb_name(enum smtp_verb verb);

/* `line` is without its CRLF. 0, or ERR_SYNTAX with *refusal set and *out untouched. */
int smtp_command_parse(struct span line, unsigned flags, struct arena *arena,
	struct smtp_command *out, struct smtp_refusal *refusal);

/* Decodes xtext (RFC 3461 section 4). What is not well-formed, which smtp_command_parse() does not
 * accept, stays as it is. */
void smtp_xtext_decode(struct buf *buf, struct span xtext);
/* Encodes any bytes as xtext. */
void smtp_xtext_encode(struct buf *buf, struct span bytes);

#endif
