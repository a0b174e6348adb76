/* The supervisor's part: it starts what died, and hands out the ends of channels. */
#include "sim_machine_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define RESTART_LEAST (20 * NS_PER_MS)
#define RESTART_MOST  (5 * NS_PER_S)
#define HAND_OUT_MOST (30 * NS_PER_MS) /* until an end of a channel is with its role */

struct sim_role *role_at(struct sim_machine *m, unsigned at)
{
	if (at < m->worker_count)
		return &m->workers[at].role;
	return at == m->worker_count	   ? &m->delivery.role
	       : at == m->worker_count + 1 ? &m->admin.role
					   : NULL;
}

bool role_runs(const struct sim_role *role)
{
	return role->process && !role->process->dead;
}

/* ---- channels ------------------------------------------------------------------------------- */

void role_open_port(struct sim_role *role, struct sim_plug *plug, struct ipc_port *port)
{
	port->channel = sim_plug_open(plug, role->process, &ipc_port_handler, port);
}

struct gift {
	struct sim_role *role;
	struct sim_process *process;
	enum role_kind peer;
	uint8_t index;
	struct sim_plug *plug;
};

static void open_gift(void *arg)
{
	const struct gift *gift = arg;

	gift->role->calls->channel(gift->role, gift->peer, gift->index, gift->plug);
}

/* What is given to one that has not begun is there when it begins. */
struct newborn {
	struct sim_role *role;
	struct sim_process *process;
	struct gift *gifts;
	size_t count, room;
};

static void add_gift(struct newborn *newborn, const struct gift *gift)
{
	newborn->gifts = ledger_grow(
		newborn->gifts, newborn->count, &newborn->room, sizeof(*newborn->gifts));
	newborn->gifts[newborn->count++] = *gift;
}

static void gift_arrives(void *arg)
{
	struct gift gift = *(struct gift *)arg;

	free(arg);
	if (gift.process->dead || gift.role->process != gift.process)
		sim_plug_drop(gift.plug);
	else if (!gift.role->made)
		add_gift(gift.role->newborn, &gift);
	else
		process_enter(gift.process, open_gift, &gift);
}

static void give(struct sim_role *role, const struct sim_role *peer, struct sim_plug *plug)
{
	struct sim *sim = role->machine->sim;
	struct gift *gift = malloc(sizeof(*gift));

	CHECK(gift);
	*gift = (struct gift){role, role->process, peer->kind, peer->index, plug};
	role->channels_ns = MAX(role->channels_ns, sim->now_ns + sim_skewed(sim, HAND_OUT_MOST));
	sim_later(sim, role->channels_ns - sim->now_ns, gift_arrives, gift);
}

static void make(void *arg)
{
	struct sim_role *role = arg;

	tracer_open(role);
	role->made = true;
	role->began_ns = role->machine->sim->now_ns;
	role->calls->make(role);
}

/* The one that is new has its ends when it starts; the others were given theirs before. */
static void begin(void *arg)
{
	struct newborn *newborn = arg;
	struct sim_role *role = newborn->role;

	if (role->process == newborn->process && !role->process->dead &&
		process_enter(role->process, make, role))
		for (size_t i = 0; i < newborn->count; i++)
			process_enter(role->process, open_gift, &newborn->gifts[i]);
	else
		for (size_t i = 0; i < newborn->count; i++)
			sim_plug_drop(newborn->gifts[i].plug);
	free(newborn->gifts);
	free(newborn);
}

/* Workers have nothing to say to each other. */
static void join(struct sim_role *fresh)
{
	struct sim_machine *m = fresh->machine;
	struct newborn *newborn = calloc(1, sizeof(*newborn));
	struct sim_role *other;

	CHECK(newborn);
	*newborn = (struct newborn){.role = fresh, .process = fresh->process};
	fresh->newborn = newborn;
	for (unsigned i = 0; (other = role_at(m, i)); i++) {
		struct sim_plug *ends[2];

		if (other == fresh || !role_runs(other) ||
			(other->kind == ROLE_SMTPD && fresh->kind == ROLE_SMTPD))
			continue;
		sim_channel_pair(m->sim, ends);
		add_gift(newborn,
			&(struct gift){fresh, fresh->process, other->kind, other->index, ends[0]});
		give(other, fresh, ends[1]);
	}
	/* The others may look at it after the new one began, as they may look at what came on
	 * another socket first. */
	sim_later(m->sim, sim_skewed(m->sim, HAND_OUT_MOST), begin, newborn);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void died(void *arg);

static void restart(struct timer *timer)
{
	struct sim_role *role = CONTAINER_OF(timer, struct sim_role, restart);
	struct sim_machine *m = role->machine;
	static const struct netaddr local = {.family = NETADDR_V4, .ip = {203, 0, 113, 1}};

	CHECK(!role->process);
	m->ledger->unsettled_ns = m->sim->now_ns;
	role->stopping = role->drained = false;
	role->process = process_new(m->sim, m->net, role->name, &local);
	role->process->owner = role;
	role->process->died = died;
	role->spool = sim_rdisk_new(
		role->process, m->spool, m->mutation, &m->serials, machine_power_failed, m);
	role->made = false;
	join(role);
}

static void died(void *arg)
{
	struct sim_role *role = arg;
	struct sim_machine *m = role->machine;

	timers_disarm(&m->sim->events, &role->patience);
	m->ledger->unsettled_ns = m->sim->now_ns;
	sim_rdisk_abandon(role->spool);
	if (role->made)
		tracer_abandon(role);
	sim_conns_abandon(role->process, !m->power);
	sim_channels_abandon(role->process);
	if (role->made)
		role->calls->died(role);
	role->process = NULL;
	if (m->power && !m->stopping)
		sim_arm(m->sim, &role->restart, sim_between(m->sim, RESTART_LEAST, RESTART_MOST));
}

void role_init(struct sim_role *role, struct sim_machine *m, enum role_kind kind, uint8_t index,
	const struct sim_role_calls *calls)
{
	static const char *const names[] = {
		[ROLE_SMTPD] = "smtpd", [ROLE_DELIVERY] = "delivery", [ROLE_ADMIN] = "admin"};

	role->machine = m;
	role->kind = kind;
	role->index = index;
	role->calls = calls;
	role->restart.fire = restart;
	snprintf(role->name, sizeof(role->name), kind == ROLE_SMTPD ? "%s %u" : "%s", names[kind],
		(unsigned)index);
	tracer_init(role);
	sim_arm(m->sim, &role->restart, sim_skewed(m->sim, 100 * NS_PER_MS));
}
