/* Bodies cut anywhere, against the slow twin of the unit test. Bytes 0 to 3 choose rules and
 * cuts. */
#include "../unit/codec/smtp_data_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 65536)
		return 0;
	struct smtp_data_rules rules = {.chunked = data[0] & 1,
		.binary = data[0] & 2,
		.line = data[0] & 4 ? 10 : 1000,
		.header_bytes = data[0] & 8 ? 40 : 100000};
	struct span in = span_of(data + 4, size - 4);
	struct prng prng;

	prng_seed(&prng, data[1]);
	reference_compare(in, rules, NULL, 0);
	reference_compare(in, rules, &prng, 1 + data[2] % 40);
	reference_compare(in, rules, &prng, 1 + data[3] * 16u);
	return 0;
}
