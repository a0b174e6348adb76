#include "sim_client.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "sim_mail.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENT_EXPECTED 512
#define CLIENT_BYTES	(16u << 20)
#define CLIENT_PATIENCE (40 * SIM_MINUTE)

enum expected {
	EXPECT_GREETING,
	EXPECT_HELLO,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_CHUNK,
	EXPECT_END,
	EXPECT_RSET,
	EXPECT_NO_DATA, /* DATA after BDAT: any refusal */
	EXPECT_ANY,
	EXPECT_QUIT
};

struct expectation {
	enum expected what;
	size_t rcpt;
	struct ledger_mail *mail;
};

struct client {
	struct sim *sim;
	struct ledger *ledger;
	struct sim_end *end;
	struct buf out, in;
	struct expectation expected[CLIENT_EXPECTED];
	size_t expected_first, expected_count;
	struct ledger_mail *mail;
	size_t left;
	unsigned false_starts; /* in 1000ths of its messages */
	bool extended, pipelines, eager, chunks, deaf, mail_refused;
	size_t rcpt_at, taken;
	uint64_t given, written; /* bytes, of the whole connection */
	uint64_t cut_at;	 /* it disappears after so many bytes */
	bool cut_resets;
	uint64_t stall_at;
	struct timer timer, patience;
};

static void next_mail(struct client *c);

/* ---- sending -------------------------------------------------------------------------------- */

