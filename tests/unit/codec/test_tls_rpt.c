#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "codec/tls_rpt.h"

#include <jansson.h>
#include <zlib.h>

static int setup(void **state)
{
	static struct arena arena;
	arena_init(&arena, 1 << 20);
	*state = &arena;
	return 0;
}

static int teardown(void **state)
{
	arena_reset(*state);
	return 0;
}

/* ---- the record ---- */

/* A TXT record of one or more strings. */
static int find(struct arena *arena, const char *text, struct tls_rpt_record *out)
{
	char rdata[4096];
	size_t n = 0, length = strlen(text);
	for (size_t at = 0; at < length; at += 255) {
		size_t part = MIN(length - at, (size_t)255);
		rdata[n++] = (char)part;
		memcpy(rdata + n, text + at, part);
		n += part;
	}
	struct span one = span_of(rdata, n);
	return tls_rpt_find_record(&one, 1, arena, out);
}

static void the_records_of_the_rfc_are_read(void **state)
{
	struct tls_rpt_record r;
	/* RFC 8460 section 3.1 */
	assert_int_equal(find(*state, "v=TLSRPTv1;rua=mailto:reports@example.com", &r), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.uris[0].scheme, TLS_RPT_MAILTO);
	assert_true(span_equal(r.uris[0].target, SPAN("reports@example.com")));
	assert_int_equal(
		find(*state, "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", &r), 0);
	assert_int_equal(r.uris[0].scheme, TLS_RPT_HTTPS);
	assert_true(span_equal(r.uris[0].target, SPAN("https://reporting.example.com/v1/tlsrpt")));
}

static void uris_are_read(void **state)
{
	struct tls_rpt_record r;
	assert_int_equal(find(*state,
				 "v=TLSRPTv1; x=1; rua = mailto:a@b.example , "
				 "HTTPS://c.example/?q=1%2C2,MAILTO:D%2B1%40E.example?subject=x ;",
				 &r),
		0);
	assert_int_equal(r.count, 3);
	assert_true(span_equal(r.uris[0].target, SPAN("a@b.example")));
	assert_true(span_equal(r.uris[1].target, SPAN("HTTPS://c.example/?q=1%2C2")));
	assert_true(span_equal(r.uris[2].target, SPAN("D+1@e.example")));
	assert_int_equal(
		find(*state, "v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example", &r), 0);
	assert_int_equal(r.count, 1);
}

static void uris_that_nothing_can_be_sent_to_are_left_out(void **state)
{
	static const char *const useless[] = {
		"v=TLSRPTv1; rua=http://a.example/",
		"v=TLSRPTv1; rua=ftp://a.example/",
		"v=TLSRPTv1; rua=mailto:",
		"v=TLSRPTv1; rua=mailto:a",
		"v=TLSRPTv1; rua=mailto:a%",
		"v=TLSRPTv1; rua=mailto:a%4@b.example",
		"v=TLSRPTv1; rua=mailto:a@b.example%0D%0AX",
		"v=TLSRPTv1; rua=mailto:a@b.example%00",
		"v=TLSRPTv1; rua=mailto:a@b.example%2Cc@d.example", /* two of them */
		"v=TLSRPTv1; rua=mailto:?to=a@b.example",
		"v=TLSRPTv1; rua=https://",
		"v=TLSRPTv1; rua=https:///path",
		"v=TLSRPTv1; rua=https://a.example/ b",
		"v=TLSRPTv1; rua=https:a.example",
	};
	struct tls_rpt_record r;
	for (size_t i = 0; i < ARRAY_SIZE(useless); i++) {
		r.count = 7;
		assert_int_equal(find(*state, useless[i], &r), 0);
		assert_int_equal(r.count, 0);
	}
	assert_int_equal(
		find(*state, "v=TLSRPTv1; rua=ftp://a.example/,mailto:a@b.example", &r), 0);
	assert_int_equal(r.count, 1);
}

