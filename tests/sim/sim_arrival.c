/* What arrives: is it what was sent, and may it arrive now? */
#include "sim_ledger.h"
#include "sim_link.h"
#include "sim_world.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static struct ledger_mail *mail_of(struct ledger *l, const char *address)
{
	unsigned number, rcpt;

	return sscanf(address, "m%ur%u", &number, &rcpt) == 2 ? ledger_mail_find(l, number) : NULL;
}

/* Of which it is a recipient, or who sent it: a notification. */
static struct ledger_mail *mail_about(struct ledger *l, const char *address)
{
	unsigned number;

	return sscanf(address, "s%u", &number) == 1 ? ledger_mail_find(l, number)
						    : mail_of(l, address);
}

/* Exactly one Received field of Postern's, and nothing else, before the body. */
static bool is_received(const char *p, size_t n, const char *eol)
{
	static const char begin[] = "Received: from ";
	size_t end = strlen(eol);

	if (n < sizeof(begin) + end || memcmp(p, begin, sizeof(begin) - 1) != 0 ||
		memcmp(p + n - end, eol, end) != 0)
		return false;
	for (size_t i = 0; i + end < n; i++)
		if (memcmp(p + i, eol, end) == 0 && p[i + end] != '\t' && p[i + end] != ' ')
			return false;
	return true;
}

static bool same_body(const struct ledger_mail *mail, const struct ledger_arrival *a)
{
	size_t n = mail->n, extra = 0;

	/* DATA cannot say that the last line has no end. */
	if (mail->open_end && a->way == WAY_DATA)
		extra = 2;
	if (a->bytes.n < n + extra)
		return false;
	size_t prefix = a->bytes.n - n - extra;

	return memcmp(a->bytes.p + prefix, mail->body, n) == 0 &&
	       (!extra || memcmp(a->bytes.p + prefix + n, "\r\n", 2) == 0) &&
	       is_received(a->bytes.p, prefix, "\r\n");
}

/* In another encoding, which a hop without 8BITMIME or BINARYMIME asks for: what must hold is that
 * it can take it, and that the fields are there. */
static bool fair_conversion(const struct ledger_mail *mail, const struct ledger_arrival *a)
{
	char field[32];

	if (!(mail->eight_bit && a->seven_bit) && !(mail->binary && (a->no_binary || a->seven_bit)))
		return false;
	snprintf(field, sizeof(field), "X-Sim: %u\r\n", mail->number);
	if (mail->has_field && !memmem(a->bytes.p, a->bytes.n, field, strlen(field)))
		return false;
	for (size_t i = 0; i < a->bytes.n; i++)
		if ((a->bytes.p[i] & 0x80 && a->seven_bit) || !a->bytes.p[i])
			return false;
	return true;
}

/* What was seen to be held, paused or gone must not set out after that. */
static void check_when(struct ledger *l, const struct ledger_mail *mail,
	const struct ledger_rcpt *rcpt, const struct ledger_delivery *d)
{
	if (rcpt->held_ns && d->at_ns > rcpt->held_ns && !ledger_may_forget(l, rcpt->held_ns))
		ledger_violation(l, "message %u for %s set out while it was held", mail->number,
			rcpt->address);
	if (rcpt->paused_ns && rcpt->pauses == l->pauses && d->at_ns > rcpt->paused_ns)
		ledger_violation(l, "message %u for %s set out while it was paused", mail->number,
			rcpt->address);
	if (rcpt->gone_ns && d->at_ns > rcpt->gone_ns && !ledger_may_forget(l, rcpt->gone_ns) &&
		!ledger_harmed(l)) {
		l->ghosts++;
		ledger_violation(l, "message %u for %s set out after an administrator ended it",
			mail->number, rcpt->address);
	}
}

void ledger_deliver(struct ledger *l, struct ledger_mail *mail, struct ledger_rcpt *rcpt,
	const struct ledger_delivery *delivery)
{
	size_t i = rcpt->delivery_count++;

	CHECK(i < LEDGER_DELIVERIES);
	for (; i && rcpt->deliveries[i - 1].at_ns > delivery->at_ns; i--)
		rcpt->deliveries[i] = rcpt->deliveries[i - 1];
	rcpt->deliveries[i] = *delivery;
	l->arrivals++;
	sim_note(l->sim, mail->number);
	sim_say(l->sim, "%s took message %u for %s", delivery->hop, mail->number, rcpt->address);
	if (!rcpt->domain->mailboxes)
		check_when(l, mail, rcpt, delivery);
}

