/*
 * The smtpd role: SMTP server sessions and one spool log. It accepts only once it knows the
 * directory; until then clients wait in the kernel's queue.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/admin_link.h"
#include "role/hops_link.h"
#include "role/notices.h"
#include "role/smtpd_keys.h"
#include "role/smtpd_report.h"
#include "role/world.h"
#include "smtpd/smtpd.h"

#include <stdio.h>
#include <unistd.h>

/* For delivery to say that it knows this worker, before the log says what is waited for. */
#define KNOWN_MS 5000
/* For clients to read their last reply in, at the end: who does not close by then is not waited
 * for. */
#define LINGER_MS 1000

struct door {
	struct smtpd_role *s;
	struct listener *listener;
	uint16_t place;
};

struct smtpd_role {
	struct role *role;
	struct world world;
	struct spool_writer *writer;
	struct smtpd *smtpd;
	struct ipc_port delivery;
	struct admin_link admin;
	struct notices notices;
	struct smtpd_keys keys;
	struct hops_link *hops;
	bool full;    /* the queue, says delivery */
	bool pressed; /* delivery does not look at what came in */
	bool knows;   /* a directory came */
	bool known;   /* delivery knows of this worker, or there is none */
	bool open;    /* clients are let in */
	bool failed;  /* it cannot go on */
	struct timer known_timer;
	uint64_t drained_ns; /* the last session ended then */
	struct door doors[CONFIG_LISTENERS];
	size_t door_count;
};

/* ---- doors ---------------------------------------------------------------------------------- */

static void accepted(void *owner, struct io_conn *conn)
{
	struct door *door = owner;
	const struct io_conn_handler *handler;
	void *session;

	if (smtpd_session_start(door->s->smtpd, conn, door->place, &handler, &session) == 0)
		loop_conn_adopt(conn, handler, session);
}

static void deaf(void *owner)
{
	struct door *door = owner;

	role_deaf(door->s->role);
}

static int open_doors(struct smtpd_role *s)
{
	struct role *role = s->role;

	for (size_t i = 0; i < role->listener_count; i++) {
		struct role_listener *given = &role->listeners[i];
		struct door *door = &s->doors[s->door_count];
		int fd = given->fd;

		if (given->place >= role->config->listener_count ||
			s->door_count == ARRAY_SIZE(s->doors))
			continue;
		*door = (struct door){.s = s, .place = given->place};
		given->fd = -1;
		int err = loop_listen(role->loop, fd, accepted, door, role->log, &door->listener);
		if (err)
			return err;
		listener_on_broken(door->listener, deaf);
		s->door_count++;
	}
	return 0;
}

static void close_doors(struct smtpd_role *s)
{
	while (s->door_count)
		listener_close(&s->doors[--s->door_count].listener);
}

static void health(void *context, enum spool_health health)
{
	struct smtpd_role *s = context;

	smtpd_report_health(s->role, s->world.disks[IPC_DIRECTORY_SPOOL],
		s->writer ? spool_writer_trouble(s->writer) : NULL, health);
}

/* Whatever the disk's health is: where it is bad, clients are told. */
static int begin_log(struct smtpd_role *s)
{
	int err = spool_writer_begin(s->writer);

	if (err)
		role_fatal(s->role, "cannot write to the spool", span_str(err_text(err)));
	else if (spool_writer_health(s->writer) != SPOOL_WELL)
		health(s, spool_writer_health(s->writer));
	return err;
}

/*
 * A log of which delivery does not know the writer looks like a dead one's, and may be removed as
 * such: so no log is begun before delivery has taken this worker's position, however long that is.
 * One that is not running reads the logs when it starts, and asks all workers first.
 */
static void let_in_if_ready(struct smtpd_role *s)
{
	if (!s->knows || !s->keys.certified || s->open || s->role->stopping)
		return;
	if (!s->known && s->delivery.channel) {
		if (!timer_armed(&s->known_timer))
			(void)io_timer_after(s->role->io, &s->known_timer, KNOWN_MS);
		return;
	}
	io_timer_stop(s->role->io, &s->known_timer);
	s->open = true;
	if (begin_log(s) != 0) {
		s->failed = true;
		loop_stop(s->role->loop);
		return;
	}
	int err = open_doors(s);
	if (err)
		log_write(
			s->role->log, LOG_ERROR, "cannot listen", LOG_STR("reason", err_text(err)));
	else
		(void)role_ready(s->role);
}

