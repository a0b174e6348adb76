/*
 * Two passes over each input, both of them on long runs: memchr() from line to line, and a count of
 * the odd bytes that the compiler turns into vector instructions. A bare CR needs no search:
 * there is one where more CRs than CRLFs were seen.
 */
#include "codec/smtp_data.h"

#include "base/check.h"
#include "codec/header_scan.h"

typedef unsigned char lanes __attribute__((vector_size(16)));

#define CENSUS_RUN 255 /* vectors until a lane's count of CRs could overflow */

static const struct span end_mark = {".\r\n", 3};

struct census {
	unsigned char all; /* all bytes or'ed */
	bool nul;
	uint64_t cr;
};

static void census_add_lanes(struct census *c, lanes all, lanes nul, lanes cr)
{
	for (size_t i = 0; i < sizeof(lanes); i++) {
		c->all |= all[i];
		c->nul |= nul[i] != 0;
		c->cr += cr[i];
	}
}

static void take_census(const char *p, size_t n, struct census *c)
{
	while (n >= sizeof(lanes)) {
		size_t run = MIN(n / sizeof(lanes), (size_t)CENSUS_RUN);
		lanes all = {0}, nul = {0}, cr = {0};
		for (size_t i = 0; i < run; i++, p += sizeof(lanes)) {
			lanes v;
			memcpy(&v, p, sizeof(v));
			all |= v;
			nul |= (lanes)(v == 0);
			cr -= (lanes)(v == '\r'); /* true is -1 */
		}
		n -= run * sizeof(lanes);
		census_add_lanes(c, all, nul, cr);
	}
	for (; n; n--, p++) {
		c->all |= (unsigned char)*p;
		c->nul |= !*p;
		c->cr += *p == '\r';
	}
}

void smtp_data_init(struct smtp_data *scan, const struct smtp_data_rules *rules)
{
	/* field[] is written before it is read. */
	memset(scan, 0, offsetof(struct smtp_data, field));
	scan->rules = *rules;
	scan->in_header = true;
	scan->line_start = true; /* the CRLF of the DATA line counts: RFC 5321 section 4.1.1.4 */
}

/* A fault, or in a binary body just a property. */
static void odd(struct smtp_data *scan, enum smtp_data_fault fault, uint32_t flag)
{
	scan->flags |= flag;
	if (!scan->rules.binary)
		scan->faults |= fault;
}

/* The header field gathered so far is complete. */
static void field_done(struct smtp_data *scan)
{
	static const struct {
		struct span name;
		enum smtp_data_field field;
	} known[] = {
		{{"Date", 4}, SMTP_DATA_DATE},
		{{"From", 4}, SMTP_DATA_FROM},
		{{"Message-ID", 10}, SMTP_DATA_MESSAGE_ID},
	};
	struct header_scan fields;
	struct header_field field;

	header_scan_init(&fields, span_of(scan->field, scan->field_bytes));
	scan->field_bytes = 0;
	if (!header_scan_next(&fields, &field) || !field.name.n)
		return;
	if (span_equal_nocase(field.name, SPAN("Received")) && scan->hops < UINT16_MAX)
		scan->hops++;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (span_equal_nocase(field.name, known[i].name))
			scan->fields |= known[i].field;
	if (scan->rules.field)
		scan->rules.field(scan->rules.owner, field.name, field.value, scan->field_cut);
}

/* Bytes of a header line; the first of the line decides whether a field begins. */
static void gather(struct smtp_data *scan, const char *p, size_t n, bool first)
{
	if (first && *p != ' ' && *p != '\t') {
		field_done(scan);
		scan->field_cut = false;
	}
	size_t room = sizeof(scan->field) - scan->field_bytes;
	if (n > room) {
		n = room;
		scan->field_cut = true;
	}
	memcpy(scan->field + scan->field_bytes, p, n);
	scan->field_bytes += (uint32_t)n;
}

/* `bytes` are those of the line so far, without CRLF and stuffed dot. */
static void check_length(struct smtp_data *scan, uint64_t bytes)
{
	if (bytes <= SMTP_DATA_LINE && bytes <= scan->rules.line)
		return;
	if (bytes > SMTP_DATA_LINE)
		scan->flags |= ENVELOPE_BODY_LONG_LINES;
	if (bytes > scan->rules.line)
		odd(scan, SMTP_DATA_LONG_LINE, 0);
}

/* The LF of the CRLF that ends the line at or after `at`, or NULL. `begin` is the start of the
 * input. */
static const char *find_crlf(
	struct smtp_data *scan, const char *begin, const char *at, const char *end)
{
	const char *lf;

