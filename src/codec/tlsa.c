#include "codec/tlsa.h"

#include "base/err.h"

#define TLSA_HEAD     3 /* usage, selector, matching type */
#define SHA256_LENGTH 32
#define SHA512_LENGTH 64

int tlsa_parse(struct span rdata, struct tlsa *out)
{
	if (rdata.n <= TLSA_HEAD)
		return ERR_SYNTAX;
	*out = (struct tlsa){
		.usage = (uint8_t)rdata.p[0],
		.selector = (uint8_t)rdata.p[1],
		.type = (uint8_t)rdata.p[2],
		.data = span_skip(rdata, TLSA_HEAD),
	};
	return 0;
}

bool tlsa_usable(const struct tlsa *tlsa)
{
	/* RFC 7672 section 3.1.3: the PKIX usages are not for SMTP. */
	if (tlsa->usage != TLSA_DANE_TA && tlsa->usage != TLSA_DANE_EE)
		return false;
	if (tlsa->selector > TLSA_KEY)
		return false;
	switch (tlsa->type) {
	case TLSA_FULL: return tlsa->data.n > 0;
	case TLSA_SHA256: return tlsa->data.n == SHA256_LENGTH;
	case TLSA_SHA512: return tlsa->data.n == SHA512_LENGTH;
	default: return false;
	}
}
