/* What the gateway says of itself while it runs, against what it was told to do. */
#include "sim_ledger.h"
#include "sim_link.h"
#include "sim_world.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define DURABLE_NS   (5 * NS_PER_S) /* a change of state is on stable storage so long after it */
#define UNCLEAR_NS   (5 * NS_PER_S) /* until an order is with delivery */
#define EXPIRY_SLACK (2 * SIM_MINUTE)

bool ledger_harmed(const struct ledger *l)
{
	return l->flips || l->bad_sectors;
}

bool ledger_may_forget(const struct ledger *l, uint64_t at_ns)
{
	for (size_t i = 0; i < l->death_count; i++) {
		uint64_t death = l->deaths[i];

		if (death < at_ns)
			continue;
		if (death <= at_ns + DURABLE_NS)
			return true;
		for (size_t k = 0; k < l->unwell_count; k++)
			if (l->unwell[k].from_ns <= death &&
				(!l->unwell[k].to_ns || l->unwell[k].to_ns >= at_ns))
				return true;
	}
	return ledger_harmed(l);
}

struct ledger_mail *ledger_identify(
	struct ledger *l, const char *sender, const char *rcpt, bool *is_dsn)
{
	unsigned number, at;

	*is_dsn = false;
	if (rcpt && sscanf(rcpt, "m%ur%u", &number, &at) == 2)
		return ledger_mail_find(l, number);
	if (sender && sscanf(sender, "s%u", &number) == 1)
		return ledger_mail_find(l, number);
	if (!rcpt || (sender && *sender) || sscanf(rcpt, "s%u", &number) != 1)
		return NULL;
	*is_dsn = true;
	return ledger_mail_find(l, number);
}

static struct ledger_rcpt *rcpt_of(struct ledger *l, const char *sender, const char *address)
{
	bool is_dsn;
	struct ledger_mail *mail = ledger_identify(l, sender, address, &is_dsn);

	for (size_t i = 0; mail && !is_dsn && i < mail->rcpt_count; i++)
		if (strcmp(mail->rcpts[i].address, address) == 0)
			return &mail->rcpts[i];
	return NULL;
}

/* ---- events --------------------------------------------------------------------------------- */

/* Given up: not before the schedule's end, and time that it stood still does not count. */
static void expired(struct ledger *l, const struct ledger_mail *mail, struct ledger_rcpt *rcpt)
{
	uint64_t lived = l->sim->now_ns - mail->received_ns;
	uint64_t slack = EXPIRY_SLACK;
	uint64_t least = rcpt->domain->patience_ns + rcpt->stood_ns;

	rcpt->expired = true;
	if (!mail->received_ns || !rcpt->domain->patience_ns || rcpt->moved || rcpt->may_bounce ||
		l->sim->faults[FAULT_CLOCK_JUMP] || ledger_harmed(l))
		return;
	if (lived + slack < least)
		ledger_violation(l,
			"message %u for %s was given up after %llu s, of which it stood still %llu",
			mail->number, rcpt->address, (unsigned long long)(lived / NS_PER_S),
			(unsigned long long)(rcpt->stood_ns / NS_PER_S));
}

static void note_damage(struct ledger *l, uint64_t id, struct span path)
{
	l->damage_events++;
	l->damages = ledger_grow(l->damages, l->damage_count, &l->damage_room, sizeof(*l->damages));
	struct ledger_damage *damage = &l->damages[l->damage_count++];

	damage->id = id;
	snprintf(damage->path, sizeof(damage->path), "%.*s", (int)MIN(path.n, 63), path.p);
}

void ledger_event(struct ledger *l, const struct event *event)
{
	char sender[LEDGER_ADDRESS], address[LEDGER_ADDRESS];
	bool is_dsn;

	if (event->kind == EVENT_DAMAGE)
		note_damage(l, event->id, event->destination);
	snprintf(sender, sizeof(sender), "%.*s", (int)MIN(event->sender.n, sizeof(sender) - 1),
		event->sender.n ? event->sender.p : "");
	for (uint32_t i = 0; i < event->recipient_count; i++) {
		struct span rcpt = event->recipients[i];

		snprintf(address, sizeof(address), "%.*s", (int)MIN(rcpt.n, sizeof(address) - 1),
			rcpt.n ? rcpt.p : "");
		struct ledger_mail *mail = ledger_identify(l, sender, address, &is_dsn);

		if (mail && is_dsn && event->kind == EVENT_EXPIRATION)
			mail->dsns_expired = true;
		if (!mail || is_dsn)
			continue;
		if (event->kind == EVENT_RECEPTION) {
			mail->id = event->id;
			mail->received_ns = l->sim->now_ns;
		}
		struct ledger_rcpt *known = rcpt_of(l, sender, address);

		if (known && event->kind == EVENT_BOUNCE && event->verdict &&
			event->verdict->enhanced.subject == 7 &&
			event->verdict->enhanced.detail == 30)
			sim_link_judge_return(l, event->transport, address);
		if (known && (event->kind == EVENT_EXPIRATION || event->kind == EVENT_BOUNCE))
			known->ended_ns = l->sim->now_ns;
		if (known && (event->kind == EVENT_EXPIRATION ||
				     (event->kind == EVENT_DISCARD && !event->action.n &&
					     !known->refused)))
			expired(l, mail, known);
	}
}

