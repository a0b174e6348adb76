#include "smtpd/session.h"

#include "base/check.h"

#include <stdio.h>

/* What a refusal is about. */
struct about {
	struct span sender;
	bool sender_known;
	const struct span *recipients;
	uint32_t recipient_count;
	struct span user;
	const char *why; /* NULL: the refusal's own name */
};

/* By which mechanism the user that is named logged in, or tried to. */
static struct span auth_of(const struct session *s, const struct about *about)
{
	return span_str(s->mechanism && (about->user.n || s->user.n) ? s->mechanism : "");
}

static void report(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	const struct about *about)
{
	struct smtpd *smtpd = s->smtpd;
	const struct transaction *t = s->transaction;
	struct event event = {
		.kind = EVENT_REJECTION,
		.wall_ms = smtpd->io->wall_ms,
		.sender = about->sender,
		.sender_known = about->sender_known,
		.recipients = about->recipients,
		.recipient_count = about->recipient_count,
		.client = s->client,
		.helo = s->helo,
		.listener = smtpd->c.config->listeners[s->listener].name,
		.user = about->user.n ? about->user : s->user,
		.auth = auth_of(s, about),
		.verdict = verdict,
		.reason = span_str(about->why ? about->why : smtpd_refusal_name(reason)),
		.session_us = (smtpd->io->now_ns - s->started_ns) / 1000,
	};

	smtpd->figures.refused[reason]++;
	if (t) {
		event.size = t->scan.bytes;
		event.receive_us = (smtpd->io->now_ns - t->begun_ns) / 1000;
	}
	event_emit(smtpd->c.events, &event);
}

void refuse(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span recipient)
{
	const struct transaction *t = s->transaction;
	struct about about = {.recipients = &recipient, .recipient_count = recipient.n != 0};

	if (t) {
		about.sender = t->sender;
		about.sender_known = true;
	}
	if (t && !recipient.n) {
		about.recipients = t->addresses;
		about.recipient_count = MIN(t->rcpt_count, SESSION_NAMED);
	}
	report(s, reason, verdict, &about);
}

void refuse_sender(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span sender)
{
	const struct about about = {.sender = sender, .sender_known = true};

	report(s, reason, verdict, &about);
}

void refuse_login(struct session *s, enum smtpd_refusal reason, const struct verdict *verdict,
	struct span user, const char *why)
{
	const struct about about = {.user = user, .why = why};

	report(s, reason, verdict, &about);
}

static void make_verdict(
	struct verdict *verdict, unsigned code, const char *enhanced, const char *text)
{
	unsigned class = 0, subject = 0, detail = 0;

	CHECK(sscanf(enhanced, "%1u.%3u.%3u", &class, &subject, &detail) == 3);
	verdict_set(verdict, code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT, (uint16_t)code,
		(struct enhanced_code){(uint8_t) class, (uint16_t)subject, (uint16_t)detail}, false,
		span_str(text));
}

void refuse_simple(struct session *s, enum smtpd_refusal reason, unsigned code,
	const char *enhanced, const char *text, struct span recipient)
{
	struct verdict verdict;

	make_verdict(&verdict, code, enhanced, text);
	refuse(s, reason, &verdict, recipient);
}

void reply_refuse(struct session *s, enum smtpd_refusal reason, unsigned code, const char *enhanced,
	const char *text, struct span recipient)
{
	refuse_simple(s, reason, code, enhanced, text, recipient);
	reply(s, code, enhanced, text);
}

void reply_refuse_sender(struct session *s, enum smtpd_refusal reason, unsigned code,
	const char *enhanced, const char *text, struct span sender)
{
	struct verdict verdict;

	make_verdict(&verdict, code, enhanced, text);
	refuse_sender(s, reason, &verdict, sender);
	reply(s, code, enhanced, text);
}
