#include "base/check.h"
#include "base/err.h"
#include "sim_machine_inner.h"
#include "sim_tls.h"
#include "sim_world.h"
#include "sim_wrap.h"

#include <stdio.h>
#include <stdlib.h>

#define BOOT_MOST (60 * NS_PER_S)

/* ---- power ---------------------------------------------------------------------------------- */

static void each_disk(
	struct sim_machine *m, void (*call)(struct sim_disk *disk, void *arg), void *arg)
{
	struct sim_role *role;

	call(m->spool, arg);
	call(m->mailboxes, arg);
	for (unsigned i = 0; (role = role_at(m, i)); i++)
		call(role->tracer.files, arg);
}

static void cycle(struct sim_disk *disk, void *keep)
{
	sim_disk_power_cycle(disk, *(enum sim_keep *)keep);
}

static void power_back(void *arg)
{
	struct sim_machine *m = arg;
	enum sim_keep keep = sim_chance(m->sim, 700)   ? SIM_KEEP_RANDOM
			     : sim_chance(m->sim, 500) ? SIM_KEEP_NOTHING
						       : SIM_KEEP_EVERYTHING;
	struct sim_role *role;

	sim_say(m->sim, "power is back");
	each_disk(m, cycle, &keep);
	m->power = true;
	for (unsigned i = 0; (role = role_at(m, i)); i++) {
		role->tracer.harmed = true;
		sim_arm(m->sim, &role->restart, sim_skewed(m->sim, 3 * NS_PER_S));
	}
}

void machine_power_failed(void *arg)
{
	struct sim_machine *m = arg;
	struct sim_process *here = NULL;
	struct sim_role *role;

	if (m->power) {
		m->power = false;
		m->stopping = false;
		sim_fault(m->sim, FAULT_POWER_CUT);
		sim_say(m->sim, "power failed");
		for (unsigned i = 0; (role = role_at(m, i)); i++)
			timers_disarm(&m->sim->events, &role->restart);
		sim_later(m->sim, sim_between(m->sim, NS_PER_S, BOOT_MOST), power_back, m);
	}
	for (unsigned i = 0; (role = role_at(m, i)); i++) {
		struct sim_process *p = role->process;

		if (p && !p->dead && (p->inside || p->lane))
			here = p;
		else if (p && !p->dead)
			process_kill(p);
	}
	if (here)
		process_kill(here);
}

bool machine_cut_power(struct sim_machine *m, uint64_t changes)
{
	if (!m->power)
		return false;
	if (changes)
		sim_disk_cut_at(m->spool, changes);
	else
		machine_power_failed(m);
	return true;
}

void machine_set_faults(struct sim_machine *m, const struct sim_disk_faults *faults)
{
	struct sim_disk_faults others = *faults;
	struct sim_role *role;

	others.read_error = 0;
	sim_disk_set_faults(m->spool, faults);
	sim_disk_set_faults(m->mailboxes, &others);
	for (unsigned i = 0; (role = role_at(m, i)); i++) {
		sim_disk_set_faults(role->tracer.files, &others);
		role->tracer.harmed = role->tracer.harmed || others.write_error ||
				      others.write_no_space || others.make_error;
	}
}

/* The traces lie on the same device; what each may take of it is its own affair here. */
void machine_set_capacity(struct sim_machine *m, uint64_t bytes)
{
	struct sim_role *role;

	sim_disk_set_capacity(m->spool, bytes);
	for (unsigned i = 0; (role = role_at(m, i)); i++) {
		uint64_t left = 0;

		sim_disk_set_capacity(role->tracer.files, 0);
		if (!bytes || disk_free_bytes(sim_disk_base(role->tracer.files), &left))
			continue;
		sim_disk_set_capacity(
			role->tracer.files, UINT64_MAX / 2 - left + sim_skewed(m->sim, 1u << 18));
		role->tracer.harmed = true;
	}
}

/* ---- deaths --------------------------------------------------------------------------------- */

static void kill_process(struct sim *sim, struct sim_process *p, uint64_t operations)
{
	if (!p || p->dead)
		return;
	if (!operations) {
		process_kill(p);
		return;
	}
	p->kill_in = operations;
	p->kill_after = sim_chance(sim, 500);
}

void machine_kill_worker(struct sim_machine *m, unsigned worker, uint64_t operations)
{
	sim_fault(m->sim, FAULT_KILL_WORKER);
	kill_process(m->sim, m->workers[worker].role.process, operations);
}

void machine_kill_delivery(struct sim_machine *m, uint64_t operations)
{
	sim_fault(m->sim, FAULT_KILL_DELIVERY);
	kill_process(m->sim, m->delivery.role.process, operations);
}

