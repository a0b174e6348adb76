/*
 * TLS reports (RFC 8460): what became of sessions to domains that have a policy, gathered over a
 * day of UTC, and sent to those who ask for it in the DNS. Kept in a file beside the journal, so
 * that a restart loses minutes, not the day.
 *
 * Bounds: REPORT_DOMAINS domains a day, REPORT_DETAILS different failures of each; what is beyond
 * is counted in the totals only.
 */
#ifndef DELIVERY_REPORT_H
#define DELIVERY_REPORT_H

#include "codec/tls_rpt.h"
#include "delivery/core.h"

#define REPORT_DOMAINS 10000u
#define REPORT_DETAILS 100u

struct report;

/* One session, or a try at one, to a destination by lookup-mx. */
struct report_session {
	struct span domain; /* of the policy: the recipients' */
	enum tls_rpt_policy_type type;
	const struct span *policy_lines; /* TLSA records as text, or the policy's lines */
	uint32_t policy_line_count;
	const struct span *mx; /* STS: its patterns */
	uint32_t mx_count;
	bool success;
	enum tls_rpt_result result; /* of a failure */
	struct span detail;	    /* in words; may be empty */
	struct netaddr local, peer; /* NETADDR_NONE: no session was tried */
	struct span host;	    /* the exchanger */
};

int report_new(struct delivery *delivery, struct report **out);
void report_free(struct report **report);
/* Everything is copied. */
void report_add(struct report *report, const struct report_session *session);
/* For administrators and tests: sends what was gathered so far now. Returns how many domains have
 * something to report. */
uint32_t report_send_now(struct report *report);

#endif
