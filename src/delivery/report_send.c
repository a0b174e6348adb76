/*
 * A TLS report on its way: the domain is asked whether it wants one, and where.
 */
#include "delivery/report_sending.h"
#include "delivery/tell.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_NAME  "_smtp._tls."
#define SEND_ARENA   (8u << 20)
#define CONTENT_TYPE "application/tlsrpt+gzip"

static void sending_free(struct report_sending *sending)
{
	dns_cancel(&sending->question);
	https_cancel(&sending->https);
	arena_reset(&sending->arena);
	buf_done(&sending->json);
	list_remove(&sending->node);
	sending->report->sending_count--;
	free(sending);
}

void report_send_done(struct report *report)
{
	LIST_FOR_EACH(node, &report->sending)
	sending_free(CONTAINER_OF(node, struct report_sending, node));
}

static void drop_rows(struct report *report, struct span domain, int64_t day)
{
	for (int type = 0; type < REPORT_TYPES; type++) {
		struct report_row *row =
			report_find(report, domain, (enum tls_rpt_policy_type)type, day);

		if (row)
			report_row_free(report, row);
	}
	kept_soon(&report->kept, REPORT_KEEP_MS);
}

/* Rows that stay are looked at again until their time is over. */
static void end(struct report_sending *sending, bool done)
{
	struct report *report = sending->report;

	if (done)
		drop_rows(report, report_domain(sending), sending->day);
	sending_free(sending);
}

/* ---- whom it goes to ------------------------------------------------------------------------- */

static void send_next(struct report_sending *sending);

static int send_mail(struct report_sending *sending, struct span to)
{
	struct delivery *d = sending->report->delivery;
	char from[16 + DNS_NAME];
	struct buf text;

	snprintf(from, sizeof(from), "postmaster@%.*s", (int)d->config.config->hostname.n,
		d->config.config->hostname.p);
	const struct tls_rpt_mail mail = {
		.from = span_str(from),
		.to = to,
		.reported_domain = report_domain(sending),
		.submitter = d->config.config->hostname,
		.json = buf_span(&sending->json),
		.report_id = sending->id,
		.now_ms = delivery_now(d),
		.from_ms = sending->day * REPORT_DAY_MS,
		.to_ms = report_end_ms(sending),
		.random = prng_u64(&d->prng),
	};

	buf_init(&text, (size_t)2 * REPORT_MOST);
	int err = tls_rpt_add_mail(&text, &mail);
	if (!err)
		err = own_mail_send(d, to, buf_span(&text));
	buf_done(&text);
	return err;
}

static void posted(void *owner, const struct fetch_answer *answer)
{
	struct report_sending *sending = owner;

	sending->https = NULL;
	if (answer->result == FETCH_OK)
		sending->sent = true;
	else
		log_write(sending->report->delivery->config.log, LOG_INFO,
			"a TLS report was not taken", LOG_SPAN("domain", report_domain(sending)),
			LOG_SPAN("reason", answer->detail));
	send_next(sending);
}

static int post(struct report_sending *sending, struct span url)
{
	struct buf body;

	buf_init(&body, REPORT_MOST);
	int err = tls_rpt_gzip(buf_span(&sending->json), &body);
	if (!err) {
		const struct https_query query = {
			.url = url,
			.content_type = SPAN(CONTENT_TYPE),
			.body = buf_span(&body),
		};

		err = https_start(
			sending->report->delivery, &query, posted, sending, &sending->https);
	}
	buf_done(&body);
	return err;
}

/* To each that the domain names (RFC 8460 section 3). */
static void send_next(struct report_sending *sending)
{
	while (sending->next < sending->record.count) {
		const struct tls_rpt_uri *uri = &sending->record.uris[sending->next++];

		if (uri->scheme == TLS_RPT_MAILTO)
			sending->sent |= send_mail(sending, uri->target) == 0;
		else if (post(sending, uri->target) == 0)
			return;
	}
	intake_settle(sending->report->delivery);
	end(sending, sending->sent);
}

static void record_answered(void *owner, const struct dns_answer *answer)
{
	struct report_sending *sending = owner;
	int err = ERR_NOT_FOUND;

	sending->question = NULL;
	if (answer->status == DNS_TEMPORARY || answer->status == DNS_BOGUS) {
		end(sending, false);
		return;
	}
	if (answer->status == DNS_OK)
		err = tls_rpt_find_record(
			answer->rdata, answer->count, &sending->arena, &sending->record);
	if (!err)
		err = report_build(sending);
	if (err)
		/* It wants none. */
		end(sending, err != ERR_NOMEM);
	else
		send_next(sending);
}

void report_send(struct report *report, const struct report_row *row)
{
	char name[sizeof(RECORD_NAME) + DNS_NAME];
	struct report_sending *sending = calloc(1, sizeof(*sending));

	if (!sending)
		return;
	sending->report = report;
	sending->day = row->day;
	sending->begun_ms = delivery_now(report->delivery);
	sending->domain_length = MIN(row->domain_length, DNS_NAME);
	memcpy(sending->domain, row->domain, sending->domain_length);
	arena_init(&sending->arena, SEND_ARENA);
	buf_init(&sending->json, REPORT_MOST);
	list_push_back(&report->sending, &sending->node);
	report->sending_count++;
	snprintf(name, sizeof(name), RECORD_NAME "%s", sending->domain);
	if (dns_ask(report->delivery->config.dns, SPAN_NONE, span_str(name), DNS_TXT,
		    record_answered, sending, &sending->question))
		sending_free(sending);
}
