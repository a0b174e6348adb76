/*
 * What codec/smtp_data.h promises, written down a second time without any care for speed: the whole
 * input is at hand, and every byte is looked at by itself. Unit test and fuzzer compare the two.
 */
#ifndef TEST_SMTP_DATA_REFERENCE_H
#define TEST_SMTP_DATA_REFERENCE_H

#include "base/buf.h"
#include "base/check.h"
#include "base/prng.h"
#include "codec/smtp_data.h"

#include <stdlib.h>

#define REFERENCE_BYTES (1u << 20)

struct reference {
	uint32_t flags;
	unsigned faults, fields;
	uint16_t hops;
	size_t body, consumed;
	size_t header_bytes;
	bool end;
	struct buf log; /* of the calls of field() */
};

static void reference_log(void *owner, struct span name, struct span value, bool cut)
{
	struct buf *log = owner;
	buf_put_bytes16(log, name);
	buf_put_bytes16(log, value);
	buf_put_u8(log, cut);
}

static bool reference_line_start(struct span in, size_t i)
{
	return i == 0 || (i >= 2 && in.p[i - 2] == '\r' && in.p[i - 1] == '\n');
}

/* Where the body ends, and whether the end mark stands there. */
static void reference_extent(struct reference *r, struct span in, bool chunked)
{
	r->body = r->consumed = in.n;
	for (size_t i = 0; i < in.n && !chunked; i++) {
		if (!reference_line_start(in, i) || in.p[i] != '.')
			continue;
		if (i + 1 == in.n || (i + 2 == in.n && in.p[i + 1] == '\r')) {
			r->body = r->consumed = i;
			return;
		}
		if (i + 2 < in.n && in.p[i + 1] == '\r' && in.p[i + 2] == '\n') {
			r->body = i;
			r->consumed = i + 3;
			r->end = true;
			return;
		}
	}
}

static bool reference_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void reference_field(struct reference *r, const char *text, size_t length)
{
	size_t n = length < SMTP_DATA_FIELD_BYTES ? length : SMTP_DATA_FIELD_BYTES;
	size_t colon = 0, name, from, to;

	while (colon < n && text[colon] != ':')
		colon++;
	if (colon == n)
		return;
	for (name = colon; name && (text[name - 1] == ' ' || text[name - 1] == '\t');)
		name--;
	if (!name)
		return;
	for (size_t i = 0; i < name; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return;
	/* A bare LF ends a field too, unless white space follows. */
	for (to = colon + 1; to < n; to++)
		if (text[to] == '\n' && to + 1 < n && text[to + 1] != ' ' && text[to + 1] != '\t')
			break;
	for (from = colon + 1; from < to && reference_blank(text[from]);)
		from++;
	while (to > from && reference_blank(text[to - 1]))
		to--;
	struct span field = span_of(text, name);
	if (span_equal_nocase(field, SPAN("received")) && r->hops < UINT16_MAX)
		r->hops++;
	if (span_equal_nocase(field, SPAN("date")))
		r->fields |= SMTP_DATA_DATE;
	if (span_equal_nocase(field, SPAN("from")))
		r->fields |= SMTP_DATA_FROM;
	if (span_equal_nocase(field, SPAN("message-id")))
		r->fields |= SMTP_DATA_MESSAGE_ID;
	reference_log(
		&r->log, field, span_of(text + from, to - from), length > SMTP_DATA_FIELD_BYTES);
}

/* The lines: dots, lengths, header fields. `final`: nothing comes after the input. */
static void reference_lines(
	struct reference *r, struct span in, const struct smtp_data_rules *rules, bool final)
{
	struct buf field;
	bool header = true;

	buf_init(&field, REFERENCE_BYTES);
	for (size_t at = 0, next; at < in.n; at = next) {
		for (next = at + 1; next < in.n && !reference_line_start(in, next);)
			next++;
		bool whole = next < in.n || (next - at >= 2 && reference_line_start(in, next));
		struct span line = span_of(in.p + at, next - at);
		if (line.p[0] == '.') {
			r->flags |= rules->chunked ? ENVELOPE_BODY_DOTS : ENVELOPE_BODY_STUFFED;
			if (!rules->chunked)
				line = span_skip(line, 1);
		}
		size_t length = line.n;
		if (whole)
			length -= 2;
		else if (!final && line.p[line.n - 1] == '\r')
			length--;
		if (length > SMTP_DATA_LINE)
			r->flags |= ENVELOPE_BODY_LONG_LINES;
		if (length > rules->line && !rules->binary)
			r->faults |= SMTP_DATA_LONG_LINE;
		if (!whole && final)
			r->flags |= ENVELOPE_BODY_OPEN_END;
		if (!header)
			continue;
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			reference_field(r, field.p, field.n);
			buf_clear(&field);
		}
		buf_add_span(&field, line);
		r->header_bytes = next;
		if (whole && length == 0) {
			header = false;
			buf_clear(&field);
		}
	}
	if (header && final)
		reference_field(r, field.p, field.n);
	buf_done(&field);
}

