/*
 * Datagrams and descriptors between roles, over SOCK_SEQPACKET: a datagram is whole, in order, and
 * the end of the other side is seen.
 */
#include "base/err.h"
#include "io/loop_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAGIC 0x6368616eu
#define CONTROL_BYTES CMSG_SPACE(IO_CHANNEL_FDS * sizeof(int))
/* Room for a few of the longest datagrams; the kernel counts its own overhead too. */
#define BUFFER_BYTES (8 * IO_CHANNEL_BYTES)

struct channel {
	struct io_channel base; /* first */
	uint32_t magic;
	struct loop *loop;
	int fd;
	size_t most;  /* datagrams of a turn */
	bool blocked; /* the owner waits for writable() */
	bool closing;
	uv_poll_t poll;
};

/* Where datagrams are received; one for all channels of a loop. Pages that no datagram reaches cost
 * nothing. */
struct channel_batch {
	struct mmsghdr headers[LOOP_CHANNEL_BATCH];
	struct iovec parts[LOOP_CHANNEL_BATCH];
	union {
		char bytes[CONTROL_BYTES];
		struct cmsghdr align;
	} control[LOOP_CHANNEL_BATCH];
	char data[LOOP_CHANNEL_BATCH][IO_CHANNEL_BYTES];
};

static void on_event(uv_poll_t *poll, int status, int events);

static struct channel *channel_of(struct io_channel *base)
{
	struct channel *c = (struct channel *)(void *)base;
	CHECK_MAGIC(c, CHANNEL_MAGIC);
	return c;
}

static void watch(struct channel *c)
{
	uv_poll_start(&c->poll, c->blocked ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_event);
}

static size_t take_fds(struct msghdr *message, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (count < IO_CHANNEL_FDS)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

/* False: the other side is gone, or sent what nobody here sends. */
static bool hand_over(struct channel *c, struct msghdr *message, size_t n)
{
	int fds[IO_CHANNEL_FDS];
	size_t fd_count = take_fds(message, fds);
	bool good = n > 0 && !(message->msg_flags & (MSG_TRUNC | MSG_CTRUNC));

	if (good && !c->closing) {
		c->base.handler->message(
			c->base.owner, span_of(message->msg_iov->iov_base, n), fds, fd_count);
		return true;
	}
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	return good;
}

static int receive(struct channel *c, struct channel_batch *batch)
{
	for (size_t i = 0; i < c->most; i++) {
		batch->parts[i] = (struct iovec){batch->data[i], IO_CHANNEL_BYTES};
		batch->headers[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch->parts[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i].bytes,
			.msg_controllen = sizeof(batch->control[i].bytes),
		};
	}
	return recvmmsg(
		c->fd, batch->headers, (unsigned)c->most, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
}

static void gone(struct channel *c)
{
	if (c->closing)
		return;
	uv_poll_stop(&c->poll);
	c->base.handler->closed(c->base.owner);
}

static void on_readable(struct channel *c)
{
	struct channel_batch *batch = c->loop->batch;
	bool good = true;

	int n = receive(c, batch);
	/* A reset is told before the datagrams that still lie here: they and the end come at the
	 * next turn. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return;
	for (int i = 0; i < n; i++)
		if (!hand_over(c, &batch->headers[i].msg_hdr, batch->headers[i].msg_len))
			good = false;
	if (n <= 0 || !good)
		gone(c);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct channel *c = CONTAINER_OF(poll, struct channel, poll);

	loop_wake(c->loop);
	if (status) {
		/* EPOLLERR, which ends the watch: what is still in the socket says whether it is
		 * over. */
		events = UV_READABLE;
		watch(c);
	}
	if ((events & UV_WRITABLE) && c->blocked) {
		c->blocked = false;
		watch(c);
		c->base.handler->writable(c->base.owner);
	}
	if ((events & UV_READABLE) && !c->closing)
		on_readable(c);
}

int loop_channel(struct loop *loop, int fd, const struct io_channel_handler *handler, void *owner,
	struct io_channel **out)
{
	int size = BUFFER_BYTES;
	struct channel *c = calloc(1, sizeof(*c));

	if (!loop->batch)
		loop->batch = malloc(sizeof(*loop->batch));
	if (!c || !loop->batch) {
		free(c);
		close(fd);
		return ERR_NOMEM;
	}
	c->base = (struct io_channel){.io = &loop->io, .handler = handler, .owner = owner};
	c->magic = CHANNEL_MAGIC;
	c->loop = loop;
	c->fd = fd;
	c->most = LOOP_CHANNEL_BATCH;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	int err = uv_poll_init(&loop->uv, &c->poll, fd);
	if (err) {
		free(c);
		close(fd);
		return err_from_uv(err);
	}
	watch(c);
	*out = &c->base;
	return 0;
}

void loop_channel_slow(struct io_channel *channel)
{
	channel_of(channel)->most = 1;
}

int channel_send(struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count)
{
	struct channel *c = channel_of(channel);
	struct iovec part = {(void *)bytes.p, bytes.n};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union {
		char bytes[CONTROL_BYTES];
		struct cmsghdr align;
	} control = {0};

	CHECK(bytes.n && bytes.n <= IO_CHANNEL_BYTES && fd_count <= IO_CHANNEL_FDS && !c->closing);
	if (fd_count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		CHECK(header);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno != EAGAIN && errno != ENOBUFS)
		return ERR_CLOSED;
	if (!c->blocked) {
		c->blocked = true;
		watch(c);
	}
	return ERR_AGAIN;
}

static void on_closed(uv_handle_t *handle)
{
	struct channel *c = CONTAINER_OF(handle, struct channel, poll);

	c->magic = 0;
	free(c);
}

void channel_close(struct io_channel **at)
{
	struct channel *c = channel_of(*at);

	*at = NULL;
	c->closing = true;
	uv_poll_stop(&c->poll);
	close(c->fd);
	uv_close((uv_handle_t *)&c->poll, on_closed);
}

int loop_channel_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_from_errno(errno);
	return 0;
}
