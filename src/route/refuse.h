/*
 * Verdicts of our own with a text put together from parts; for use within route/.
 */
#ifndef ROUTE_REFUSE_H
#define ROUTE_REFUSE_H

#include "base/span.h"
#include "codec/verdict.h"

#define REFUSE_SHOWN 300 /* bytes of a name in a text; VERDICT_TEXT cuts the whole */

/* For "%.*s". */
#define SHOWN(span_) (int)((span_).n > REFUSE_SHOWN ? REFUSE_SHOWN : (span_).n), (span_).p

/* The kind follows from the code: 4xx is temporary, 5xx permanent; so does the enhanced class. */
void route_verdict(struct verdict *out, uint16_t code, uint16_t subject, uint16_t detail,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
