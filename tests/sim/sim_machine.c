#include "sim_machine.h"

#include "base/check.h"
#include "base/err.h"
#include "delivery/delivery.h"
#include "directory/snapshot_build.h"
#include "sim_wire.h"
#include "sim_world.h"
#include "smtpd/smtpd.h"

#include <stdio.h>
#include <stdlib.h>

#define RESTART_LEAST (20 * NS_PER_MS)
#define RESTART_MOST  (5 * NS_PER_S)
#define BOOT_MOST     (60 * NS_PER_S)

struct worker {
	struct sim_machine *machine;
	unsigned index;
	struct sim_process *process; /* NULL: down */
	struct disk *disk;
	struct spool_writer *writer;
	struct smtpd *smtpd;
	bool joined;	       /* the supervisor has given it a channel to delivery */
	struct sim_wire *wire; /* that channel, once it has it */
	struct timer restart;
	char name[24];
};

struct role_delivery {
	struct sim_machine *machine;
	struct sim_process *process; /* NULL: down */
	struct disk *spool, *mailboxes;
	struct delivery *delivery;
	bool started;
	bool said[CONFIG_WORKERS], open[CONFIG_WORKERS];
	struct sim_wire *wires[CONFIG_WORKERS];
	struct spool_notice positions[CONFIG_WORKERS];
	struct timer restart;
};

struct sim_machine {
	struct sim *sim;
	struct sim_net *net;
	struct ledger *ledger;
	enum sim_mutation mutation;
	struct sim_serials serials;
	struct sim_disk *spool, *mailboxes;
	struct config *config;
	struct route_config route;
	struct netaddr address;
	struct snapshot *snapshot;
	struct event_sink events;
	struct log log;
	bool power;
	unsigned worker_count;
	struct worker workers[CONFIG_WORKERS];
	struct role_delivery delivery;
};

static void start_worker(struct timer *timer);
static void start_delivery(struct timer *timer);

/* ---- what they say -------------------------------------------------------------------------- */

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct sim_machine *m = CONTAINER_OF(sink, struct sim_machine, events);

	sim_note(m->sim, event->kind);
	sim_note(m->sim, event->id);
	if (event->kind == EVENT_DAMAGE)
		m->ledger->damage_events++;
	if (m->sim->verbose)
		sim_say(m->sim, "event %s %016llx %.*s", event_name(event->kind),
			(unsigned long long)event->id,
			event->recipient_count ? (int)event->recipients[0].n : 0,
			event->recipient_count ? event->recipients[0].p : "");
}

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

/* ---- power ---------------------------------------------------------------------------------- */

static void power_back(void *arg)
{
	struct sim_machine *m = arg;
	enum sim_keep keep = sim_chance(m->sim, 700)   ? SIM_KEEP_RANDOM
			     : sim_chance(m->sim, 500) ? SIM_KEEP_NOTHING
						       : SIM_KEEP_EVERYTHING;

	sim_say(m->sim, "power is back");
	sim_disk_power_cycle(m->spool, keep);
	sim_disk_power_cycle(m->mailboxes, keep);
	m->power = true;
	sim_arm(m->sim, &m->delivery.restart, sim_skewed(m->sim, 3 * NS_PER_S));
	for (unsigned i = 0; i < m->worker_count; i++)
		sim_arm(m->sim, &m->workers[i].restart, sim_skewed(m->sim, 3 * NS_PER_S));
}

