/*
 * TLS reporting (RFC 8460): the TXT record that says where reports go, and a report.
 */
#ifndef CODEC_TLS_RPT_H
#define CODEC_TLS_RPT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define TLS_RPT_URIS 8
#define TLS_RPT_URI  1024	 /* bytes */
#define TLS_RPT_JSON (64u << 20) /* bytes of a report */

enum tls_rpt_scheme { TLS_RPT_MAILTO, TLS_RPT_HTTPS };

struct tls_rpt_uri {
	enum tls_rpt_scheme scheme;
	/* mailto: the address, %-decoded and canonical, without a query; https: the whole URI. */
	struct span target;
};

struct tls_rpt_record {
	struct tls_rpt_uri uris[TLS_RPT_URIS];
	uint32_t count;
};

/* TXT rdata as in the DNS; exactly one record "v=TLSRPTv1" (section 3). Left out are URIs of other
 * schemes, ones that nothing can be sent to, ones over TLS_RPT_URI bytes, and those after the first
 * TLS_RPT_URIS; so the count may be 0. ERR_NOT_FOUND, ERR_SYNTAX, ERR_NOMEM. */
int tls_rpt_find_record(
	const struct span *rdata, uint32_t count, struct arena *arena, struct tls_rpt_record *out);

enum tls_rpt_policy_type { TLS_RPT_TLSA, TLS_RPT_STS, TLS_RPT_NO_POLICY };

/* "starttls-not-supported", … (section 4.3); the order is the names'. */
enum tls_rpt_result {
	TLS_RPT_STARTTLS_NOT_SUPPORTED,
	TLS_RPT_CERTIFICATE_HOST_MISMATCH,
	TLS_RPT_CERTIFICATE_EXPIRED,
	TLS_RPT_CERTIFICATE_NOT_TRUSTED,
	TLS_RPT_VALIDATION_FAILURE,
	TLS_RPT_TLSA_INVALID,
	TLS_RPT_DNSSEC_INVALID,
	TLS_RPT_DANE_REQUIRED,
	TLS_RPT_STS_POLICY_FETCH_ERROR,
	TLS_RPT_STS_POLICY_INVALID,
	TLS_RPT_STS_WEBPKI_INVALID,
	TLS_RPT_RESULTS
};
const char *tls_rpt_result_name(enum tls_rpt_result result);

struct tls_rpt_failure {
	enum tls_rpt_result result;
	struct span sending_ip, receiving_host, receiving_ip; /* text; empty: left out */
	struct span detail;				      /* failure-reason-code; empty: none */
	uint64_t sessions;
};

struct tls_rpt_policy {
	enum tls_rpt_policy_type type;
	const struct span
		*lines; /* policy-string: TLSA records as text, or the lines of the policy */
	uint32_t line_count;
	struct span domain;
	const struct span *mx; /* mx-host patterns; STS only */
	uint32_t mx_count;
	uint64_t successes, failures;
	const struct tls_rpt_failure *details;
	uint32_t detail_count;
};

struct tls_rpt_report {
	struct span organization, contact, report_id; /* contact: a mail address */
	int64_t from_ms, to_ms;
	const struct tls_rpt_policy *policies;
	uint32_t policy_count;
};

/* The JSON of section 4.4; strings that are not UTF-8 are made so. What does not fit is seen at the
 * buffer (buf_ok()). */
void tls_rpt_add_json(struct buf *out, const struct tls_rpt_report *report);

/* The message of section 5.3, headers and body with CRLF: multipart/report, the report gzipped and
 * in base64. `random` makes the boundary and Message-ID. ERR_SYNTAX: an address, a name or the
 * report's id has characters that would break out of its field; ERR_LIMIT: one of them, or the
 * report, is too long; ERR_NOMEM. */
struct tls_rpt_mail {
	struct span from, to;			/* addresses */
	struct span reported_domain, submitter; /* TLS-Report-Domain, TLS-Report-Submitter */
	struct span json;
	struct span report_id;
	int64_t now_ms, from_ms, to_ms;
	uint64_t random;
};
int tls_rpt_add_mail(struct buf *out, const struct tls_rpt_mail *mail);
/* gzip (RFC 1952) of these bytes, with no time in it: the same bytes give the same. ERR_LIMIT: over
 * TLS_RPT_JSON bytes; ERR_NOMEM. */
int tls_rpt_gzip(struct span in, struct buf *out);

#endif
