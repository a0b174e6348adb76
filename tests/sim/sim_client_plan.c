/* Who a client is, by which door it comes, what it does before its first message; and whether the
 * gateway took what it might. */
#include "sim_client_inner.h"
#include "sim_machine.h"
#include "sim_world.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define SCRAM_LIVES 8 /* in one life of so many there is SCRAM, which takes time */

static uint8_t any_client(struct sim *sim)
{
	/* Those that are believed are not among them. */
	return (uint8_t)(sim_chance(sim, 500) ? sim_below(sim, RELAY_PROXY) : sim_below(sim, 40));
}

/* ---- PROXY and XCLIENT ----------------------------------------------------------------------- */

static void put_v2(struct client_plan *plan, uint8_t last)
{
	static const char begin[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
	const uint8_t rest[] = {198, 51, 100, last, 203, 0, 113, 1, 0x80, 1, 0x09, 0xdd};

	memcpy(plan->proxy, begin, 16);
	memcpy(plan->proxy + 16, rest, sizeof(rest));
	plan->proxy_bytes = 16 + sizeof(rest);
}

/* Through somebody who is believed. */
static void come_by_proxy(struct client *c)
{
	struct client_plan *plan = &c->plan;
	uint8_t last = any_client(c->sim);

	if (sim_chance(c->sim, 100)) {
		/* It speaks for itself. */
		c->who.last = RELAY_PROXY;
		plan->proxy_bytes =
			(size_t)snprintf(plan->proxy, sizeof(plan->proxy), "PROXY UNKNOWN\r\n");
		return;
	}
	c->who.last = last;
	if (sim_chance(c->sim, 500))
		put_v2(plan, last);
	else
		plan->proxy_bytes = (size_t)snprintf(plan->proxy, sizeof(plan->proxy),
			"PROXY TCP4 198.51.100.%u 203.0.113.1 4711 2525\r\n", last);
}

static void plan_xclient(struct client *c)
{
	struct client_plan *plan = &c->plan;
	struct sim_who *who = &plan->after_xclient;

	*who = c->who;
	plan->may_xclient = c->who.door == DOOR_PROXIED && c->who.last == RELAY_XCLIENT &&
			    (!plan->proxy_bytes || plan->spoofs);
	who->last = any_client(c->sim);
	who->account = -1;
	switch (sim_below(c->sim, 4)) {
	case 0:
		who->loopback = true;
		snprintf(plan->xclient, sizeof(plan->xclient), "XCLIENT ADDR=127.0.0.1");
		break;
	case 1:
		who->withheld = true;
		snprintf(plan->xclient, sizeof(plan->xclient), "XCLIENT ADDR=[UNAVAILABLE]");
		break;
	case 2:
		who->told = true;
		who->account = (int)sim_below(c->sim, RELAY_ACCOUNTS);
		snprintf(plan->xclient, sizeof(plan->xclient),
			"XCLIENT ADDR=198.51.100.%u LOGIN=box%d@c.example", who->last,
			who->account);
		break;
	default:
		snprintf(plan->xclient, sizeof(plan->xclient),
			"XCLIENT NAME=client.example ADDR=198.51.100.%u", who->last);
	}
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void plan_login(struct client *c)
{
	struct client_plan *plan = &c->plan;
	struct sim *sim = c->sim;

	/* Most often the one that may send as those who send here. */
	plan->box = sim_chance(sim, 600) ? 0 : (int)sim_below(sim, RELAY_ACCOUNTS);
	plan->right = sim_chance(sim, 700);
	plan->login_nonsense = sim_chance(sim, 150);
	plan->login = sim_chance(sim, 500) ? LOGIN_PLAIN : LOGIN_LOGIN;
	if (plan->tls && sim->seed % SCRAM_LIVES == 0 && sim_chance(sim, 500))
		plan->login = sim_chance(sim, 500) ? LOGIN_SCRAM : LOGIN_SCRAM_PLUS;
	plan->login_in_clear = !plan->tls;
	if (plan->login_in_clear)
		plan->login = LOGIN_PLAIN;
	plan->logins = sim_chance(sim, 800) ? 1 : 5;
}

static void make_plan(struct client *c, unsigned trouble)
{
	struct client_plan *plan = &c->plan;
	struct sim *sim = c->sim;
	bool implicit = c->who.door == DOOR_SUBMISSION;

	if (!c->extended)
		return;
	if (!plan->proxy_bytes && !implicit && sim_chance(sim, 30)) {
		plan->spoofs = true;
		plan->proxy_bytes = (size_t)snprintf(plan->proxy, sizeof(plan->proxy),
			"PROXY TCP4 127.0.0.1 203.0.113.1 4711 2525\r\n");
	}
	if (sim_chance(sim, c->who.last == RELAY_XCLIENT ? 800 : 40))
		plan_xclient(c);
	plan->tls = implicit || sim_chance(sim, 500);
	plan->injects = !implicit && plan->tls && sim_chance(sim, 80);
	plan->hasty = sim_chance(sim, 200);
	plan->oversteps = sim_chance(sim, 100);
	plan->breaks_off = plan->tls && sim_chance(sim, trouble / 4);
	if (implicit && sim_chance(sim, 300))
		plan->certificate = sim_chance(sim, 600) ? CERT_CLIENT : CERT_OTHER;
	c->who.certificate = plan->certificate == CERT_CLIENT;
	if (sim_chance(sim, plan->tls ? 400 : 30))
		plan_login(c);
}

struct netaddr sim_client_choose(struct client *c, unsigned trouble)
{
	struct sim *sim = c->sim;
	uint64_t at = sim_below(sim, 100);

	c->who.door = at < 55	? DOOR_MX
		      : at < 70 ? DOOR_SUBMISSION
		      : at < 90 ? DOOR_PROXIED
				: DOOR_OPEN;
	c->who.account = -1;
	c->who.last = any_client(sim);
	/* Who speaks old SMTP knows nothing of all this, nor of a handshake. */
	if (!c->extended && c->who.door == DOOR_SUBMISSION)
		c->who.door = DOOR_MX;
	uint8_t peer = c->who.last;

	if (c->who.door == DOOR_PROXIED) {
		if (sim_chance(sim, 400)) {
			peer = RELAY_PROXY;
			come_by_proxy(c);
		} else if (sim_chance(sim, 500)) {
			c->who.last = peer = RELAY_XCLIENT;
		}
	}
	make_plan(c, trouble);
	c->deaf = c->deaf && !c->plan.tls && !c->plan.logins && !*c->plan.xclient;
	return (struct netaddr){.family = NETADDR_V4, .ip = {198, 51, 100, peer}};
}

/* ---- its beginning --------------------------------------------------------------------------- */

/* What is over cannot be had again. */
static void overstep(struct client *c)
{
	c->plan.oversteps = false;
	if (c->secured)
		sim_client_say(c, EXPECT_NO, 0, "STARTTLS");
	if (c->who.account >= 0)
		sim_client_say(c, EXPECT_NO, 0, "AUTH PLAIN AGJveDBAYy5leGFtcGxlAHg=");
}

static void say_starttls(struct client *c)
{
	c->plan.tls = false;
	sim_client_say(c, EXPECT_STARTTLS, 0, "STARTTLS");
	if (c->plan.injects)
		buf_add_str(
			&c->out, sim_chance(c->sim, 500)
					 ? "EHLO injected.example\r\nMAIL FROM:<x@a.example>\r\n"
					 : "x");
}

void sim_client_go(struct client *c)
{
	struct client_plan *plan = &c->plan;

	if (plan->tls && !c->tls) {
		say_starttls(c);
	} else if (*plan->xclient && plan->may_xclient) {
		sim_client_say(c, EXPECT_XCLIENT, 0, plan->xclient);
		*plan->xclient = '\0';
	} else if (*plan->xclient) {
		sim_client_say(c, EXPECT_NO, 0, plan->xclient);
		*plan->xclient = '\0';
		sim_client_go(c);
	} else if (plan->logins && c->who.account < 0 && (c->secured || plan->login_in_clear)) {
		plan->logins--;
		sim_client_begin_login(c);
	} else {
		if (plan->oversteps)
			overstep(c);
		sim_client_next_mail(c);
	}
}

/* ---- what might be --------------------------------------------------------------------------- */

void sim_client_judge_mail(struct client *c, const struct ledger_mail *mail, unsigned code)
{
	struct ledger *l = c->ledger;

	if (c->who.account < 0)
		return;
	enum sim_may may = sim_relay_may_send(
		l->relay, mail->generation, machine_generation(l->machine), &c->who, mail->sender);

	if (code == 250 && may == MAY_NOT) {
		l->relayed++;
		ledger_violation(l, "message %u: box%d may not send as %s", mail->number,
			c->who.account, mail->sender);
	} else if ((code == 553 || code == 530) && may == MAY) {
		ledger_violation(l, "message %u: box%d may send as %s, and was told %u",
			mail->number, c->who.account, mail->sender, code);
	}
}

void sim_client_judge_rcpt(struct client *c, const struct ledger_mail *mail,
	const struct ledger_rcpt *rcpt, unsigned code)
{
	struct ledger *l = c->ledger;
	const char *domain = rcpt->domain->name;

	if (!rcpt->domain->foreign)
		return;
	enum sim_may may = sim_relay_may(l->relay, mail->generation, machine_generation(l->machine),
		&c->who, mail->sender, domain);

	if (code == 250 && may == MAY_NOT) {
		l->relayed++;
		ledger_violation(l,
			"message %u is relayed to %s for 198.51.100.%u, account %d, by door %d",
			mail->number, domain, c->who.last, c->who.account, (int)c->who.door);
	} else if (code == 550 && may == MAY) {
		ledger_violation(l,
			"message %u may be relayed to %s for 198.51.100.%u, account %d, by door "
			"%d",
			mail->number, domain, c->who.last, c->who.account, (int)c->who.door);
	}
}
