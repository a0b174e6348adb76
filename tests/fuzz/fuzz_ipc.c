/*
 * What a role that was taken over may send to another: datagrams (u16 length, bytes, …) through a
 * port that joins them, and the payloads that delivery reads from an smtpd.
 */
#include "base/err.h"
#include "role/hops_message.h"
#include "role/ipc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int send_nothing(
	struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count)
{
	(void)channel;
	(void)bytes;
	(void)fds;
	(void)fd_count;
	return 0;
}

static void close_nothing(struct io_channel **channel)
{
	*channel = NULL;
}

static void message(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct cursor in = cursor_of(message->payload);
	struct spool_notice notice;
	struct span transport, domain;
	struct hops_reply hops;
	struct ipc_boot boot;
	(void)owner;

	if (message->type == 0 || message->type >= IPC_TYPES)
		abort();
	while (cursor_left(&in))
		if (ipc_get_notice(&in, port->peer_index, &notice) != 0)
			break;
		else if (notice.owner != port->peer_index)
			abort();
	(void)ipc_get_boot(message->payload, &boot);
	if (hops_get_query(message->payload, &transport, &domain) == 0 &&
		(transport.n > HOPS_TRANSPORT || domain.n > HOPS_DOMAIN))
		abort();
	if (hops_get_reply(message->payload, &hops) == 0 && hops.count > HOPS_ADDRESSES)
		abort();
}

static void closed(void *owner, struct ipc_port *port)
{
	(void)owner;
	if (port->channel)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct io_ops ops = {
		.channel_send = send_nothing, .channel_close = close_nothing};
	static const struct ipc_port_calls calls = {message, closed};
	struct io io = {.ops = &ops};
	struct io_channel channel = {.io = &io};
	struct cursor in = cursor_of(span_of(data, size));
	struct ipc_port port;

	ipc_port_init(&port, ROLE_SMTPD, 3, &calls, NULL);
	port.channel = &channel;
	while (cursor_left(&in) && port.channel) {
		struct span datagram = cursor_bytes16(&in);
		if (!cursor_ok(&in))
			break;
		/* A port wipes what was secret. */
		char *own = malloc(datagram.n + 1);
		if (datagram.n)
			memcpy(own, datagram.p, datagram.n);
		ipc_port_handler.message(&port, span_of(own, datagram.n), NULL, 0);
		free(own);
	}
	ipc_port_close(&port);
	return 0;
}
