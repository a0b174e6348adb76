#include "sim_client_inner.h"

#include "base/check.h"
#include "sim_machine.h"
#include "sim_mail.h"
#include "sim_world.h"

#include <stdio.h>
#include <stdlib.h>

void sim_client_gone(struct client *c, bool reset)
{
	timers_disarm(&c->sim->events, &c->timer);
	timers_disarm(&c->sim->events, &c->patience);
	if (reset)
		sim_end_reset(&c->end);
	else
		sim_end_close(&c->end);
	buf_done(&c->out);
	buf_done(&c->in);
	buf_done(&c->wire);
	sim_tls_free(&c->tls);
	arena_reset(&c->arena);
	free(c);
}

/* What was sent whole may have become anything from now on. */
static void note_ends(struct client *c)
{
	for (size_t i = 0; i < c->expected_count; i++) {
		struct ledger_mail *mail =
			c->expected[(c->expected_first + i) % CLIENT_EXPECTED].mail;

		if (mail && mail->end_at && c->written >= mail->end_at && mail->told == TOLD_UNSENT)
			mail->told = TOLD_NOTHING;
	}
}

/* False: the client is gone. */
bool sim_client_flush(struct client *c)
{
	if (timer_armed(&c->timer))
		return true;
	while (c->out.n || c->wire.n || (c->tls && c->tls->out.n)) {
		size_t most = c->out.n;

		if (c->written < c->stall_at && c->written + most > c->stall_at)
			most = c->stall_at - c->written;
		if (c->written + most > c->cut_at)
			most = c->cut_at - c->written;
		int64_t n = sim_client_write(c, c->out.p, most);
		if (n < 0) {
			sim_client_gone(c, false);
			return false;
		}
		c->written += (uint64_t)n;
		buf_drop(&c->out, (size_t)n);
		note_ends(c);
		if (c->written >= c->cut_at) {
			sim_fault(c->sim, FAULT_CLIENT_GONE);
			sim_client_gone(c, c->cut_resets);
			return false;
		}
		if (c->written == c->stall_at && c->out.n) {
			c->stall_at = UINT64_MAX;
			sim_fault(c->sim, FAULT_STALL);
			sim_arm(c->sim, &c->timer, sim_skewed(c->sim, 8 * SIM_MINUTE));
			return true;
		}
		if (n == 0)
			return true;
	}
	return true;
}

void sim_client_hello(struct client *c)
{
	sim_client_say(
		c, EXPECT_HELLO, 0, c->extended ? "EHLO client.example" : "HELO client.example");
}

void sim_client_stall_over(struct timer *timer)
{
	(void)sim_client_flush(CONTAINER_OF(timer, struct client, timer));
}

void sim_client_expect(struct client *c, enum expected what, size_t rcpt)
{
	CHECK(c->expected_count < CLIENT_EXPECTED);
	c->expected[(c->expected_first + c->expected_count++) % CLIENT_EXPECTED] =
		(struct expectation){what, rcpt, c->mail};
}

static void give(struct client *c, const void *p, size_t n)
{
	buf_add(&c->out, p, n);
	c->given += n;
}

void sim_client_say(struct client *c, enum expected what, size_t rcpt, const char *line)
{
	give(c, line, strlen(line));
	give(c, "\r\n", 2);
	sim_client_expect(c, what, rcpt);
}

/* ---- one message ---------------------------------------------------------------------------- */

static void say_mail(struct client *c)
{
	struct ledger_mail *mail = c->mail;
	char line[256];

	mail->envid = c->extended && sim_chance(c->sim, 200);
	mail->require_tls = c->secured && sim_chance(c->sim, 100);
	/* Nor may what is said about it go by any other link, and no such leads to the senders. */
	mail->dsns_may_vanish = mail->dsns_may_vanish || mail->require_tls;
	mail->generation = machine_oldest_generation(c->ledger->machine);
	snprintf(line, sizeof(line), "MAIL FROM:<%s>%s%s%s%s%s", mail->sender,
		c->extended && mail->binary	 ? " BODY=BINARYMIME"
		: c->extended && mail->eight_bit ? " BODY=8BITMIME"
						 : "",
		mail->utf8 ? " SMTPUTF8" : "", mail->require_tls ? " REQUIRETLS" : "",
		mail->envid ? " RET=HDRS ENVID=sim" : "",
		c->extended && sim_chance(c->sim, 300) ? " SIZE=1000" : "");
	sim_client_say(c, EXPECT_MAIL, 0, line);
}

static void say_rcpt(struct client *c, size_t i)
{
	static const char *const notify[] = {
		"", " NOTIFY=NEVER", " NOTIFY=FAILURE,DELAY", " NOTIFY=SUCCESS"};
	char line[256];

	const struct ledger_rcpt *rcpt = &c->mail->rcpts[i];

	snprintf(line, sizeof(line), "RCPT TO:<%s>%s", *rcpt->said ? rcpt->said : rcpt->address,
		notify[c->mail->rcpts[i].notify]);
	sim_client_say(c, EXPECT_RCPT, i, line);
}

