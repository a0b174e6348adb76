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

static void *grow(void *list, size_t count, size_t *room, size_t size)
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
	l->mails = grow(l->mails, l->mail_count, &l->mail_room, sizeof(struct ledger_mail *));
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

void ledger_death(struct ledger *l)
{
	l->deaths = grow(l->deaths, l->death_count, &l->death_room, sizeof(*l->deaths));
	l->deaths[l->death_count++] = l->sim->now_ns;
}

void ledger_journal(struct ledger *l, bool well)
{
	struct ledger_span *last = l->unwell_count ? &l->unwell[l->unwell_count - 1] : NULL;
	bool open = last && !last->to_ns;

	if (well && open)
		last->to_ns = l->sim->now_ns;
	if (well || open)
		return;
	l->unwell = grow(l->unwell, l->unwell_count, &l->unwell_room, sizeof(*l->unwell));
	l->unwell[l->unwell_count++] = (struct ledger_span){l->sim->now_ns, 0};
}

/* ---- what arrives --------------------------------------------------------------------------- */

struct ledger_rcpt *ledger_rcpt_find(struct ledger *l, const char *address)
{
	unsigned number, rcpt;

	if (sscanf(address, "m%ur%u@", &number, &rcpt) != 2)
		return NULL;
	struct ledger_mail *mail = ledger_mail_find(l, number);

	if (!mail || rcpt >= mail->rcpt_count || strcmp(mail->rcpts[rcpt].address, address) != 0)
		return NULL;
	return &mail->rcpts[rcpt];
}

static struct ledger_mail *mail_of(struct ledger *l, const char *address)
{
	unsigned number, rcpt;

	return sscanf(address, "m%ur%u@", &number, &rcpt) == 2 ? ledger_mail_find(l, number) : NULL;
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

/* In the order in which they were sent. */
static void delivered_to(struct ledger *l, struct ledger_mail *mail, struct ledger_rcpt *rcpt,
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
}

/* A DSN came home: the fields of its report, and which message it speaks of by its recipient. */
static void take_dsn(struct ledger *l, const char *rcpt, struct span text)
{
	unsigned number;
	uint64_t name = 0;
	char address[LEDGER_ADDRESS] = "", line[512];

	if (sscanf(rcpt, "s%u@", &number) != 1 || !ledger_mail_find(l, number)) {
		ledger_violation(l, "a notification for %s, whom nobody knows", rcpt);
		return;
	}
	struct ledger_mail *mail = ledger_mail_find(l, number);

	l->dsns++;
	while (text.n) {
		size_t n = span_find(text, '\n');

		snprintf(line, sizeof(line), "%.*s", (int)(n && text.p[n - 1] == '\r' ? n - 1 : n),
			text.p);
		text = span_skip(text, n + 1);
		if (strncasecmp(line, "Message-ID:", 11) == 0 && !name)
			for (const char *c = line; *c; c++)
				name = name * 1099511628211ull + (unsigned char)*c + 1;
		if (strncasecmp(line, "Final-Recipient: rfc822;", 24) == 0)
			snprintf(address, sizeof(address), "%s", line + 24 + (line[24] == ' '));
		if (strncasecmp(line, "Action:", 7) != 0 || !*address)
			continue;
		struct ledger_rcpt *about = NULL;

		for (size_t i = 0; i < mail->rcpt_count && !about; i++)
			if (strcasecmp(mail->rcpts[i].address, address) == 0)
				about = &mail->rcpts[i];
		sim_say(l->sim, "notification about message %u, %s: %s", number, address, line);
		if (!about)
			ledger_violation(
				l, "a notification about message %u speaks of %s", number, address);
		else if (!strstr(line, "failed"))
			about->other_dsns++;
		else {
			bool known = false;

			for (size_t i = 0; i < about->failed_count; i++)
				known = known || about->failed[i] == name;
			if (!known && about->failed_count < LEDGER_DSNS)
				about->failed[about->failed_count++] = name;
		}
		*address = '\0';
	}
	if (mail->null_sender)
		ledger_violation(l, "a notification to the null sender of message %u", number);
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
	if (!a->sender.n && a->rcpt_count == 1 && a->rcpts[0][0] == 's') {
		take_dsn(l, a->rcpts[0], a->bytes);
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
		delivered_to(l, mail, rcpt,
			&(struct ledger_delivery){a->at_ns, a->hop, a->reply, a->partial});
		if (!same_body(mail, a) && !fair_conversion(mail, a)) {
			l->corrupted++;
			ledger_violation(l,
				"message %u arrived at %s with %zu bytes that are not its own",
				mail->number, a->hop, a->bytes.n);
			show(l, mail, a->bytes);
		}
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
	delivered_to(
		l, mail, rcpt, &(struct ledger_delivery){l->sim->now_ns, "mailbox", NULL, false});
	if (!same_file(mail, file)) {
		l->corrupted++;
		ledger_violation(l, "message %u lies in %s with %zu bytes that are not its own",
			mail->number, address, file.n);
	}
}
