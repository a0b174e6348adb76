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

/* A list with some old addresses in it is no harm; whoever guesses addresses is held up, and sent
 * away in the end. */
static void count_refused(struct session *s)
{
	static const char text[] = "Too many refused recipients";
	uint32_t most = s->smtpd->c.config->limits.refused_recipients;

	s->refused++;
	if (!most)
		return;
	if (s->refused >= most) {
		refuse_simple(s, SMTPD_REFUSED_ABUSE, 421, "4.7.0", text, SPAN_NONE);
		reply_goodbye(s, "4.7.0", text);
	} else if (s->refused > most / 2) {
		session_slow(s);
	}
}

/* Does mail for it pass? Tells the client where it does not. *out: whom it goes to, which is
 * somebody else where the postmaster's mail does (route/route.h). */
static bool admitted(struct session *s, struct span recipient, struct span *out)
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
		if (decision.verdict.kind == VERDICT_PERMANENT)
			count_refused(s);
		return false;
	}
	set_priority(s, &decision, decision.recipient);
	*out = decision.recipient;
	return true;
}

/* RFC 3461 section 5.2.1 (d): where the address becomes another one, notifications still name the
 * one that the sender wrote. There is nothing to encode in "postmaster@" and a domain. */
static bool keep_original(struct session *s, struct span address, struct span *orcpt)
{
	static const struct span type = {"rfc822;", 7};
	char *text = arena_alloc(&s->smtpd->parsed, type.n + address.n);

	if (!text)
		return false;
	memcpy(text, type.p, type.n);
	memcpy(text + type.n, address.p, address.n);
	*orcpt = span_of(text, type.n + address.n);
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
		count_refused(s);
		return;
	}
	if (t->rcpt_count >= s->smtpd->c.config->limits.recipients) {
		reply_refuse(s, SMTPD_REFUSED_RECIPIENT, 452, "4.5.3",
			"Too many recipients; send another message to the rest", address.mailbox);
		return;
	}
	/* RFC 5321 section 4.5.1: "<Postmaster>" is the one at our own name. */
	if (address.postmaster &&
		address_add_domain(&address, s->smtpd->c.route->hostname, &s->smtpd->parsed) != 0) {
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later",
			SPAN_NONE);
		return;
	}
	struct envelope_rcpt rcpt = {
		.orcpt = command->rcpt.orcpt,
		.notify = command->rcpt.notify,
	};
	if (!admitted(s, address.mailbox, &rcpt.address))
		return;
	bool kept = rcpt.orcpt.n || span_equal(rcpt.address, address.mailbox) ||
		    keep_original(s, address.mailbox, &rcpt.orcpt);
	if (!kept || !transaction_add(s, &rcpt)) {
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later",
			address.mailbox);
		return;
	}
	/* Many recipients are no idle talk. */
	if (s->commands)
		s->commands--;
	reply(s, 250, "2.1.5", "Ok");
}
