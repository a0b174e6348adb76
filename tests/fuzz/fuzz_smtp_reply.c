/* Replies of a hostile server: whatever comes, however it is split, the same replies are read. */
#include "base/check.h"
#include "base/err.h"
#include "codec/smtp_reply.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t read_all(struct span in, size_t slice, uint64_t *codes)
{
	struct smtp_reply_parser parser;
	uint32_t count = 0;

	smtp_reply_init(&parser);
	while (in.n) {
		struct smtp_reply reply;
		struct verdict verdict;
		size_t used, n = slice < in.n ? slice : in.n;
		int err = smtp_reply_feed(&parser, span_of(in.p, n), &used, &reply);

		CHECK(used <= n);
		in = span_skip(in, used);
		if (err == ERR_MORE) {
			CHECK(used == n);
			continue;
		}
		if (err)
			break;
		CHECK(reply.code >= 200 && reply.code <= 599);
		CHECK(span_find(reply.text, '\r') == reply.text.n);
		smtp_reply_verdict(&reply, &verdict);
		CHECK((verdict.kind == VERDICT_OK) == (reply.code / 100 == 2));
		*codes = *codes * 31 + reply.code + reply.text.n;
		count++;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole = 0, split = 0;
	struct span in = span_of(data, size);

	CHECK(read_all(in, size ? size : 1, &whole) == read_all(in, 1, &split));
	CHECK(whole == split);
	return 0;
}
