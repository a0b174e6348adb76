/*
 * The delivery role: the queue, DNS, SMTP client sessions, mailboxes. It begins to load the queue
 * once it knows the directory and how far each running smtpd is with its log.
 */
#include "admin/admin.h"
#include "base/check.h"
#include "base/err.h"
#include "delivery/delivery.h"
#include "directory/secrets.h"
#include "io/dns_unbound.h"
#include "role/admin_link.h"
#include "role/hops_desk.h"
#include "role/reach.h"
#include "role/world.h"

#include <stdio.h>
#include <unistd.h>

#define POSITION_MS 3000 /* a worker that says nothing for so long is not waited for */

struct worker {
	struct ipc_port port;
	bool said; /* its position is known */
	struct spool_notice position;
};

struct delivery_role {
	struct role *role;
	struct world world;
	struct reach reach;
	struct delivery *delivery;
	struct worker workers[CONFIG_WORKERS];
	struct admin_link admin;
	struct hops_desk hops;
	bool knows;   /* a directory came */
	bool started; /* delivery_start() was called */
	bool full;    /* the queue */
	struct timer position_timer;
};

/* ---- beginning ------------------------------------------------------------------------------ */

static bool all_said(const struct delivery_role *d)
{
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		if (d->workers[i].port.channel && !d->workers[i].said)
			return false;
	return true;
}

static void start(struct delivery_role *d)
{
	struct spool_notice live[CONFIG_WORKERS];
	size_t count = 0;

	for (size_t i = 0; i < CONFIG_WORKERS; i++) {
		if (!d->workers[i].port.channel)
			continue;
		live[count++] = d->workers[i].said ? d->workers[i].position
						   : (struct spool_notice){.owner = (uint8_t)i};
	}
	io_timer_stop(d->role->io, &d->position_timer);
	d->started = true;
	delivery_start(d->delivery, live, count);
	(void)role_ready(d->role);
}

static void start_if_known(struct delivery_role *d)
{
	if (!d->started && d->knows && !d->role->stopping && all_said(d))
		start(d);
}

/* A worker that hangs must not hold all mail back: its files are left alone until it says its
 * position, or is gone. */
static void position_late(struct timer *timer)
{
	struct delivery_role *d = CONTAINER_OF(timer, struct delivery_role, position_timer);

	if (d->knows && !d->started)
		start(d);
	else if (!d->started)
		(void)io_timer_after(d->role->io, &d->position_timer, POSITION_MS);
}

/* ---- what the workers say ------------------------------------------------------------------- */

static void tell_full(struct delivery_role *d, struct worker *w)
{
	const uint8_t byte = d->full;

	(void)ipc_send(&w->port, IPC_QUEUE_FULL, 0, span_of(&byte, 1), NULL, 0);
}

/* The worker waits for a word, whichever: then its log is known to be a living one's. */
static void take_position(
	struct delivery_role *d, struct worker *w, const struct spool_notice *position)
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
	struct delivery_role *d = owner;
	struct worker *w = CONTAINER_OF(port, struct worker, port);
	struct cursor in = cursor_of(message->payload);
	struct spool_notice notice;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_HOPS_QUERY)
		hops_desk_ask(&d->hops, port->peer_index, message->request, message->payload);
	if (message->type != IPC_NOTICE && message->type != IPC_POSITION)
		return;
	for (size_t i = 0; i < IPC_NOTICES && cursor_left(&in); i++) {
		if (ipc_get_notice(&in, port->peer_index, &notice) != 0) {
			log_write(d->role->log, LOG_ERROR,
				"an smtpd sent a notice that is damaged or not its own",
				LOG_U64("worker", port->peer_index));
			return;
		}
		if (message->type == IPC_POSITION)
			take_position(d, w, &notice);
		else if (d->started)
			delivery_notice(d->delivery, &notice);
		else /* loading reads up to here */
			w->position = notice;
	}
}

