/* An smtpd, wired as role/role_smtpd.c wires it. */
#include "base/check.h"
#include "base/err.h"
#include "sim_machine_inner.h"

#define END_MS 20

static struct sim_worker *worker_of(struct sim_role *role)
{
	return CONTAINER_OF(role, struct sim_worker, role);
}

/* ---- what delivery hears -------------------------------------------------------------------- */

static void let_in_if_ready(struct sim_worker *w)
{
	if (!w->knows || w->open || w->role.stopping || (!w->known && w->delivery.channel))
		return;
	CHECK(spool_writer_begin(w->writer) == 0);
	w->open = true;
}

static void let_in(struct sim_worker *w)
{
	w->known = true;
	let_in_if_ready(w);
}

static void on_notice(void *context, const struct spool_notice *notice)
{
	struct sim_worker *w = context;

	if (w->role.machine->mutation == MUTATION_LOSE_NOTICE &&
		sim_chance(w->role.machine->sim, 200))
		return;
	notices_tell(&w->notices, notice);
}

static void pressed(void *context, bool on)
{
	struct sim_worker *w = context;

	w->pressed = on;
	smtpd_set_queue_full(w->smtpd, w->full || w->pressed);
}

static void delivery_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct sim_worker *w = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	if (message->type == IPC_QUEUE_FULL) {
		w->full = cursor_u8(&in) != 0;
		smtpd_set_queue_full(w->smtpd, w->full || w->pressed);
	}
	let_in(w);
}

static void delivery_gone(void *owner, struct ipc_port *port)
{
	struct sim_worker *w = owner;
	(void)port;

	notices_forget(&w->notices);
	let_in(w);
}

static const struct ipc_port_calls delivery_calls = {delivery_says, delivery_gone};

/* ---- what admin says ------------------------------------------------------------------------ */

static void admin_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct sim_worker *w = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	if (message->type != IPC_SNAPSHOT)
		return;
	w->generation = cursor_u64(&in);
	smtpd_set_snapshot(w->smtpd, directory_snapshot(w->role.machine, w->generation));
	w->knows = true;
	let_in_if_ready(w);
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
	struct sim_worker *w = worker_of(role);
	struct ipc_port *port = peer == ROLE_DELIVERY ? &w->delivery : &w->admin;
	struct spool_notice position;

	ipc_port_close(port);
	ipc_port_init(port, peer, index, peer == ROLE_DELIVERY ? &delivery_calls : &admin_calls, w);
	role_open_port(role, plug, port);
	if (peer != ROLE_DELIVERY)
		return;
	spool_writer_position(w->writer, &position);
	notices_begin(&w->notices, &position);
}

/* Certificates are handed in; STARTTLS is not offered, or refused, before. */
static void give_certificates(struct timer *timer)
{
	struct sim_worker *w = CONTAINER_OF(timer, struct sim_worker, tls_timer);

	for (uint32_t i = 0; i < DOORS; i++)
		smtpd_set_tls(w->smtpd, i, w->role.machine->certificate);
}

static void make(struct sim_role *role)
{
	struct sim_worker *w = worker_of(role);
	struct sim_machine *m = role->machine;
	const struct config *config = m->config;
	struct spool_serials serials = {0};

	/* The supervisor asks for them; what it cannot read now it would ask for again. */
	CHECK(spool_serials(sim_disk_base(m->spool), role->index, role->process->io.wall_ms,
		      &serials) == 0);
	const struct spool_writer_config writer = {
		.io = &role->process->io,
		.disk = role->spool,
		.owner = role->index,
		.serials = serials,
		.segment_bytes = config->segment_bytes,
		.inline_bytes = config->limits.inline_bytes,
		.memory_bytes = config->limits.memory,
		.context = w,
		.notice = on_notice,
	};

	w->knows = w->known = w->open = w->full = w->pressed = false;
	notices_init(&w->notices, &role->process->io, &w->delivery, pressed, w);
	ipc_port_init(&w->delivery, ROLE_DELIVERY, 0, &delivery_calls, w);
	ipc_port_init(&w->admin, ROLE_ADMIN, 0, &admin_calls, w);
	CHECK(spool_writer_new(&writer, &w->writer) == 0);
	const struct smtpd_config smtpd = {
		.io = &role->process->io,
		.config = config,
		.route = &m->route,
		.writer = w->writer,
		.events = &role->tracer.sink,
		.log = &m->log,
		.auth = sim_auth_new(role->process, &m->verifiers),
		.hops = sim_hops_asked_new(role->process),
	};

	CHECK(smtpd_new(&smtpd, &w->smtpd) == 0);
	w->tls_timer = (struct timer){.fire = give_certificates};
	(void)io_timer_after(&role->process->io, &w->tls_timer, sim_skewed(m->sim, 2000));
}

static void died(struct sim_role *role)
{
	struct sim_worker *w = worker_of(role);

	if (role->drained && spool_writer_health(w->writer) == SPOOL_WELL &&
		!spool_writer_busy(w->writer))
		ledger_closed(role->machine->ledger, role->index, role->began_ns);
	w->smtpd = NULL;
	w->writer = NULL;
	w->delivery.channel = w->admin.channel = NULL;
}

static bool lingers(const struct sim_process *p)
{
	return !list_empty(&p->conns);
}

static void end_when_written(struct timer *timer)
{
	struct sim_worker *w = CONTAINER_OF(timer, struct sim_worker, end_timer);

	if (!spool_writer_busy(w->writer) && tracer_flushed(&w->role) && !lingers(w->role.process))
		role_exit(&w->role);
	else
		(void)io_timer_after(&w->role.process->io, &w->end_timer, END_MS);
}

static void drained(void *arg)
{
	struct sim_worker *w = arg;

	w->role.drained = true;
	if (w->role.machine->mutation != MUTATION_NO_PROOF)
		spool_writer_close(w->writer);
	w->end_timer = (struct timer){.fire = end_when_written};
	(void)io_timer_after(&w->role.process->io, &w->end_timer, 0);
}

static void stop(struct sim_role *role, uint32_t ms)
{
	smtpd_drain(worker_of(role)->smtpd, ms, drained, worker_of(role));
}

static const struct sim_role_calls calls = {make, channel, stop, died};

void worker_init(struct sim_machine *m, unsigned index)
{
	role_init(&m->workers[index].role, m, ROLE_SMTPD, (uint8_t)index, &calls);
}

struct arrival {
	struct sim_worker *worker;
	struct sim_end *end;
	enum sim_door door;
};

static void take_connection(void *arg)
{
	struct arrival *arrival = arg;
	struct sim_worker *w = arrival->worker;
	struct io_conn *conn = sim_conn_new(w->role.process, arrival->end);
	const struct io_conn_handler *handler;
	void *owner;

	if (smtpd_session_start(w->smtpd, conn, arrival->door, &handler, &owner) == 0)
		sim_conn_adopt(conn, handler, owner);
}

bool worker_accept(struct sim_worker *w, enum sim_door door, struct sim_end *end)
{
	struct arrival arrival = {w, end, door};

	if (!role_runs(&w->role) || !w->role.made || !w->smtpd || !w->open || w->role.stopping)
		return false;
	process_enter(w->role.process, take_connection, &arrival);
	return true;
}
