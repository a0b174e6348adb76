/*
 * RCPT: who may get it, and who that is in the end, since aliases mean others. Where only the next
 * hops' addresses tell (route.h, ROUTE_ASK), whoever knows them is asked, and the session waits.
 */
#include "base/check.h"
#include "io/tls.h"
#include "route/priority.h"
#include "smtpd/session.h"

#include <stdlib.h>

/* What RCPT said, while it waits. */
struct rcpt_asked {
	struct hops_question *question;
	struct span mailbox;
	struct envelope_rcpt rcpt; /* without its address */
	char text[];
};

/* While the targets of an alias are taken. */
struct targets {
	struct session *s;
	struct span mailbox;
	const struct envelope_rcpt *given;
	bool full;
};

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

/* One that mail for `mailbox` goes to. */
static bool add_target(struct session *s, struct span mailbox, const struct envelope_rcpt *given,
	const struct route_decision *decision)
{
	struct envelope_rcpt rcpt = *given;

	rcpt.address = decision->recipient;
	if (!rcpt.orcpt.n && !span_equal(rcpt.address, mailbox))
		rcpt.orcpt = path_original(mailbox, &s->smtpd->work);
	set_priority(s, decision, decision->recipient);
	return transaction_add(s, &rcpt);
}

static bool each_target(void *context, const struct route_decision *decision)
{
	struct targets *targets = context;

	targets->full = !add_target(targets->s, targets->mailbox, targets->given, decision);
	return !targets->full;
}

static bool no_target(void *context, const struct route_decision *decision)
{
	(void)context;
	(void)decision;
	return true;
}

static void refuse_space(struct session *s, struct span mailbox)
{
	reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1", "Out of memory; try later", mailbox);
}

static void refuse_verdict(struct session *s, const struct verdict *verdict, struct span mailbox)
{
	refuse(s, SMTPD_REFUSED_RECIPIENT, verdict, mailbox);
	reply_verdict(s, verdict);
	if (verdict->kind == VERDICT_PERMANENT)
		count_refused(s);
}

static void take_in(struct session *s, uint32_t before)
{
	/* One that is there already is no further one. */
	s->transaction->given += s->transaction->rcpt_count > before;
	/* Many recipients are no idle talk. */
	if (s->commands)
		s->commands--;
	reply(s, 250, "2.1.5", "Ok");
}

/* All addresses that an alias means are taken, or none. */
static void take_alias(
	struct session *s, const struct route_query *query, const struct envelope_rcpt *given)
{
	struct transaction *t = s->transaction;
	struct targets targets = {.s = s, .mailbox = query->recipient, .given = given};
	uint32_t before = t->rcpt_count;
	struct route_decision decision;

	route_expand(t->snapshot, s->smtpd->c.route, query, NULL, each_target, &targets, &decision);
	if (targets.full || decision.kind == ROUTE_REFUSED) {
		transaction_cut(s, before);
		if (targets.full)
			refuse_space(s, query->recipient);
		else
			refuse_verdict(s, &decision.verdict, query->recipient);
		return;
	}
	take_in(s, before);
}

/* ---- next hops ------------------------------------------------------------------------------ */

static void decide(struct session *s, struct span mailbox, const struct envelope_rcpt *given,
	const struct route_hops *hops);

void rcpt_forget(struct session *s)
{
	struct rcpt_asked *asked = s->asked;

	if (!asked)
		return;
	hops_cancel(&asked->question);
	free(asked);
	s->asked = NULL;
	if (s->phase == PHASE_ASK)
		s->phase = PHASE_COMMAND;
}

static void go_on(struct session *s, const struct route_hops *hops)
{
	struct rcpt_asked *asked = s->asked;

	s->asked = NULL;
	s->phase = PHASE_COMMAND;
	session_wait(s, s->smtpd->c.config->timeouts.command);
	hops_cancel(&asked->question);
	decide(s, asked->mailbox, &asked->rcpt, hops);
	arena_reset(&s->smtpd->parsed);
	free(asked);
	session_answered(s);
}

static void answered(void *owner, const struct hops_answer *answer)
{
	struct session *s = owner;
	const struct route_hops hops = {answer->known, answer->addresses, answer->count};

	CHECK(s->phase == PHASE_ASK && s->asked);
	s->asked->question = NULL;
	go_on(s, &hops);
}

void rcpt_late(struct session *s)
{
	go_on(s, &(struct route_hops){.known = false});
}

