/* What a TLS report says (RFC 8460 section 4.4): what was gathered of one domain on one day. */
#include "base/check.h"
#include "base/err.h"
#include "delivery/report_sending.h"

#include <stdio.h>

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

int64_t report_end_ms(const struct report_sending *sending)
{
	return MIN((sending->day + 1) * REPORT_DAY_MS - 1000, sending->begun_ms);
}

int report_build(struct report_sending *sending)
{
	struct delivery *d = sending->report->delivery;
	struct tls_rpt_policy policies[REPORT_TYPES];
	char id[64 + DNS_NAME], contact[16 + DNS_NAME];
	struct tls_rpt_report report = {
		.organization = d->config.config->hostname,
		.from_ms = sending->day * REPORT_DAY_MS,
		.to_ms = report_end_ms(sending),
		.policies = policies,
	};

	for (int type = 0; type < REPORT_TYPES; type++) {
		const struct report_row *row = report_find(sending->report, report_domain(sending),
			(enum tls_rpt_policy_type)type, sending->day);

		if (!row)
			continue;
		struct tls_rpt_policy *policy = &policies[report.policy_count++];

		*policy = (struct tls_rpt_policy){
			.type = row->type,
			.domain = report_domain(sending),
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
	snprintf(id, sizeof(id), "%lld.%s@%.*s", (long long)(report_end_ms(sending) / 1000),
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