/* "w0/65…01.log: at 4096: its body is damaged (message …)" */
void ledger_verify_line(struct ledger *l, const char *line)
{
	size_t n = strcspn(line, ":");

	if (!strstr(line, "torn tail"))
		note_damage(l, 0, span_of(line, n));
}

/* ---- looks ---------------------------------------------------------------------------------- */

void ledger_pause(struct ledger *l, const char *blocker, const char *name, bool paused)
{
	size_t i = 0;

	while (i < l->paused_count && (strcmp(l->paused[i].blocker, blocker) != 0 ||
					      strcmp(l->paused[i].name, name) != 0))
		i++;
	if (paused && i == l->paused_count) {
		CHECK(i < LEDGER_PAUSES);
		l->paused_count++;
		snprintf(l->paused[i].blocker, sizeof(l->paused[i].blocker), "%s", blocker);
		snprintf(l->paused[i].name, sizeof(l->paused[i].name), "%s", name);
	} else if (!paused && i < l->paused_count) {
		l->paused[i] = l->paused[--l->paused_count];
		ledger_forget_seen(l, NULL);
	}
}

/* By the directory's word, not only by the queue's. */
static bool is_paused(const struct ledger *l, const struct ledger_state *state)
{
	const char *name = strcmp(state->blocker, "paused-transport") == 0 ? state->transport
			   : strcmp(state->blocker, "paused-domain") == 0  ? state->domain
									   : "";

	for (size_t i = 0; state->paused && i < l->paused_count; i++)
		if (strcmp(l->paused[i].blocker, state->blocker) == 0 &&
			strcmp(l->paused[i].name, name) == 0)
			return true;
	return false;
}

static void seen_held(struct ledger *l, struct ledger_rcpt *rcpt, bool held)
{
	if (held && !rcpt->held_ns) {
		rcpt->held_ns = l->sim->now_ns;
	} else if (!held && rcpt->held_ns) {
		if (!ledger_may_forget(l, rcpt->held_ns))
			ledger_violation(l, "%s was held, and is not any more", rcpt->address);
		rcpt->held_ns = 0;
	}
}

static void seen_paused(
	struct ledger *l, struct ledger_rcpt *rcpt, bool paused, bool stands, uint64_t attempts)
{
	uint64_t now = l->sim->now_ns;
	bool was = rcpt->paused_ns && rcpt->pauses == l->pauses;

	if (was && !stands)
		ledger_violation(l, "%s was paused, and is not any more", rcpt->address);
	if (was && paused && attempts > rcpt->paused_attempts)
		ledger_violation(l, "%s used up retries while it was paused: %llu, then %llu",
			rcpt->address, (unsigned long long)rcpt->paused_attempts,
			(unsigned long long)attempts);
	if (was && paused)
		rcpt->stood_ns += now - rcpt->paused_seen_ns;
	if (!was || !paused)
		rcpt->paused_ns = paused ? now : 0;
	rcpt->paused_seen_ns = now;
	rcpt->pauses = l->pauses;
	rcpt->paused_attempts = attempts;
}

void ledger_seen(
	struct ledger *l, const char *sender, const char *address, const struct ledger_state *state)
{
	bool is_dsn;
	struct ledger_rcpt *rcpt = rcpt_of(l, sender, address);
	const struct ledger_mail *mail = ledger_identify(l, sender, address, &is_dsn);

	if (!rcpt || l->sim->now_ns < l->unclear_ns || l->sim->now_ns < mail->unclear_ns)
		return;
	seen_held(l, rcpt, state->held);
	seen_paused(l, rcpt, is_paused(l, state), state->stands, state->attempts);
}

void ledger_forget_seen(struct ledger *l, struct ledger_mail *mail)
{
	uint64_t until = l->sim->now_ns + UNCLEAR_NS;

	for (size_t i = 0; mail && i < mail->rcpt_count; i++)
		mail->rcpts[i].held_ns = mail->rcpts[i].paused_ns = 0;
	if (mail) {
		mail->unclear_ns = until;
	} else {
		l->unclear_ns = until;
		l->pauses++;
	}
}
