#include "sim_client_inner.h"

#include "base/check.h"
#include "base/err.h"
#include "sim_machine.h"

#include <stdlib.h>

static void take_reply(struct client *c, unsigned code, struct span text)
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
			sim_client_hello(c);
		break;
	case EXPECT_HELLO:
		if (code == 250)
			sim_client_go(c);
		break;
	case EXPECT_STARTTLS:
		if (code == 220)
			sim_client_begin_tls(c);
		else if (c->plan.injects)
			c->gives_up = true; /* what it put behind it was taken for its own */
		else if (code != 421)
			sim_client_go(c);
		break;
	case EXPECT_XCLIENT:
		if (code == 220) {
			c->who = c->plan.after_xclient;
			sim_client_hello(c);
		} else if (code != 421) {
			ledger_violation(c->ledger, "XCLIENT was answered with %u", code);
		}
		break;
	case EXPECT_LOGIN: sim_client_login_reply(c, code, text); break;
	case EXPECT_MAIL:
		if (e.mail)
			sim_client_judge_mail(c, e.mail, code);
		if (code == 530 &&
			span_equal(text, SPAN("5.7.0 Your password was changed: log in again")))
			c->who.account = -1;
		c->mail_refused = code != 250;
		sim_client_go_on(c);
		break;
	case EXPECT_RCPT:
		sim_client_judge_rcpt(c, e.mail, &e.mail->rcpts[e.rcpt], code);
		e.mail->rcpts[e.rcpt].taken = code == 250 ? RCPT_TAKEN : RCPT_REFUSED;
		c->taken += code == 250;
		sim_client_go_on(c);
		break;
	case EXPECT_DATA:
		if (code == 354)
			sim_client_give_stuffed(c);
		else
			sim_client_settle(c, e.mail, TOLD_REFUSED);
		break;
	case EXPECT_END:
		sim_client_settle(c, e.mail, code == 250 ? TOLD_ACCEPTED : TOLD_REFUSED);
		break;
	case EXPECT_RSET:
		if (code != 250 && code != 421)
			ledger_violation(c->ledger, "RSET was answered with %u", code);
		break;
	case EXPECT_NO_DATA:
		if (code < 400)
			ledger_violation(c->ledger, "DATA after BDAT was answered with %u", code);
		break;
	case EXPECT_NO:
		if (code < 400)
			ledger_violation(
				c->ledger, "what a client must not do was answered with %u", code);
		break;
	case EXPECT_CHUNK:
	case EXPECT_ANY:
	case EXPECT_QUIT: break;
	}
}

/* One whole reply at the front; its length, or 0. */
static size_t reply_length(struct client *c, unsigned *code, struct span *text)
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
		*text = span_of(line + 4, n - 6);
		if (line[3] == ' ')
			return at;
	}
}

static void on_readable(void *owner)
{
	struct client *c = owner;
	bool ended = false;
	unsigned code;
	size_t length;
	struct span text;

	if (c->deaf)
		return;
	if (!sim_client_read(c, &ended))
		return;
	while (c->in.n && !c->gives_up && (length = reply_length(c, &code, &text))) {
		take_reply(c, code, text);
		buf_drop(&c->in, length);
	}
	if (ended || c->gives_up) {
		sim_client_gone(c, false);
		return;
	}
	sim_arm(c->sim, &c->patience, CLIENT_PATIENCE);
	sim_client_flush(c);
}

static void on_connected(void *owner, int err)
{
	struct client *c = owner;

	if (err < 0) {
		sim_client_gone(c, false);
		return;
	}
	sim_client_expect(c, EXPECT_GREETING, 0);
	buf_add(&c->out, c->plan.proxy, c->plan.proxy_bytes);
	if (c->plan.spoofs)
		sim_client_expect(c, EXPECT_NO, 0);
	if (c->who.door == DOOR_SUBMISSION)
		sim_client_begin_tls(c);
	sim_arm(c->sim, &c->patience, CLIENT_PATIENCE);
	/* Some do not wait for anything. */
	if (c->deaf) {
		sim_client_hello(c);
		sim_client_next_mail(c);
	}
	sim_client_flush(c);
}

static void on_writable(void *owner)
{
	(void)sim_client_flush(owner);
}

static void no_patience(struct timer *timer)
{
	sim_client_gone(CONTAINER_OF(timer, struct client, patience), true);
}

static const struct sim_end_calls calls = {on_connected, on_readable, on_writable};

void sim_client_start(struct sim *sim, struct sim_net *net, struct ledger *ledger, size_t messages,
	unsigned trouble)
{
	struct client *c = calloc(1, sizeof(*c));

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
	c->timer.fire = sim_client_stall_over;
	c->patience.fire = no_patience;
	buf_init(&c->out, CLIENT_BYTES);
	buf_init(&c->in, CLIENT_BYTES);
	buf_init(&c->wire, 2 * CLIENT_BYTES);
	arena_init(&c->arena, CLIENT_ARENA);
	const struct netaddr from = sim_client_choose(c, trouble);
	const struct netaddr to = machine_address(ledger->machine, c->who.door);

	c->end = sim_net_connect(net, &from, &to, &calls, c);
}