/* A copy of what RCPT said, in one piece. */
static struct rcpt_asked *keep(struct span mailbox, const struct envelope_rcpt *given)
{
	struct rcpt_asked *asked = calloc(1, sizeof(*asked) + mailbox.n + given->orcpt.n);

	if (!asked)
		return NULL;
	memcpy(asked->text, mailbox.p, mailbox.n);
	if (given->orcpt.n)
		memcpy(asked->text + mailbox.n, given->orcpt.p, given->orcpt.n);
	asked->mailbox = span_of(asked->text, mailbox.n);
	asked->rcpt = *given;
	asked->rcpt.orcpt = span_of(asked->text + mailbox.n, given->orcpt.n);
	return asked;
}

/* False: nobody can be asked. */
static bool ask(struct session *s, struct span mailbox, const struct envelope_rcpt *given,
	const struct route_decision *decision)
{
	struct hops *hops = s->smtpd->c.hops;
	struct rcpt_asked *asked = hops ? keep(mailbox, given) : NULL;

	if (!asked)
		return false;
	if (hops_ask(hops, decision->transport.name, decision->domain, answered, s,
		    &asked->question) != 0) {
		free(asked);
		return false;
	}
	s->asked = asked;
	s->phase = PHASE_ASK;
	session_wait(s, HOPS_ASK_MS + SESSION_LATE_MS);
	return true;
}

/* ---- the decision --------------------------------------------------------------------------- */

static void refuse_unknown(struct session *s, struct span mailbox)
{
	reply_refuse(s, SMTPD_REFUSED_RECIPIENT, 451, "4.4.3",
		"It cannot be found out now where this would go; try later", mailbox);
}

/* What the client showed; false: nothing. What a filter showed gives no right to those for whom it
 * speaks. */
static bool certificate_of(const struct session *s, struct route_certificate *out)
{
	const struct tls_info *info = s->tls && !s->spoken_for ? io_conn_tls(s->conn) : NULL;

	if (!info || !info->peer_certificate)
		return false;
	out->verified = info->peer_verified;
	memcpy(out->certificate_hash, info->peer_certificate_hash, sizeof(out->certificate_hash));
	memcpy(out->key_hash, info->peer_key_hash, sizeof(out->key_hash));
	return true;
}

static void decide(struct session *s, struct span mailbox, const struct envelope_rcpt *given,
	const struct route_hops *hops)
{
	struct transaction *t = s->transaction;
	struct route_certificate certificate;
	const struct route_query query = {
		.client = s->client,
		.listener = session_listener(s)->name,
		.user = s->user,
		.tls = s->tls,
		.certificate = certificate_of(s, &certificate) ? &certificate : NULL,
		.sender = t->sender,
		.recipient = mailbox,
		.hops = hops,
	};
	struct route_decision decision;
	uint32_t before = t->rcpt_count;

	/* An alias is looked through before anything is kept of it. */
	route_expand(t->snapshot, s->smtpd->c.route, &query, NULL, no_target, NULL, &decision);
	switch (decision.kind) {
	case ROUTE_REFUSED: refuse_verdict(s, &decision.verdict, mailbox); break;
	case ROUTE_ALIAS: take_alias(s, &query, given); break;
	case ROUTE_ASK:
		if (hops)
			refuse_unknown(s, mailbox);
		else if (!ask(s, mailbox, given, &decision))
			decide(s, mailbox, given, &(struct route_hops){.known = false});
		break;
	case ROUTE_TRANSPORT:
	case ROUTE_MAILBOX:
		if (!add_target(s, mailbox, given, &decision)) {
			refuse_space(s, mailbox);
			break;
		}
		transaction_keep_right(s, decision.right, query.certificate);
		take_in(s, before);
		break;
	}
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
	if (t->given >= s->smtpd->c.config->limits.recipients || t->rcpt_count >= SESSION_RCPTS) {
		reply_refuse(s, SMTPD_REFUSED_RECIPIENT, 452, "4.5.3",
			"Too many recipients; send another message to the rest", address.mailbox);
		return;
	}
	/* RFC 5321 section 4.5.1: "<Postmaster>" is the one at our own name. */
	if (address.postmaster &&
		address_add_domain(&address, s->smtpd->c.route->hostname, &s->smtpd->parsed) != 0) {
		refuse_space(s, SPAN_NONE);
		return;
	}
	const struct envelope_rcpt given = {
		.orcpt = command->rcpt.orcpt,
		.notify = command->rcpt.notify,
	};
	decide(s, address.mailbox, &given, NULL);
}
