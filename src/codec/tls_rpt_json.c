/* A report as JSON (RFC 8460 section 4.4). */
#include "base/check.h"
#include "base/json_write.h"
#include "base/text.h"
#include "codec/fixed_buf.h"
#include "codec/tls_rpt.h"

#define TIME_TEXT 40 /* bytes of a date and time */
#define MS_TEXT	  5  /* ".123Z" */

static const char *const policy_types[] = {
	[TLS_RPT_TLSA] = "tlsa",
	[TLS_RPT_STS] = "sts",
	[TLS_RPT_NO_POLICY] = "no-policy-found",
};

/* Section 4.3; of "sts-policy-…" and of DANE alike. */
static const char *const results[TLS_RPT_RESULTS] = {
	[TLS_RPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
	[TLS_RPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
	[TLS_RPT_CERTIFICATE_EXPIRED] = "certificate-expired",
	[TLS_RPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
	[TLS_RPT_VALIDATION_FAILURE] = "validation-failure",
	[TLS_RPT_TLSA_INVALID] = "tlsa-invalid",
	[TLS_RPT_DNSSEC_INVALID] = "dnssec-invalid",
	[TLS_RPT_DANE_REQUIRED] = "dane-required",
	[TLS_RPT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
	[TLS_RPT_STS_POLICY_INVALID] = "sts-policy-invalid",
	[TLS_RPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

const char *tls_rpt_result_name(enum tls_rpt_result result)
{
	CHECK(result < TLS_RPT_RESULTS);
	return results[result];
}

/* As the examples of the RFC have it, in whole seconds: some who read it want no fraction. */
static void put_time(struct json_write *json, const char *key, int64_t wall_ms)
{
	char text[TIME_TEXT];
	struct buf out = fixed_buf(text, sizeof(text));

	text_add_time(&out, wall_ms);
	CHECK(out.n > MS_TEXT);
	out.n -= MS_TEXT;
	buf_add_char(&out, 'Z');
	json_put_string(json, key, buf_span(&out));
}

static void put_if_known(struct json_write *json, const char *key, struct span value)
{
	if (value.n)
		json_put_string(json, key, value);
}

static void put_strings(
	struct json_write *json, const char *key, const struct span *values, uint32_t count)
{
	if (!count)
		return;
	json_open_array(json, key);
	for (uint32_t i = 0; i < count; i++)
		json_put_string(json, NULL, values[i]);
	json_close_array(json);
}

static void put_failure(struct json_write *json, const struct tls_rpt_failure *failure)
{
	json_open_object(json, NULL);
	json_put_str(json, "result-type", tls_rpt_result_name(failure->result));
	put_if_known(json, "sending-mta-ip", failure->sending_ip);
	put_if_known(json, "receiving-mx-hostname", failure->receiving_host);
	put_if_known(json, "receiving-ip", failure->receiving_ip);
	json_put_u64(json, "failed-session-count", failure->sessions);
	put_if_known(json, "failure-reason-code", failure->detail);
	json_close_object(json);
}

static void put_policy(struct json_write *json, const struct tls_rpt_policy *policy)
{
	CHECK(policy->type <= TLS_RPT_NO_POLICY);
	json_open_object(json, NULL);
	json_open_object(json, "policy");
	json_put_str(json, "policy-type", policy_types[policy->type]);
	put_strings(json, "policy-string", policy->lines, policy->line_count);
	json_put_string(json, "policy-domain", policy->domain);
	if (policy->type == TLS_RPT_STS)
		put_strings(json, "mx-host", policy->mx, policy->mx_count);
	json_close_object(json);
	json_open_object(json, "summary");
	json_put_u64(json, "total-successful-session-count", policy->successes);
	json_put_u64(json, "total-failure-session-count", policy->failures);
	json_close_object(json);
	if (policy->detail_count) {
		json_open_array(json, "failure-details");
		for (uint32_t i = 0; i < policy->detail_count; i++)
			put_failure(json, &policy->details[i]);
		json_close_array(json);
	}
	json_close_object(json);
}

void tls_rpt_add_json(struct buf *out, const struct tls_rpt_report *report)
{
	struct json_write json;

	json_write_init(&json, out);
	json_open_object(&json, NULL);
	json_put_string(&json, "organization-name", report->organization);
	json_open_object(&json, "date-range");
	put_time(&json, "start-datetime", report->from_ms);
	put_time(&json, "end-datetime", report->to_ms);
	json_close_object(&json);
	json_put_string(&json, "contact-info", report->contact);
	json_put_string(&json, "report-id", report->report_id);
	json_open_array(&json, "policies");
	for (uint32_t i = 0; i < report->policy_count; i++)
		put_policy(&json, &report->policies[i]);
	json_close_array(&json);
	json_close_object(&json);
}