static void broken_records_are_refused(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"", ERR_NOT_FOUND},
		{"v=TLSRPTv2; rua=mailto:a@b.example", ERR_NOT_FOUND},
		{"v=tlsrptv1; rua=mailto:a@b.example", ERR_NOT_FOUND},
		{"v=TLSRPTv1", ERR_NOT_FOUND},
		{"v=TLSRPTv1;", ERR_SYNTAX},
		{"v=TLSRPTv1; RUA=mailto:a@b.example", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=mailto:a@b.example,", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=,mailto:a@b.example", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=a@b.example", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=:", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=mailto:\xc3\xa4@b.example", ERR_SYNTAX},
		{"v=TLSRPTv1; rua=mailto:a@b.example; junk", ERR_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_rpt_record r = {.count = 7};
		assert_int_equal(find(*state, cases[i].text, &r), cases[i].err);
		assert_int_equal(r.count, 7);
	}
	const struct span two[] = {SPAN("\x23v=TLSRPTv1; rua=mailto:a@b.example"),
		SPAN("\x23v=TLSRPTv1; rua=mailto:c@d.example")};
	struct tls_rpt_record r;
	assert_int_equal(tls_rpt_find_record(two, 1, *state, &r), ERR_NOT_FOUND); /* cut off */
	const struct span right[] = {SPAN("\x22v=TLSRPTv1; rua=mailto:a@b.example"),
		SPAN("\x22v=TLSRPTv1; rua=mailto:c@d.example")};
	assert_int_equal(tls_rpt_find_record(right, 1, *state, &r), 0);
	assert_int_equal(tls_rpt_find_record(right, 2, *state, &r), ERR_NOT_FOUND);
}

static void lists_are_bounded(void **state)
{
	struct tls_rpt_record r;
	struct buf text;
	buf_init(&text, 4000);
	buf_add_str(&text, "v=TLSRPTv1; rua=https://long.example/");
	while (text.n < 16 + TLS_RPT_URI + 1)
		buf_add_char(&text, 'x');
	for (int i = 0; i < TLS_RPT_URIS + 2; i++)
		buf_printf(&text, ",mailto:r%d@a.example", i);
	buf_add_char(&text, '\0');
	assert_int_equal(find(*state, text.p, &r), 0);
	assert_int_equal(r.count, TLS_RPT_URIS);
	assert_true(span_equal(r.uris[0].target, SPAN("r0@a.example")));
	assert_true(span_equal(r.uris[7].target, SPAN("r7@a.example")));
	buf_done(&text);
	struct arena small;
	arena_init(&small, 48);
	assert_int_equal(find(&small, "v=TLSRPTv1;rua=mailto:reports@example.com", &r), ERR_NOMEM);
	arena_reset(&small);
}

/* ---- the report ---- */

/* The one of RFC 8460 appendix B. */
static const struct span sts_lines[] = {{"version: STSv1", 14}, {"mode: testing", 13},
	{"mx: *.mail.company-y.example", 28}, {"max_age: 86400", 14}};
static const struct span sts_mx[] = {{"*.mail.company-y.example", 24}};
static const struct tls_rpt_failure failures[] = {
	{TLS_RPT_CERTIFICATE_EXPIRED, {"2001:db8:abcd:0012::1", 21},
		{"mx1.mail.company-y.example", 26}, {NULL, 0}, {NULL, 0}, 100},
	{TLS_RPT_STARTTLS_NOT_SUPPORTED, {"2001:db8:abcd:0013::1", 21},
		{"mx2.mail.company-y.example", 26}, {"203.0.113.56", 12}, {NULL, 0}, 200},
	{TLS_RPT_VALIDATION_FAILURE, {"198.51.100.62", 13},
		{"mx-backup.mail.company-y.example", 32}, {"203.0.113.58", 12},
		{"X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED", 37}, 3},
};
static const struct tls_rpt_policy policies[] = {{.type = TLS_RPT_STS,
	.lines = sts_lines,
	.line_count = 4,
	.domain = {"company-y.example", 17},
	.mx = sts_mx,
	.mx_count = 1,
	.successes = 5326,
	.failures = 303,
	.details = failures,
	.detail_count = 3}};
static const struct tls_rpt_report report = {.organization = {"Company-X", 9},
	.contact = {"sts-reporting@company-x.example", 31},
	.report_id = {"5065427c-23d3-47ca-b6e0-946ea0e8c4be", 36},
	.from_ms = 1459468800000,
	.to_ms = 1459555199999,
	.policies = policies,
	.policy_count = 1};

