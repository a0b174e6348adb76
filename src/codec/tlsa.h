/*
 * TLSA records (RFC 6698, 7671) as an SMTP client uses them (RFC 7672 section 3.1).
 */
#ifndef CODEC_TLSA_H
#define CODEC_TLSA_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum tlsa_usage { TLSA_PKIX_TA, TLSA_PKIX_EE, TLSA_DANE_TA, TLSA_DANE_EE };
enum tlsa_selector { TLSA_CERTIFICATE, TLSA_KEY };
enum tlsa_type { TLSA_FULL, TLSA_SHA256, TLSA_SHA512 };

struct tlsa {
	uint8_t usage, selector, type;
	struct span data;
};

/* From rdata. ERR_SYNTAX. */
int tlsa_parse(struct span rdata, struct tlsa *out);
/* Usages 2 and 3 with a known selector and type, and data as long as the type wants. */
bool tlsa_usable(const struct tlsa *tlsa);

#endif