void machine_kill_admin(struct sim_machine *m)
{
	sim_fault(m->sim, FAULT_KILL_ADMIN);
	kill_process(m->sim, m->admin.role.process, 0);
}

void machine_spare(struct sim_machine *m)
{
	struct sim_role *role;

	sim_disk_cut_at(m->spool, 0);
	for (unsigned i = 0; (role = role_at(m, i)); i++)
		if (role->process)
			role->process->kill_in = 0;
}

/* ---- beginning ------------------------------------------------------------------------------ */

static void on_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct sim_machine *m = CONTAINER_OF(log, struct sim_machine, log);
	struct buf line;

	if (!m->sim->verbose)
		return;
	buf_init(&line, 4096);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&line, " %s=", fields[i].name);
		if (fields[i].kind == LOG_FIELD_SPAN)
			buf_add_escaped(&line, fields[i].span, 200);
		else
			buf_printf(&line, "%llx", (unsigned long long)fields[i].u64);
	}
	sim_say(m->sim, "log %d: %s%.*s", level, message, (int)line.n, line.n ? line.p : "");
	buf_done(&line);
}

static void read_config(struct sim_machine *m)
{
	struct buf problems;

	buf_init(&problems, 65536);
	if (config_parse("sim.yaml", span_str(world_config), &m->config, &problems) != 0) {
		fprintf(stderr, "%.*s\n", (int)problems.n, problems.p);
		abort();
	}
	m->route = (struct route_config){
		.hostname = m->config->hostname,
		.listeners = m->addresses,
		.listener_count = DOORS,
		.start = m->config,
	};
	CHECK(m->config->listener_count == DOORS);
	for (unsigned i = 0; i < DOORS; i++)
		m->addresses[i] = m->config->listeners[i].address;
	buf_done(&problems);
}

static void serial_reused(void *arg, const char *path)
{
	struct sim_machine *m = arg;

	ledger_violation(m->ledger, "a new log is called %s, as an earlier one was", path);
}

static bool accepted(void *owner, struct sim_end *end, const struct netaddr *client)
{
	const struct sim_machine_door *door = owner;
	struct sim_machine *m = door->machine;
	unsigned first = (unsigned)sim_below(m->sim, m->worker_count);
	(void)client;

	for (unsigned i = 0; i < m->worker_count; i++)
		if (worker_accept(&m->workers[(first + i) % m->worker_count], door->door, end))
			return true;
	return false;
}

struct sim_machine *machine_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct sim_options *options)
{
	struct sim_machine *m = calloc(1, sizeof(*m));

	CHECK(m);
	m->sim = sim;
	m->net = net;
	m->ledger = ledger;
	m->mutation = options->mutation;
	sim_wrap_set(options->mutation);
	m->power = true;
	m->serials.reused = serial_reused;
	m->serials.arg = m;
	m->log = (struct log){.least = LOG_DEBUG, .write = on_log};
	CHECK(sim_disk_new(sim_below(sim, UINT64_MAX), &m->spool) == 0);
	CHECK(sim_disk_new(sim_below(sim, UINT64_MAX), &m->mailboxes) == 0);
	read_config(m);
	directory_init(m);
	m->worker_count = (unsigned)sim_between(sim, 1, 3);
	for (unsigned i = 0; i < m->worker_count; i++)
		worker_init(m, i);
	delivery_init(m);
	admin_init(m);
	m->certificate = sim_tls_server_new(CERT_GATEWAY);
	for (unsigned i = 0; i < DOORS; i++) {
		m->doors[i] = (struct sim_machine_door){m, (enum sim_door)i};
		sim_net_listen(net, &m->addresses[i], accepted, &m->doors[i]);
	}
	return m;
}

struct netaddr machine_address(const struct sim_machine *m, enum sim_door door)
{
	return m->addresses[door];
}

uint64_t machine_generation(const struct sim_machine *m)
{
	return m->generation_count;
}

uint64_t machine_oldest_generation(const struct sim_machine *m)
{
	uint64_t oldest = m->generation_count;

	for (unsigned i = 0; i < m->worker_count; i++)
		if (role_runs(&m->workers[i].role) && m->workers[i].knows)
			oldest = MIN(oldest, m->workers[i].generation);
	return oldest;
}

unsigned machine_workers(const struct sim_machine *m)
{
	return m->worker_count;
}

struct sim_disk *machine_spool(struct sim_machine *m)
{
	return m->spool;
}

struct sim_disk *machine_mailboxes(struct sim_machine *m)
{
	return m->mailboxes;
}
