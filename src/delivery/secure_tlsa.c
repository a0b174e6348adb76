/* What an answer says of a host's TLSA records (RFC 7672 sections 2.1 and 2.2). */
#include "delivery/secure_plan.h"

#include "base/check.h"

static void take_records(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer)
{
	uint32_t most = MIN(answer->count, TLS_TLSA);

	out->found = true;
	secure->ttl_s = MIN(secure->ttl_s, answer->ttl_s);
	out->usable = arena_alloc(&secure->arena, most * sizeof(*out->usable));
	if (!out->usable)
		return;
	for (uint32_t i = 0; i < answer->count && out->usable_count < most; i++) {
		struct tlsa tlsa;

		if (tlsa_parse(answer->rdata[i], &tlsa) != 0 || !tlsa_usable(&tlsa))
			continue;
		out->usable[out->usable_count++] = (struct tls_tlsa){
			.usage = tlsa.usage,
			.selector = tlsa.selector,
			.type = tlsa.type,
			.data = arena_copy(&secure->arena, tlsa.data),
		};
	}
}

void secure_take_tlsa(
	struct secure *secure, struct secure_tlsa *out, const struct dns_answer *answer)
{
	switch (answer->status) {
	case DNS_OK:
		if (answer->secure)
			take_records(secure, out, answer);
		break;
	case DNS_NODATA:
		/* Records that are there and broken are records (RFC 7672 section 2.1.1: "insecure"
		 * is only what has none). */
		out->found = answer->secure && answer->dropped;
		secure->ttl_s = MIN(secure->ttl_s, answer->ttl_s);
		break;
	case DNS_NXDOMAIN: secure->ttl_s = MIN(secure->ttl_s, answer->ttl_s); break;
	case DNS_BOGUS:
		out->bogus = true;
		out->failed = true;
		break;
	case DNS_TEMPORARY: out->failed = true; break;
	}
}
