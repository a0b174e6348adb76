/* The search for our own Delivered-To in a stranger's header. */
#include "base/check.h"
#include "route/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span header = span_of(data, size);
	struct verdict verdict = {0};

	if (loop_delivered_to_header(header, SPAN("ann@c.example"), &verdict)) {
		CHECK(verdict.kind == VERDICT_PERMANENT && verdict.code == 554);
		CHECK(memmem(data, size, "@", 1) != NULL);
	}
	return 0;
}