static void worker_gone(void *owner, struct ipc_port *port)
{
	struct delivery_role *d = owner;
	struct worker *w = CONTAINER_OF(port, struct worker, port);

	w->said = false;
	hops_desk_worker_gone(&d->hops, port->peer_index);
	if (d->started)
		delivery_writer_gone(d->delivery, port->peer_index);
	else
		start_if_known(d);
}

static const struct ipc_port_calls worker_calls = {worker_says, worker_gone};

static void queue_full(void *context, bool full)
{
	struct delivery_role *d = context;

	d->full = full;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		if (d->workers[i].said)
			tell_full(d, &d->workers[i]);
}

/* ---- what admin says ------------------------------------------------------------------------ */

static int directory(void *core, struct snapshot *snapshot)
{
	struct delivery_role *d = core;
	int err = delivery_set_snapshot(d->delivery, snapshot);

	if (err)
		return err;
	d->knows = true;
	start_if_known(d);
	return 0;
}

static void secrets(void *core, int memfd)
{
	struct delivery_role *d = core;
	struct secrets *secrets;
	int err = secrets_open(memfd, &secrets);

	if (err)
		log_write(d->role->log, LOG_ERROR,
			"the transports' secrets cannot be taken over; those of before stay",
			LOG_STR("reason", err_text(err)));
	else
		delivery_set_secrets(d->delivery, secrets);
}

_Static_assert(HOPS_DESK_TICKETS > ADMIN_TICKET, "an answer finds who asked by its ticket");

/* What the DNS said comes later. */
static void answer(void *context, uint32_t ticket, struct span json)
{
	struct delivery_role *d = context;

	if (!hops_desk_answer(&d->hops, ticket, json))
		admin_link_answer(&d->admin, IPC_QUEUE_REPLY, ticket, json);
}

static void ask_hosts(void *context, uint32_t ticket, struct span request)
{
	struct delivery_role *d = context;

	(void)delivery_hosts(d->delivery, ticket, request);
}

static void tell_hops(void *context, uint8_t worker, uint32_t request, struct span reply)
{
	struct delivery_role *d = context;

	(void)ipc_send(&d->workers[worker].port, IPC_HOPS_ANSWER, request, reply, NULL, 0);
}

static void asked(void *core, const struct ipc_message *message)
{
	struct delivery_role *d = core;
	struct buf reply;

	if (message->type != IPC_QUEUE_REQUEST ||
		delivery_hosts(d->delivery, message->request, message->payload))
		return;
	buf_init(&reply, IPC_MESSAGE_BYTES);
	delivery_control(d->delivery, message->payload, &reply);
	admin_link_answer(&d->admin, IPC_QUEUE_REPLY, message->request, buf_span(&reply));
	buf_done(&reply);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void worker_channel(struct delivery_role *d, uint8_t index, int fd)
{
	struct worker *w = &d->workers[index];

	/* The new one may be heard of before the end of the old one is. */
	if (w->port.channel) {
		ipc_port_close(&w->port);
		worker_gone(d, &w->port);
	}
	ipc_port_init(&w->port, ROLE_SMTPD, index, &worker_calls, d);
	(void)role_open_port(d->role, fd, &w->port);
}

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct delivery_role *d = role->core;

	if (peer == ROLE_SMTPD && index < CONFIG_WORKERS) {
		worker_channel(d, index, fd);
	} else if (peer == ROLE_ADMIN) {
		admin_link_open(&d->admin, fd);
	} else if (peer == ROLE_FETCH) {
		reach_channel(&d->reach, index, fd);
	} else {
		close(fd);
	}
}

static bool written(void *core)
{
	struct delivery_role *d = core;

	return world_flushed(&d->world);
}

static void stopped(void *arg)
{
	struct delivery_role *d = arg;

	role_end_when(d->role, written);
}

static void stop(struct role *role, uint32_t ms)
{
	struct delivery_role *d = role->core;

	if (d->started)
		delivery_stop(d->delivery, ms, stopped, d);
	else
		stopped(d);
}