static void show(struct ledger *l, const struct ledger_mail *mail, struct span got)
{
	struct buf text;

	if (!l->sim->verbose)
		return;
	buf_init(&text, 65536);
	buf_add_escaped(&text, got, 3000);
	sim_say(l->sim, "got:  %.*s", (int)text.n, text.p);
	buf_clear(&text);
	buf_add_escaped(&text, span_of(mail->body, mail->n), 3000);
	sim_say(l->sim, "sent: %.*s", (int)text.n, text.n ? text.p : "");
	buf_done(&text);
}

void ledger_arrived(struct ledger *l, const struct ledger_arrival *a)
{
	for (size_t i = 0; i < a->rcpt_count; i++)
		sim_link_judge(l, a->link, mail_about(l, a->rcpts[i]), a->rcpts[i]);
	if (!a->sender.n && a->rcpt_count == 1 && a->rcpts[0][0] == 's') {
		ledger_take_dsn(l, a->rcpts[0], a->bytes);
		return;
	}
	for (size_t i = 0; i < a->rcpt_count; i++) {
		struct ledger_mail *mail = mail_of(l, a->rcpts[i]);
		struct ledger_rcpt *rcpt = ledger_rcpt_find(l, a->rcpts[i]);

		if (!mail || !rcpt) {
			ledger_violation(
				l, "%s got mail for %s, whom nobody knows", a->hop, a->rcpts[i]);
			continue;
		}
		ledger_deliver(l, mail, rcpt,
			&(struct ledger_delivery){.at_ns = a->at_ns,
				.hop = a->hop,
				.reply = a->reply,
				.has_dsn = a->has_dsn});
		if (!same_body(mail, a) && !fair_conversion(mail, a)) {
			l->corrupted++;
			ledger_violation(l,
				"message %u arrived at %s with %zu bytes that are not its own",
				mail->number, a->hop, a->bytes.n);
			show(l, mail, a->bytes);
		}
		/* For the null sender it is only asked for where it is offered (RFC 8689). */
		if (mail->require_tls && !a->require_tls &&
			(!mail->null_sender || a->offers_require_tls))
			ledger_violation(l, "message %u has lost its REQUIRETLS", mail->number);
		if (!span_equal(a->sender, span_str(mail->sender)))
			ledger_violation(l, "message %u arrived with another sender", mail->number);
	}
}

static bool has_bare(const struct ledger_mail *mail)
{
	for (size_t i = 0; i < mail->n; i++)
		if ((mail->body[i] == '\n' && (!i || mail->body[i - 1] != '\r')) ||
			(mail->body[i] == '\r' && (i + 1 == mail->n || mail->body[i + 1] != '\n')))
			return true;
	return false;
}

/* Line ends are those of the file system, but for a body that is not all lines.
 * Return-Path and Delivered-To, then the Received field, then the body with LF. */
static bool same_file(const struct ledger_mail *mail, struct span file)
{
	char *lines = malloc(mail->n + 3);
	bool bare = has_bare(mail);
	size_t n = 0;

	CHECK(lines);
	for (size_t i = 0; i < mail->n; i++)
		if (bare || mail->body[i] != '\r' || i + 1 == mail->n || mail->body[i + 1] != '\n')
			lines[n++] = mail->body[i];
	bool same = file.n >= n && memcmp(file.p + file.n - n, lines, n) == 0;

	if (!same && mail->open_end) {
		lines[n++] = '\n';
		same = file.n >= n && memcmp(file.p + file.n - n, lines, n) == 0;
	}
	free(lines);
	const char *received = file.n ? memmem(file.p, file.n, "Received: ", 10) : NULL;

	if (!same || !received || strncmp(file.p, "Return-Path: <", 14) != 0)
		return false;
	size_t at = (size_t)(received - file.p), end = file.n - n;

	return at < end && is_received(received, end - at, bare ? "\r\n" : "\n");
}

void ledger_in_mailbox(struct ledger *l, const char *address, struct span file)
{
	const char *field = file.n ? memmem(file.p, file.n, "\nX-Sim: ", 8) : NULL;
	unsigned number = field ? (unsigned)strtoul(field + 8, NULL, 10) : UINT32_MAX;
	struct ledger_mail *mail = ledger_mail_find(l, number);
	struct ledger_rcpt *rcpt = NULL;

	for (size_t i = 0; mail && i < mail->rcpt_count && !rcpt; i++)
		if (strcmp(mail->rcpts[i].address, address) == 0)
			rcpt = &mail->rcpts[i];
	if (!rcpt) {
		l->corrupted++;
		ledger_violation(l, "the mailbox %s holds a message that nobody sent (%.60s)",
			address, file.n ? file.p : "");
		return;
	}
	ledger_deliver(l, mail, rcpt,
		&(struct ledger_delivery){.at_ns = l->sim->now_ns, .hop = "mailbox"});
	if (!same_file(mail, file)) {
		l->corrupted++;
		ledger_violation(l, "message %u lies in %s with %zu bytes that are not its own",
			mail->number, address, file.n);
	}
}
