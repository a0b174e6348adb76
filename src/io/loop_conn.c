/*
 * One connection: how it begins, reads, and ends. Sending is in loop_send.c.
 *
 * libuv's stream does the waiting and reading; all else is done on the descriptor by hand, so that
 * an accepted connection knows its peer without a call, and a send is one sendmsg.
 */
#include "base/err.h"
#include "io/loop_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);
static void on_timer(struct timer *timer);

static struct conn *conn_new(struct loop *loop)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->base.io = &loop->io;
	c->magic = CONN_MAGIC;
	c->fd = -1;
	c->timer.fire = on_timer;
	list_init(&c->lingering);
	loop->conn_count++;
	return c;
}

/* Of one that has no handle yet. */
static void conn_drop(struct conn *c)
{
	conn_loop(c)->conn_count--;
	free(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	conn_drop_out(c);
	if (c->tls)
		conn_tls_free(c);
	c->magic = 0;
	free(c);
}

void conn_destroy(struct conn *c)
{
	struct loop *loop = conn_loop(c);

	CHECK(!c->closing);
	c->closing = true;
	c->handler = NULL;
	loop->conn_count--;
	timers_disarm(&loop->io.timers, &c->timer);
	if (c->lingers) {
		list_remove(&c->lingering);
		loop->lingering_count--;
	}
	/* libuv forgets its callbacks when it closes a stream, and calls one after it asked for a
	 * buffer: then on_read() closes. */
	if (!c->asking)
		uv_close(&c->uv.handle, on_closed);
}

bool conn_shed(struct loop *loop)
{
	struct conn *oldest = LIST_FIRST(&loop->lingering, struct conn, lingering);

	if (oldest)
		conn_destroy(oldest);
	return oldest != NULL;
}

/* At least one stays: the newest, which may be in a callback of its own. */
static void shed_surplus(struct loop *loop)
{
	while (loop->lingering_count > LOOP_LINGER_MOST ||
		(loop->conn_count > loop->conn_most && loop->lingering_count > LOOP_LINGER_LEAST))
		(void)conn_shed(loop);
}

/* ---- beginnings ----------------------------------------------------------------------------- */

void conn_read_on(struct conn *c)
{
	if (c->reading || c->eof || c->failed)
		return;
	int err = uv_read_start(&c->uv.stream, on_alloc, on_read);
	if (err)
		conn_fail_later(c, err_from_uv(err));
	else
		c->reading = true;
}

int conn_accepted(struct loop *loop, int fd, bool local, const struct netaddr *peer,
	const struct netaddr *local_address, struct conn **out)
{
	struct conn *c = conn_new(loop);
	if (!c)
		return ERR_NOMEM;
	int err = local ? uv_pipe_init(&loop->uv, &c->uv.pipe, 0)
			: uv_tcp_init(&loop->uv, &c->uv.tcp);
	if (err) {
		conn_drop(c);
		return err_from_uv(err);
	}
	c->uv.handle.data = c;
	err = local ? uv_pipe_open(&c->uv.pipe, fd) : uv_tcp_open(&c->uv.tcp, fd);
	if (err) {
		/* The descriptor is still the caller's. */
		conn_destroy(c);
		return err_from_uv(err);
	}
	c->fd = fd;
	c->peer = *peer;
	c->local = *local_address;
	shed_surplus(loop);
	*out = c;
	return 0;
}

void loop_conn_adopt(struct io_conn *conn, const struct io_conn_handler *handler, void *owner)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->handler && handler);
	c->handler = handler;
	c->owner = owner;
	if (!c->paused)
		conn_read_on(c);
}

int loop_conn_peer_uid(const struct io_conn *conn, uint32_t *uid, uint32_t *gid)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(conn_of(conn)->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return err_from_errno(errno);
	*uid = who.uid;
	*gid = who.gid;
	return 0;
}

static void on_connect(uv_connect_t *request, int status)
{
	struct conn *c = request->data;

	loop_wake(conn_loop(c));
	free(request);
	c->connecting = NULL;
	if (c->closing)
		return;
	c->unconnected = false;
	if (status)
		c->failed = err_from_uv(status);
	c->told = status != 0;
	c->handler->connected(c->owner, status ? c->failed : 0);
}

