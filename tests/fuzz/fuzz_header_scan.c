/* Header sections: every byte is in exactly one field, or in the empty line, or in the body. */
#include "base/check.h"
#include "codec/header_scan.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct header_scan scan;
	struct header_field field;
	struct buf text;
	size_t seen = 0;

	buf_init(&text, size + 1);
	header_scan_init(&scan, in);
	while (header_scan_next(&scan, &field)) {
		CHECK(field.raw.n > 0 && field.raw.p == in.p + seen);
		seen += field.raw.n;
		CHECK(!field.name.n || header_name_valid(field.name));
		buf_clear(&text);
		header_add_unfolded(&text, field.value);
		CHECK(buf_ok(&text) && text.n <= field.value.n);
		for (size_t i = 0; i < text.n; i++)
			CHECK(text.p[i] && text.p[i] != '\r' && text.p[i] != '\n');
	}
	struct span body = header_scan_body(&scan);
	CHECK(body.n <= in.n - seen);
	if (body.n)
		CHECK(body.p + body.n == in.p + in.n);
	buf_done(&text);
	return 0;
}
