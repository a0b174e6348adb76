/* Orderly ends, as at SIGTERM. */
#include "sim_machine_inner.h"

#include "base/check.h"

#define KILL_AFTER_MS 2000 /* beyond the time that a role was given to end */
#define STOP_LOOK_NS  (50 * NS_PER_MS)
#define STOPPED_MOST  (30 * NS_PER_S) /* the whole stays down so long, at most */

void role_exit(struct sim_role *role)
{
	process_kill(role->process);
}

static void no_patience(struct timer *timer)
{
	struct sim_role *role = CONTAINER_OF(timer, struct sim_role, patience);

	if (!role_runs(role))
		return;
	/* A disk that fails can hold a role up; a client that does not read is not waited for. */
	if (!role->drained && !role->machine->sim->faults[FAULT_DISK_ERROR] &&
		!role->machine->sim->faults[FAULT_DISK_FULL])
		ledger_violation(
			role->machine->ledger, "%s did not end when it was told to", role->name);
	process_kill(role->process);
}

struct order {
	struct sim_role *role;
	uint32_t ms;
};

static void stop(void *arg)
{
	const struct order *order = arg;

	order->role->calls->stop(order->role, order->ms);
}

void role_stop(struct sim_role *role, uint32_t ms)
{
	struct order order = {role, ms};

	if (!role_runs(role) || role->stopping)
		return;
	if (!role->made) {
		process_kill(role->process);
		return;
	}
	sim_say(role->machine->sim, "%s is to end within %u ms", role->name, ms);
	role->stopping = true;
	role->patience.fire = no_patience;
	sim_arm(role->machine->sim, &role->patience, (ms + KILL_AFTER_MS) * NS_PER_MS);
	process_enter(role->process, stop, &order);
}

/* As the real supervisor does it: who takes mail first, then who delivers it. */
static void stop_next(void *arg)
{
	struct sim_machine *m = arg;
	bool waits = false;
	struct sim_role *role;

	if (!m->stopping)
		return;
	for (unsigned i = 0; (role = role_at(m, i)); i++) {
		if (waits && role->kind != ROLE_SMTPD)
			break;
		role_stop(role, m->stop_ms);
		waits = waits || role->process;
	}
	if (waits) {
		sim_later(m->sim, STOP_LOOK_NS, stop_next, m);
		return;
	}
	sim_say(m->sim, "all have ended");
	if (m->rests)
		m->rests(m->rests_arg);
	if (sim_chance(m->sim, 300) && !m->sim->calm)
		machine_power_failed(m);
	m->stopping = false;
	for (unsigned i = 0; m->power && (role = role_at(m, i)); i++)
		sim_arm(m->sim, &role->restart, sim_skewed(m->sim, STOPPED_MOST));
}

void machine_stop(struct sim_machine *m, uint32_t ms)
{
	struct sim_role *role;

	if (!m->power || m->stopping)
		return;
	sim_fault(m->sim, FAULT_STOP);
	m->stopping = true;
	m->stop_ms = ms;
	for (unsigned i = 0; (role = role_at(m, i)); i++)
		timers_disarm(&m->sim->events, &role->restart);
	stop_next(m);
}

void machine_stop_role(struct sim_machine *m, unsigned at, uint32_t ms)
{
	struct sim_role *role = role_at(m, at % (m->worker_count + 2));

	if (m->stopping || !role_runs(role))
		return;
	sim_fault(m->sim, FAULT_STOP);
	role_stop(role, ms);
}

void machine_at_rest(struct sim_machine *m, void (*rests)(void *arg), void *arg)
{
	m->rests = rests;
	m->rests_arg = arg;
}