/* Errors that say nothing of the peer: the caller hears of them at once. */
static bool is_ours(int system_errno)
{
	return system_errno == EMFILE || system_errno == ENFILE || system_errno == ENOMEM ||
	       system_errno == ENOBUFS;
}

static int bind_local(int fd, const struct netaddr *local)
{
	struct sockaddr_storage address;
	socklen_t size = netaddr_to_sockaddr(local, &address);
	int on = 1;

	/* The port is chosen at connect(), where the kernel knows the peer and may use it again. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
}

/* A negative errno, as libuv has it. */
static int begin_connect(struct conn *c, const struct netaddr *local)
{
	struct sockaddr_storage address;
	uv_os_fd_t fd;
	int on = 1;

	if (netaddr_to_sockaddr(&c->peer, &address) == 0)
		return -EAFNOSUPPORT;
	int err = uv_tcp_init_ex(&conn_loop(c)->uv, &c->uv.tcp, address.ss_family);
	if (err) {
		/* A handle without a socket, so that it can be closed like any other. */
		CHECK(uv_tcp_init(&conn_loop(c)->uv, &c->uv.tcp) == 0);
		c->uv.handle.data = c;
		return err;
	}
	c->uv.handle.data = c;
	uv_fileno(&c->uv.handle, &fd);
	c->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (local && local->family != NETADDR_NONE)
		err = bind_local(fd, local);
	if (err)
		return err;
	c->connecting = malloc(sizeof(*c->connecting));
	if (!c->connecting)
		return -ENOMEM;
	c->connecting->data = c;
	err = uv_tcp_connect(c->connecting, &c->uv.tcp, (struct sockaddr *)&address, on_connect);
	if (err) {
		free(c->connecting);
		c->connecting = NULL;
		return err;
	}
	/* Nothing is read before it stands; but asking now saves a change of the watch then. */
	conn_read_on(c);
	return 0;
}

int conn_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out)
{
	struct conn *c = conn_new(loop_of(io));
	if (!c)
		return ERR_NOMEM;
	c->handler = handler;
	c->owner = owner;
	c->peer = *peer;
	c->unconnected = true;
	if (peer->family == NETADDR_NONE) {
		conn_drop(c);
		return ERR_SYNTAX;
	}
	int err = begin_connect(c, local);
	if (err && is_ours(-err)) {
		conn_destroy(c);
		return err_from_uv(err);
	}
	if (err)
		conn_fail_later(c, -err == EAFNOSUPPORT ? ERR_UNREACHABLE : err_from_uv(err));
	*out = &c->base;
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = handle->data;
	struct loop *loop = conn_loop(c);
	(void)suggested;

	loop_wake(loop);
	*buf = uv_buf_init(NULL, 0);
	if (c->lingers) {
		*buf = uv_buf_init(loop->scratch, LOOP_SCRATCH);
		return;
	}
	if (c->tls) {
		*buf = conn_tls_room(c);
		return;
	}
	if (c->paused)
		return;
	c->asking = true;
	struct iovec into = c->handler->buffer(c->owner);
	c->asking = false;
	if (c->closing || c->paused || c->lingers || c->tls)
		return;
	CHECK(into.iov_base && into.iov_len);
	*buf = uv_buf_init(into.iov_base, (unsigned)MIN(into.iov_len, UINT32_MAX));
}

