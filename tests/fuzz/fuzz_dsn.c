/* Notifications made of hostile parts: always lines with CRLF, never too long, no NUL, no field
 * that we did not write, and 8-bit bytes only where the flags say so. */
#include "base/check.h"
#include "base/cursor.h"
#include "codec/dsn.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RCPTS 3

static void check_lines(struct span out)
{
	size_t column = 0;

	for (size_t i = 0; i < out.n; i++) {
		CHECK(out.p[i] != '\0');
		CHECK((out.p[i] == '\n') == (i && out.p[i - 1] == '\r'));
		column = out.p[i] == '\n' ? 0 : column + 1;
		CHECK(column <= 999);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(span_of(data, size));
	struct envelope original = {.flags = cursor_u32(&c), .ret = cursor_u8(&c) % 3};
	struct envelope_rcpt rcpts[RCPTS];
	struct dsn_rcpt results[RCPTS];
	struct verdict verdicts[RCPTS];
	enum dsn_action action = cursor_u8(&c) % 5;
	struct dsn dsn = {.hostname = SPAN("gw.example"), .original = &original, .rcpts = results};

	dsn.now_ms = (int64_t)(cursor_u64(&c) >> 22);
	original.arrived_ms = dsn.now_ms;
	original.header_bytes = cursor_u16(&c);
	original.sender = cursor_bytes16(&c);
	original.envid = cursor_bytes16(&c);
	original.helo = cursor_bytes16(&c);
	uint8_t bits = cursor_u8(&c);
	original.client.family = bits & 1 ? NETADDR_V4 : NETADDR_NONE;
	original.prepend = bits & 2 ? original.helo : SPAN_NONE;
	dsn.rcpt_count = 1 + cursor_u8(&c) % RCPTS;
	for (uint32_t i = 0; i < dsn.rcpt_count; i++) {
		rcpts[i] = (struct envelope_rcpt){
			.address = cursor_bytes16(&c), .orcpt = cursor_bytes16(&c)};
		verdict_set(&verdicts[i], cursor_u8(&c) % 3, cursor_u16(&c),
			(struct enhanced_code){cursor_u8(&c) % 6, cursor_u16(&c), cursor_u16(&c)},
			cursor_u8(&c) & 1, cursor_bytes16(&c));
		verdicts[i].open = bits & 4;
		results[i] = (struct dsn_rcpt){.rcpt = &rcpts[i],
			.action = action,
			.verdict = &verdicts[i],
			.tried_since_ms = original.arrived_ms,
			.remote_mta = cursor_bytes16(&c)};
	}
	dsn.content = cursor_bytes(&c, cursor_left(&c));
	original.body_bytes = dsn.content.n;
	if (original.header_bytes > original.body_bytes)
		original.header_bytes = original.body_bytes;

	struct buf out;
	uint32_t flags;
	uint64_t header_bytes;
	buf_init(&out, 1u << 24);
	CHECK(dsn_build(&dsn, &out, &flags, &header_bytes) == 0);
	check_lines(buf_span(&out));
	CHECK(header_bytes < out.n);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] & 0x80)
			CHECK(flags &
				(i < header_bytes ? ENVELOPE_HEADER_8BIT : ENVELOPE_BODY_8BIT));
	buf_done(&out);
	return 0;
}
