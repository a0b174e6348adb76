/*
 * TLS reports (RFC 8460): what became of sessions to domains, gathered over a day of UTC, and sent
 * after it to those who ask for it in the DNS. Kept in a file beside the journal, so that a restart
 * loses a minute, not the day.
 *
 *   report.c        what is gathered
 *   report_file.c   how it is kept
 *   report_due.c    when it is sent
 *   report_build.c  what it says
 *   report_send.c   whom it goes to, and how
 *
 * Bounds: REPORT_ROWS (a domain and a kind of policy, on one day), REPORT_DETAILS different
 * failures of each; what is beyond is counted in the totals only, or not at all. A report that
 * cannot be sent is tried again every hour until REPORT_TRY_MS are over (RFC 8460 section 3:
 * reports may be lost).
 */
#ifndef DELIVERY_REPORT_H
#define DELIVERY_REPORT_H

#include "codec/tls_rpt.h"
#include "delivery/core.h"

#define REPORT_ROWS	 20000u
#define REPORT_DETAILS	 100u
#define REPORT_DAY_MS	 (24ll * 60 * 60 * 1000)
#define REPORT_TRY_MS	 REPORT_DAY_MS
#define REPORT_SPREAD_MS (4ll * 60 * 60 * 1000) /* section 4.1: not all at midnight */

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

/* ERR_NOMEM. */
int report_new(struct delivery *delivery, struct report **out);
void report_free(struct report **report);
/* Everything is copied. */
void report_add(struct report *report, const struct report_session *session);
/* All that was gathered so far is due now, whatever the hour, as an administrator asks for it. What
 * comes later is gathered and sent as ever. Returns for how many domains that is. */
uint32_t report_send_now(struct report *report);
/* Its file: read at the start, written at the end. */
void report_load(struct report *report);
void report_keep(struct report *report);
bool report_busy(const struct report *report);

#endif