static void power_failed(void *arg)
{
	struct sim_machine *m = arg;
	struct sim_process *here = NULL;

	if (m->power) {
		m->power = false;
		sim_fault(m->sim, FAULT_POWER_CUT);
		sim_say(m->sim, "power failed");
		timers_disarm(&m->sim->events, &m->delivery.restart);
		for (unsigned i = 0; i < m->worker_count; i++)
			timers_disarm(&m->sim->events, &m->workers[i].restart);
		sim_later(m->sim, sim_between(m->sim, NS_PER_S, BOOT_MOST), power_back, m);
	}
	for (unsigned i = 0; i <= m->worker_count; i++) {
		struct sim_process *p =
			i < m->worker_count ? m->workers[i].process : m->delivery.process;

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
		power_failed(m);
	return true;
}

/* ---- workers -------------------------------------------------------------------------------- */

static void to_delivery(struct worker *w, enum sim_word word, const struct spool_notice *notice)
{
	if (w->wire)
		sim_wire_say(w->wire, word, notice);
}

static void on_notice(void *context, const struct spool_notice *notice)
{
	struct worker *w = context;
	struct sim *sim = w->machine->sim;

	if (w->machine->mutation == MUTATION_LOSE_NOTICE && sim_chance(sim, 200))
		return;
	to_delivery(w, SIM_NOTICE, notice);
}

static void worker_died(void *owner)
{
	struct worker *w = owner;
	struct sim_machine *m = w->machine;

	sim_rdisk_abandon(w->disk);
	sim_conns_abandon(w->process, !m->power);
	w->process = NULL;
	w->smtpd = NULL;
	w->writer = NULL;
	if (w->joined)
		sim_wire_say(m->delivery.wires[w->index], SIM_GONE, NULL);
	w->joined = false;
	w->wire = NULL;
	if (m->power)
		sim_arm(m->sim, &w->restart, sim_between(m->sim, RESTART_LEAST, RESTART_MOST));
}

static void make_worker(void *arg)
{
	struct worker *w = arg;
	struct sim_machine *m = w->machine;
	uint32_t least = 0;
	const struct config *config = m->config;

	CHECK(spool_least_serial(sim_disk_base(m->spool), &least) == 0);
	const struct spool_writer_config writer = {
		.io = &w->process->io,
		.disk = w->disk,
		.owner = (uint8_t)w->index,
		.least_serial = least,
		.segment_bytes = config->segment_bytes,
		.inline_bytes = config->limits.inline_bytes,
		.memory_bytes = config->limits.memory,
		.context = w,
		.notice = on_notice,
	};
	const struct smtpd_config smtpd = {
		.io = &w->process->io,
		.config = config,
		.route = &m->route,
		.events = &m->events,
		.log = &m->log,
	};
	struct smtpd_config with_writer = smtpd;

	CHECK(spool_writer_new(&writer, &w->writer) == 0);
	with_writer.writer = w->writer;
	CHECK(smtpd_new(&with_writer, &w->smtpd) == 0);
	smtpd_set_snapshot(w->smtpd, m->snapshot);
}

static void say_position(void *arg)
{
	struct worker *w = arg;
	struct spool_notice position;

	spool_writer_position(w->writer, &position);
	to_delivery(w, SIM_POSITION, &position);
}

struct opening {
	struct worker *worker;
	struct sim_process *process;
	struct sim_wire *wire;
};

/* The supervisor's message with the channel has reached the worker. */
static void open_wire(void *arg)
{
	struct opening opening = *(struct opening *)arg;
	struct worker *w = opening.worker;

	free(arg);
	if (opening.process->dead || !w->joined ||
		opening.wire != w->machine->delivery.wires[w->index])
		return;
	w->wire = opening.wire;
	process_enter(opening.process, say_position, w);
}

static void connect_roles(struct worker *w)
{
	struct sim_machine *m = w->machine;
	struct opening *opening;

	if (!w->process || w->process->dead || !m->delivery.process || m->delivery.process->dead)
		return;
	m->delivery.open[w->index] = true;
	m->delivery.said[w->index] = false;
	opening = malloc(sizeof(*opening));
	CHECK(opening);
	*opening = (struct opening){w, w->process, m->delivery.wires[w->index]};
	w->joined = true;
	sim_later(m->sim, sim_skewed(m->sim, 30 * NS_PER_MS), open_wire, opening);
}

static void start_worker(struct timer *timer)
{
	struct worker *w = CONTAINER_OF(timer, struct worker, restart);
	struct sim_machine *m = w->machine;

	CHECK(!w->process);
	w->process = process_new(m->sim, m->net, w->name, &m->address);
	w->process->owner = w;
	w->process->died = worker_died;
	w->disk = sim_rdisk_new(w->process, m->spool, m->mutation, &m->serials, power_failed, m);
	if (process_enter(w->process, make_worker, w))
		connect_roles(w);
}

struct arrival {
	struct worker *worker;
	struct sim_end *end;
};

static void take_connection(void *arg)
{
	struct arrival *arrival = arg;
	struct worker *w = arrival->worker;
	struct io_conn *conn = sim_conn_new(w->process, arrival->end);
	const struct io_conn_handler *handler;
	void *owner;

	if (smtpd_session_start(w->smtpd, conn, 0, &handler, &owner) == 0)
		sim_conn_adopt(conn, handler, owner);
}

static bool accepted(void *owner, struct sim_end *end, const struct netaddr *client)
{
	struct sim_machine *m = owner;
	unsigned first = (unsigned)sim_below(m->sim, m->worker_count);
	(void)client;

	for (unsigned i = 0; i < m->worker_count; i++) {
		struct worker *w = &m->workers[(first + i) % m->worker_count];
		struct arrival arrival = {w, end};

		if (w->process && !w->process->dead && w->smtpd)
			return process_enter(w->process, take_connection, &arrival), true;
	}
	return false;
}

/* ---- delivery ------------------------------------------------------------------------------- */

struct word {
	struct role_delivery *d;
	uint8_t worker;
	enum sim_word word;
	const struct spool_notice *notice;
};

static void start_if_known(struct role_delivery *d)
{
	struct spool_notice live[CONFIG_WORKERS];
	size_t count = 0;

	if (d->started)
		return;
	for (unsigned i = 0; i < d->machine->worker_count; i++)
		if (d->open[i] && !d->said[i])
			return;
	for (unsigned i = 0; i < d->machine->worker_count; i++)
		if (d->open[i])
			live[count++] = d->positions[i];
	d->started = true;
	delivery_start(d->delivery, live, count);
}

static void hear(void *arg)
{
	const struct word *w = arg;
	struct role_delivery *d = w->d;

	switch (w->word) {
	case SIM_POSITION:
		d->said[w->worker] = true;
		d->positions[w->worker] = *w->notice;
		if (d->started)
			delivery_notice(d->delivery, w->notice);
		else
			start_if_known(d);
		break;
	case SIM_NOTICE:
		if (d->started)
			delivery_notice(d->delivery, w->notice);
		else
			d->positions[w->worker] = *w->notice;
		break;
	case SIM_GONE:
		d->open[w->worker] = false;
		if (d->started)
			delivery_writer_gone(d->delivery, w->worker);
		else
			start_if_known(d);
		break;
	}
}

void sim_wire_heard(
	void *delivery, uint8_t worker, enum sim_word word, const struct spool_notice *notice)
{
	struct role_delivery *d = delivery;
	struct word w = {d, worker, word, notice};

	process_enter(d->process, hear, &w);
}

static void on_health(void *context, enum spool_health health)
{
	struct role_delivery *d = context;

	sim_say(d->machine->sim, "the journal's health is %d", health);
	ledger_journal(d->machine->ledger, health == SPOOL_WELL);
}

static void forget_done(struct sim_machine *m);

static void delivery_died(void *owner)
{
	struct role_delivery *d = owner;
	struct sim_machine *m = d->machine;

	ledger_death(m->ledger);
	ledger_journal(m->ledger, true);
	sim_rdisk_abandon(d->spool);
	sim_rdisk_abandon(d->mailboxes);
	sim_conns_abandon(d->process, !m->power);
	for (unsigned i = 0; i < m->worker_count; i++) {
		m->workers[i].joined = false;
		m->workers[i].wire = NULL;
	}
	d->process = NULL;
	d->delivery = NULL;
	if (m->mutation == MUTATION_FORGET_DONE)
		forget_done(m);
	if (m->power)
		sim_arm(m->sim, &d->restart, sim_between(m->sim, RESTART_LEAST, RESTART_MOST));
}

static void make_delivery(void *arg)
{
	struct role_delivery *d = arg;
	struct sim_machine *m = d->machine;
	const struct delivery_config config = {
		.io = &d->process->io,
		.spool = d->spool,
		.mailboxes = d->mailboxes,
		.dns = sim_dns_new(d->process, world_dns),
		.config = m->config,
		.route = &m->route,
		.events = &m->events,
		.log = &m->log,
		.context = d,
		.health = on_health,
	};

	CHECK(delivery_new(&config, &d->delivery) == 0);
	CHECK(delivery_set_snapshot(d->delivery, m->snapshot) == 0);
}

static void start_if_alone(void *arg)
{
	start_if_known(arg);
}

static void start_delivery(struct timer *timer)
{
	struct role_delivery *d = CONTAINER_OF(timer, struct role_delivery, restart);
	struct sim_machine *m = d->machine;
	static const struct netaddr local = {.family = NETADDR_V4, .ip = {203, 0, 113, 1}};

	CHECK(!d->process);
	d->process = process_new(m->sim, m->net, "delivery", &local);
	d->process->owner = d;
	d->process->died = delivery_died;
	d->spool = sim_rdisk_new(d->process, m->spool, m->mutation, &m->serials, power_failed, m);
	d->mailboxes =
		sim_rdisk_new(d->process, m->mailboxes, m->mutation, &m->serials, power_failed, m);
	d->started = false;
	for (unsigned i = 0; i < m->worker_count; i++) {
		d->open[i] = d->said[i] = false;
		d->wires[i] = sim_wire_new(m->sim, d->process, d, (uint8_t)i);
	}
	if (!process_enter(d->process, make_delivery, d))
		return;
	for (unsigned i = 0; i < m->worker_count; i++)
		connect_roles(&m->workers[i]);
	process_enter(d->process, start_if_alone, d);
}

/* ---- beginning ------------------------------------------------------------------------------ */

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
		.listeners = &m->address,
		.listener_count = 1,
	};
	m->address = m->config->listeners[0].address;
}