static void reference_run(struct reference *r, struct span in, const struct smtp_data_rules *rules)
{
	*r = (struct reference){0};
	buf_init(&r->log, REFERENCE_BYTES);
	reference_extent(r, in, rules->chunked);
	in.n = r->body;
	bool final = r->end || rules->chunked;
	unsigned odd = 0;
	reference_lines(r, in, rules, final);
	for (size_t i = 0; i < in.n; i++) {
		if ((unsigned char)in.p[i] >= 0x80) {
			r->flags |= ENVELOPE_BODY_8BIT;
			if (i < r->header_bytes)
				r->flags |= ENVELOPE_HEADER_8BIT;
		}
		if (!in.p[i]) {
			odd |= SMTP_DATA_NUL;
			r->flags |= ENVELOPE_BODY_NUL;
		}
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			odd |= SMTP_DATA_BARE_LF;
		if (in.p[i] == '\r' && (i + 1 < in.n ? in.p[i + 1] != '\n' : final))
			odd |= SMTP_DATA_BARE_CR;
	}
	if (odd & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF))
		r->flags |= ENVELOPE_BODY_BARE;
	if (!rules->binary)
		r->faults |= odd;
	if (r->header_bytes > rules->header_bytes)
		r->faults |= SMTP_DATA_LONG_HEADER;
}

/*
 * Feeds `in` to the real scanner in pieces whose lengths come from `prng` (NULL: one piece), as a
 * session does: what was not consumed is given again with more behind it. Each piece is copied to
 * memory of its own length, so that a sanitizer sees a read beyond it. Then compares.
 */
static void reference_compare(
	struct span in, struct smtp_data_rules rules, struct prng *prng, size_t most)
{
	struct reference r;
	struct smtp_data scan;
	struct smtp_data_step step = {0};
	struct buf log;
	size_t stored = 0, consumed = 0, seen = 0;

	reference_run(&r, in, &rules);
	buf_init(&log, REFERENCE_BYTES);
	rules.field = reference_log;
	rules.owner = &log;
	smtp_data_init(&scan, &rules);
	while (seen < in.n && !step.end) {
		size_t more = prng ? 1 + (size_t)prng_below(prng, most) : in.n;
		seen = MIN(seen + more, in.n);
		struct buf piece;
		buf_init(&piece, REFERENCE_BYTES);
		buf_add(&piece, in.p + consumed, seen - consumed);
		char *exact = realloc(piece.p, piece.n ? piece.n : 1);
		CHECK(exact);
		smtp_data_feed(&scan, exact, piece.n, &step);
		CHECK(step.stored <= step.consumed && step.consumed <= piece.n);
		CHECK(piece.n - step.consumed <= 2 || step.end);
		CHECK(!rules.chunked || step.consumed == piece.n);
		stored += step.stored;
		consumed += step.consumed;
		piece.p = exact;
		buf_done(&piece);
	}
	if (rules.chunked)
		smtp_data_end(&scan);
	CHECK(step.end == r.end);
	CHECK(consumed == r.consumed);
	CHECK(scan.bytes == r.body);
	CHECK(scan.faults || stored == r.body);
	CHECK(scan.flags == r.flags);
	CHECK(scan.faults == r.faults);
	CHECK(scan.fields == r.fields);
	CHECK(scan.hops == r.hops);
	CHECK(scan.header_bytes == r.header_bytes);
	CHECK(span_equal(buf_span(&log), buf_span(&r.log)));
	buf_done(&log);
	buf_done(&r.log);
}

#endif
