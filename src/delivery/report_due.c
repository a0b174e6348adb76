/* When TLS reports are sent: the day is over, or an administrator asks for them. */
#include "base/check.h"
#include "delivery/report_sending.h"

#include <xxhash.h>

#define LOOK_MS (60ull * 60 * 1000) /* also between two tries */
#define TURN_MS 1000

static bool is_being_sent(const struct report *report, const struct report_row *row)
{
	for (const struct list *node = report->sending.next; node != &report->sending;
		node = node->next) {
		const struct report_sending *sending =
			CONTAINER_OF(node, struct report_sending, node);

		if (sending->day == row->day && span_equal(report_domain(sending),
							span_of(row->domain, row->domain_length)))
			return true;
	}
	return false;
}

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
			report_send(report, row);
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