static void read_objects(struct sim_machine *m)
{
	struct objects *none, *objects;
	struct plan *plan;
	struct buf problems, *bytes = calloc(1, sizeof(*bytes));

	buf_init(&problems, 65536);
	buf_init(bytes, SNAPSHOT_BYTES);
	CHECK(objects_new(&none) == 0);
	if (objects_plan_apply(none, "objects.yaml", span_str(world_objects),
		    &(struct plan_options){0}, &problems, &plan) != 0) {
		fprintf(stderr, "%.*s\n", (int)problems.n, problems.p);
		abort();
	}
	objects = plan_take(&plan);
	CHECK(snapshot_encode(objects, 1, bytes) == 0);
	CHECK(snapshot_from_bytes(buf_span(bytes), &m->snapshot) == 0);
	objects_free(&objects);
	objects_free(&none);
}

static void serial_reused(void *arg, const char *path)
{
	struct sim_machine *m = arg;

	ledger_violation(m->ledger, "the log %s has the name of an earlier one", path);
}

struct sim_machine *machine_new(
	struct sim *sim, struct sim_net *net, struct ledger *ledger, enum sim_mutation mutation)
{
	struct sim_machine *m = calloc(1, sizeof(*m));

	CHECK(m);
	m->sim = sim;
	m->net = net;
	m->ledger = ledger;
	m->mutation = mutation;
	m->power = true;
	m->serials.reused = serial_reused;
	m->serials.arg = m;
	m->events.emit = on_event;
	m->log = (struct log){.least = LOG_DEBUG, .write = on_log};
	CHECK(sim_disk_new(sim_below(sim, UINT64_MAX), &m->spool) == 0);
	CHECK(sim_disk_new(sim_below(sim, UINT64_MAX), &m->mailboxes) == 0);
	read_config(m);
	read_objects(m);
	m->worker_count = (unsigned)sim_between(sim, 1, 3);
	for (unsigned i = 0; i < m->worker_count; i++) {
		struct worker *w = &m->workers[i];

		w->machine = m;
		w->index = i;
		w->restart.fire = start_worker;
		snprintf(w->name, sizeof(w->name), "smtpd %u", i);
		sim_arm(sim, &w->restart, sim_skewed(sim, 100 * NS_PER_MS));
	}
	m->delivery.machine = m;
	m->delivery.restart.fire = start_delivery;
	sim_arm(sim, &m->delivery.restart, sim_skewed(sim, 100 * NS_PER_MS));
	sim_net_listen(net, &m->address, accepted, m);
	return m;
}

