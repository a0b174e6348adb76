/*
 * What became of the protection of sessions: for TLS reports (RFC 8460), and for events.
 */
#include "delivery/link.h"
#include "delivery/report.h"

#include <stdio.h>
#include <string.h>

static enum tls_rpt_result result_of(
	enum client_stage stage, const struct client_security *security)
{
	if (stage == CLIENT_AT_STARTTLS || !security->info)
		return TLS_RPT_STARTTLS_NOT_SUPPORTED;
	switch (security->info->failure) {
	case TLS_NAME: return TLS_RPT_CERTIFICATE_HOST_MISMATCH;
	case TLS_EXPIRED: return TLS_RPT_CERTIFICATE_EXPIRED;
	case TLS_UNTRUSTED: return TLS_RPT_CERTIFICATE_NOT_TRUSTED;
	default: return TLS_RPT_VALIDATION_FAILURE;
	}
}

/* Only domains ask for reports; a server that an administrator named is told otherwise. */
static bool is_reported(const struct link *link)
{
	return link->delivery->report && link->next_hop.n && link->next_hop.p[0] != '[';
}

#define SECURE_LINE  (130u << 10) /* bytes of a record as text: rdata has 65,535 at most */
#define SECURE_LINES (4u << 20)	  /* of all of a host */

/* "3 1 1 0123…" */
static struct span tlsa_line(const struct tls_tlsa *tlsa, struct arena *arena)
{
	static const char digits[] = "0123456789abcdef";
	struct buf text;

	buf_init(&text, SECURE_LINE);
	buf_add_u64(&text, tlsa->usage);
	buf_add_char(&text, ' ');
	buf_add_u64(&text, tlsa->selector);
	buf_add_char(&text, ' ');
	buf_add_u64(&text, tlsa->type);
	buf_add_char(&text, ' ');
	for (size_t i = 0; i < tlsa->data.n; i++) {
		buf_add_char(&text, digits[(uint8_t)tlsa->data.p[i] >> 4]);
		buf_add_char(&text, digits[tlsa->data.p[i] & 0xf]);
	}
	struct span line = arena_copy(arena, buf_span(&text));
	buf_done(&text);
	return line;
}

/* Fills in what is known of the policy, and gives it to the report. */
static void add(const struct link *link, const struct secure *secure,
	const struct secure_host *plan, struct report_session *record)
{
	struct span lines[TLS_TLSA];
	struct sts_found found = {0};
	struct arena arena;

	arena_init(&arena, SECURE_LINES);
	record->domain = link->next_hop;
	record->type = plan->type;
	record->policy_lines = lines;
	if (plan->type == TLS_RPT_TLSA) {
		for (size_t i = 0; i < plan->client.tlsa_count; i++)
			lines[record->policy_line_count++] =
				tlsa_line(&plan->client.tlsa[i], &arena);
	} else if (plan->type == TLS_RPT_STS && secure->sts) {
		sts_found(secure->sts, &found);
		record->policy_lines = found.lines;
		record->policy_line_count = found.line_count;
		if (found.policy) {
			record->mx = found.policy->mx;
			record->mx_count = found.policy->mx_count;
		}
	}
	report_add(link->delivery->report, record);
	record->policy_lines = NULL; /* they were this function's */
	arena_reset(&arena);
}

/* RFC 8460 section 4.3: a policy that the domain has, and that could not be had. */
static void add_trouble(struct session *session)
{
	static const enum tls_rpt_result results[] = {
		[STS_FETCH_ERROR] = TLS_RPT_STS_POLICY_FETCH_ERROR,
		[STS_INVALID] = TLS_RPT_STS_POLICY_INVALID,
		[STS_WEBPKI_INVALID] = TLS_RPT_STS_WEBPKI_INVALID,
	};
	struct sts_found found = {0};

	if (session->secure->sts)
		sts_found(session->secure->sts, &found);
	if (found.trouble == STS_FINE || found.policy)
		return;
	const struct report_session record = {
		.domain = session->link->next_hop,
		.type = TLS_RPT_STS,
		.result = results[found.trouble],
		.detail = span_str(found.detail),
	};

	report_add(session->link->delivery->report, &record);
}

void secure_report_refusal(
	const struct link *link, const struct secure_host *plan, struct span host)
{
	struct report_session record = {
		.result = plan->type == TLS_RPT_TLSA ? TLS_RPT_DNSSEC_INVALID
						     : TLS_RPT_VALIDATION_FAILURE,
		.detail = verdict_text(&plan->why),
		.host = host,
	};

	if (is_reported(link) && plan->type != TLS_RPT_NO_POLICY)
		add(link, link->secure, plan, &record);
}

void secure_report_failure(struct session *session, enum client_stage stage)
{
	struct client_security security;

	if (!is_reported(session->link) || session->manner != SESSION_AS_PLANNED ||
		(stage != CLIENT_AT_STARTTLS && stage != CLIENT_AT_TLS))
		return;
	client_security(session->client, &security);
	/* A certificate that we cannot check for want of memory says nothing of the peer. */
	if (security.info && security.info->failure == TLS_OURS)
		return;
	struct report_session record = {
		.result = result_of(stage, &security),
		.detail = security.info ? security.info->detail : SPAN_NONE,
		.peer = session->peer,
		.host = span_str(session->host),
	};

	client_local(session->client, &record.local);
	add(session->link, session->secure, session->plan, &record);
	add_trouble(session);
}

static const char *how_verified(const struct session *session)
{
	switch (session->security.check) {
	case TLS_CHECK_CHAIN: return session->plan->type == TLS_RPT_STS ? "mta-sts" : "verified";
	case TLS_CHECK_PINS: return "pinned";
	case TLS_CHECK_DANE: return "dane";
	case TLS_CHECK_NOTHING: break;
	}
	return "not verified";
}

void secure_report_success(struct session *session)
{
	struct client_security security;

	client_security(session->client, &security);
	if (security.tls && security.info)
		snprintf(session->tls, sizeof(session->tls), "%.*s %.*s, %s",
			(int)security.info->version.n, security.info->version.p,
			(int)security.info->cipher.n, security.info->cipher.p,
			how_verified(session));
	/* A policy that is tested failed already, and was reported so. */
	if (!is_reported(session->link) || session->manner != SESSION_AS_PLANNED ||
		session->plan->tls == CLIENT_TLS_NONE)
		return;
	const struct secure_host *plan = session->plan;
	struct report_session record = {
		.success = security.tls && !plan->failing,
		.result = security.tls ? plan->result : TLS_RPT_STARTTLS_NOT_SUPPORTED,
		.detail = security.tls ? span_str(plan->detail) : SPAN_NONE,
		.peer = session->peer,
		.host = span_str(session->host),
	};

	if (!record.success)
		client_local(session->client, &record.local);
	add(session->link, session->secure, plan, &record);
	add_trouble(session);
}
