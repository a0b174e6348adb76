/* TLSA records from anywhere: no crash, and what is usable is what RFC 7672 says. */
#include "base/check.h"
#include "base/err.h"
#include "codec/tlsa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tlsa t;
	int err = tlsa_parse(span_of(data, size), &t);

	CHECK(err == 0 || err == ERR_SYNTAX);
	if (err)
		return 0;
	CHECK(t.data.n == size - 3 && t.data.n > 0);
	if (tlsa_usable(&t)) {
		CHECK(t.usage == TLSA_DANE_TA || t.usage == TLSA_DANE_EE);
		CHECK(t.type != TLSA_SHA256 || t.data.n == 32);
		CHECK(t.type != TLSA_SHA512 || t.data.n == 64);
	}
	return 0;
}
