#include "sim_hop_inner.h"

#include "base/check.h"

#include <stdlib.h>

static bool accepted(void *owner, struct sim_end *net_end, const struct netaddr *client)
{
	struct sim_hop *hop = owner;
	struct session *s = calloc(1, sizeof(*s));
	(void)client;

	CHECK(s);
	s->hop = hop;
	s->end = net_end;
	s->timer.fire = sim_hop_awake;
	buf_init(&s->in, HOP_MESSAGE);
	buf_init(&s->out, HOP_MESSAGE);
	buf_init(&s->body, HOP_MESSAGE);
	buf_init(&s->wire, 2 * HOP_MESSAGE);
	s->opened_ns = sim_end_opened_ns(net_end);
	sim_hop_meet_attacker(s);
	sim_end_adopt(net_end, &sim_hop_session_calls, s);
	if (hop->busy || sim_hop_trouble(s, 3)) {
		buf_add_str(
			&s->out, sim_chance(hop->sim, 700) ? "421 busy\r\n" : "554 go away\r\n");
		s->ending = true;
	} else {
		buf_add_str(&s->out, "220 hop ESMTP\r\n");
		if (sim_hop_trouble(s, 4))
			sim_hop_fall_silent(s);
	}
	if (!s->deaf)
		sim_hop_flush(s);
	return true;
}

static void up(struct sim_hop *hop)
{
	hop->busy = false;
	sim_net_set_lost(hop->net, &hop->address, false);
	sim_net_listen(hop->net, &hop->address, accepted, hop);
}

static void changes(struct timer *timer)
{
	struct sim_hop *hop = CONTAINER_OF(timer, struct sim_hop, timer);
	struct sim *sim = hop->sim;

	up(hop);
	if (sim->calm)
		return;
	if (sim_chance(sim, 500)) {
		sim_arm(sim, timer, sim_between(sim, SIM_MINUTE, 2 * SIM_HOUR));
		return;
	}
	sim_fault(sim, FAULT_PEER_DOWN);
	switch (sim_below(sim, 3)) {
	case 0: hop->busy = true; break;
	case 1: sim_net_listen(hop->net, &hop->address, NULL, NULL); break;
	default: sim_net_set_lost(hop->net, &hop->address, true);
	}
	sim_arm(sim, timer, sim_between(sim, SIM_MINUTE, 3 * SIM_HOUR));
}

struct sim_hop *sim_hop_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct sim_hop_kind *kind)
{
	struct sim_hop *hop = calloc(1, sizeof(*hop));

	CHECK(hop);
	hop->sim = sim;
	hop->net = net;
	hop->ledger = ledger;
	hop->kind = kind;
	hop->scram = kind->login && sim_chance(sim, 150);
	CHECK(netaddr_parse(span_str(kind->address), 25, &hop->address) == 0);
	hop->timer.fire = changes;
	up(hop);
	if (kind->down)
		sim_arm(sim, &hop->timer, sim_skewed(sim, 2 * SIM_HOUR));
	return hop;
}

void sim_hop_calm(struct sim_hop *hop)
{
	timers_disarm(&hop->sim->events, &hop->timer);
	up(hop);
}
