/* Notifications: what came home, and what was owed (RFC 3461). */
#include "sim_ledger.h"
#include "sim_world.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const words[ACTIONS] = {
	[ACTION_FAILED] = "failed",
	[ACTION_DELAYED] = "delayed",
	[ACTION_RELAYED] = "relayed",
	[ACTION_DELIVERED] = "delivered",
};

size_t ledger_dsns_of(const struct ledger_rcpt *rcpt, enum ledger_action action)
{
	size_t n = 0;

	for (size_t i = 0; i < rcpt->dsn_count; i++)
		n += rcpt->dsns[i].action == action;
	return n;
}

static bool is_wanted(const struct ledger_rcpt *rcpt, enum ledger_action action)
{
	switch (rcpt->notify) {
	case LEDGER_NOTIFY_NEVER: return false;
	case LEDGER_NOTIFY_NONE:
	case LEDGER_NOTIFY_FAILURE: return action == ACTION_FAILED || action == ACTION_DELAYED;
	case LEDGER_NOTIFY_SUCCESS: break;
	}
	return action == ACTION_RELAYED || action == ACTION_DELIVERED;
}

/* ---- what came ------------------------------------------------------------------------------ */

static void take_one(struct ledger *l, struct ledger_mail *mail, const char *address,
	const char *action, uint64_t name)
{
	struct ledger_rcpt *about = NULL;
	enum ledger_action kind = ACTION_FAILED;

	for (size_t i = 0; i < mail->rcpt_count && !about; i++)
		if (strcasecmp(mail->rcpts[i].address, address) == 0)
			about = &mail->rcpts[i];
	while (kind < ACTIONS && strcasecmp(words[kind], action) != 0)
		kind++;
	if (!about || kind == ACTIONS) {
		ledger_violation(l, "a notification about message %u speaks of %s: %s",
			mail->number, address, action);
		return;
	}
	sim_say(l->sim, "notification about message %u, %s: %s", mail->number, address, action);
	if (!is_wanted(about, kind))
		ledger_violation(l, "message %u, %s: nobody asked to hear \"%s\"", mail->number,
			address, action);
	for (size_t i = 0; i < about->dsn_count; i++)
		if (about->dsns[i].name == name && about->dsns[i].action == kind)
			return;
	if (about->dsn_count < LEDGER_DSNS)
		about->dsns[about->dsn_count++] = (struct ledger_dsn){name, kind};
}

/* The value of a field, NULL where the line is another one. */
static const char *value_of(const char *line, const char *field)
{
	size_t n = strlen(field);

	if (strncasecmp(line, field, n) != 0)
		return NULL;
	return line + n + strspn(line + n, " ");
}

void ledger_take_dsn(struct ledger *l, const char *rcpt, struct span text)
{
	unsigned number;
	uint64_t name = 0;
	char address[LEDGER_ADDRESS] = "", line[512];
	bool envid = false;

	if (sscanf(rcpt, "s%u", &number) != 1 || !ledger_mail_find(l, number)) {
		ledger_violation(l, "a notification for %s, whom nobody knows", rcpt);
		return;
	}
	struct ledger_mail *mail = ledger_mail_find(l, number);

	l->dsns++;
	if (mail->null_sender)
		ledger_violation(l, "a notification to the null sender of message %u", number);
	if (strcmp(rcpt, mail->sender) != 0)
		ledger_violation(l, "a notification for %s, not %s", rcpt, mail->sender);
	while (text.n) {
		size_t n = span_find(text, '\n');
		const char *value;

		snprintf(line, sizeof(line), "%.*s", (int)(n && text.p[n - 1] == '\r' ? n - 1 : n),
			text.p);
		text = span_skip(text, n + 1);
		if ((value = value_of(line, "Message-ID:")) && !name)
			for (; *value; value++)
				name = name * 1099511628211ull + (unsigned char)*value + 1;
		else if ((value = value_of(line, "Original-Envelope-Id:")))
			envid = envid || strcmp(value, "sim") == 0;
		else if ((value = value_of(line, "Final-Recipient: rfc822;")) ||
			 (value = value_of(line, "Final-Recipient: utf-8;")))
			snprintf(address, sizeof(address), "%s", value);
		else if ((value = value_of(line, "Action:")) && *address) {
			take_one(l, mail, address, value, name);
			*address = '\0';
		}
	}
	if (mail->envid && !envid)
		ledger_violation(
			l, "a notification about message %u has lost its envelope id", number);
}

/* ---- what was owed -------------------------------------------------------------------------- */

static void check_delay(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	size_t warned = ledger_dsns_of(rcpt, ACTION_DELAYED);

	if (warned > 1 && !ledger_harmed(l)) {
		l->duplicates++;
		ledger_violation(l, "message %u: %zu notifications that %s is delayed",
			mail->number, warned, rcpt->address);
	}
	/* An age is what the wall clock says since the arrival. */
	if (rcpt->domain->warns && rcpt->expired && !warned && !rcpt->moved &&
		!l->sim->faults[FAULT_CLOCK_JUMP] && !mail->dsns_may_vanish && !mail->null_sender &&
		is_wanted(rcpt, ACTION_DELAYED))
		ledger_violation(l, "message %u: nobody was told that %s is delayed", mail->number,
			rcpt->address);
}

/* Who asked to hear of a success hears of it from us where the next hop cannot tell (RFC 3461
 * section 5.2.2), and only then. */
static void check_success(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	size_t told = ledger_dsns_of(rcpt, ACTION_RELAYED) + ledger_dsns_of(rcpt, ACTION_DELIVERED);
	size_t may = 0;
	const struct ledger_delivery *last = NULL;

	for (size_t i = 0; i < rcpt->delivery_count; i++) {
		const struct ledger_delivery *d = &rcpt->deliveries[i];
		bool seen = rcpt->domain->mailboxes || (d->reply && d->reply->seen_ns);

		may += seen && !d->has_dsn;
		last = seen ? d : last;
	}
	if (told > may && !ledger_harmed(l))
		ledger_violation(l,
			"message %u: %zu notifications that %s had it, who was told %zu "
			"times",
			mail->number, told, rcpt->address, may);
	if (last && !last->has_dsn && !told && !mail->null_sender && !mail->dsns_may_vanish &&
		!rcpt->may_vanish && !rcpt->may_bounce && is_wanted(rcpt, ACTION_RELAYED))
		ledger_violation(l, "message %u: nobody was told that %s has it", mail->number,
			rcpt->address);
}

void ledger_judge_dsns(
	struct ledger *l, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt)
{
	if (mail->told != TOLD_ACCEPTED || rcpt->taken != RCPT_TAKEN || ledger_harmed(l))
		return;
	check_delay(l, mail, rcpt);
	check_success(l, mail, rcpt);
}