static void let_in(struct smtpd_role *s)
{
	s->known = true;
	let_in_if_ready(s);
}

static void known_late(struct timer *timer)
{
	struct smtpd_role *s = CONTAINER_OF(timer, struct smtpd_role, known_timer);

	log_write(s->role->log, LOG_ERROR,
		"delivery does not answer: no mail is taken in until it does, or ends");
}

/* ---- delivery ------------------------------------------------------------------------------- */

static void notice(void *context, const struct spool_notice *notice)
{
	struct smtpd_role *s = context;

	notices_tell(&s->notices, notice);
}

static void pressed(void *context, bool on)
{
	struct smtpd_role *s = context;

	s->pressed = on;
	smtpd_set_queue_full(s->smtpd, s->full || s->pressed);
	if (on)
		log_write(s->role->log, LOG_ERROR,
			"delivery does not look at the mail that came in: no more is taken in "
			"until "
			"it does",
			LOG_U64("log_files", NOTICES_FILES));
	else
		log_write(s->role->log, LOG_INFO, "delivery looks at the mail again");
}

static void delivery_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct smtpd_role *s = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_HOPS_ANSWER) {
		hops_link_answer(s->hops, message->request, message->payload);
		return;
	}
	if (message->type == IPC_QUEUE_FULL) {
		s->full = cursor_u8(&in) != 0;
		smtpd_set_queue_full(s->smtpd, s->full || s->pressed);
	}
	let_in(s);
}

static int ask_hops(void *context, uint32_t request, struct span query)
{
	struct smtpd_role *s = context;

	return ipc_send(&s->delivery, IPC_HOPS_QUERY, request, query, NULL, 0);
}

static void delivery_gone(void *owner, struct ipc_port *port)
{
	struct smtpd_role *s = owner;
	(void)port;

	notices_forget(&s->notices);
	hops_link_lost(s->hops);
	let_in(s);
}

static const struct ipc_port_calls delivery_calls = {delivery_says, delivery_gone};

/* ---- admin ---------------------------------------------------------------------------------- */

static int directory(void *core, struct snapshot *snapshot)
{
	struct smtpd_role *s = core;

	smtpd_set_snapshot(s->smtpd, snapshot);
	hops_link_forget(s->hops);
	log_write(s->role->log, LOG_DEBUG, "the directory changed",
		LOG_U64("generation", snapshot_generation(snapshot)));
	s->knows = true;
	let_in_if_ready(s);
	return 0;
}

static void asked(void *core, const struct ipc_message *message)
{
	struct smtpd_role *s = core;
	struct buf figures;

	if (message->type != IPC_FIGURES_REQUEST)
		return;
	buf_init(&figures, IO_CHANNEL_BYTES);
	smtpd_report_figures(&figures, s->role->index, s->smtpd, s->writer);
	admin_link_answer(&s->admin, IPC_FIGURES_REPLY, message->request, buf_span(&figures));
	buf_done(&figures);
}

/* ---- certificates --------------------------------------------------------------------------- */

static bool told(struct role *role, const struct ipc_message *message)
{
	struct smtpd_role *s = role->core;

	if (!smtpd_keys_told(&s->keys, message))
		return false;
	let_in_if_ready(s);
	return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct smtpd_role *s = role->core;
	struct spool_notice position;

	if (peer == ROLE_ADMIN) {
		admin_link_open(&s->admin, fd);
	} else if (peer == ROLE_KEYS) {
		smtpd_keys_open(&s->keys, fd);
	} else if (peer == ROLE_DELIVERY) {
		ipc_port_close(&s->delivery);
		hops_link_lost(s->hops);
		ipc_port_init(&s->delivery, peer, index, &delivery_calls, s);
		if (role_open_port(role, fd, &s->delivery) != 0)
			return;
		spool_writer_position(s->writer, &position);
		notices_begin(&s->notices, &position);
	} else {
		close(fd);
	}
}

