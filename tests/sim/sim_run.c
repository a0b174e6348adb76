#include "sim_run.h"

#include "base/check.h"
#include "sim_chaos.h"
#include "sim_client.h"
#include "sim_machine.h"
#include "sim_operator.h"
#include "sim_trust.h"
#include "sim_world.h"

#include <stdlib.h>

#define RUN_CLIENTS_LEAST 10
#define RUN_CLIENTS_MOST  54
#define RUN_LEAST	  (10 * SIM_MINUTE)
#define RUN_MOST	  (3 * SIM_HOUR)
#define CALM_LEAST	  (2 * SIM_HOUR) /* for the last clients to go */
#define CALM_MOST	  (20 * 24 * SIM_HOUR)
#define CHECK_EVENTS	  5000		   /* events between two looks at the queue, at most … */
#define LOOK_NS		  (4 * SIM_MINUTE) /* … and time, until it is calm */

struct run {
	struct sim sim;
	struct sim_net *net;
	struct ledger ledger;
	struct sim_machine *machine;
	unsigned trouble;
	uint64_t look_ns; /* when the queue is looked at again */
};

static void client(void *arg)
{
	struct run *r = arg;

	sim_client_start(&r->sim, r->net, &r->ledger, 1 + sim_skewed(&r->sim, 12), r->trouble);
}

static void run_until(struct run *r, uint64_t until_ns)
{
	while (sim_step(&r->sim, until_ns)) {
		bool due = !r->sim.calm && r->sim.now_ns >= r->look_ns;

		if (!due && r->sim.event_count % CHECK_EVENTS != 0)
			continue;
		machine_check(r->machine);
		r->look_ns = r->sim.now_ns + LOOK_NS;
	}
}

static void be_calm(struct run *r, struct sim_chaos *chaos, struct sim_operator *operator,
	struct sim_hops * hops)
{
	uint64_t began = r->sim.now_ns;

	sim_say(&r->sim, "calm");
	r->sim.calm = true;
	sim_chaos_end(chaos);
	sim_operator_calm(operator);
	world_hops_calm(hops);
	sim_trust_calm(r->ledger.trust);
	for (uint64_t minutes = 1;; minutes++) {
		run_until(r, began + minutes * SIM_MINUTE);
		if (minutes % 60 == 0)
			machine_check(r->machine);
		if (r->sim.now_ns - began < CALM_LEAST)
			continue;
		if (machine_is_up(r->machine) && machine_queued(r->machine) == 0)
			break;
		if (r->sim.now_ns - began > CALM_MOST) {
			ledger_violation(&r->ledger, "after %llu days of calm %s",
				(unsigned long long)(CALM_MOST / SIM_HOUR / 24),
				machine_is_up(r->machine) ? "messages are still queued"
							  : "not everything is up");
			break;
		}
	}
	/* Clean-up has its time, too. */
	run_until(r, r->sim.now_ns + SIM_MINUTE);
	machine_check(r->machine);
}

static void tell(const struct run *r, struct sim_result *out)
{
	const struct ledger *l = &r->ledger;

	*out = (struct sim_result){
		.seed = r->sim.seed,
		.trace = r->sim.trace,
		.events = r->sim.event_count,
		.simulated_ns = r->sim.now_ns,
		.messages = l->mail_count,
		.acknowledged = l->acknowledged,
		.delivered = l->delivered,
		.bounced = l->bounced,
		.discarded = l->discarded,
		.notifications = l->dsns,
		.excused = l->duplicates_excused,
		.destroyed = l->destroyed_count,
		.lost = l->lost,
		.ghosts = l->ghosts,
		.corrupted = l->corrupted,
		.duplicates = l->duplicates,
		.exposed = l->exposed,
		.relayed = l->relayed,
		.violations = l->violations,
	};
	memcpy(out->faults, r->sim.faults, sizeof(out->faults));
}

void sim_run(uint64_t seed, const struct sim_options *options, enum sim_talk talk,
	struct sim_result *out)
{
	struct run *r = calloc(1, sizeof(*r));

	CHECK(r);
	sim_init(&r->sim, seed, talk == SIM_VERBOSE);
	r->sim.silent = talk == SIM_SILENT;
	ledger_init(&r->ledger, &r->sim);
	r->net = sim_net_new(&r->sim);
	enum sim_focus focus = options->focus;

	/* One life in ten is a quiet one, in which time can be told. */
	if (focus == FOCUS_NONE && sim_chance(&r->sim, 100))
		focus = FOCUS_QUIET;
	r->ledger.quiet = focus == FOCUS_QUIET;
	r->ledger.relay = sim_relay_new(&r->sim);
	r->ledger.trust = sim_trust_new(&r->sim, focus);
	struct sim_hops *hops = world_hops_new(&r->sim, r->net, &r->ledger);
	r->machine = machine_new(&r->sim, r->net, &r->ledger, options);
	r->ledger.machine = r->machine;
	struct sim_chaos *chaos = sim_chaos_new(&r->sim, r->net, &r->ledger, r->machine, focus);
	struct sim_operator *operator= sim_operator_new(&r->sim, &r->ledger, r->machine, focus);
	uint64_t length = RUN_LEAST + sim_skewed(&r->sim, RUN_MOST);
	uint64_t clients = sim_between(&r->sim, RUN_CLIENTS_LEAST, RUN_CLIENTS_MOST);

	r->trouble = (unsigned)sim_skewed(&r->sim, 300);
	for (uint64_t i = 0; i < clients; i++)
		sim_later(&r->sim, sim_below(&r->sim, length), client, r);
	run_until(r, r->sim.now_ns + length);
	be_calm(r, chaos, operator, hops);
	machine_inspect(r->machine);
	ledger_judge(&r->ledger);
	for (size_t i = 0; i < r->ledger.mail_count; i++)
		sim_note(&r->sim, r->ledger.mails[i]->id);
	sim_note(&r->sim, sim_disk_trace(machine_spool(r->machine)));
	sim_note(&r->sim, sim_disk_trace(machine_mailboxes(r->machine)));
	tell(r, out);
}
