/*
 * Converts a message for a hop that cannot take it as it is (RFC 6152 section 3, RFC 3030): parts
 * with 8-bit bytes become quoted-printable, parts with NUL or bare CR or LF become base64, parts
 * with too long lines become quoted-printable. Everything else stays as it is, byte for byte, but
 * for the Content-Transfer-Encoding fields of what was converted and of what surrounds it.
 *
 * Two passes over the same bytes (CRLF line ends, not dot-stuffed): mime_downgrade_scan() finds
 * out what each part needs and whether that may be done; mime_downgrade_feed() then writes. The
 * second pass makes all its decisions by what the first found, so it cannot fail half-way.
 *
 * Not converted, ever: what is inside multipart/signed or multipart/encrypted (RFC 1847
 * section 2.1), header fields, parts that are encoded already or that may not be (message/partial,
 * …). Then the scan says ERR_UNSUPPORTED, and mime_downgrade_reason() why.
 *
 * Pure. Memory is bounded: MIME_DEPTH levels, MIME_ENTITIES parts, MIME_LINE bytes of a line.
 */
#ifndef CODEC_MIME_DOWNGRADE_H
#define CODEC_MIME_DOWNGRADE_H

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define MIME_DEPTH    50    /* levels of nesting that are looked into */
#define MIME_ENTITIES 10000 /* parts and parts of parts; one byte each */
#define MIME_LINE     1024  /* bytes of a line that are looked at together */
#define MIME_FIELD    8192  /* bytes of a Content-* field that are understood */

enum mime_target {
	MIME_TO_7BIT, /* the hop has no 8BITMIME */
	MIME_TO_8BIT, /* the hop has 8BITMIME but no BINARYMIME */
};

enum mime_reason {
	MIME_FINE,
	MIME_SIGNED,  /* the bytes that need conversion are signed or encrypted */
	MIME_HEADER,  /* a header section holds them */
	MIME_ENCODED, /* their part claims to be encoded already, or may not be encoded */
	MIME_COMPLEX, /* a bound was reached, or a Content-Type cannot be understood */
};

struct mime_downgrade;

/* ERR_NOMEM. */
int mime_downgrade_new(enum mime_target target, struct mime_downgrade **out);
void mime_downgrade_free(struct mime_downgrade **downgrade);

/* First pass: all bytes in order, in pieces of any size, then the end. */
void mime_downgrade_scan(struct mime_downgrade *downgrade, struct span in);
/* 0, or ERR_UNSUPPORTED. *needed: something is to be converted. */
int mime_downgrade_scan_end(struct mime_downgrade *downgrade, bool *needed);
enum mime_reason mime_downgrade_reason(const struct mime_downgrade *downgrade);
/* A sentence for people: "its signed part would have to be converted"; never NULL. */
const char *mime_reason_text(enum mime_reason reason);

/* Second pass: the same bytes. Appends at most MIME_GROWTH bytes per byte of input (many tiny
 * parts, each of which gets fields), and MIME_EXTRA more for what was held back from earlier
 * pieces; buf_ok() tells whether it fit. */
#define MIME_GROWTH 16
#define MIME_EXTRA  ((size_t)MIME_GROWTH * MIME_LINE)
void mime_downgrade_feed(struct mime_downgrade *downgrade, struct span in, struct buf *out);
void mime_downgrade_end(struct mime_downgrade *downgrade, struct buf *out);

#endif