static bool written(void *core)
{
	struct smtpd_role *s = core;
	bool lingers = loop_lingering(s->role->loop) &&
		       s->role->io->now_ns - s->drained_ns < LINGER_MS * NS_PER_MS;

	return !spool_writer_busy(s->writer) && world_flushed(&s->world) && !lingers;
}

static void drained(void *arg)
{
	struct smtpd_role *s = arg;

	s->drained_ns = s->role->io->now_ns;
	spool_writer_close(s->writer);
	role_end_when(s->role, written);
}

static void stop(struct role *role, uint32_t ms)
{
	struct smtpd_role *s = role->core;

	io_timer_stop(role->io, &s->known_timer);
	close_doors(s);
	smtpd_drain(s->smtpd, ms, drained, s);
}

static int make_core(struct smtpd_role *s)
{
	struct role *role = s->role;
	const struct config *config = role->config;
	const struct spool_writer_config writer = {
		.io = role->io,
		.disk = s->world.disks[IPC_DIRECTORY_SPOOL],
		.owner = role->index,
		.serials = role->boot.serials,
		.segment_bytes = config->segment_bytes,
		.inline_bytes = config->limits.inline_bytes,
		.memory_bytes = config->limits.memory,
		.context = s,
		.notice = notice,
		.health = health,
	};

	const struct hops_link_config hops = {.io = role->io, .context = s, .send = ask_hops};

	int err = spool_writer_new(&writer, &s->writer);
	if (err == 0)
		err = smtpd_keys_init(&s->keys, role);
	if (err == 0)
		err = hops_link_new(&hops, &s->hops);
	if (err)
		return err;
	const struct smtpd_config smtpd = {
		.io = role->io,
		.config = config,
		.route = &s->world.route,
		.writer = s->writer,
		.events = world_events(&s->world),
		.auth = keys_link_auth(s->keys.link),
		.hops = hops_link_hops(s->hops),
		.log = role->log,
	};
	err = smtpd_new(&smtpd, &s->smtpd);
	s->keys.smtpd = s->smtpd;
	return err;
}

/* It may write its own log and body files, which it can neither read nor, of the log, remove; and
 * its own trace. */
static int allow(struct smtpd_role *s)
{
	char logs[16], bodies[16];

	snprintf(logs, sizeof(logs), "w%u", s->role->index);
	snprintf(bodies, sizeof(bodies), "b%u", s->role->index);
	int err = world_allow(&s->world, IPC_DIRECTORY_SPOOL, logs, SANDBOX_LIST | SANDBOX_FILL);
	if (err == 0)
		err = world_allow(&s->world, IPC_DIRECTORY_SPOOL, bodies,
			SANDBOX_LIST | SANDBOX_FILL | SANDBOX_UNLINK);
	if (err == 0)
		err = world_allow(&s->world, IPC_DIRECTORY_TRACE, "",
			SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE);
	return err;
}

static int begin(struct smtpd_role *s)
{
	struct role *role = s->role;
	int err = world_open(&s->world, role);

	if (err == 0)
		err = allow(s);
	if (err) {
		role_fatal(role, "cannot open the spool or the trace", span_str(err_text(err)));
		return err;
	}
	err = role_enter(role);
	if (err)
		return err;
	err = make_core(s);
	if (err) {
		role_fatal(role, "cannot start", span_str(err_text(err)));
		return err;
	}
	loop_set_connections(role->loop, role->config->limits.connections);
	role_take_channels(role);
	return 0;
}

int role_smtpd_main(uint8_t index)
{
	struct role role;
	struct smtpd_role s = {.role = &role, .known_timer.fire = known_late};

	if (role_start(&role, ROLE_SMTPD, index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &s;
	role.channel = channel;
	role.told = told;
	role.stop = stop;
	ipc_port_init(&s.delivery, ROLE_DELIVERY, 0, &delivery_calls, &s);
	admin_link_init(&s.admin, &role, &s.world, directory, asked);
	notices_init(&s.notices, role.io, &s.delivery, pressed, &s);
	int err = begin(&s);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	if (role.deaf)
		return ROLE_EXIT_FAILED;
	return err || s.failed ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
