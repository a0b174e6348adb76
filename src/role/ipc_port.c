/*
 * A channel of messages: long payloads are cut into datagrams and joined again; what a slow peer
 * does not take waits, in order, up to a bound.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PART_BYTES (IO_CHANNEL_BYTES - IPC_HEADER_BYTES)

struct ipc_waiting {
	struct ipc_waiting *next;
	int fds[IO_CHANNEL_FDS];
	size_t fd_count;
	size_t n;
	char data[];
};

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

void ipc_port_init(struct ipc_port *port, enum role_kind peer, uint8_t peer_index,
	const struct ipc_port_calls *calls, void *owner)
{
	*port = (struct ipc_port){
		.calls = calls, .owner = owner, .peer = peer, .peer_index = peer_index};
	port->waiting_tail = &port->waiting;
	buf_init(&port->joined, IPC_MESSAGE_BYTES);
}

static void drop_first(struct ipc_port *port)
{
	struct ipc_waiting *w = port->waiting;

	port->waiting = w->next;
	if (!port->waiting)
		port->waiting_tail = &port->waiting;
	port->waiting_bytes -= w->n;
	close_all(w->fds, w->fd_count);
	explicit_bzero(w->data, w->n);
	free(w);
}

void ipc_port_close(struct ipc_port *port)
{
	while (port->waiting)
		drop_first(port);
	buf_done(&port->joined);
	io_channel_close(&port->channel);
}

static void gone(struct ipc_port *port)
{
	ipc_port_close(port);
	port->calls->closed(port->owner, port);
}

/* ---- sending -------------------------------------------------------------------------------- */

static int wait_with(struct ipc_port *port, struct span datagram, const int *fds, size_t fd_count)
{
	struct ipc_waiting *w = malloc(sizeof(*w) + datagram.n);
	if (!w)
		return ERR_NOMEM;
	*w = (struct ipc_waiting){.n = datagram.n};
	memcpy(w->data, datagram.p, datagram.n);
	for (size_t i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			close_all(w->fds, w->fd_count);
			free(w);
			return err_from_errno(errno);
		}
		w->fds[w->fd_count++] = fd;
	}
	*port->waiting_tail = w;
	port->waiting_tail = &w->next;
	port->waiting_bytes += w->n;
	return 0;
}

static int send_datagram(
	struct ipc_port *port, struct span datagram, const int *fds, size_t fd_count)
{
	if (!port->waiting) {
		int err = io_channel_send(port->channel, datagram, fds, fd_count);
		if (err != ERR_AGAIN)
			return err;
	}
	return wait_with(port, datagram, fds, fd_count);
}

int ipc_send(struct ipc_port *port, uint16_t type, uint32_t request, struct span payload,
	const int *fds, size_t fd_count)
{
	struct buf part;
	int err = 0;

	if (!port->channel)
		return ERR_CLOSED;
	/* Refused whole or not at all: half a message would spoil the next one. */
	if (payload.n > IPC_MESSAGE_BYTES ||
		(port->waiting && port->waiting_bytes + payload.n > IPC_QUEUE_BYTES))
		return ERR_LIMIT;
	buf_init(&part, IO_CHANNEL_BYTES);
	do {
		size_t n = MIN(payload.n, PART_BYTES);
		buf_clear(&part);
		ipc_put_header(&part, type, n < payload.n ? IPC_MORE : 0, request);
		buf_add(&part, payload.p, n);
		payload = span_skip(payload, n);
		/* Descriptors ride on the last part. */
		err = buf_ok(&part)
			      ? send_datagram(port, buf_span(&part), fds, payload.n ? 0 : fd_count)
			      : ERR_NOMEM;
	} while (err == 0 && payload.n);
	if (ipc_is_secret(type) && part.p)
		explicit_bzero(part.p, part.room);
	buf_done(&part);
	return err;
}

static void on_writable(void *owner)
{
	struct ipc_port *port = owner;

	while (port->waiting) {
		struct ipc_waiting *w = port->waiting;
		int err =
			io_channel_send(port->channel, span_of(w->data, w->n), w->fds, w->fd_count);
		if (err == ERR_AGAIN)
			return;
		/* ERR_CLOSED: the end comes by itself. */
		drop_first(port);
	}
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* A part that goes on, or ends, what came before. Parts of two messages never mix, since a port
 * sends one after the other. */
static int join(struct ipc_port *port, struct ipc_message *message)
{
	bool begun = port->joined.n > 0;

	if (begun &&
		(message->type != port->joined_type || message->request != port->joined_request))
		return ERR_CORRUPT;
	port->joined_type = message->type;
	port->joined_request = message->request;
	buf_add_span(&port->joined, message->payload);
	if (!buf_ok(&port->joined))
		return ERR_LIMIT;
	message->payload = buf_span(&port->joined);
	return 0;
}

static void on_message(void *owner, struct span bytes, const int *fds, size_t fd_count)
{
	struct ipc_port *port = owner;
	struct ipc_message message;

	int err = ipc_get_header(bytes, &message);
	bool more = err == 0 && (message.flags & IPC_MORE);
	/* A part that is not the last one carries bytes and no descriptors. */
	if (err == 0 && more && (fd_count || !message.payload.n))
		err = ERR_CORRUPT;
	if (err == 0 && (more || port->joined.n))
		err = join(port, &message);
	if (err) {
		close_all(fds, fd_count);
		gone(port);
		return;
	}
	if (more)
		return;
	message.fds = fds;
	message.fd_count = fd_count;
	/* The callee may close the port; the payload lives until it returns. */
	struct buf joined = port->joined;
	buf_init(&port->joined, IPC_MESSAGE_BYTES);
	port->calls->message(port->owner, port, &message);
	/* Where it lies is memory of the loop's own, that is used again. */
	if (ipc_is_secret(message.type))
		explicit_bzero((void *)(uintptr_t)bytes.p, bytes.n);
	buf_done(&joined);
}

static void on_closed(void *owner)
{
	gone(owner);
}

const struct io_channel_handler ipc_port_handler = {on_message, on_writable, on_closed};
