/* Base64 (RFC 4648 section 4), without line ends; pure. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

/* One group: `n` bytes (1 to 3), of which the others count as 0, padded. */
void base64_group(const unsigned char bytes[3], unsigned n, char out[4]);
/* All of it, padded. */
void base64_add(struct buf *out, struct span in);
/* The reverse; false where it is none (also: no padding, something behind it), or does not fit. */
bool base64_decode(struct span in, struct buf *out);

#endif
