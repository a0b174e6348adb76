#include "delivery/report_row.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static struct list *bucket_of(struct report *report, struct span domain)
{
	return &report->buckets[XXH3_64bits(domain.p, domain.n) % REPORT_BUCKETS];
}

struct report_row *report_find(
	struct report *report, struct span domain, enum tls_rpt_policy_type type, int64_t day)
{
	LIST_FOR_EACH(node, bucket_of(report, domain))
	{
		struct report_row *row = CONTAINER_OF(node, struct report_row, bucket);

		if (row->day == day && row->type == type &&
			span_equal(span_of(row->domain, row->domain_length), domain))
			return row;
	}
	return NULL;
}

struct report_row *report_row(
	struct report *report, struct span domain, enum tls_rpt_policy_type type, int64_t day)
{
	struct report_row *row = report_find(report, domain, type, day);

	if (row || report->count == REPORT_ROWS)
		return row;
	row = calloc(1, sizeof(*row) + domain.n);
	if (!row)
		return NULL;
	row->day = day;
	row->type = type;
	row->domain_length = domain.n;
	memcpy(row->domain, domain.p, domain.n);
	buf_init(&row->lines, (size_t)REPORT_LINES * (REPORT_TEXT + 1));
	buf_init(&row->mx, (size_t)REPORT_LINES * (REPORT_TEXT + 1));
	list_init(&row->details);
	list_push_back(bucket_of(report, domain), &row->bucket);
	list_push_back(&report->rows, &row->all);
	report->count++;
	if (!timer_armed(&report->timer))
		report_arm(report);
	return row;
}

void report_row_free(struct report *report, struct report_row *row)
{
	LIST_FOR_EACH(node, &row->details)
	free(CONTAINER_OF(node, struct report_detail, node));
	buf_done(&row->lines);
	buf_done(&row->mx);
	list_remove(&row->bucket);
	list_remove(&row->all);
	report->count--;
	report->version++;
	free(row);
}

/* ---- one session ----------------------------------------------------------------------------- */

static struct span cut(struct span text)
{
	return span_of(text.p, MIN(text.n, REPORT_TEXT));
}

static bool is_same(const struct report_detail *detail, const struct report_session *session)
{
	return detail->result == session->result &&
	       netaddr_same_ip(&detail->peer, &session->peer) &&
	       netaddr_same_ip(&detail->local, &session->local) &&
	       span_equal(span_of(detail->text, detail->host_length), cut(session->host)) &&
	       span_equal(span_of(detail->text + detail->host_length, detail->text_length),
		       cut(session->detail));
}

void report_row_fail(
	struct report_row *row, const struct report_session *session, uint64_t sessions)
{
	struct span host = cut(session->host), text = cut(session->detail);

	LIST_FOR_EACH(node, &row->details)
	{
		struct report_detail *detail = CONTAINER_OF(node, struct report_detail, node);

		if (!is_same(detail, session))
			continue;
		detail->sessions += sessions;
		return;
	}
	if (row->detail_count == REPORT_DETAILS)
		return;
	struct report_detail *detail = calloc(1, sizeof(*detail) + host.n + text.n);

	if (!detail)
		return;
	detail->result = session->result;
	detail->sessions = sessions;
	detail->local = session->local;
	detail->peer = session->peer;
	detail->host_length = host.n;
	detail->text_length = text.n;
	if (host.n)
		memcpy(detail->text, host.p, host.n);
	if (text.n)
		memcpy(detail->text + host.n, text.p, text.n);
	list_push_back(&row->details, &detail->node);
	row->detail_count++;
}

/* The policy as it was last. */
static void set_lines(struct buf *to, const struct span *lines, uint32_t count)
{
	buf_clear(to);
	for (uint32_t i = 0; i < MIN(count, REPORT_LINES); i++) {
		buf_add_span(to, cut(lines[i]));
		buf_add_char(to, '\n');
	}
}

void report_add(struct report *report, const struct report_session *session)
{
	int64_t day = delivery_now(report->delivery) / REPORT_DAY_MS;
	struct report_row *row = report_row(report, session->domain, session->type, day);

	if (!row)
		return;
	set_lines(&row->lines, session->policy_lines, session->policy_line_count);
	set_lines(&row->mx, session->mx, session->mx_count);
	if (session->success) {
		row->successes++;
	} else {
		row->failures++;
		report_row_fail(row, session, 1);
	}
	report->version++;
	kept_soon(&report->kept, REPORT_KEEP_MS);
}

/* ---- life ------------------------------------------------------------------------------------ */

int report_new(struct delivery *d, struct report **out)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return ERR_NOMEM;
	report->delivery = d;
	for (size_t i = 0; i < REPORT_BUCKETS; i++)
		list_init(&report->buckets[i]);
	list_init(&report->rows);
	list_init(&report->sending);
	kept_init(&report->kept, d, &report_kept, report);
	report->timer.fire = report_look;
	*out = report;
	return 0;
}

void report_load(struct report *report)
{
	kept_load(&report->kept);
	report_arm(report);
}

void report_keep(struct report *report)
{
	kept_keep(&report->kept);
}

bool report_busy(const struct report *report)
{
	return kept_busy(&report->kept);
}

void report_free(struct report **pointer)
{
	struct report *report = *pointer;

	*pointer = NULL;
	if (!report)
		return;
	io_timer_stop(report->delivery->io, &report->timer);
	report_send_done(report);
	kept_done(&report->kept);
	LIST_FOR_EACH(node, &report->rows)
	report_row_free(report, CONTAINER_OF(node, struct report_row, all));
	free(report);
}
