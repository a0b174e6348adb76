/*
 * TLS reports on their way: the day is over, the domain is asked whether it wants one, and where.
 */
#include "delivery/https.h"
#include "delivery/report_row.h"
#include "delivery/tell.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LOOK_MS	     (60ull * 60 * 1000) /* also between two tries */
#define TURN_MS	     1000
#define RECORD_NAME  "_smtp._tls."
#define SEND_ARENA   (8u << 20)
#define REPORT_MOST  (4u << 20) /* bytes of a report */
#define TYPES	     (TLS_RPT_NO_POLICY + 1)
#define CONTENT_TYPE "application/tlsrpt+gzip"

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

static struct span domain_of(const struct report_sending *sending)
{
	return span_of(sending->domain, sending->domain_length);
}

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
	for (int type = 0; type < TYPES; type++) {
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
		drop_rows(report, domain_of(sending), sending->day);
	sending_free(sending);
}

/* ---- the report ------------------------------------------------------------------------------ */

static const struct span *lines_of(const struct buf *text, struct arena *arena, uint32_t *count)
{
	struct span *lines = arena_alloc(arena, REPORT_LINES * sizeof(*lines));
	struct span rest = buf_span(text);

	*count = 0;
	while (lines && rest.n && *count < REPORT_LINES) {
		size_t n = span_find(rest, '\n');

		lines[(*count)++] = span_of(rest.p, n);
		rest = span_skip(rest, MIN(n + 1, rest.n));
	}
	return lines;
}

static struct span address_text(const struct netaddr *address, struct arena *arena)
{
	struct buf text;

	if (address->family == NETADDR_NONE)
		return SPAN_NONE;
	buf_init(&text, 64);
	netaddr_add_ip(&text, address);
	struct span out = arena_copy(arena, buf_span(&text));
	buf_done(&text);
	return out;
}

static void put_details(
	const struct report_row *row, struct arena *arena, struct tls_rpt_policy *policy)
{
	struct tls_rpt_failure *list = arena_alloc(arena, (row->detail_count + 1) * sizeof(*list));

	for (const struct list *node = row->details.next; list && node != &row->details;
		node = node->next) {
		const struct report_detail *detail = CONTAINER_OF(node, struct report_detail, node);

		list[policy->detail_count++] = (struct tls_rpt_failure){
			.result = detail->result,
			.sending_ip = address_text(&detail->local, arena),
			.receiving_ip = address_text(&detail->peer, arena),
			.receiving_host = span_of(detail->text, detail->host_length),
			.detail = span_of(detail->text + detail->host_length, detail->text_length),
			.sessions = detail->sessions,
		};
	}
	policy->details = list;
}

/* What is sent before its day is over speaks of the time until then. */
static int64_t end_ms(const struct report_sending *sending)
{
	return MIN((sending->day + 1) * REPORT_DAY_MS - 1000, sending->begun_ms);
}

