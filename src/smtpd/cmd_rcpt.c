#include "smtpd/session.h"

#include "base/check.h"
#include "route/priority.h"

static void set_priority(
	struct session *s, const struct route_decision *decision, struct span recipient)
{
	struct transaction *t = s->transaction;
	const struct priority_subject subject = {
		.client = s->client,
		.sender = t->sender,
		.recipient = recipient,
		.domain = decision->domain,
		.transport =
			decision->kind == ROUTE_TRANSPORT ? decision->transport.name : SPAN_NONE,
	};

	if (!(t->flags & ENVELOPE_PRIORITY) && priority_matches(t->snapshot, &subject, NULL))
		t->flags |= ENVELOPE_PRIORITY;
}

/* Does mail for it pass? Tells the client where it does not. */
static bool admitted(struct session *s, struct span recipient)
{
	struct smtpd *smtpd = s->smtpd;
	const struct route_query query = {
		.client = s->client,
		.listener = smtpd->c.config->listeners[s->listener].name,
		.sender = s->transaction->sender,
		.recipient = recipient,
	};
	struct route_decision decision;

	route_decide(s->transaction->snapshot, smtpd->c.route, &query, NULL, &decision);
	if (decision.kind == ROUTE_REFUSED) {
		refuse(s, SMTPD_REFUSED_RECIPIENT, &decision.verdict, recipient);
		reply_verdict(s, &decision.verdict);
		return false;
	}
	set_priority(s, &decision, recipient);
	return true;
}

void cmd_rcpt(struct session *s, const struct smtp_command *command)
{
	struct transaction *t = s->transaction;
	struct address address = command->address;

	if (!t) {
		reply_error(s, 503, "5.5.1", "Say MAIL first");
		return;
	}
	/* The body has begun: who gets it is settled (RFC 3030 section 2). */
	if (t->chunked) {
		reply_error(s, 503, "5.5.1", "No more recipients after BDAT");
		return;
	}
	/* RFC 6531 section 3.5 */
	if (command->utf8 && !(t->flags & ENVELOPE_SMTPUTF8)) {
		reply_refuse(s, SMTPD_REFUSED_RECIPIENT, 553, "5.6.7",
			"Address needs the SMTPUTF8 parameter of MAIL", address.mailbox);
		return;
	}
	if (t->rcpt_count >= s->smtpd->c.config->limits.recipients) {
		reply_refuse(s, SMTPD_REFUSED_RECIPIENT, 452, "4.5.3",
			"Too many recipients; send another message to the rest", address.mailbox);
		return;
	}
	/* RFC 5321 section 4.5.1: "<Postmaster>" is the one at our own name. */
	if (address.postmaster &&
		address_add_domain(&address, s->smtpd->c.route->hostname, &s->arena) != 0) {
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later",
			SPAN_NONE);
		return;
	}
	if (!admitted(s, address.mailbox))
		return;
	const struct envelope_rcpt rcpt = {
		.address = address.mailbox,
		.orcpt = arena_copy(&s->arena, command->rcpt.orcpt),
		.notify = command->rcpt.notify,
	};
	if (!transaction_add(s, &rcpt)) {
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later",
			address.mailbox);
		return;
	}
	/* Many recipients are no idle talk. */
	if (s->commands)
		s->commands--;
	reply(s, 250, "2.1.5", "Ok");
}