void sim_client_give_stuffed(struct client *c)
{
	const char *p = c->mail->body;
	size_t n = c->mail->n;

	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '.' || (i && (i < 2 || p[i - 1] != '\n' || p[i - 2] != '\r')))
			continue;
		give(c, p + from, i - from);
		give(c, ".", 1);
		from = i;
	}
	if (n > from)
		give(c, p + from, n - from);
	give(c, ".\r\n", 3);
	c->mail->end_at = c->given;
	sim_client_expect(c, EXPECT_END, 0);
}

static void give_chunks(struct client *c)
{
	const char *p = c->mail->body;
	size_t left = c->mail->n;
	unsigned parts = 0;

	for (;;) {
		bool last = parts >= 20 || sim_chance(c->sim, 500);
		size_t n = last ? left : sim_below(c->sim, left + 1);
		char line[64];

		snprintf(line, sizeof(line), "BDAT %zu%s\r\n", n, last ? " LAST" : "");
		give(c, line, strlen(line));
		give(c, p, n);
		p += n;
		left -= n;
		parts++;
		sim_client_expect(c, last ? EXPECT_END : EXPECT_CHUNK, 0);
		if (last)
			break;
	}
	c->mail->end_at = c->given;
}

static void give_body(struct client *c)
{
	if (c->chunks)
		give_chunks(c);
	else
		sim_client_say(c, EXPECT_DATA, 0, "DATA");
}

void sim_client_settle(struct client *c, struct ledger_mail *mail, enum ledger_told told)
{
	mail->told = told;
	mail->told_ns = c->sim->now_ns;
	sim_say(c->sim, "client: message %u is %s", mail->number,
		told == TOLD_ACCEPTED ? "accepted" : "refused");
	/* Who is eager has begun the next one long since. */
	if (c->mail == mail)
		sim_client_next_mail(c);
}

/* A message that is begun and taken back: it must never exist. */
static void give_false_start(struct client *c)
{
	struct ledger_mail *mail = sim_mail_make(c->sim, c->ledger, true);
	char line[256];

	c->mail = NULL;
	if (sim_chance(c->sim, 300))
		sim_client_say(c, EXPECT_ANY, 0,
			sim_chance(c->sim, 500) ? "NOOP" : "VRFY <box0@c.example>");
	snprintf(line, sizeof(line), "MAIL FROM:<%s>%s", mail->sender,
		mail->utf8 ? " SMTPUTF8" : "");
	sim_client_say(c, EXPECT_ANY, 0, line);
	for (size_t i = 0; i < mail->rcpt_count && !sim_chance(c->sim, 100); i++) {
		snprintf(line, sizeof(line), "RCPT TO:<%s>", mail->rcpts[i].address);
		sim_client_say(c, EXPECT_ANY, 0, line);
	}
	while (sim_chance(c->sim, 600)) {
		size_t n = sim_below(c->sim, mail->n + 1);

		snprintf(line, sizeof(line), "BDAT %zu", n);
		sim_client_say(c, EXPECT_ANY, 0, line);
		give(c, mail->body, n);
		if (sim_chance(c->sim, 300))
			sim_client_say(c, EXPECT_NO_DATA, 0, "DATA");
	}
	sim_client_say(c, EXPECT_RSET, 0, "RSET");
}

void sim_client_next_mail(struct client *c)
{
	c->mail = NULL;
	c->mail_refused = false;
	c->rcpt_at = c->taken = 0;
	if (!c->left) {
		sim_client_say(c, EXPECT_QUIT, 0, "QUIT");
		return;
	}
	c->left--;
	/* Who does not wait cannot know whether the one before is over (RFC 2920 section 3.1). */
	if (c->in_doubt)
		sim_client_say(c, EXPECT_RSET, 0, "RSET");
	if (c->pipelines && sim_chance(c->sim, c->false_starts))
		give_false_start(c);
	c->mail = sim_mail_make(c->sim, c->ledger, c->extended);
	c->chunks =
		c->extended && (c->mail->binary || c->mail->open_end || sim_chance(c->sim, 300));
	say_mail(c);
	if (!c->pipelines)
		return;
	for (size_t i = 0; i < c->mail->rcpt_count; i++) {
		c->in_doubt = c->in_doubt || c->mail->rcpts[i].domain->foreign;
		say_rcpt(c, i);
	}
	give_body(c);
	/* RFC 2920 section 3.1: after BDAT LAST as well. */
	if (c->chunks && c->eager && c->expected_count < CLIENT_EXPECTED / 4)
		sim_client_next_mail(c);
}

/* In lockstep: after the reply to MAIL or to a RCPT. */
void sim_client_go_on(struct client *c)
{
	if (c->pipelines)
		return;
	if (c->mail_refused) {
		sim_client_settle(c, c->mail, TOLD_REFUSED);
	} else if (c->rcpt_at < c->mail->rcpt_count) {
		say_rcpt(c, c->rcpt_at++);
	} else if (c->taken) {
		give_body(c);
	} else {
		sim_client_say(c, EXPECT_RSET, 0, "RSET");
		sim_client_settle(c, c->mail, TOLD_REFUSED);
	}
}
