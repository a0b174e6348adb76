/*
 * Quoted-printable and base64 (RFC 2045 sections 6.7 and 6.8), as streams.
 */
#ifndef CODEC_MIME_ENCODE_H
#define CODEC_MIME_ENCODE_H

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define MIME_ENCODED_LINE 76 /* characters of a line at most */

struct mime_encode {
	uint32_t column;
	char blank;    /* quoted-printable: a blank that may be the last of its line */
	uint32_t held; /* base64: bytes of an unfinished group */
	unsigned char group[3];
};

void mime_encode_init(struct mime_encode *encode);

/* Bytes of a line, without its end. */
void mime_qp_add(struct mime_encode *encode, struct buf *out, struct span in);
/* A line end that belongs to the content. */
void mime_qp_line(struct mime_encode *encode, struct buf *out);
/* The content ends; `joined`: what follows begins with the line end that is not content, else the
 * output is brought to the start of a line without adding one to the content. */
void mime_qp_end(struct mime_encode *encode, struct buf *out, bool joined);

void mime_base64_add(struct mime_encode *encode, struct buf *out, struct span in);
/* Ends with CRLF, unless there was no content. */
void mime_base64_end(struct mime_encode *encode, struct buf *out);

#endif