struct netaddr machine_address(const struct sim_machine *m)
{
	return m->address;
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
	kill_process(m->sim, m->workers[worker].process, operations);
}

void machine_kill_delivery(struct sim_machine *m, uint64_t operations)
{
	sim_fault(m->sim, FAULT_KILL_DELIVERY);
	kill_process(m->sim, m->delivery.process, operations);
}

void machine_spare(struct sim_machine *m)
{
	sim_disk_cut_at(m->spool, 0);
	for (unsigned i = 0; i < m->worker_count; i++)
		if (m->workers[i].process)
			m->workers[i].process->kill_in = 0;
	if (m->delivery.process)
		m->delivery.process->kill_in = 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

bool machine_is_up(const struct sim_machine *m)
{
	for (unsigned i = 0; i < m->worker_count; i++)
		if (!m->workers[i].process || !m->workers[i].smtpd)
			return false;
	return m->delivery.process && m->delivery.delivery && delivery_loaded(m->delivery.delivery);
}

uint64_t machine_queued(struct sim_machine *m)
{
	struct delivery_figures figures;

	delivery_figures(m->delivery.delivery, &figures);
	return figures.queued;
}

void machine_check(struct sim_machine *m)
{
	struct buf problem;

	if (!m->delivery.process || !m->delivery.delivery || m->delivery.process->dead)
		return;
	buf_init(&problem, 4096);
	if (delivery_check(m->delivery.delivery, &problem) != 0)
		ledger_violation(m->ledger, "the queue is broken: %.*s", (int)problem.n,
			problem.n ? problem.p : "");
	buf_done(&problem);
}

static void report_line(void *arg, const char *line)
{
	struct sim_machine *m = arg;

	sim_say(m->sim, "verify: %s", line);
}

struct box_look {
	struct sim_machine *machine;
	const char *address;
	char folder[128];
};

static int look_at_file(void *arg, const char *name)
{
	struct box_look *look = arg;
	char path[512];
	struct span bytes;

	snprintf(path, sizeof(path), "%s/%.255s", look->folder, name);
	if (sim_disk_peek(look->machine->mailboxes, path, &bytes) == 0)
		ledger_in_mailbox(look->machine->ledger, look->address, bytes);
	return 0;
}

void machine_inspect(struct sim_machine *m)
{
	struct spool_verify_result result = {0};
	int err = spool_verify(sim_disk_base(m->spool), report_line, m, &result);

	if (err)
		ledger_violation(m->ledger, "verify failed: %s", err_text(err));
	if (result.damaged && !m->ledger->flips && !m->ledger->read_errors)
		ledger_violation(m->ledger, "verify finds %llu damaged things",
			(unsigned long long)result.damaged);
	for (unsigned i = 0; i < WORLD_BOXES; i++) {
		char address[64];
		struct box_look look = {m, address, ""};

		snprintf(address, sizeof(address), "box%u@c.example", i);
		snprintf(look.folder, sizeof(look.folder), "c.example/box%u/new", i % 100);
		(void)disk_list(sim_disk_base(m->mailboxes), look.folder, look_at_file, &look);
	}
}

/* ---- mutations ------------------------------------------------------------------------------ */

static int find_newest(void *arg, const char *name)
{
	char *newest = arg;

	if (strstr(name, ".log") && strcmp(name, newest) > 0)
		snprintf(newest, 64, "%.60s", name);
	return 0;
}

/* What the journal said last is gone. */
static void forget_done(struct sim_machine *m)
{
	char newest[64] = "", path[96];
	struct disk *disk = sim_disk_base(m->spool);
	struct io_file *file;

	(void)disk_list(disk, "d", find_newest, newest);
	snprintf(path, sizeof(path), "d/%.60s", newest);
	if (!*newest || disk_open(disk, path, DISK_READ | DISK_WRITE, &file) != 0)
		return;
	(void)disk_truncate(file, 4096);
	(void)disk_sync(file);
	disk_close(&file);
}
