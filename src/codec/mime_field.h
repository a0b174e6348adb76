/*
 * What the fields Content-Type and Content-Transfer-Encoding say (RFC 2045, RFC 2046), as far as a
 * gateway must know it to find the parts of a message.
 */
#ifndef CODEC_MIME_FIELD_H
#define CODEC_MIME_FIELD_H

#include "base/span.h"

#include <stdint.h>

#define MIME_BOUNDARY 250 /* bytes; RFC 2046 section 5.1.1 says 70 */

enum mime_kind {
	MIME_LEAF,  /* may be encoded */
	MIME_FIXED, /* a leaf that may not: message/partial and the like */
	MIME_MULTIPART,
	MIME_DIGEST,  /* multipart/digest: its parts are messages by default */
	MIME_SEALED,  /* multipart/signed, multipart/encrypted */
	MIME_MESSAGE, /* message/rfc822 */
};

enum mime_encoding { ENCODING_7BIT, ENCODING_8BIT, ENCODING_BINARY, ENCODING_OTHER };

struct mime_type {
	enum mime_kind kind;
	uint16_t boundary_n;
	char boundary[MIME_BOUNDARY];
};

/* The field's value, folds included. ERR_SYNTAX: a multipart without a boundary that can be
 * used. */
int mime_type_parse(struct span value, struct mime_type *out);
enum mime_encoding mime_encoding_parse(struct span value);

/* The value of the field where `line` begins with that name, and a colon; else the empty span with
 * a NULL pointer. */
struct span mime_field_value(struct span line, struct span name);

#endif
