/*
 * What is gathered for TLS reports. Inner header of delivery/report*.
 */
#ifndef DELIVERY_REPORT_ROW_H
#define DELIVERY_REPORT_ROW_H

#include "delivery/report.h"

#define REPORT_BUCKETS 4096u
#define REPORT_LINES   128u /* of a policy */
#define REPORT_TEXT    255u /* bytes of a line, a pattern or a detail */
#define REPORT_KEEP_MS 60000
#define REPORT_SENDING 8u /* domains at a time */

struct report_detail {
	struct list node;
	enum tls_rpt_result result;
	uint64_t sessions;
	struct netaddr local, peer;
	size_t host_length, text_length;
	char text[]; /* the host, the detail */
};

/* A domain and a kind of policy on one day. */
struct report_row {
	struct list bucket;
	struct list all; /* in the order of their beginning */
	int64_t day;	 /* since 1970, UTC */
	bool due;	 /* whatever the hour: an administrator asked for it */
	enum tls_rpt_policy_type type;
	uint64_t successes, failures;
	struct buf lines, mx; /* of the policy, each with "\n" behind it */
	struct list details;
	uint32_t detail_count;
	size_t domain_length;
	char domain[];
};

struct report_sending;

struct report {
	struct delivery *delivery;
	struct list buckets[REPORT_BUCKETS];
	struct list rows;
	uint32_t count;
	uint64_t version;
	struct kept kept;
	struct timer timer; /* the next look at what is due */
	struct list sending;
	uint32_t sending_count;
};

/* ---- report.c */
/* NULL: no memory, or the bound. Made where there is none. */
struct report_row *report_row(
	struct report *report, struct span domain, enum tls_rpt_policy_type type, int64_t day);
/* Of those that are there. */
struct report_row *report_find(
	struct report *report, struct span domain, enum tls_rpt_policy_type type, int64_t day);
/* The failure counts once more in it, or is added. */
void report_row_fail(
	struct report_row *row, const struct report_session *session, uint64_t sessions);
void report_row_free(struct report *report, struct report_row *row);

/* ---- report_file.c */
extern const struct kept_kind report_kept;

/* ---- report_due.c */
/* The next look is in time for what is gathered; none where nothing is. */
void report_arm(struct report *report);
void report_look(struct timer *timer);

/* ---- report_send.c */
/* Those on their way are given up. */
void report_send_done(struct report *report);

#endif
