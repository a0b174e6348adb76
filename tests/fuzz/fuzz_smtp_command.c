/* One command line under every set of extensions; the first byte chooses the set. */
#include "base/check.h"
#include "base/err.h"
#include "codec/smtp_command.h"

#define ARENA_BYTES (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_command c;
	struct smtp_refusal why = {0};
	struct arena arena;
	struct buf decoded;

	if (!size)
		return 0;
	struct span line = span_of(data + 1, size - 1);
	arena_init(&arena, ARENA_BYTES);
	if (smtp_command_parse(line, data[0], &arena, &c, &why) != 0) {
		CHECK(why.code >= 400 && why.code < 600 && why.text);
		CHECK(why.code / 100 == why.enhanced.class);
	} else {
		CHECK(c.verb != SMTP_UNKNOWN && c.verb == smtp_command_verb(line));
		CHECK(!c.address.utf8 || c.utf8);
		CHECK(c.mail.envid.n <= SMTP_ENVID_BYTES && c.rcpt.orcpt.n <= SMTP_ORCPT_BYTES);
		buf_init(&decoded, SMTP_COMMAND_BYTES);
		smtp_xtext_decode(&decoded, c.mail.envid);
		for (size_t i = 0; i < decoded.n; i++)
			CHECK(decoded.p[i] >= ' ' && decoded.p[i] < 0x7f);
		buf_done(&decoded);
	}
	arena_reset(&arena);
	return 0;
}