	while ((lf = memchr(at, '\n', (size_t)(end - at)))) {
		if (lf > begin ? lf[-1] == '\r' : scan->last_cr)
			break;
		odd(scan, SMTP_DATA_BARE_LF, ENVELOPE_BODY_BARE);
		at = lf + 1;
	}
	return lf;
}

/* A dot that begins a line. 1: it is the end mark; -1: too early to tell; 0: it is body. */
static int take_dot(struct smtp_data *scan, const char *at, const char *end)
{
	size_t left = (size_t)(end - at);

	if (scan->rules.chunked) {
		scan->flags |= ENVELOPE_BODY_DOTS;
		return 0;
	}
	if (memcmp(at, end_mark.p, MIN(left, end_mark.n)) == 0)
		return left < end_mark.n ? -1 : 1;
	scan->flags |= ENVELOPE_BODY_STUFFED;
	return 0;
}

/* The header section is complete, `bytes` long with its empty line if it has one. */
static void header_done(struct smtp_data *scan, uint64_t bytes)
{
	field_done(scan);
	scan->in_header = false;
	scan->header_bytes = bytes;
}

/* From `at` to the end of its line, or of the input; returns where that is. */
static const char *take_line(
	struct smtp_data *scan, const char *begin, const char *at, const char *end)
{
	const char *lf = find_crlf(scan, begin, at, end);
	const char *to = lf ? lf + 1 : end;
	/* RFC 5321 section 4.5.3.1.6: the dot added for transparency does not count. */
	bool stuffed = scan->line_start && !scan->rules.chunked && *at == '.';
	size_t n = (size_t)(to - at) - stuffed;

	if (scan->in_header && n)
		gather(scan, at + stuffed, n, scan->line_start);
	scan->line_bytes += n;
	if (!lf) {
		scan->line_start = false;
		check_length(scan, scan->line_bytes - (end[-1] == '\r'));
		return end;
	}
	scan->crlf++;
	check_length(scan, scan->line_bytes - 2);
	if (scan->in_header && scan->line_bytes == 2)
		header_done(scan, scan->bytes + (uint64_t)(to - begin));
	scan->line_bytes = 0;
	scan->line_start = true;
	return to;
}

/* What the lines do not show: 8-bit bytes, NUL, bare CR. `header` bytes of the n are header. */
static void check_bytes(struct smtp_data *scan, const char *p, size_t n, size_t header)
{
	struct census c = {0};

	take_census(p, header, &c);
	if (c.all & 0x80)
		scan->flags |= ENVELOPE_HEADER_8BIT;
	take_census(p + header, n - header, &c);
	if (c.all & 0x80)
		scan->flags |= ENVELOPE_BODY_8BIT;
	if (c.nul)
		odd(scan, SMTP_DATA_NUL, ENVELOPE_BODY_NUL);
	scan->cr += c.cr;
	scan->last_cr = p[n - 1] == '\r';
	if (scan->cr - scan->last_cr != scan->crlf)
		odd(scan, SMTP_DATA_BARE_CR, ENVELOPE_BODY_BARE);
}

void smtp_data_feed(struct smtp_data *scan, const char *p, size_t n, struct smtp_data_step *out)
{
	const char *at = p, *end = n ? p + n : p;
	bool in_header = scan->in_header;
	int dot = 0;

	while (at < end) {
		if (*at == '.' && scan->line_start) {
			dot = take_dot(scan, at, end);
			if (dot)
				break;
		}
		at = take_line(scan, p, at, end);
	}
	size_t body = (size_t)(at - p);
	if (body) {
		size_t header = 0;
		if (in_header)
			header =
				scan->in_header ? body : (size_t)(scan->header_bytes - scan->bytes);
		check_bytes(scan, p, body, header);
	}
	scan->bytes += body;
	if (scan->in_header)
		scan->header_bytes = scan->bytes;
	if (scan->header_bytes > scan->rules.header_bytes)
		scan->faults |= SMTP_DATA_LONG_HEADER;
	if (dot == 1)
		smtp_data_end(scan);
	*out = (struct smtp_data_step){
		.stored = scan->faults ? 0 : body,
		.consumed = body + (dot == 1 ? end_mark.n : 0),
		.end = dot == 1,
	};
}

void smtp_data_end(struct smtp_data *scan)
{
	if (scan->in_header)
		header_done(scan, scan->bytes);
	if (!scan->line_start) {
		scan->flags |= ENVELOPE_BODY_OPEN_END;
		check_length(scan, scan->line_bytes);
	}
	if (scan->last_cr) {
		scan->last_cr = false;
		odd(scan, SMTP_DATA_BARE_CR, ENVELOPE_BODY_BARE);
	}
}
