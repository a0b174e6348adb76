/* The record of TLSRPT, and reports with any strings in them: no crash, valid JSON, no field more
 * than there should be. The first byte says which. */
#include "base/check.h"
#include "base/err.h"
#include "codec/tls_rpt.h"

#include <jansson.h>

#define ARENA_BYTES  (1u << 20)
#define PARTS	     6
#define FIELD_LINES  15 /* of a message's header, with the empty one */
#define OUTPUT_BYTES (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to PARTS of them, with NUL between; the rest are empty. */
static uint32_t cut(struct span in, struct span parts[PARTS])
{
	uint32_t count = 0;

	memset(parts, 0, PARTS * sizeof(parts[0]));
	while (count < PARTS && in.n) {
		size_t end = span_find(in, '\0');
		parts[count++] = span_of(in.p, end);
		in = span_skip(in, end + 1);
	}
	return count;
}

static void play_records(struct span in, struct arena *arena)
{
	struct span rdata[PARTS];
	struct tls_rpt_record record;
	uint32_t count = cut(in, rdata);
	int err = tls_rpt_find_record(rdata, count, arena, &record);

	CHECK(err == 0 || err == ERR_NOT_FOUND || err == ERR_SYNTAX || err == ERR_NOMEM);
	if (err)
		return;
	CHECK(record.count <= TLS_RPT_URIS);
	for (uint32_t i = 0; i < record.count; i++) {
		struct span target = record.uris[i].target;
		CHECK(target.n > 0 && target.n <= TLS_RPT_URI);
		for (size_t k = 0; k < target.n; k++)
			CHECK((unsigned char)target.p[k] >= ' ' && target.p[k] != 0x7f);
	}
}

static void play_json(struct span in, struct buf *out)
{
	struct span parts[PARTS];

	cut(in, parts);
	struct tls_rpt_failure failure = {(enum tls_rpt_result)(in.n % TLS_RPT_RESULTS), parts[0],
		parts[1], parts[2], parts[3], in.n};
	struct tls_rpt_policy policy = {.type = (enum tls_rpt_policy_type)(in.n % 3),
		.lines = parts,
		.line_count = PARTS,
		.domain = parts[4],
		.mx = parts,
		.mx_count = PARTS,
		.details = &failure,
		.detail_count = 1};
	struct tls_rpt_report report = {parts[5], parts[4], parts[3], 0, (int64_t)in.n, &policy, 1};
	tls_rpt_add_json(out, &report);
	CHECK(buf_ok(out));
	json_t *json = json_loadb(out->p, out->n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	CHECK(json);
	json_decref(json);
}

static void play_mail(struct span in, struct buf *out)
{
	struct span parts[PARTS];

	cut(in, parts);
	struct tls_rpt_mail mail = {.from = parts[0],
		.to = parts[1],
		.reported_domain = parts[2],
		.submitter = parts[3],
		.report_id = parts[4],
		.json = parts[5],
		.now_ms = (int64_t)in.n,
		.random = in.n};
	int err = tls_rpt_add_mail(out, &mail);
	CHECK(err == 0 || err == ERR_SYNTAX || err == ERR_LIMIT || err == ERR_NOMEM);
	if (err) {
		CHECK(out->n == 0);
		return;
	}
	unsigned lines = 0;
	bool header = true;
	for (struct span rest = buf_span(out); rest.n;) {
		size_t n = span_find(rest, '\n');
		CHECK(n > 0 && n < rest.n && n < 998 && rest.p[n - 1] == '\r');
		lines += header;
		header = header && n > 1;
		rest = span_skip(rest, n + 1);
	}
	CHECK(lines == FIELD_LINES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct buf out;

	if (!size)
		return 0;
	arena_init(&arena, ARENA_BYTES);
	buf_init(&out, OUTPUT_BYTES);
	struct span in = span_of(data + 1, size - 1);
	switch (data[0]) {
	case 'j': play_json(in, &out); break;
	case 'm': play_mail(in, &out); break;
	default: play_records(in, &arena); break;
	}
	buf_done(&out);
	arena_reset(&arena);
	return 0;
}
