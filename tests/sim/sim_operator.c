#include "sim_operator_inner.h"

#include "base/check.h"

#include <stdlib.h>

static void change(struct sim_operator *op, enum sim_change_kind kind, enum object_kind object,
	const char *name, const char *setting)
{
	sim_fault(op->sim, FAULT_ADMIN);
	ledger_forget_seen(op->ledger, NULL);
	(void)machine_directory(op->machine,
		&(struct sim_change){
			.kind = kind, .object = object, .name = name, .setting = setting});
}

static void pause_or_resume(struct sim_operator *op, struct paused *p, bool on)
{
	if (p->on == on)
		return;
	p->on = on;
	sim_fault(op->sim, FAULT_ADMIN);
	if (!on)
		ledger_pause(op->ledger, p->blocker, p->name, false);
	CHECK(machine_directory(
		      op->machine, &(struct sim_change){.kind = on ? SIM_PAUSE : SIM_RESUME,
					   .scope = p->scope,
					   .name = p->name,
					   .setting = ""}) == 0);
	if (on)
		ledger_pause(op->ledger, p->blocker, p->name, true);
}

/* How a transport's links are to be protected. */
static void change_tls(struct sim_operator *op)
{
	static const struct {
		const char *transport, *policies[3];
	} choices[] = {
		{"site-a", {"tls=opportunistic", "tls=require", "tls=none"}},
		{"site-b", {"tls=opportunistic", "tls=require", "tls=opportunistic"}},
		{"site-r", {"tls=require", "tls=opportunistic", "tls=none"}},
		{"site-v", {"tls=verify", "tls=require", "tls=opportunistic"}},
		{"site-p", {"tls=verify", "tls=opportunistic", "tls=verify"}},
		{"signed", {"tls=dane", "tls=mta-sts", "tls=opportunistic"}},
		{"policied", {"tls=mta-sts", "tls=dane", "tls=opportunistic"}},
	};
	size_t i = sim_below(op->sim, ARRAY_SIZE(choices));

	change(op, SIM_SET, OBJECT_TRANSPORT, choices[i].transport,
		choices[i].policies[sim_below(op->sim, 3)]);
}

/* Who may relay by a listener, or log in. */
static void change_relay(struct sim_operator *op)
{
	const char *settings[RELAY_SETTINGS];
	struct sim_relay *relay = op->ledger->relay;
	struct sim_change change = {.kind = SIM_SET};

	sim_fault(op->sim, FAULT_ADMIN);
	if (sim_chance(op->sim, 150)) {
		bool close = sim_relay_close_account(relay);

		change.object = OBJECT_ACCOUNT;
		change.name = "box1@c.example";
		change.setting = close ? "disabled=true" : "disabled=false";
		sim_relay_closed(relay, machine_generation(op->machine) + 1, close);
	} else {
		change.object = OBJECT_RELAY;
		change.name = sim_relay_choose(relay, settings);
		change.settings = settings;
		sim_relay_chosen(relay, machine_generation(op->machine) + 1);
	}
	CHECK(machine_directory(op->machine, &change) == 0);
}

static void change_directory(struct sim_operator *op)
{
	struct sim *sim = op->sim;

	switch (op->pauses_only ? 9 : op->relays_only ? 5 : sim_below(sim, 10)) {
	case 0: /* another transport for a domain */
		op->moved = !op->moved;
		change(op, SIM_SET, OBJECT_DOMAIN, "a.example",
			op->moved ? "transport=site-a2" : "transport=site-a");
		break;
	case 1: /* another server for a transport */
		op->second = !op->second;
		change(op, SIM_SET, OBJECT_TRANSPORT, "site-a",
			op->second ? "server=192.0.2.11:25" : "server=192.0.2.10:25");
		break;
	case 2: /* a transport comes, and goes while messages wait for it */
		op->spare = !op->spare;
		if (op->spare)
			change(op, SIM_ADD, OBJECT_TRANSPORT, "spare", "server=192.0.2.11:25");
		change(op, SIM_SET, OBJECT_DOMAIN, "a.example",
			op->spare ? "transport=spare" : "transport=site-a");
		if (!op->spare)
			change(op, SIM_REMOVE, OBJECT_TRANSPORT, "spare", "");
		op->moved = false;
		break;
	case 3:
	case 4: change_tls(op); break;
	case 5:
	case 6: change_relay(op); break;
	default: {
		struct paused *p = &op->paused[sim_below(sim, OPERATOR_PAUSES)];

		pause_or_resume(op, p, !p->on);
	}
	}
}

static void next(struct sim_operator *op)
{
	sim_arm(op->sim, &op->timer, OPERATOR_LEAST + sim_below(op->sim, 2 * op->pace_ns));
}

/* ---- life ----------------------------------------------------------------------------------- */

static void fired(struct timer *timer)
{
	struct sim_operator *op = CONTAINER_OF(timer, struct sim_operator, timer);

	if (op->sim->calm) {
		if (op->held)
			operator_release_all(op);
		return;
	}
	if (!op->pauses_only && !op->relays_only && sim_chance(op->sim, op->of_queue))
		operator_work(op);
	else
		change_directory(op);
	next(op);
}

struct sim_operator *sim_operator_new(
	struct sim *sim, struct ledger *ledger, struct sim_machine *machine, enum sim_focus focus)
{
	static const struct paused scopes[OPERATOR_PAUSES] = {
		{PAUSE_ALL, "", "paused-all", false},
		{PAUSE_TRANSPORT, "site-a", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-b", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-e", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-f", "paused-transport", false},
		{PAUSE_DOMAIN, "a.example", "paused-domain", false},
		{PAUSE_DOMAIN, "c.example", "paused-domain", false},
		{PAUSE_DOMAIN, "e.example", "paused-domain", false},
	};
	struct sim_operator *op = calloc(1, sizeof(*op));

	CHECK(op);
	op->sim = sim;
	op->ledger = ledger;
	op->machine = machine;
	op->timer.fire = fired;
	op->pace_ns = (10 * NS_PER_S) << sim_below(sim, 6);
	op->of_queue = (unsigned)sim_below(sim, 1000);
	memcpy(op->paused, scopes, sizeof(scopes));
	op->pauses_only = focus == FOCUS_PAUSES;
	op->relays_only = focus == FOCUS_RELAY;
	if (op->relays_only)
		op->pace_ns = OPERATOR_LEAST;
	if (op->pauses_only || op->relays_only ||
		(focus != FOCUS_QUIET && focus != FOCUS_TRUST && sim_chance(sim, 700)))
		next(op);
	return op;
}

void sim_operator_calm(struct sim_operator *op)
{
	for (size_t i = 0; i < OPERATOR_PAUSES; i++)
		pause_or_resume(op, &op->paused[i], false);
	op->calm_ns = op->sim->now_ns;
	sim_arm(op->sim, &op->timer, 0);
}