static void a_report_is_that_of_the_rfc(void **state)
{
	(void)state;
	static const char expected[] =
		"{\"organization-name\": \"Company-X\","
		"\"date-range\": {\"start-datetime\": \"2016-04-01T00:00:00Z\","
		"\"end-datetime\": \"2016-04-01T23:59:59Z\"},"
		"\"contact-info\": \"sts-reporting@company-x.example\","
		"\"report-id\": \"5065427c-23d3-47ca-b6e0-946ea0e8c4be\","
		"\"policies\": [{\"policy\": {\"policy-type\": \"sts\","
		"\"policy-string\": [\"version: STSv1\",\"mode: testing\","
		"\"mx: *.mail.company-y.example\",\"max_age: 86400\"],"
		"\"policy-domain\": \"company-y.example\",\"mx-host\": "
		"[\"*.mail.company-y.example\"]},"
		"\"summary\": {\"total-successful-session-count\": 5326,"
		"\"total-failure-session-count\": 303},"
		"\"failure-details\": [{\"result-type\": \"certificate-expired\","
		"\"sending-mta-ip\": \"2001:db8:abcd:0012::1\","
		"\"receiving-mx-hostname\": "
		"\"mx1.mail.company-y.example\",\"failed-session-count\": 100},"
		"{\"result-type\": \"starttls-not-supported\",\"sending-mta-ip\": "
		"\"2001:db8:abcd:0013::1\","
		"\"receiving-mx-hostname\": \"mx2.mail.company-y.example\","
		"\"receiving-ip\": \"203.0.113.56\",\"failed-session-count\": 200},"
		"{\"result-type\": \"validation-failure\",\"sending-mta-ip\": \"198.51.100.62\","
		"\"receiving-ip\": \"203.0.113.58\","
		"\"receiving-mx-hostname\": "
		"\"mx-backup.mail.company-y.example\",\"failed-session-count\": 3,"
		"\"failure-reason-code\": \"X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED\"}]}]}";
	struct buf out;
	buf_init(&out, 1 << 16);
	tls_rpt_add_json(&out, &report);
	assert_true(buf_ok(&out));
	json_t *ours = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	json_t *theirs = json_loads(expected, 0, NULL);
	assert_non_null(ours);
	assert_non_null(theirs);
	assert_true(json_equal(ours, theirs));
	json_decref(ours);
	json_decref(theirs);
	buf_done(&out);
}

static void any_string_makes_valid_json(void **state)
{
	(void)state;
	const struct tls_rpt_failure failure = {.result = TLS_RPT_DANE_REQUIRED,
		.detail = SPAN("\xff\"\n\0x"),
		.sessions = UINT64_MAX >> 1};
	const struct tls_rpt_policy both[] = {
		{.type = TLS_RPT_TLSA,
			.domain = SPAN("a.example"),
			.details = &failure,
			.detail_count = 1},
		{.type = TLS_RPT_NO_POLICY, .domain = SPAN("b.example"), .successes = 1},
	};
	const struct tls_rpt_report odd = {
		.organization = SPAN("\xc3("), .policies = both, .policy_count = 2};
	struct buf out;
	buf_init(&out, 1 << 16);
	tls_rpt_add_json(&out, &odd);
	json_t *json = json_loadb(out.p, out.n, JSON_ALLOW_NUL, NULL);
	assert_non_null(json);
	json_t *list = json_object_get(json, "policies"), *none = json_array_get(list, 1);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(none, "policy"), "policy-type")),
		"no-policy-found");
	assert_null(json_object_get(none, "failure-details"));
	assert_null(json_object_get(json_object_get(none, "policy"), "policy-string"));
	json_decref(json);
	buf_done(&out);
}

static void results_have_the_names_of_the_rfc(void **state)
{
	(void)state;
	assert_string_equal(tls_rpt_result_name(TLS_RPT_CERTIFICATE_HOST_MISMATCH),
		"certificate-host-mismatch");
	assert_string_equal(tls_rpt_result_name(TLS_RPT_STS_WEBPKI_INVALID), "sts-webpki-invalid");
	assert_string_equal(tls_rpt_result_name(TLS_RPT_DNSSEC_INVALID), "dnssec-invalid");
	for (unsigned i = 0; i < TLS_RPT_RESULTS; i++)
		assert_non_null(tls_rpt_result_name((enum tls_rpt_result)i));
}

/* ---- gzip ---- */

