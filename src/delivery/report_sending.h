/*
 * A TLS report on its way. Inner header of delivery/report*.
 */
#ifndef DELIVERY_REPORT_SENDING_H
#define DELIVERY_REPORT_SENDING_H

#include "delivery/https.h"
#include "delivery/report_row.h"

#define REPORT_TYPES (TLS_RPT_NO_POLICY + 1)
#define REPORT_MOST  (4u << 20) /* bytes of a report */

/* One domain's report. */
struct report_sending {
	struct list node;
	struct report *report;
	int64_t day;
	int64_t begun_ms;
	struct dns_question *question;
	struct https *https;
	struct arena arena;
	struct tls_rpt_record record;
	uint32_t next; /* of its URIs */
	struct buf json;
	struct span id;
	bool sent; /* to one of them at least */
	size_t domain_length;
	char domain[DNS_NAME + 1];
};

static inline struct span report_domain(const struct report_sending *sending)
{
	return span_of(sending->domain, sending->domain_length);
}

/* What is sent before its day is over speaks of the time until then. */
int64_t report_end_ms(const struct report_sending *sending);
/* Writes what was gathered. ERR_NOT_FOUND: nothing to say; ERR_NOMEM. */
int report_build(struct report_sending *sending);
/* A domain's, of one day. */
void report_send(struct report *report, const struct report_row *row);

#endif
