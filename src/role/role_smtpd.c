/*
 * The smtpd role: SMTP server sessions and one spool log. It accepts only once it knows the
 * directory; until then clients wait in the kernel's queue.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/json_write.h"
#include "role/world.h"
#include "smtpd/smtpd.h"

#include <stdio.h>
#include <unistd.h>

#define BEHIND_FILES 64	 /* log files whose last notice delivery has not been given yet */
#define BEHIND_MS    100 /* between two tries to give it */
#define END_MS	     20	 /* between two looks whether everything is written */

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
	struct ipc_port delivery, admin;
	bool knows; /* a directory came */
	struct door doors[CONFIG_LISTENERS];
	size_t door_count;
	/* Notices that a slow delivery has not taken: the last of each file says it all. */
	struct spool_notice behind[BEHIND_FILES];
	size_t behind_count;
	struct timer behind_timer;
	struct timer end_timer;
};

/* ---- what delivery hears -------------------------------------------------------------------- */

static int tell(
	struct smtpd_role *s, uint16_t type, const struct spool_notice *notices, size_t count)
{
	struct buf buf;

	buf_init(&buf, IO_CHANNEL_BYTES);
	for (size_t i = 0; i < count; i++)
		ipc_put_notice(&buf, &notices[i]);
	int err = ipc_send(&s->delivery, type, 0, buf_span(&buf), NULL, 0);
	buf_done(&buf);
	return err;
}

static void keep_behind(struct smtpd_role *s, const struct spool_notice *notice)
{
	size_t i = 0;

	while (i < s->behind_count && s->behind[i].serial != notice->serial)
		i++;
	/* Gigabytes that delivery has not looked at: it hangs. Starting anew sets this right, since
	 * the files themselves are read then. */
	CHECK(i < BEHIND_FILES);
	uint32_t before = i < s->behind_count ? s->behind[i].messages : 0;
	s->behind[i] = *notice;
	s->behind[i].messages += before;
	s->behind_count = MAX(s->behind_count, i + 1);
	(void)io_timer_after(s->role->io, &s->behind_timer, BEHIND_MS);
}

static void behind_again(struct timer *timer)
{
	struct smtpd_role *s = CONTAINER_OF(timer, struct smtpd_role, behind_timer);

	if (ipc_port_idle(&s->delivery) && tell(s, IPC_NOTICE, s->behind, s->behind_count) == 0)
		s->behind_count = 0;
	else if (s->delivery.channel)
		(void)io_timer_after(s->role->io, &s->behind_timer, BEHIND_MS);
}

static void notice(void *context, const struct spool_notice *notice)
{
	struct smtpd_role *s = context;

	/* A delivery that is gone reads the files when it comes back. */
	if (!s->delivery.channel)
		return;
	if (s->behind_count || !ipc_port_idle(&s->delivery) || tell(s, IPC_NOTICE, notice, 1) != 0)
		keep_behind(s, notice);
}

static void health(void *context, enum spool_health health)
{
	static const char *const words[] = {"well",
		"full: mail is refused with 452 until there is space",
		"sick: mail is refused with 451 until the device can be written again"};
	struct smtpd_role *s = context;

	log_write(s->role->log, health == SPOOL_WELL ? LOG_INFO : LOG_ERROR,
		"the spool's health changed", LOG_STR("spool", words[health]));
}

static void delivery_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct smtpd_role *s = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type == IPC_QUEUE_FULL)
		smtpd_set_queue_full(s->smtpd, cursor_u8(&in) != 0);
}

static void delivery_gone(void *owner, struct ipc_port *port)
{
	struct smtpd_role *s = owner;
	(void)port;

	s->behind_count = 0;
	io_timer_stop(s->role->io, &s->behind_timer);
}

static const struct ipc_port_calls delivery_calls = {delivery_says, delivery_gone};

/* ---- what admin says ------------------------------------------------------------------------ */

static void accepted(void *owner, struct io_conn *conn)
{
	struct door *door = owner;
	const struct io_conn_handler *handler;
	void *session;

	if (smtpd_session_start(door->s->smtpd, conn, door->place, &handler, &session) == 0)
		loop_conn_adopt(conn, handler, session);
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
		s->door_count++;
	}
	return 0;
}

static void close_doors(struct smtpd_role *s)
{
	while (s->door_count)
		listener_close(&s->doors[--s->door_count].listener);
}

static void take_snapshot(struct smtpd_role *s, int fd)
{
	struct snapshot *snapshot;
	int err = snapshot_open(fd, &snapshot);

	if (err) {
		log_write(s->role->log, LOG_ERROR,
			"a generation of the directory cannot be read; the one before stays",
			LOG_STR("reason", err_text(err)));
		return;
	}
	smtpd_set_snapshot(s->smtpd, snapshot);
	log_write(s->role->log, LOG_DEBUG, "the directory changed",
		LOG_U64("generation", snapshot_generation(snapshot)));
	snapshot_release(&snapshot);
	if (s->knows || s->role->stopping)
		return;
	s->knows = true;
	err = open_doors(s);
	if (err)
		log_write(
			s->role->log, LOG_ERROR, "cannot listen", LOG_STR("reason", err_text(err)));
	else
		(void)role_ready(s->role);
}