static void unpack(struct span packed, struct buf *out)
{
	z_stream z = {.next_in = (unsigned char *)packed.p, .avail_in = (unsigned)packed.n};
	char *to = buf_reserve(out, 1 << 20);
	assert_non_null(to);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_out = (unsigned char *)to;
	z.avail_out = 1 << 20;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	buf_wrote(out, z.total_out);
	inflateEnd(&z);
}

static void what_is_packed_can_be_unpacked(void **state)
{
	(void)state;
	static char noise[100000];
	uint32_t seed = 1;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
	const struct span cases[] = {SPAN_NONE, SPAN("a"), SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		span_of(noise, sizeof(noise))};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf packed, again, back;
		buf_init(&packed, 1 << 21);
		buf_init(&again, 1 << 21);
		buf_init(&back, 1 << 21);
		assert_int_equal(tls_rpt_gzip(cases[i], &packed), 0);
		assert_int_equal(tls_rpt_gzip(cases[i], &again), 0);
		assert_true(span_equal(buf_span(&packed), buf_span(&again)));
		assert_memory_equal(packed.p, "\x1f\x8b\x08\0\0\0\0\0", 8); /* no name, no time */
		unpack(buf_span(&packed), &back);
		assert_true(span_equal(buf_span(&back), cases[i]));
		buf_done(&packed);
		buf_done(&again);
		buf_done(&back);
	}
	struct buf small;
	buf_init(&small, 10);
	assert_int_equal(tls_rpt_gzip(SPAN("some text"), &small), ERR_NOMEM);
	buf_done(&small);
}

/* ---- the message ---- */

static struct tls_rpt_mail a_mail(void)
{
	return (struct tls_rpt_mail){.from = SPAN("postmaster@mail.sender.example"),
		.to = SPAN("mts-sts-tlsrpt@example.net"),
		.reported_domain = SPAN("example.net"),
		.submitter = SPAN("mail.sender.example"),
		.json = SPAN("{\"report-id\":\"x\"}"),
		.report_id = SPAN("735ff.e317+bf22029@mailexample"),
		.now_ms = 1459555200000,
		.from_ms = 1459468800000,
		.to_ms = 1459555199999,
		.random = 0xabc};
}

static void a_message_has_the_fields_of_the_rfc(void **state)
{
	(void)state;
	struct tls_rpt_mail mail = a_mail();
	struct buf out;
	buf_init(&out, 1 << 16);
	assert_int_equal(tls_rpt_add_mail(&out, &mail), 0);
	static const char expected[] =
		"From: <postmaster@mail.sender.example>\r\n"
		"To: <mts-sts-tlsrpt@example.net>\r\n"
		"Date: Sat, 2 Apr 2016 00:00:00 +0000\r\n"
		"Subject: Report Domain: example.net\r\n"
		" Submitter: mail.sender.example\r\n"
		" Report-ID: <735ff.e317+bf22029@mailexample>\r\n"
		"Message-ID: <tlsrpt.0000000000000abc@mail.sender.example>\r\n"
		"TLS-Report-Domain: example.net\r\n"
		"TLS-Report-Submitter: mail.sender.example\r\n"
		"TLS-Required: No\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=tlsrpt;\r\n"
		" boundary=\"=_tlsrpt_0000000000000abc\"\r\n"
		"\r\n"
		"--=_tlsrpt_0000000000000abc\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"Content-Transfer-Encoding: 7bit\r\n"
		"\r\n";
	static const char attached[] = "\r\n--=_tlsrpt_0000000000000abc\r\n"
				       "Content-Type: application/tlsrpt+gzip\r\n"
				       "Content-Transfer-Encoding: base64\r\n"
				       "Content-Disposition: attachment;\r\n"
				       " filename=\"mail.sender.example!example.net!1459468800!"
				       "1459555199!0000000000000abc.json.gz\"\r\n"
				       "\r\n";
	assert_true(out.n > sizeof(expected));
	assert_memory_equal(out.p, expected, sizeof(expected) - 1);
	const char *at = memmem(out.p, out.n, attached, sizeof(attached) - 1);
	assert_non_null(at);
	struct span rest = span_skip(buf_span(&out), (size_t)(at - out.p) + sizeof(attached) - 1);
	assert_true(span_ends_nocase(rest, SPAN("\r\n--=_tlsrpt_0000000000000abc--\r\n")));
	struct span line = span_of(rest.p, span_find(rest, '\r'));
	struct buf packed, json;
	buf_init(&packed, 1 << 16);
	buf_init(&json, 1 << 21);
	assert_true(base64_decode(line, &packed));
	unpack(buf_span(&packed), &json);
	assert_true(span_equal(buf_span(&json), mail.json));
	buf_done(&packed);
	buf_done(&json);
	buf_done(&out);
}

