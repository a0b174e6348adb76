/*
 * What the supervisor gives a role while it starts, received one after the other: there is no loop
 * yet.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/role.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static int take_channel(struct role *role, struct span payload, int fd)
{
	struct role_channel channel = {.fd = fd};

	if (role->channel_count == ARRAY_SIZE(role->channels))
		return ERR_LIMIT;
	int err = ipc_get_channel(payload, &channel.peer, &channel.index);
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

static int receive_each(struct bootstrap *b)
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

int role_receive(struct role *role)
{
	struct bootstrap *b = calloc(1, sizeof(*b));

	if (!b)
		return ERR_NOMEM;
	b->role = role;
	buf_init(&b->config, IPC_MESSAGE_BYTES);
	buf_init(&b->problems, IO_CHANNEL_BYTES);
	int err = receive_each(b);
	buf_done(&b->config);
	buf_done(&b->problems);
	free(b);
	return err;
}