static void gone(struct client *c, bool reset)
{
	timers_disarm(&c->sim->events, &c->timer);
	timers_disarm(&c->sim->events, &c->patience);
	if (reset)
		sim_end_reset(&c->end);
	else
		sim_end_close(&c->end);
	buf_done(&c->out);
	buf_done(&c->in);
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
static bool flush(struct client *c)
{
	if (timer_armed(&c->timer))
		return true;
	while (c->out.n) {
		size_t most = c->out.n;

		if (c->written < c->stall_at && c->written + most > c->stall_at)
			most = c->stall_at - c->written;
		if (c->written + most > c->cut_at)
			most = c->cut_at - c->written;
		int64_t n = most ? sim_end_write(c->end, c->out.p, most) : 0;
		if (n < 0) {
			gone(c, false);
			return false;
		}
		c->written += (uint64_t)n;
		buf_drop(&c->out, (size_t)n);
		note_ends(c);
		if (c->written >= c->cut_at) {
			sim_fault(c->sim, FAULT_CLIENT_GONE);
			gone(c, c->cut_resets);
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

static void stall_over(struct timer *timer)
{
	flush(CONTAINER_OF(timer, struct client, timer));
}

static void expect(struct client *c, enum expected what, size_t rcpt)
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

static void say(struct client *c, enum expected what, size_t rcpt, const char *line)
{
	give(c, line, strlen(line));
	give(c, "\r\n", 2);
	expect(c, what, rcpt);
}

/* ---- one message ---------------------------------------------------------------------------- */

static void say_mail(struct client *c)
{
	struct ledger_mail *mail = c->mail;
	char line[256];

	mail->envid = c->extended && sim_chance(c->sim, 200);
	snprintf(line, sizeof(line), "MAIL FROM:<%s>%s%s%s%s", mail->sender,
		c->extended && mail->binary	 ? " BODY=BINARYMIME"
		: c->extended && mail->eight_bit ? " BODY=8BITMIME"
						 : "",
		mail->utf8 ? " SMTPUTF8" : "", mail->envid ? " RET=HDRS ENVID=sim" : "",
		c->extended && sim_chance(c->sim, 300) ? " SIZE=1000" : "");
	say(c, EXPECT_MAIL, 0, line);
}

static void say_rcpt(struct client *c, size_t i)
{
	static const char *const notify[] = {
		"", " NOTIFY=NEVER", " NOTIFY=FAILURE,DELAY", " NOTIFY=SUCCESS"};
	char line[256];

	snprintf(line, sizeof(line), "RCPT TO:<%s>%s", c->mail->rcpts[i].address,
		notify[c->mail->rcpts[i].notify]);
	say(c, EXPECT_RCPT, i, line);
}

static void give_stuffed(struct client *c)
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
	expect(c, EXPECT_END, 0);
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
		expect(c, last ? EXPECT_END : EXPECT_CHUNK, 0);
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
		say(c, EXPECT_DATA, 0, "DATA");
}

static void settle(struct client *c, struct ledger_mail *mail, enum ledger_told told)
{
	mail->told = told;
	mail->told_ns = c->sim->now_ns;
	sim_say(c->sim, "client: message %u is %s", mail->number,
		told == TOLD_ACCEPTED ? "accepted" : "refused");
	/* Who is eager has begun the next one long since. */
	if (c->mail == mail)
		next_mail(c);
}

/* A message that is begun and taken back: it must never exist. */
static void give_false_start(struct client *c)
{
	struct ledger_mail *mail = sim_mail_make(c->sim, c->ledger, true);
	char line[256];

	c->mail = NULL;
	if (sim_chance(c->sim, 300))
		say(c, EXPECT_ANY, 0, sim_chance(c->sim, 500) ? "NOOP" : "VRFY <box0@c.example>");
	snprintf(line, sizeof(line), "MAIL FROM:<%s>%s", mail->sender,
		mail->utf8 ? " SMTPUTF8" : "");
	say(c, EXPECT_ANY, 0, line);
	for (size_t i = 0; i < mail->rcpt_count && !sim_chance(c->sim, 100); i++) {
		snprintf(line, sizeof(line), "RCPT TO:<%s>", mail->rcpts[i].address);
		say(c, EXPECT_ANY, 0, line);
	}
	while (sim_chance(c->sim, 600)) {
		size_t n = sim_below(c->sim, mail->n + 1);

		snprintf(line, sizeof(line), "BDAT %zu", n);
		say(c, EXPECT_ANY, 0, line);
		give(c, mail->body, n);
		if (sim_chance(c->sim, 300))
			say(c, EXPECT_NO_DATA, 0, "DATA");
	}
	say(c, EXPECT_RSET, 0, "RSET");
}

static void next_mail(struct client *c)
{
	c->mail = NULL;
	c->mail_refused = false;
	c->rcpt_at = c->taken = 0;
	if (!c->left) {
		say(c, EXPECT_QUIT, 0, "QUIT");
		return;
	}
	c->left--;
	if (c->pipelines && sim_chance(c->sim, c->false_starts))
		give_false_start(c);
	c->mail = sim_mail_make(c->sim, c->ledger, c->extended);
	c->chunks =
		c->extended && (c->mail->binary || c->mail->open_end || sim_chance(c->sim, 300));
	say_mail(c);
	if (!c->pipelines)
		return;
	for (size_t i = 0; i < c->mail->rcpt_count; i++)
		say_rcpt(c, i);
	give_body(c);
	/* RFC 2920 section 3.1: after BDAT LAST as well. */
	if (c->chunks && c->eager && c->expected_count < CLIENT_EXPECTED / 4)
		next_mail(c);
}

/* In lockstep: after the reply to MAIL or to a RCPT. */
static void go_on(struct client *c)
{
	if (c->pipelines)
		return;
	if (c->mail_refused) {
		settle(c, c->mail, TOLD_REFUSED);
	} else if (c->rcpt_at < c->mail->rcpt_count) {
		say_rcpt(c, c->rcpt_at++);
	} else if (c->taken) {
		give_body(c);
	} else {
		say(c, EXPECT_RSET, 0, "RSET");
		settle(c, c->mail, TOLD_REFUSED);
	}
}

/* ---- replies -------------------------------------------------------------------------------- */

static void take_reply(struct client *c, unsigned code)
{
	struct expectation e = c->expected[c->expected_first];

	if (!c->expected_count) {
		if (code != 421)
			ledger_violation(
				c->ledger, "a client was told %u, and had asked nothing", code);
		return;
	}
	c->expected_first = (c->expected_first + 1) % CLIENT_EXPECTED;
	c->expected_count--;
	switch (e.what) {
	case EXPECT_GREETING:
		if (code == 220)
			say(c, EXPECT_HELLO, 0,
				c->extended ? "EHLO client.example" : "HELO client.example");
		break;
	case EXPECT_HELLO:
		if (code == 250)
			next_mail(c);
		break;
	case EXPECT_MAIL:
		c->mail_refused = code != 250;
		go_on(c);
		break;
	case EXPECT_RCPT:
		e.mail->rcpts[e.rcpt].taken = code == 250 ? RCPT_TAKEN : RCPT_REFUSED;
		c->taken += code == 250;
		go_on(c);
		break;
	case EXPECT_DATA:
		if (code == 354)
			give_stuffed(c);
		else
			settle(c, e.mail, TOLD_REFUSED);
		break;
	case EXPECT_END: settle(c, e.mail, code == 250 ? TOLD_ACCEPTED : TOLD_REFUSED); break;
	case EXPECT_RSET:
		if (code != 250 && code != 421)
			ledger_violation(c->ledger, "RSET was answered with %u", code);
		break;
	case EXPECT_NO_DATA:
		if (code < 400)
			ledger_violation(c->ledger, "DATA after BDAT was answered with %u", code);
		break;
	case EXPECT_CHUNK:
	case EXPECT_ANY:
	case EXPECT_QUIT: break;
	}
}

/* One whole reply at the front; its length, or 0. */
static size_t reply_length(struct client *c, unsigned *code)
{
	size_t at = 0;

	for (;;) {
		const char *line = c->in.p + at;
		const char *end = c->in.n > at ? memchr(line, '\n', c->in.n - at) : NULL;

		if (!end)
			return 0;
		size_t n = (size_t)(end - line) + 1;
		if (n < 6 || end[-1] != '\r' || line[0] < '2' || line[0] > '5') {
			ledger_violation(
				c->ledger, "a client was told nonsense: %.*s", (int)n, line);
			return 0;
		}
		*code = (unsigned)strtoul(line, NULL, 10);
		at += n;
		if (line[3] == ' ')
			return at;
	}
}

static void on_readable(void *owner)
{
	struct client *c = owner;
	char bytes[2048];
	int64_t n = 0;
	unsigned code;
	size_t length;

	if (c->deaf)
		return;
	while ((n = sim_end_read(c->end, bytes, sizeof(bytes))) > 0)
		buf_add(&c->in, bytes, (size_t)n);
	while (c->in.n && (length = reply_length(c, &code))) {
		buf_drop(&c->in, length);
		take_reply(c, code);
	}
	if (n < 0) {
		gone(c, false);
		return;
	}
	sim_arm(c->sim, &c->patience, CLIENT_PATIENCE);
	flush(c);
}

static void on_connected(void *owner, int err)
{
	struct client *c = owner;

	if (err < 0) {
		gone(c, false);
		return;
	}
	expect(c, EXPECT_GREETING, 0);
	sim_arm(c->sim, &c->patience, CLIENT_PATIENCE);
	/* Some do not wait for anything. */
	if (c->deaf) {
		say(c, EXPECT_HELLO, 0, "EHLO client.example");
		next_mail(c);
	}
	flush(c);
}

static void on_writable(void *owner)
{
	flush(owner);
}

static void no_patience(struct timer *timer)
{
	gone(CONTAINER_OF(timer, struct client, patience), true);
}

static const struct sim_end_calls calls = {on_connected, on_readable, on_writable};

void sim_client_start(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct netaddr *to, size_t messages, unsigned trouble)
{
	struct client *c = calloc(1, sizeof(*c));
	struct netaddr from = {
		.family = NETADDR_V4, .ip = {198, 51, 100, (uint8_t)sim_below(sim, 256)}};

	CHECK(c);
	c->sim = sim;
	c->ledger = ledger;
	c->left = messages;
	c->extended = !sim_chance(sim, 150);
	c->pipelines = c->extended && sim_chance(sim, 500);
	c->eager = sim_chance(sim, 300);
	c->false_starts = sim_chance(sim, 300) ? 300 : 0;
	c->cut_at = sim_chance(sim, trouble) ? 1 + sim_skewed(sim, 200000) : UINT64_MAX;
	c->cut_resets = sim_chance(sim, 500);
	c->stall_at = sim_chance(sim, trouble) ? 1 + sim_skewed(sim, 20000) : UINT64_MAX;
	c->deaf = c->pipelines && sim_chance(sim, trouble / 2);
	c->timer.fire = stall_over;
	c->patience.fire = no_patience;
	buf_init(&c->out, CLIENT_BYTES);
	buf_init(&c->in, CLIENT_BYTES);
	c->end = sim_net_connect(net, &from, to, &calls, c);
}