static void figures(struct smtpd_role *s, uint32_t request)
{
	struct smtpd_figures f;
	struct spool_figures w;
	struct json_write json;
	struct buf buf;

	smtpd_figures(s->smtpd, &f);
	spool_writer_figures(s->writer, &w);
	buf_init(&buf, IO_CHANNEL_BYTES);
	json_write_init(&json, &buf);
	json_open_object(&json, NULL);
	json_put_u64(&json, "worker", s->role->index);
	json_put_u64(&json, "connections", f.connections);
	json_put_u64(&json, "sessions", f.sessions_now);
	json_put_u64(&json, "messages", f.messages);
	json_put_u64(&json, "recipients", f.recipients);
	json_put_u64(&json, "bytes", f.bytes);
	json_open_object(&json, "refused");
	for (unsigned i = 0; i < SMTPD_REFUSALS; i++)
		json_put_u64(&json, smtpd_refusal_name(i), f.refused[i]);
	json_close_object(&json);
	json_open_object(&json, "spool");
	json_put_u64(&json, "health", spool_writer_health(s->writer));
	json_put_u64(&json, "syncs", w.syncs);
	json_put_u64(&json, "sync-ns", w.sync_ns);
	json_put_u64(&json, "batches", w.batches);
	json_put_u64(&json, "bytes", w.bytes_written);
	json_close_object(&json);
	json_close_object(&json);
	(void)ipc_send(&s->admin, IPC_FIGURES_REPLY, request, buf_span(&buf), NULL, 0);
	buf_done(&buf);
}

static void admin_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct smtpd_role *s = owner;
	size_t taken = 0;
	(void)port;

	if (message->type == IPC_SNAPSHOT && message->fd_count) {
		taken = 1;
		take_snapshot(s, message->fds[0]);
	} else if (message->type == IPC_FIGURES_REQUEST) {
		figures(s, message->request);
	}
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void admin_gone(void *owner, struct ipc_port *port)
{
	/* The last generation stays; admin comes back. */
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls admin_calls = {admin_says, admin_gone};

/* ---- life ----------------------------------------------------------------------------------- */

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct smtpd_role *s = role->core;
	struct ipc_port *port = peer == ROLE_DELIVERY ? &s->delivery : &s->admin;

	if (peer != ROLE_DELIVERY && peer != ROLE_ADMIN) {
		close(fd);
		return;
	}
	ipc_port_close(port);
	ipc_port_init(port, peer, index, peer == ROLE_DELIVERY ? &delivery_calls : &admin_calls, s);
	if (role_open_port(role, fd, port) != 0 || peer != ROLE_DELIVERY)
		return;
	struct spool_notice position;
	spool_writer_position(s->writer, &position);
	s->behind_count = 0;
	(void)tell(s, IPC_POSITION, &position, 1);
}

static void end_when_written(struct timer *timer)
{
	struct smtpd_role *s = CONTAINER_OF(timer, struct smtpd_role, end_timer);

	if (!spool_writer_busy(s->writer) && world_flushed(&s->world) &&
		!loop_lingering(s->role->loop))
		loop_stop(s->role->loop);
	else
		(void)io_timer_after(s->role->io, &s->end_timer, END_MS);
}

static void drained(void *arg)
{
	struct smtpd_role *s = arg;

	(void)io_timer_after(s->role->io, &s->end_timer, 0);
}

static void stop(struct role *role, uint32_t ms)
{
	struct smtpd_role *s = role->core;

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
		.least_serial = role->boot.least_serial,
		.segment_bytes = config->segment_bytes,
		.inline_bytes = config->limits.inline_bytes,
		.memory_bytes = config->limits.memory,
		.context = s,
		.notice = notice,
		.health = health,
	};

	int err = spool_writer_new(&writer, &s->writer);
	if (err)
		return err;
	const struct smtpd_config smtpd = {
		.io = role->io,
		.config = config,
		.route = &s->world.route,
		.writer = s->writer,
		.events = world_events(&s->world),
		.log = role->log,
	};
	return smtpd_new(&smtpd, &s->smtpd);
}

/* It may append to its own log and its own trace, and read nothing else. */
static int allow(struct smtpd_role *s)
{
	char name[16];

	snprintf(name, sizeof(name), "w%u", s->role->index);
	int err = world_allow(&s->world, IPC_DIRECTORY_SPOOL, name,
		SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE);
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
		role_fatal(role, "cannot write to the spool", span_str(err_text(err)));
		return err;
	}
	for (size_t i = 0; i < role->channel_count; i++)
		channel(role, role->channels[i].peer, role->channels[i].index,
			role->channels[i].fd);
	return 0;
}

int role_smtpd_main(uint8_t index)
{
	struct role role;
	struct smtpd_role s = {.role = &role,
		.behind_timer.fire = behind_again,
		.end_timer.fire = end_when_written};

	if (role_start(&role, ROLE_SMTPD, index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &s;
	role.channel = channel;
	role.stop = stop;
	ipc_port_init(&s.delivery, ROLE_DELIVERY, 0, &delivery_calls, &s);
	ipc_port_init(&s.admin, ROLE_ADMIN, 0, &admin_calls, &s);
	int err = begin(&s);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	return err ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
