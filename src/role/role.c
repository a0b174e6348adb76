#include "role/role.h"

#include "base/check.h"
#include "base/err.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define END_MS 20 /* between two looks whether everything is written */
/* After its time to end in, for what is being written: less than STOP_KILL_MS of the supervisor. */
#define LATE_MS 1800
#define STOP_MS 5000 /* to end in, when the supervisor is gone and nobody said how long */

/* ---- the supervisor, from now on ------------------------------------------------------------ */

static void stop(struct role *role, uint32_t ms)
{
	if (role->stopping)
		return;
	role->stopping = true;
	role->end_ns = role->io->now_ns + (ms + LATE_MS) * NS_PER_MS;
	role->stop(role, ms);
}

static void late_channel(struct role *role, const struct ipc_message *message)
{
	enum role_kind peer;
	uint8_t index;

	if (!role->stopping && message->fd_count == 1 &&
		ipc_get_channel(message->payload, &peer, &index) == 0) {
		role->channel(role, peer, index, message->fds[0]);
		return;
	}
	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void changed_file(struct role *role, const struct ipc_message *message)
{
	size_t taken = role->file && !role->stopping && message->fd_count == 1;

	if (taken)
		role->file(role, message->fds[0]);
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void other_word(struct role *role, const struct ipc_message *message)
{
	bool known = role->told && !role->stopping && role->told(role, message);

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (!known && !role->stopping)
		log_write(role->log, LOG_ERROR, "the supervisor said what it should not",
			LOG_STR("type", ipc_type_name(message->type)));
}

static void supervisor_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct role *role = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	switch (message->type) {
	case IPC_CHANNEL: late_channel(role, message); break;
	case IPC_FILE: changed_file(role, message); break;
	case IPC_STOP: stop(role, cursor_u32(&in)); break;
	case IPC_LOG_LEVEL:
		role->config->log_level = MIN(cursor_u8(&in), LOG_ERROR);
		logsink_set_level(role->sink, (enum log_level)role->config->log_level);
		break;
	default: other_word(role, message);
	}
}

static void supervisor_gone(void *owner, struct ipc_port *port)
{
	struct role *role = owner;
	(void)port;

	log_write(role->log, LOG_ERROR, "the supervisor is gone: ending",
		LOG_U64("within_ms", STOP_MS));
	stop(role, STOP_MS);
}

static const struct ipc_port_calls supervisor_calls = {supervisor_says, supervisor_gone};

int role_open_port(struct role *role, int fd, struct ipc_port *port)
{
	return loop_channel(role->loop, fd, &ipc_port_handler, port, &port->channel);
}

/* ---- the steps of a main -------------------------------------------------------------------- */

static int make_loop(struct role *role)
{
	char name[32];
	const struct logsink_config sink = {
		.fd = STDERR_FILENO,
		.format = role->config->log_format == CONFIG_LOG_JSON ? LOGSINK_JSON : LOGSINK_TEXT,
		.least = (enum log_level)role->config->log_level,
		.role = name,
	};

	if (role->kind == ROLE_SMTPD)
		snprintf(name, sizeof(name), "smtpd %u", role->index);
	else
		snprintf(name, sizeof(name), "%s", role_kind_name(role->kind));
	/* As "ps" and "top" show it. */
	(void)prctl(PR_SET_NAME, name);
	int err = loop_new(&role->loop);
	if (err)
		return err;
	role->io = loop_io(role->loop);
	struct logsink_config with_io = sink;
	with_io.io = role->io;
	err = logsink_new(&with_io, &role->sink);
	if (err)
		return err;
	role->log = logsink_log(role->sink);
	return role_open_port(role, ROLE_BOOT_FD, &role->supervisor);
}

int role_start(struct role *role, enum role_kind kind, uint8_t index)
{
	*role = (struct role){.kind = kind, .index = index};
	/* Whoever signals the whole group or service means the supervisor, which ends us in order.
	 */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (size_t i = 0; i < IPC_DIRECTORIES; i++)
		role->directories[i] = -1;
	ipc_port_init(&role->supervisor, ROLE_SUPERVISOR, 0, &supervisor_calls, role);
	int err = role_receive(role);
	if (err == 0)
		err = make_loop(role);
	if (err) {
		dprintf(STDERR_FILENO, "posternd: %s: cannot start: %s\n", role_kind_name(kind),
			err_text(err));
		return err;
	}
	sandbox_init(&role->sandbox, kind, role->config->sandbox);
	return 0;
}

int role_fatal(struct role *role, const char *what, struct span detail)
{
	struct buf text;

	log_write(role->log, LOG_ERROR, what, LOG_SPAN("detail", detail));
	buf_init(&text, UINT16_MAX);
	buf_put_bytes16(&text, span_of(detail.p, MIN(detail.n, 1024)));
	(void)ipc_send(&role->supervisor, IPC_FATAL, 0, buf_span(&text), NULL, 0);
	buf_done(&text);
	return ROLE_EXIT_FATAL;
}

int role_enter(struct role *role)
{
	struct buf problem;

	buf_init(&problem, 4096);
#if defined(__SANITIZE_ADDRESS__)
	sandbox_add_path(&role->sandbox, "/proc", SANDBOX_READ);
#endif
	int err = sandbox_paths(&role->sandbox, role->log, &problem);
	if (err == 0)
		err = loop_start_lanes(role->loop);
	if (err == 0)
		err = sandbox_calls(&role->sandbox, role->log, &problem);
	if (err)
		role_fatal(role, "the sandbox cannot be entered",
			problem.n ? buf_span(&problem) : span_str(err_text(err)));
	buf_done(&problem);
	return err;
}

void role_deaf(struct role *role)
{
	role->deaf = true;
	loop_stop(role->loop);
}

void role_take_channels(struct role *role)
{
	for (size_t i = 0; i < role->channel_count; i++)
		role->channel(role, role->channels[i].peer, role->channels[i].index,
			role->channels[i].fd);
	role->channel_count = 0;
}

static void end_when_written(struct timer *timer)
{
	struct role *role = CONTAINER_OF(timer, struct role, end_timer);
	bool written = role->written(role->core);
	bool late = role->io->now_ns >= role->end_ns;

	if (!written && late)
		log_write(role->log, LOG_ERROR,
			"ending although the disk has not taken everything: the trace may lack its "
			"last lines, and a client its reply");
	if (written || late || io_timer_after(role->io, &role->end_timer, END_MS) != 0)
		loop_stop(role->loop);
}

void role_end_when(struct role *role, bool (*written)(void *core))
{
	role->written = written;
	role->end_timer.fire = end_when_written;
	(void)io_timer_after(role->io, &role->end_timer, 0);
}

int role_ready(struct role *role)
{
	return ipc_send(&role->supervisor, IPC_READY, 0, SPAN_NONE, NULL, 0);
}

void role_end(struct role *role)
{
	if (role->sink)
		logsink_last(role->sink);
}
