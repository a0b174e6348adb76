/* The delivery, wired as role/role_delivery.c wires it. */
#include "base/check.h"
#include "base/err.h"
#include "directory/secrets.h"
#include "sim_dns.h"
#include "sim_fetch.h"
#include "sim_machine_inner.h"
#include "sim_world.h"

#include <stdlib.h>

#define POSITION_MS 3000
#define END_MS	    20

static struct sim_delivery *delivery_of(struct sim_role *role)
{
	return CONTAINER_OF(role, struct sim_delivery, role);
}

/* ---- beginning ------------------------------------------------------------------------------ */

static bool all_said(const struct sim_delivery *d)
{
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		if (d->workers[i].port.channel && !d->workers[i].said)
			return false;
	return true;
}

static void start(struct sim_delivery *d)
{
	struct spool_notice live[CONFIG_WORKERS];
	size_t count = 0;

	for (size_t i = 0; i < CONFIG_WORKERS; i++) {
		if (!d->workers[i].port.channel)
			continue;
		live[count++] = d->workers[i].said ? d->workers[i].position
						   : (struct spool_notice){.owner = (uint8_t)i};
	}
	io_timer_stop(&d->role.process->io, &d->position_timer);
	d->started = true;
	delivery_start(d->delivery, live, count);
}

static void start_if_known(struct sim_delivery *d)
{
	if (!d->started && d->knows && !d->role.stopping && all_said(d))
		start(d);
}

static void position_late(struct timer *timer)
{
	struct sim_delivery *d = CONTAINER_OF(timer, struct sim_delivery, position_timer);

	if (d->knows && !d->started)
		start(d);
	else if (!d->started)
		(void)io_timer_after(&d->role.process->io, &d->position_timer, POSITION_MS);
}

/* ---- what the workers say ------------------------------------------------------------------- */

static void tell_full(struct sim_delivery *d, struct sim_peer *w)
{
	const uint8_t byte = d->full;

	(void)ipc_send(&w->port, IPC_QUEUE_FULL, 0, span_of(&byte, 1), NULL, 0);
}

static void take_position(
	struct sim_delivery *d, struct sim_peer *w, const struct spool_notice *position)
{
	w->said = true;
	w->position = *position;
	tell_full(d, w);
	if (!d->started)
		start_if_known(d);
	else
		delivery_notice(d->delivery, position);
}

static void worker_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct sim_delivery *d = owner;
	struct sim_peer *w = CONTAINER_OF(port, struct sim_peer, port);
	struct cursor in = cursor_of(message->payload);
	struct spool_notice notice;

	CHECK(message->type == IPC_NOTICE || message->type == IPC_POSITION);
	while (cursor_left(&in)) {
		if (ipc_get_notice(&in, port->peer_index, &notice) != 0) {
			ledger_violation(d->role.machine->ledger, "a notice came damaged");
			return;
		}
		if (message->type == IPC_POSITION)
			take_position(d, w, &notice);
		else if (d->started)
			delivery_notice(d->delivery, &notice);
		else
			w->position = notice;
	}
}

static void worker_gone(void *owner, struct ipc_port *port)
{
	struct sim_delivery *d = owner;
	struct sim_peer *w = CONTAINER_OF(port, struct sim_peer, port);

	w->said = false;
	if (d->started)
		delivery_writer_gone(d->delivery, port->peer_index);
	else
		start_if_known(d);
}

static const struct ipc_port_calls worker_calls = {worker_says, worker_gone};

static void queue_full(void *context, bool full)
{
	struct sim_delivery *d = context;

	d->full = full;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		if (d->workers[i].said)
			tell_full(d, &d->workers[i]);
}

static void on_health(void *context, enum spool_health health)
{
	struct sim_delivery *d = context;

	sim_say(d->role.machine->sim, "the journal's health is %d", health);
	ledger_journal(d->role.machine->ledger, health == SPOOL_WELL);
}

/* ---- what admin says ------------------------------------------------------------------------ */

static void admin_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct sim_delivery *d = owner;
	struct cursor in = cursor_of(message->payload);
	struct buf reply;
	(void)port;

	if (message->type == IPC_SNAPSHOT) {
		struct snapshot *snapshot = directory_snapshot(d->role.machine, cursor_u64(&in));

		CHECK(delivery_set_snapshot(d->delivery, snapshot) == 0);
		sim_trust_delivery_knows(
			d->role.machine->ledger->trust, snapshot_generation(snapshot));
		d->knows = true;
		start_if_known(d);
	} else if (message->type == IPC_QUEUE_REQUEST) {
		buf_init(&reply, IPC_MESSAGE_BYTES);
		delivery_control(d->delivery, message->payload, &reply);
		(void)ipc_send(
			&d->admin, IPC_QUEUE_REPLY, message->request, buf_span(&reply), NULL, 0);
		buf_done(&reply);
	}
}