static void on_end_of_input(struct conn *c)
{
	c->reading = false;
	c->eof = true;
	if (c->lingers && !c->out)
		conn_destroy(c);
	else if (!c->lingers && !(c->tls && conn_tls_ended(c, 0)))
		c->handler->closed(c->owner, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	(void)buf;

	if (c->closing) { /* in buffer() */
		if (!uv_is_closing(&c->uv.handle))
			uv_close(&c->uv.handle, on_closed);
		return;
	}
	if (n == 0)
		return;
	if (n > 0) {
		if (!c->lingers && c->tls)
			conn_tls_received(c, (size_t)n);
		else if (!c->lingers)
			c->handler->received(c->owner, (size_t)n);
		return;
	}
	if (n == UV_ENOBUFS) {
		/* Paused: the watch ends only now that data came, so a short pause costs
		 * nothing. */
		uv_read_stop(stream);
		c->reading = false;
		/* The owner paused, closed with linger, or did both in buffer(); or began TLS. */
		if (c->lingers || (c->tls ? conn_tls_wants(c) : !c->paused))
			conn_read_on(c);
		return;
	}
	if (n == UV_EOF) {
		on_end_of_input(c);
		return;
	}
	c->reading = false;
	conn_tell_closed(c, err_from_uv((int)n));
}

/* The end of input is something, too. */
bool conn_arrived(const struct io_conn *conn)
{
	const struct conn *c = CONTAINER_OF(conn, const struct conn, base);
	char byte;

	if (c->tls && conn_tls_holds(c))
		return true;
	if (c->base.io->ends_turn && c->reading && !c->paused)
		return false;
	return c->fd >= 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void conn_pause(struct io_conn *conn)
{
	conn_of(conn)->paused = true;
}

void conn_resume(struct io_conn *conn)
{
	struct conn *c = conn_of(conn);

	c->paused = false;
	if (c->tls)
		conn_tls_resume(c);
	else if (c->handler && (!c->unconnected || c->connecting))
		conn_read_on(c);
}

/* ---- failure and end ------------------------------------------------------------------------ */

void conn_tell_closed(struct conn *c, int err)
{
	if (!c->failed)
		c->failed = err;
	if (c->lingers) {
		conn_destroy(c);
		return;
	}
	if (c->told || !c->handler || (c->tls && conn_tls_ended(c, c->failed)))
		return;
	c->told = true;
	timers_disarm(&conn_loop(c)->io.timers, &c->timer);
	if (c->unconnected)
		c->handler->connected(c->owner, c->failed);
	else
		c->handler->closed(c->owner, c->failed);
}

void conn_fail_later(struct conn *c, int err)
{
	if (!c->failed)
		c->failed = err;
	if (!c->told && !c->lingers && c->handler)
		(void)io_timer_after(c->base.io, &c->timer, 0);
}

static void on_timer(struct timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);

	if (c->lingers)
		conn_destroy(c);
	else if (c->failed || !c->tls || !conn_tls_timeout(c))
		conn_tell_closed(c, c->failed);
}

void conn_flushed(struct conn *c)
{
	if (!c->lingers) {
		if (c->tls && conn_tls_goes_on(c))
			return;
		if (c->handler)
			c->handler->drained(c->owner);
		return;
	}
	if (c->eof)
		conn_destroy(c);
	else
		(void)shutdown(c->fd, SHUT_WR);
}

void conn_close(struct io_conn **conn, bool linger)
{
	struct conn *c = conn_of(*conn);
	struct loop *loop = conn_loop(c);

	*conn = NULL;
	CHECK(!c->closing && !c->lingers);
	timers_disarm(&loop->io.timers, &c->timer);
	if (c->tls)
		conn_tls_farewell(c);
	/* A file may be closed by its owner from now on, so a range of it cannot wait any
	 * longer. */
	if (!linger || c->failed || c->unconnected || (c->eof && !c->out) ||
		conn_waits_for_file(c) ||
		io_timer_after(&loop->io, &c->timer, IO_CONN_LINGER_MS) != 0) {
		conn_destroy(c);
		return;
	}
	/* Closing with input unread makes the kernel send a reset, which can overtake our last
	 * reply: our side is closed first, and input thrown away until the peer has closed its
	 * own. */
	c->lingers = true;
	c->handler = NULL;
	list_push_back(&loop->lingering, &c->lingering);
	loop->lingering_count++;
	shed_surplus(loop);
	if (!c->out)
		(void)shutdown(c->fd, SHUT_WR);
	conn_read_on(c);
}

void conn_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	const struct conn *c = conn_of(conn);

	if (peer)
		*peer = c->peer;
	if (!local)
		return;
	*local = c->local;
	if (local->family == NETADDR_NONE && c->fd >= 0) {
		struct sockaddr_storage address;
		socklen_t size = sizeof(address);
		if (getsockname(c->fd, (struct sockaddr *)&address, &size) == 0)
			(void)netaddr_from_sockaddr((struct sockaddr *)&address, size, local);
	}
}
