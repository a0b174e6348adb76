#include "sim_ledger.h"

#include "base/check.h"
#include "sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define VIOLATIONS_SHOWN 20

void ledger_init(struct ledger *ledger, struct sim *sim)
{
	*ledger = (struct ledger){.sim = sim};
}

void *ledger_grow(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? *room * 2 : 64;
	list = realloc(list, *room * size);
	CHECK(list);
	return list;
}

struct ledger_mail *ledger_mail_new(struct ledger *l)
{
	struct ledger_mail *mail = calloc(1, sizeof(*mail));

	CHECK(mail);
	l->mails =
		ledger_grow(l->mails, l->mail_count, &l->mail_room, sizeof(struct ledger_mail *));
	mail->number = (uint32_t)l->mail_count;
	l->mails[l->mail_count++] = mail;
	return mail;
}

struct ledger_mail *ledger_mail_find(struct ledger *l, uint32_t number)
{
	return number < l->mail_count ? l->mails[number] : NULL;
}

void ledger_violation(struct ledger *l, const char *format, ...)
{
	va_list args;

	if (l->violations++ >= VIOLATIONS_SHOWN || l->sim->silent)
		return;
	printf("  seed %llu, at %.3f s: ", (unsigned long long)l->sim->seed,
		(double)l->sim->now_ns / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void ledger_restart(struct ledger *l, bool death)
{
	bool unwell = l->unwell_count && !l->unwell[l->unwell_count - 1].to_ns;

	/* Who ends while nothing can be recorded says so, and is no better than dead. */
	if (!death && !unwell)
		return;
	l->deaths = ledger_grow(l->deaths, l->death_count, &l->death_room, sizeof(*l->deaths));
	l->deaths[l->death_count++] = l->sim->now_ns;
}

void ledger_journal(struct ledger *l, bool well)
{
	l->unsettled_ns = l->sim->now_ns;
	struct ledger_span *last = l->unwell_count ? &l->unwell[l->unwell_count - 1] : NULL;
	bool open = last && !last->to_ns;

	if (well && open)
		last->to_ns = l->sim->now_ns;
	if (well || open)
		return;
	l->unwell = ledger_grow(l->unwell, l->unwell_count, &l->unwell_room, sizeof(*l->unwell));
	l->unwell[l->unwell_count++] = (struct ledger_span){l->sim->now_ns, 0};
}

void ledger_harm(struct ledger *l)
{
	l->harms = ledger_grow(l->harms, l->harm_count, &l->harm_room, sizeof(*l->harms));
	l->harms[l->harm_count++] = (struct ledger_harm){l->sim->now_ns, l->proven_ns};
}

void ledger_closed(struct ledger *l, uint8_t owner, uint64_t began_ns)
{
	l->closes = ledger_grow(l->closes, l->close_count, &l->close_room, sizeof(*l->closes));
	l->closes[l->close_count++] = (struct ledger_close){owner, {began_ns, l->sim->now_ns}};
}

struct ledger_rcpt *ledger_rcpt_find(struct ledger *l, const char *address)
{
	unsigned number, rcpt;

	if (sscanf(address, "m%ur%u", &number, &rcpt) != 2)
		return NULL;
	struct ledger_mail *mail = ledger_mail_find(l, number);

	if (!mail || rcpt >= mail->rcpt_count || strcmp(mail->rcpts[rcpt].address, address) != 0)
		return NULL;
	return &mail->rcpts[rcpt];
}