/* 0, ERR_NOT_FOUND: nothing to say, ERR_NOMEM. */
static int build(struct report_sending *sending)
{
	struct delivery *d = sending->report->delivery;
	struct tls_rpt_policy policies[TYPES];
	char id[64 + DNS_NAME], contact[16 + DNS_NAME];
	struct tls_rpt_report report = {
		.organization = d->config.config->hostname,
		.from_ms = sending->day * REPORT_DAY_MS,
		.to_ms = end_ms(sending),
		.policies = policies,
	};

	for (int type = 0; type < TYPES; type++) {
		const struct report_row *row = report_find(sending->report, domain_of(sending),
			(enum tls_rpt_policy_type)type, sending->day);

		if (!row)
			continue;
		struct tls_rpt_policy *policy = &policies[report.policy_count++];

		*policy = (struct tls_rpt_policy){
			.type = row->type,
			.domain = domain_of(sending),
			.successes = row->successes,
			.failures = row->failures,
		};
		policy->lines = lines_of(&row->lines, &sending->arena, &policy->line_count);
		policy->mx = lines_of(&row->mx, &sending->arena, &policy->mx_count);
		put_details(row, &sending->arena, policy);
	}
	if (!report.policy_count)
		return ERR_NOT_FOUND;
	/* Of one day there may be several, where one was asked for. */
	snprintf(id, sizeof(id), "%lld.%s@%.*s", (long long)(end_ms(sending) / 1000),
		sending->domain, (int)d->config.config->hostname.n, d->config.config->hostname.p);
	snprintf(contact, sizeof(contact), "postmaster@%.*s", (int)d->config.config->hostname.n,
		d->config.config->hostname.p);
	sending->id = arena_copy(&sending->arena, span_str(id));
	report.report_id = sending->id;
	report.contact = span_str(contact);
	if (sending->arena.overflow)
		return ERR_NOMEM;
	tls_rpt_add_json(&sending->json, &report);
	return buf_ok(&sending->json) ? 0 : ERR_NOMEM;
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
		.reported_domain = domain_of(sending),
		.submitter = d->config.config->hostname,
		.json = buf_span(&sending->json),
		.report_id = sending->id,
		.now_ms = delivery_now(d),
		.from_ms = sending->day * REPORT_DAY_MS,
		.to_ms = end_ms(sending),
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
			"a TLS report was not taken", LOG_SPAN("domain", domain_of(sending)),
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
		err = build(sending);
	if (err)
		/* It wants none. */
		end(sending, err != ERR_NOMEM);
	else
		send_next(sending);
}

static bool is_being_sent(const struct report *report, const struct report_row *row)
{
	for (const struct list *node = report->sending.next; node != &report->sending;
		node = node->next) {
		const struct report_sending *sending =
			CONTAINER_OF(node, struct report_sending, node);

		if (sending->day == row->day &&
			span_equal(domain_of(sending), span_of(row->domain, row->domain_length)))
			return true;
	}
	return false;
}

static void begin(struct report *report, const struct report_row *row)
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

/* ---- when ------------------------------------------------------------------------------------ */

/* Each domain has an hour of its own after midnight, so that not all reports of all senders come at
 * once. */
static int64_t due_ms(const struct report_row *row)
{
	return (row->day + 1) * REPORT_DAY_MS +
	       (int64_t)(XXH3_64bits(row->domain, row->domain_length) % REPORT_SPREAD_MS);
}

static void look(struct report *report)
{
	int64_t now = delivery_now(report->delivery);

	LIST_FOR_EACH(node, &report->rows)
	{
		struct report_row *row = CONTAINER_OF(node, struct report_row, all);
		int64_t due = due_ms(row);

		if (!row->due && now < due)
			continue;
		if (now >= due + REPORT_TRY_MS)
			report_row_free(report, row);
		else if (report->sending_count < REPORT_SENDING && !is_being_sent(report, row))
			begin(report, row);
	}
}

void report_arm(struct report *report)
{
	/* Others wait for their turn. */
	uint64_t ms = report->sending_count == REPORT_SENDING ? TURN_MS : LOOK_MS;

	if (!list_empty(&report->rows) && io_timer_after(report->delivery->io, &report->timer, ms))
		CHECK(!"a timer could be armed");
}

void report_look(struct timer *timer)
{
	struct report *report = CONTAINER_OF(timer, struct report, timer);

	if (!report->delivery->stopping)
		look(report);
	report_arm(report);
}

/* It counts for its domain, if no other row of the domain does. */
static bool is_first_of_domain(struct report *report, const struct report_row *row)
{
	struct span domain = span_of(row->domain, row->domain_length);

	for (int type = 0; type < (int)row->type; type++)
		if (report_find(report, domain, (enum tls_rpt_policy_type)type, row->day))
			return false;
	return true;
}

uint32_t report_send_now(struct report *report)
{
	uint32_t domains = 0;

	LIST_FOR_EACH(node, &report->rows)
	{
		struct report_row *row = CONTAINER_OF(node, struct report_row, all);

		row->due = true;
		domains += is_first_of_domain(report, row);
	}
	look(report);
	report_arm(report);
	return domains;
}
