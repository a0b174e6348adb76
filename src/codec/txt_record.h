/*
 * TXT records of the kind "v=STSv1; id=…" (RFC 8461 section 3.1, RFC 8460 section 3): a version,
 * and fields "name = value" with semicolons before, and white space around, them.
 */
#ifndef CODEC_TXT_RECORD_H
#define CODEC_TXT_RECORD_H

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Does the text begin with this version, and a field after it? *fields is all that follows. */
bool txt_has_version(struct span text, struct span version, struct span *fields);
/* Of TXT rdata as in the DNS (length-prefixed strings, joined in the arena), the one of this
 * version. ERR_NOT_FOUND: none, or more than one; ERR_NOMEM. */
int txt_find(const struct span *rdata, uint32_t count, struct span version, struct arena *arena,
	struct span *text);
/* The name of a field: letters, digits and, not as the first one, "_", "-", "."; 32 at most. */
bool txt_is_name(struct span name);
/* The next field, *rest behind it. ERR_NOT_FOUND: that was all; ERR_SYNTAX. */
int txt_next_field(struct span *rest, struct span *name, struct span *value);

#endif