static void admin_gone(void *owner, struct ipc_port *port)
{
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls admin_calls = {admin_says, admin_gone};

/* ---- life ----------------------------------------------------------------------------------- */

static void channel(
	struct sim_role *role, enum role_kind peer, uint8_t index, struct sim_plug *plug)
{
	struct sim_delivery *d = delivery_of(role);
	struct sim_peer *w = &d->workers[index];

	if (peer == ROLE_ADMIN) {
		ipc_port_close(&d->admin);
		ipc_port_init(&d->admin, ROLE_ADMIN, 0, &admin_calls, d);
		role_open_port(role, plug, &d->admin);
		return;
	}
	/* The new one may be heard of before the end of the old one is. */
	if (w->port.channel) {
		ipc_port_close(&w->port);
		worker_gone(d, &w->port);
	}
	ipc_port_init(&w->port, ROLE_SMTPD, index, &worker_calls, d);
	role_open_port(role, plug, &w->port);
}

/* The path is that of site-v, in world_objects. */
static int read_ca(void *context, struct span path, struct buf *out)
{
	(void)context;
	if (!span_equal(path, SPAN(WORLD_CA)))
		return ERR_NOT_FOUND;
	buf_add_str(out, CERT_PRIVATE_CA);
	return 0;
}

/* Of the transport that logs in. */
static void give_secrets(struct sim_delivery *d)
{
	const struct secret secret = {SPAN("site-l"), SPAN(WORLD_SECRET)};
	struct secrets *secrets;
	int memfd;

	CHECK(secrets_make_memfd(&secret, 1, &memfd) == 0);
	CHECK(secrets_open(memfd, &secrets) == 0);
	delivery_set_secrets(d->delivery, secrets);
}

static void make(struct sim_role *role)
{
	struct sim_delivery *d = delivery_of(role);
	struct sim_machine *m = role->machine;

	d->knows = d->started = d->full = false;
	d->position_timer = (struct timer){.fire = position_late};
	for (size_t i = 0; i < CONFIG_WORKERS; i++) {
		d->workers[i].said = false;
		ipc_port_init(&d->workers[i].port, ROLE_SMTPD, (uint8_t)i, &worker_calls, d);
	}
	ipc_port_init(&d->admin, ROLE_ADMIN, 0, &admin_calls, d);
	d->mailboxes = sim_rdisk_new(
		role->process, m->mailboxes, m->mutation, &m->serials, machine_power_failed, m);
	const struct delivery_config config = {
		.io = &role->process->io,
		.spool = role->spool,
		.mailboxes = d->mailboxes,
		.dns = sim_dns_new(role->process, m->ledger->trust, world_dns),
		.fetch = sim_fetch_new(role->process, m->ledger->trust, m->ledger),
		.read_ca = read_ca,
		.config = m->config,
		.route = &m->route,
		.events = &role->tracer.sink,
		.log = &m->log,
		.context = d,
		.queue_full = queue_full,
		.health = on_health,
	};

	sim_trust_delivery_begins(m->ledger->trust);
	CHECK(delivery_new(&config, &d->delivery) == 0);
	give_secrets(d);
	(void)io_timer_after(&role->process->io, &d->position_timer, POSITION_MS);
}

static void died(struct sim_role *role)
{
	struct sim_delivery *d = delivery_of(role);
	struct sim_machine *m = role->machine;

	sim_trust_delivery_ends(m->ledger->trust);
	/* An orderly end is no excuse for anything. */
	ledger_restart(m->ledger, !role->drained);
	ledger_journal(m->ledger, true);
	sim_rdisk_abandon(d->mailboxes);
	d->delivery = NULL;
	d->admin.channel = NULL;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		d->workers[i].port.channel = NULL;
	if (m->mutation == MUTATION_FORGET_DONE)
		sim_mutate_forget_done(m->spool);
}

static void end_when_written(struct timer *timer)
{
	struct sim_delivery *d = CONTAINER_OF(timer, struct sim_delivery, end_timer);

	if (tracer_flushed(&d->role))
		role_exit(&d->role);
	else
		(void)io_timer_after(&d->role.process->io, &d->end_timer, END_MS);
}

static void stopped(void *arg)
{
	struct sim_delivery *d = arg;

	d->role.drained = true;
	d->end_timer = (struct timer){.fire = end_when_written};
	(void)io_timer_after(&d->role.process->io, &d->end_timer, 0);
}

static void stop(struct sim_role *role, uint32_t ms)
{
	struct sim_delivery *d = delivery_of(role);

	if (d->started)
		delivery_stop(d->delivery, ms, stopped, d);
	else
		stopped(d);
}

static const struct sim_role_calls calls = {make, channel, stop, died};

void delivery_init(struct sim_machine *m)
{
	role_init(&m->delivery.role, m, ROLE_DELIVERY, 0, &calls);
}
