/*
 * Walks over the fields of a header section (RFC 5322 section 2.2) that lies in memory. Takes any
 * bytes: lines may end in LF alone, and what is no field is given as one without a name. Linear in
 * the input, no memory of its own.
 *
 * Dots are not unstuffed: in a section stored in wire form, a line that begins with a dot shows it
 * doubled. No field that anybody looks for begins with one.
 */
#ifndef CODEC_HEADER_SCAN_H
#define CODEC_HEADER_SCAN_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

struct header_field {
	struct span name;  /* without white space and colon; empty: a line that is no field */
	struct span value; /* trimmed, still folded */
	struct span raw;   /* the field's lines with their line ends */
};

struct header_scan {
	struct span left;
};

void header_scan_init(struct header_scan *scan, struct span section);

/* False at the empty line that ends the section, or at the end of the input. */
bool header_scan_next(struct header_scan *scan, struct header_field *out);

/* What follows the empty line; the empty span where there is none. Only after the last field. */
struct span header_scan_body(const struct header_scan *scan);

/* The first field of that name, in any case of letters. */
bool header_find(struct span section, struct span name, struct header_field *out);

/* The value without its line ends (RFC 5322 section 2.2.3); other CR, LF and NUL become spaces. */
void header_add_unfolded(struct buf *buf, struct span value);

/* Can it be a field's name (RFC 5322 section 3.6.8)? */
bool header_name_valid(struct span name);

#endif
