/* AUTH as clients do it, with the right password or another one. */
#include "sim_client_inner.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "sim_machine.h"

#include <stdio.h>
#include <string.h>

static struct span password_of(const struct client *c, char room[64])
{
	int n = snprintf(
		room, 64, c->plan.right ? "secret of box%d" : "secret of fox%d", c->plan.box);

	return span_of(room, (size_t)n);
}

static struct span user_of(const struct client *c, char room[64])
{
	int n = snprintf(room, 64, "box%d@c.example", c->plan.box);

	return span_of(room, (size_t)n);
}

static void say(struct client *c, const char *command, struct span message)
{
	struct buf line;

	buf_init(&line, CLIENT_ARENA);
	buf_add_str(&line, command);
	base64_add(&line, message);
	buf_add_char(&line, '\0');
	sim_client_say(c, EXPECT_LOGIN, 0, line.p);
	buf_done(&line);
}

static void say_plain(struct client *c)
{
	char user[64], password[64], message[160];
	struct span name = user_of(c, user), secret = password_of(c, password);
	int n = snprintf(message, sizeof(message), "%c%.*s%c%.*s", 0, (int)name.n, name.p, 0,
		(int)secret.n, secret.p);

	say(c, "AUTH PLAIN ", span_of(message, (size_t)n));
}

/* ---- SCRAM ----------------------------------------------------------------------------------- */

static void scram_first(struct client *c)
{
	bool plus = c->plan.login == LOGIN_SCRAM_PLUS;
	uint8_t nonce[SCRAM_NONCE], binding[TLS_BINDING_BYTES];
	char user[64];
	struct buf out;

	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)sim_below(c->sim, 256);
	if (plus)
		sim_tls_binding(c->tls, binding);
	buf_init(&out, SCRAM_MESSAGE);
	CHECK(scram_client_first(&c->scram, user_of(c, user), plus ? binding : NULL, plus, nonce,
		      &c->arena, &out) == 0);
	say(c, plus ? "AUTH SCRAM-SHA-256-PLUS " : "AUTH SCRAM-SHA-256 ", buf_span(&out));
	buf_done(&out);
}

static void scram_proof(struct client *c, struct span challenge)
{
	char password[64];
	struct buf out;

	buf_init(&out, SCRAM_MESSAGE);
	if (scram_client_final(&c->scram, password_of(c, password), challenge, &c->arena, &out) !=
		0)
		ledger_violation(c->ledger, "SCRAM: the server's challenge makes no sense");
	say(c, "", buf_span(&out));
	buf_done(&out);
}

static void scram_last(struct client *c, struct span message)
{
	if (scram_client_verify(&c->scram, message) != 0)
		ledger_violation(c->ledger, "SCRAM: the server does not know the password");
	if (!c->plan.right)
		ledger_violation(c->ledger, "SCRAM: another password was proven to be right");
	say(c, "", SPAN_NONE);
}

/* ---- the exchange ---------------------------------------------------------------------------- */

void sim_client_begin_login(struct client *c)
{
	c->login_step = 0;
	c->who.login_from = machine_oldest_generation(c->ledger->machine);
	if (c->plan.login_nonsense) {
		/* Given up in the middle, then something that is no base64. */
		sim_client_say(c, EXPECT_ANY, 0, "AUTH LOGIN");
		sim_client_say(c, EXPECT_NO, 0, sim_chance(c->sim, 500) ? "*" : "!!!");
	}
	switch (c->plan.login) {
	case LOGIN_PLAIN: say_plain(c); break;
	case LOGIN_LOGIN: sim_client_say(c, EXPECT_LOGIN, 0, "AUTH LOGIN"); break;
	default: scram_first(c);
	}
}

static void challenged(struct client *c, struct span message)
{
	char room[64];

	switch (c->plan.login) {
	case LOGIN_LOGIN:
		if (c->login_step++ == 0)
			say(c, "", user_of(c, room));
		else
			say(c, "", password_of(c, room));
		return;
	case LOGIN_SCRAM:
	case LOGIN_SCRAM_PLUS:
		if (c->login_step++ == 0)
			scram_proof(c, message);
		else
			scram_last(c, message);
		return;
	default:
		ledger_violation(c->ledger, "AUTH PLAIN: the server wants more");
		sim_client_say(c, EXPECT_LOGIN, 0, "*");
	}
}

static void ended(struct client *c, unsigned code)
{
	sim_say(c->sim, "client: box%d logs in with %s password: %u", c->plan.box,
		c->plan.right ? "the right" : "another", code);
	if (code == 235 && (!c->plan.right || !c->secured))
		ledger_violation(c->ledger, "box%d is logged in %s", c->plan.box,
			c->secured ? "with another password" : "by a password in clear");
	if (code == 535 && c->plan.right)
		ledger_violation(c->ledger, "box%d's password was said to be wrong", c->plan.box);
	if (code == 235) {
		c->who.account = c->plan.box;
		c->who.login_to = machine_generation(c->ledger->machine);
	}
	if (code != 421)
		sim_client_go(c);
}

void sim_client_login_reply(struct client *c, unsigned code, struct span text)
{
	struct buf message;

	if (code != 334) {
		ended(c, code);
		return;
	}
	buf_init(&message, CLIENT_ARENA);
	if (text.n && !base64_decode(text, &message))
		ledger_violation(c->ledger, "a challenge is no base64: %.*s", (int)text.n, text.p);
	challenged(c, buf_span(&message));
	buf_done(&message);
}
