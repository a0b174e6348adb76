/*
 * An attempt that goes into mailboxes, one recipient after the other, each in a job of a helper
 * thread. A repetition after a crash meets its own earlier file (transport/maildir.h).
 */
#include "delivery/attempt.h"

#include "base/check.h"
#include "base/err.h"
#include "route/loop.h"

#include <stdlib.h>

/* Not the mailbox's fault, nor the message's. */
static void mailbox_short(struct attempt *attempt)
{
	struct verdict verdict;

	attempt->maildir.path[0] = '\0';
	attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
		"no memory or descriptor to write into a mailbox");
	attempt_short(attempt, &verdict);
}

static void mailbox_done(void *owner, struct maildir_delivery *delivery)
{
	struct attempt *attempt = owner;
	struct delivery *d = attempt->delivery;

	attempt->maildir_runs = false;
	if (delivery->error == ERR_NOMEM) {
		mailbox_short(attempt);
		intake_settle(d);
		delivery_wake(d);
		return;
	}
	attempt->results[attempt->mailbox].not_tried = false;
	attempt->results[attempt->mailbox].verdict = delivery->verdict;
	if (delivery->verdict.kind == VERDICT_OK)
		outcome_in_mailbox(attempt, attempt->mailbox);
	attempt->maildir.path[0] = '\0';
	attempt->mailbox++;
	if (d->cut && attempt->mailbox < attempt->pick_count)
		attempt_stopped(attempt);
	else
		mailbox_deliver(attempt);
	intake_settle(d);
	delivery_wake(d);
}

/* Was it here before (RFC 5321 section 6.3)? The fields that count are the header's own. */
static bool mailbox_loops(struct attempt *attempt, struct span account, struct verdict *verdict)
{
	uint64_t n = MIN(attempt->envelope.header_bytes, DELIVERY_HEADER_LOOKED_AT);
	char *header = n ? malloc(n) : NULL;
	bool loops = false;

	if (header) {
		int64_t got = disk_read(attempt->body.file, header, n, attempt->body.offset);

		if (got > 0)
			loops = loop_delivered_to_header(
				span_of(header, (size_t)got), account, verdict);
	}
	free(header);
	return loops;
}

void mailbox_deliver(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;

	for (; attempt->mailbox < attempt->pick_count; attempt->mailbox++) {
		struct client_result *result = &attempt->results[attempt->mailbox];
		struct span address =
			attempt->envelope.rcpts[attempt->picks[attempt->mailbox]].address;
		struct route_decision decision;

		route_for_delivery(d->snapshot, d->config.route, address, SPAN_NONE, &decision);
		if (decision.kind != ROUTE_MAILBOX) {
			result->not_tried = false;
			if (decision.kind == ROUTE_REFUSED)
				result->verdict = decision.verdict;
			else
				attempt_verdict(&result->verdict, VERDICT_TEMPORARY, 451, 3, 5,
					"the domain has no mailboxes any more; the message is "
					"routed anew");
			continue;
		}
		if (mailbox_loops(attempt, decision.account.address, &result->verdict)) {
			result->not_tried = false;
			continue;
		}
		attempt->maildir = (struct maildir_delivery){
			.disk = d->config.mailboxes,
			.hostname = d->config.config->hostname,
			.envelope = &attempt->envelope,
			.rcpt = attempt->picks[attempt->mailbox],
			/* Copied: the directory may change while a helper thread writes. */
			.account = arena_copy(&attempt->arena, decision.account.address),
			.body = attempt->body,
			.repeat = attempt->attempts > 0 ||
				  attempt->envelope.arrived_ms <= d->started_ms,
			.owner = attempt,
			.done = mailbox_done,
		};
		if (!maildir_deliver(d->io, &attempt->maildir)) {
			attempt->maildir_runs = true;
			return;
		}
		mailbox_short(attempt);
		return;
	}
	outcome(attempt);
}
