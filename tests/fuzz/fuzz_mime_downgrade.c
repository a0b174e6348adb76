/* Conversion: the second pass never fails where the first did not, the output is fit for the hop
 * and does not depend on how the input was split, and converting it again changes nothing. */
#include "base/check.h"
#include "codec/mime_downgrade.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool convert(
	enum mime_target target, struct span in, size_t slice, struct buf *out, bool *needed)
{
	struct mime_downgrade *d;

	CHECK(mime_downgrade_new(target, &d) == 0);
	for (struct span left = in; left.n; left = span_skip(left, slice))
		mime_downgrade_scan(d, span_of(left.p, slice < left.n ? slice : left.n));
	bool fine = mime_downgrade_scan_end(d, needed) == 0;
	CHECK(fine == (mime_downgrade_reason(d) == MIME_FINE));
	buf_init(out, MIME_GROWTH * in.n + MIME_EXTRA);
	if (fine) {
		for (struct span left = in; left.n; left = span_skip(left, slice))
			mime_downgrade_feed(
				d, span_of(left.p, slice < left.n ? slice : left.n), out);
		mime_downgrade_end(d, out);
		CHECK(buf_ok(out));
		if (!*needed)
			CHECK(span_equal(buf_span(out), in));
	}
	mime_downgrade_free(&d);
	return fine;
}

static void is_fit(struct span out, enum mime_target target)
{
	for (size_t i = 0; i < out.n; i++) {
		CHECK(out.p[i] != '\0');
		CHECK(target == MIME_TO_8BIT || !(out.p[i] & 0x80));
		CHECK(out.p[i] != '\n' || (i && out.p[i - 1] == '\r'));
		CHECK(out.p[i] != '\r' || (i + 1 < out.n && out.p[i + 1] == '\n'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum mime_target target = size && data[0] & 1 ? MIME_TO_7BIT : MIME_TO_8BIT;
	size_t slice = size > 1 ? data[1] % 7 + 1 : 1;
	struct span in = size > 2 ? span_of(data + 2, size - 2) : SPAN_NONE;
	struct buf whole, split, again;
	bool needed;

	bool fine = convert(target, in, in.n ? in.n : 1, &whole, &needed);
	CHECK(convert(target, in, slice, &split, &needed) == fine);
	CHECK(span_equal(buf_span(&whole), buf_span(&split)));
	is_fit(buf_span(&whole), target);
	if (fine) {
		CHECK(convert(target, buf_span(&whole), 1000, &again, &needed));
		CHECK(span_equal(buf_span(&whole), buf_span(&again)));
		buf_done(&again);
	}
	buf_done(&whole);
	buf_done(&split);
	return 0;
}