/* The whole spool, the mailboxes, its own trace; what names are looked up with. */
static int allow(struct delivery_role *d)
{
	static const enum ipc_directory own[] = {
		IPC_DIRECTORY_SPOOL, IPC_DIRECTORY_MAILBOXES, IPC_DIRECTORY_TRACE};
	/* Who the system's DNS servers are was read before, and changes come from the supervisor.
	 */
	static const char *const files[] = {"/dev/urandom", "/dev/null"};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		int err = world_allow(
			&d->world, own[i], "", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE);
		if (err)
			return err;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		sandbox_add_path(&d->role->sandbox, files[i], SANDBOX_READ);
	return 0;
}

static void file(struct role *role, int fd)
{
	struct delivery_role *d = role->core;

	reach_resolv_conf(&d->reach, fd);
}

static enum dns_dnssec dnssec(void *context)
{
	return dns_unbound_dnssec(((const struct delivery_role *)context)->reach.dns);
}

static uint64_t dnssec_servers(void *context)
{
	return dns_unbound_servers(((const struct delivery_role *)context)->reach.dns);
}

static void dnssec_believe(void *context, uint64_t servers)
{
	dns_unbound_believe(((const struct delivery_role *)context)->reach.dns, servers);
}

static int read_ca(void *context, struct span path, struct buf *out)
{
	return reach_read_ca(&((struct delivery_role *)context)->reach, path, out);
}

static bool check_ca(void *context, struct span path, struct buf *why)
{
	return reach_check_ca(&((struct delivery_role *)context)->reach, path, why);
}

static int make_core(struct delivery_role *d)
{
	struct role *role = d->role;
	const struct delivery_config config = {
		.io = role->io,
		.spool = d->world.disks[IPC_DIRECTORY_SPOOL],
		.mailboxes = d->world.disks[IPC_DIRECTORY_MAILBOXES],
		.dns = d->reach.dns,
		.fetch = &d->reach.fetch.base,
		.config = role->config,
		.route = &d->world.route,
		.events = world_events(&d->world),
		.log = role->log,
		.context = d,
		.queue_full = queue_full,
		.answer = answer,
		.dnssec = dnssec,
		.dnssec_servers = dnssec_servers,
		.dnssec_believe = dnssec_believe,
		.read_ca = read_ca,
		.check_ca = check_ca,
	};

	return delivery_new(&config, &d->delivery);
}

static int open_all(struct delivery_role *d, struct buf *problem)
{
	int err = world_open(&d->world, d->role);

	if (err == 0)
		err = allow(d);
	if (err)
		buf_printf(problem, "the spool, the mailboxes or the trace: %s", err_text(err));
	return err ? err : reach_open(&d->reach, d->role, problem);
}

static int begin(struct delivery_role *d)
{
	struct role *role = d->role;
	struct buf problem;

	buf_init(&problem, 4096);
	int err = open_all(d, &problem);
	if (err)
		role_fatal(role, "cannot open what is needed", buf_span(&problem));
	buf_done(&problem);
	if (err)
		return err;
	err = role_enter(role);
	if (err)
		return err;
	err = make_core(d);
	if (err) {
		role_fatal(role, "cannot use the spool", span_str(err_text(err)));
		return err;
	}
	role_take_channels(role);
	return io_timer_after(role->io, &d->position_timer, POSITION_MS);
}

int role_delivery_main(void)
{
	static const uint8_t no_index = 0;
	struct role role;
	struct delivery_role d = {.role = &role, .position_timer.fire = position_late};

	if (role_start(&role, ROLE_DELIVERY, no_index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &d;
	role.channel = channel;
	role.file = file;
	role.stop = stop;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		ipc_port_init(&d.workers[i].port, ROLE_SMTPD, (uint8_t)i, &worker_calls, &d);
	d.hops.context = &d;
	d.hops.ask = ask_hosts;
	d.hops.tell = tell_hops;
	hops_desk_init(&d.hops);
	admin_link_init(&d.admin, &role, &d.world, directory, asked);
	d.admin.secrets = secrets;
	int err = begin(&d);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	return err ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
