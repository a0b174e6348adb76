#include "sim_client_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

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
			sim_client_say(c, EXPECT_HELLO, 0,
				c->extended ? "EHLO client.example" : "HELO client.example");
		break;
	case EXPECT_HELLO:
		if (code == 250)
			sim_client_next_mail(c);
		break;
	case EXPECT_MAIL:
		c->mail_refused = code != 250;
		sim_client_go_on(c);
		break;
	case EXPECT_RCPT:
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
	sim_arm(c->sim, &c->patience, CLIENT_PATIENCE);
	/* Some do not wait for anything. */
	if (c->deaf) {
		sim_client_say(c, EXPECT_HELLO, 0, "EHLO client.example");
		sim_client_next_mail(c);
	}
	sim_client_flush(c);
}

static void on_writable(void *owner)
{
	sim_client_flush(owner);
}

static void no_patience(struct timer *timer)
{
	sim_client_gone(CONTAINER_OF(timer, struct client, patience), true);
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
	c->timer.fire = sim_client_stall_over;
	c->patience.fire = no_patience;
	buf_init(&c->out, CLIENT_BYTES);
	buf_init(&c->in, CLIENT_BYTES);
	c->end = sim_net_connect(net, &from, to, &calls, c);
}
