#include "role/role.h"

#include "base/check.h"
#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOP_MS 5000 /* to end in, when the supervisor is gone and nobody said how long */

/* ---- the part before there is a loop -------------------------------------------------------- */

struct bootstrap {
	struct role *role;
	struct buf config; /* the payload, joined */
	struct buf problems;
	char datagram[IO_CHANNEL_BYTES];
};

static char *copy_text(struct span from)
{
	char *to = malloc(from.n + 1);

	if (!to)
		return NULL;
	if (from.n)
		memcpy(to, from.p, from.n);
	to[from.n] = 0;
	return to;
}

static int take_config(struct bootstrap *b)
{
	struct cursor in = cursor_of(buf_span(&b->config));
	struct span name = cursor_bytes16(&in), folder = cursor_bytes16(&in),
		    text = cursor_bytes32(&in);

	if (!cursor_ok(&in))
		return ERR_CORRUPT;
	char *file = copy_text(name);
	if (!file)
		return ERR_NOMEM;
	int err = config_parse_in(file, folder, text, &b->role->config, &b->problems);
	free(file);
	return err;
}

static int take_directory(struct role *role, struct span payload, int fd)
{
	struct cursor in = cursor_of(payload);
	uint8_t which = cursor_u8(&in);
	struct span path = cursor_bytes16(&in);

	if (!cursor_ok(&in) || which >= IPC_DIRECTORIES || role->directories[which] >= 0)
		return ERR_CORRUPT;
	role->directory_paths[which] = copy_text(path);
	if (!role->directory_paths[which])
		return ERR_NOMEM;
	role->directories[which] = fd;
	return 0;
}

static int take_listener(struct role *role, struct span payload, int fd)
{
	struct cursor in = cursor_of(payload);
	uint16_t place = cursor_u16(&in);

	if (!cursor_ok(&in) || role->listener_count == ARRAY_SIZE(role->listeners))
		return ERR_CORRUPT;
	role->listeners[role->listener_count++] = (struct role_listener){fd, place};
	return 0;
}

static int get_channel(struct span payload, enum role_kind *peer, uint8_t *index)
{
	struct cursor in = cursor_of(payload);

	*peer = cursor_u8(&in);
	*index = cursor_u8(&in);
	return cursor_ok(&in) && *peer < ROLE_KINDS ? 0 : ERR_CORRUPT;
}

static int take_channel(struct role *role, struct span payload, int fd)
{
	struct role_channel channel = {.fd = fd};

	if (role->channel_count == ARRAY_SIZE(role->channels))
		return ERR_LIMIT;
	int err = get_channel(payload, &channel.peer, &channel.index);
	if (err == 0)
		role->channels[role->channel_count++] = channel;
	return err;
}

static int take(struct bootstrap *b, const struct ipc_message *message, int fd)
{
	bool wants_fd = message->type == IPC_DIRECTORY || message->type == IPC_LISTENER ||
			message->type == IPC_CHANNEL;

	if (wants_fd != (fd >= 0))
		return ERR_CORRUPT;
	switch (message->type) {
	case IPC_CONFIG:
		buf_add_span(&b->config, message->payload);
		if (!buf_ok(&b->config))
			return ERR_LIMIT;
		return message->flags & IPC_MORE ? 0 : take_config(b);
	case IPC_BOOT: return ipc_get_boot(message->payload, &b->role->boot);
	case IPC_DIRECTORY: return take_directory(b->role, message->payload, fd);
	case IPC_LISTENER: return take_listener(b->role, message->payload, fd);
	case IPC_CHANNEL: return take_channel(b->role, message->payload, fd);
	default: return ERR_CORRUPT;
	}
}

/* One datagram; *fd is -1 where it carries no descriptor. */
static int receive(struct bootstrap *b, struct ipc_message *message, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {b->datagram, sizeof(b->datagram)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	do
		n = recvmsg(ROLE_BOOT_FD, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_from_errno(errno);
	if (n == 0)
		return ERR_CLOSED;
	*fd = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return ipc_get_header(span_of(b->datagram, (size_t)n), message);
}

static int receive_all(struct bootstrap *b)
{
	for (;;) {
		struct ipc_message message = {0};
		int fd = -1, err = receive(b, &message, &fd);

		if (err)
			return err;
		if (message.type == IPC_START)
			return b->role->config && b->role->boot.workers ? 0 : ERR_CORRUPT;
		err = take(b, &message, fd);
		if (err)
			return err;
	}
}

/* ---- the supervisor, from now on ------------------------------------------------------------ */

static void stop(struct role *role, uint32_t ms)
{
	if (role->stopping)
		return;
	role->stopping = true;
	role->stop(role, ms);
}

static void late_channel(struct role *role, const struct ipc_message *message)
{
	enum role_kind peer;
	uint8_t index;

	if (!role->stopping && message->fd_count == 1 &&
		get_channel(message->payload, &peer, &index) == 0) {
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

static void supervisor_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct role *role = owner;
	struct cursor in = cursor_of(message->payload);
	(void)port;

	switch (message->type) {
	case IPC_CHANNEL: late_channel(role, message); break;
	case IPC_FILE: changed_file(role, message); break;
	case IPC_STOP: stop(role, cursor_u32(&in)); break;
	case IPC_LOG_LEVEL: logsink_set_level(role->sink, MIN(cursor_u8(&in), LOG_ERROR)); break;
	default:
		log_write(role->log, LOG_ERROR, "the supervisor said what it should not",
			LOG_STR("type", ipc_type_name(message->type)));
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
	struct bootstrap b = {.role = role};

	*role = (struct role){.kind = kind, .index = index};
	/* Whoever signals the whole group or service means the supervisor, which ends us in order.
	 */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (size_t i = 0; i < IPC_DIRECTORIES; i++)
		role->directories[i] = -1;
	ipc_port_init(&role->supervisor, ROLE_SUPERVISOR, 0, &supervisor_calls, role);
	buf_init(&b.config, IPC_MESSAGE_BYTES);
	buf_init(&b.problems, IO_CHANNEL_BYTES);
	int err = receive_all(&b);
	if (err == 0)
		err = make_loop(role);
	buf_done(&b.config);
	buf_done(&b.problems);
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

int role_ready(struct role *role)
{
	return ipc_send(&role->supervisor, IPC_READY, 0, SPAN_NONE, NULL, 0);
}

void role_end(struct role *role)
{
	if (role->sink)
		logsink_last(role->sink);
}