static void lines_of_a_message_are_short_and_end_with_crlf(void **state)
{
	(void)state;
	static char noise[20000];
	uint32_t seed = 1;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)('a' + ((seed = seed * 1664525 + 1013904223) >> 24) % 26);
	struct tls_rpt_mail mail = a_mail();
	struct buf out;
	size_t full = 0;
	buf_init(&out, 1 << 20);
	mail.json = span_of(noise, sizeof(noise));
	assert_int_equal(tls_rpt_add_mail(&out, &mail), 0);
	for (struct span rest = buf_span(&out); rest.n;) {
		size_t n = span_find(rest, '\n');
		size_t end = span_find(rest, '\r');
		assert_true(n < rest.n && end + 1 == n);
		struct span line = span_of(rest.p, end);
		assert_true(line.n <= 76 || span_starts_nocase(line, SPAN(" filename=")));
		full += line.n == 76;
		rest = span_skip(rest, n + 1);
	}
	assert_true(full > 100);
	buf_done(&out);
}

static void an_id_becomes_one_of_a_message(void **state)
{
	(void)state;
	struct tls_rpt_mail mail = a_mail();
	struct buf out;
	buf_init(&out, 1 << 16);
	mail.report_id = SPAN("2016-04-01T00:00:00Z_example.net");
	assert_int_equal(tls_rpt_add_mail(&out, &mail), 0);
	assert_non_null(memmem(
		out.p, out.n, "<2016-04-01T00:00:00Z_example.net@mail.sender.example>\r\n", 56));
	buf_done(&out);
}

static void nothing_breaks_out_of_its_field(void **state)
{
	(void)state;
	static const struct span bad[] = {{NULL, 0}, {"a@b.example\r\nX: y", 17},
		{"a@b.example\n", 12}, {"a@b.example>", 12}, {"a b", 3}, {"a\0b", 3}, {"a\x7f", 2},
		{"a\"b<c", 5}};
	struct buf out;
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct tls_rpt_mail mails[5] = {a_mail(), a_mail(), a_mail(), a_mail(), a_mail()};
		mails[0].from = mails[1].to = mails[2].reported_domain = mails[3].submitter =
			mails[4].report_id = bad[i];
		for (size_t k = 0; k < ARRAY_SIZE(mails); k++)
			assert_int_equal(tls_rpt_add_mail(&out, &mails[k]), ERR_SYNTAX);
	}
	struct tls_rpt_mail mail = a_mail();
	mail.reported_domain = SPAN("b\xc3\xbc"
				    "cher.example");
	assert_int_equal(tls_rpt_add_mail(&out, &mail), ERR_SYNTAX);
	mail = a_mail();
	mail.to = SPAN("J\xff@b.example");
	assert_int_equal(tls_rpt_add_mail(&out, &mail), ERR_SYNTAX);
	static char domain[300];
	memset(domain, 'a', sizeof(domain));
	mail = a_mail();
	mail.reported_domain = span_of(domain, 256);
	assert_int_equal(tls_rpt_add_mail(&out, &mail), ERR_LIMIT);
	assert_int_equal(out.n, 0);
	buf_done(&out);
	buf_init(&out, 1000);
	mail = a_mail();
	assert_int_equal(tls_rpt_add_mail(&out, &mail), ERR_NOMEM);
	assert_int_equal(out.n, 0);
	buf_done(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_records_of_the_rfc_are_read),
		CASE(uris_are_read),
		CASE(uris_that_nothing_can_be_sent_to_are_left_out),
		CASE(broken_records_are_refused),
		CASE(lists_are_bounded),
		CASE(a_report_is_that_of_the_rfc),
		CASE(any_string_makes_valid_json),
		CASE(results_have_the_names_of_the_rfc),
		CASE(what_is_packed_can_be_unpacked),
		CASE(a_message_has_the_fields_of_the_rfc),
		CASE(lines_of_a_message_are_short_and_end_with_crlf),
		CASE(an_id_becomes_one_of_a_message),
		CASE(nothing_breaks_out_of_its_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
