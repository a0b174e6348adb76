/* Envelopes from a damaged disk: no crash, and what decodes has one encoding. */
#include "base/check.h"
#include "base/err.h"
#include "codec/envelope.h"

#define ARENA_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope e;
	struct arena arena;
	struct buf again;

	arena_init(&arena, ARENA_BYTES);
	buf_init(&again, ENVELOPE_BYTES);
	int err = envelope_decode(span_of(data, size), &arena, &e);
	CHECK(err == 0 || err == ERR_CORRUPT || err == ERR_NOMEM);
	if (err == 0) {
		envelope_encode(&again, &e);
		CHECK(span_equal(buf_span(&again), span_of(data, size)));
		for (uint32_t i = 0; i < e.rcpt_count; i++)
			CHECK(envelope_domain(e.rcpts[i].address).n <= e.rcpts[i].address.n);
	}
	buf_done(&again);
	arena_reset(&arena);
	return 0;
}
