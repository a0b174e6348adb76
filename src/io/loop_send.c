/*
 * What a connection sends. Everything is tried at once on the descriptor; what the kernel does not
 * take waits, in order, as copied bytes or as a range of a file.
 *
 * libuv is asked to write the first bytes of what waits (the nudge): that is its way of waiting for
 * a socket to have room. When they are gone, the rest goes by sendmsg and sendfile again.
 */
#include "base/err.h"
#include "io/loop_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define PIECE_ROOM 4096	      /* least room of a piece for bytes, so that small ones join */
#define FLUSH_MOST (4u << 20) /* bytes of one connection in one go: others want their turn */
#define COPY_BYTES 65536      /* of a file without a descriptor */

static int flush(struct conn *c);

static void piece_drop(struct out *out)
{
	struct piece *piece = out->first;

	out->first = piece->next;
	if (!out->first)
		out->last = &out->first;
	free(piece);
}

void conn_drop_out(struct conn *c)
{
	if (!c->out)
		return;
	while (c->out->first)
		piece_drop(c->out);
	free(c->out);
	c->out = NULL;
}

/* What waits is forgotten; libuv may still hold the nudge, so `out` stays until that ends. */
static void give_up(struct conn *c)
{
	struct out *out = c->out;

	if (!out)
		return;
	if (!out->nudged) {
		conn_drop_out(c);
		return;
	}
	while (out->first && out->first->next) {
		struct piece *second = out->first->next;
		out->first->next = second->next;
		free(second);
	}
	out->last = out->first ? &out->first->next : &out->first;
}

bool conn_waits_for_file(const struct conn *c)
{
	if (c->tls && conn_tls_waits_for_file(c))
		return true;
	for (const struct piece *p = c->out ? c->out->first : NULL; p; p = p->next)
		if (p->file)
			return true;
	return false;
}

size_t conn_unsent(const struct io_conn *conn)
{
	const struct conn *c = conn_of(conn);

	if (c->failed)
		return 0;
	uint64_t later = c->tls ? conn_tls_unsent(c) : 0;
	return (size_t)(later + (c->out ? c->out->total : 0));
}

static struct out *out_get(struct conn *c)
{
	if (!c->out) {
		c->out = calloc(1, sizeof(*c->out));
		if (c->out)
			c->out->last = &c->out->first;
	}
	return c->out;
}

static struct piece *piece_add(struct conn *c, size_t room)
{
	struct out *out = out_get(c);

	if (!out)
		return NULL;
	CHECK(out->last);
	struct piece *piece = malloc(sizeof(*piece) + room);
	if (!piece)
		return NULL;
	*piece = (struct piece){.room = room};
	*out->last = piece;
	out->last = &piece->next;
	return piece;
}

/* The bytes of the parts from `skip` on are copied to the end of what waits. */
static int keep(struct conn *c, const struct iovec *parts, size_t count, size_t skip, size_t n)
{
	struct piece *tail = NULL;

	if (c->out && c->out->first)
		tail = CONTAINER_OF(c->out->last, struct piece, next);
	if (!tail || tail->file || tail->room - (tail->offset + tail->n) < n) {
		tail = piece_add(c, MAX(n, PIECE_ROOM));
		if (!tail)
			return ERR_NOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		size_t from = MIN(skip, parts[i].iov_len);
		size_t take = parts[i].iov_len - from;
		skip -= from;
		if (take)
			memcpy(tail->data + tail->offset + tail->n,
				(char *)parts[i].iov_base + from, take);
		tail->n += take;
	}
	c->out->bytes += n;
	c->out->total += n;
	return 0;
}

int conn_fail(struct conn *c, int err)
{
	give_up(c);
	conn_fail_later(c, err);
	return ERR_CLOSED;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void took(struct conn *c, size_t n)
{
	struct out *out = c->out;
	struct piece *piece = out->first;

	piece->offset += n;
	piece->n -= n;
	out->total -= n;
	if (!piece->file)
		out->bytes -= n;
	if (piece->n == 0)
		piece_drop(out);
}

static void on_written(uv_write_t *write, int status)
{
	struct conn *c = write->data;
	size_t n = c->out->nudged;

	loop_wake(conn_loop(c));
	c->out->nudged = 0;
	if (c->closing)
		return;
	if (c->failed || status) {
		conn_drop_out(c);
		conn_tell_closed(c, c->failed ? c->failed : err_from_uv(status));
		return;
	}
	took(c, n);
	int err = flush(c);
	if (err)
		conn_tell_closed(c, c->failed);
	else if (!c->out)
		conn_flushed(c);
}

/* Asks libuv to write the first bytes that wait. */
static int nudge(struct conn *c)
{
	struct out *out = c->out;
	struct piece *piece = out->first;
	uv_buf_t bytes = uv_buf_init(piece->data + piece->offset, (unsigned)MIN(piece->n, INT_MAX));

	if (piece->file) {
		int64_t n =
			disk_read(piece->file, out->nudge, MIN(piece->n, OUT_NUDGE), piece->offset);
		if (n <= 0)
			return conn_fail(c, n < 0 ? (int)n : ERR_CORRUPT);
		bytes = uv_buf_init(out->nudge, (unsigned)n);
	}
	out->write.data = c;
	out->nudged = bytes.len;
	int err = uv_write(&out->write, &c->uv.stream, &bytes, 1, on_written);
	if (err) {
		out->nudged = 0;
		return conn_fail(c, err_from_uv(err));
	}
	return 0;
}

/* ---- trying --------------------------------------------------------------------------------- */

/* Bytes taken, 0 where the socket is full, or a negative enum err. */
static int64_t try_bytes(struct conn *c, const struct iovec *parts, size_t count, bool more)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	ssize_t n;

	do
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : err_from_errno(errno);
	return n;
}

/* A file that has no descriptor, or that sendfile() cannot send. */
static int64_t try_copy(struct conn *c, struct io_file *file, uint64_t offset, uint64_t n)
{
	char *copy = malloc(COPY_BYTES);
	if (!copy)
		return ERR_NOMEM;
	int64_t got = disk_read(file, copy, MIN(n, COPY_BYTES), offset);
	if (got > 0) {
		struct iovec part = {copy, (size_t)got};
		got = try_bytes(c, &part, 1, (uint64_t)got < n);
	} else if (got == 0) {
		got = ERR_CORRUPT; /* shorter than its owner says */
	}
	free(copy);
	return got;
}

static int64_t try_file(struct conn *c, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct loop *loop = conn_loop(c);
	int fd = loop->file_fd ? loop->file_fd(file) : -1;

	if (fd < 0)
		return try_copy(c, file, offset, length);
	off_t at = (off_t)offset;
	ssize_t n;
	do
		n = sendfile(c->fd, fd, &at, MIN(length, FLUSH_MOST));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return ERR_CORRUPT;
	if (errno == EAGAIN)
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		return try_copy(c, file, offset, length);
	return err_from_errno(errno);
}

static int64_t try_first(struct conn *c)
{
	struct piece *piece = c->out->first;

	if (piece->file)
		return try_file(c, piece->file, piece->offset, piece->n);
	struct iovec part = {piece->data + piece->offset, piece->n};
	return try_bytes(c, &part, 1, piece->next != NULL);
}

/* Sends what waits, until it is gone (`out` too) or has to wait again. */
static int flush(struct conn *c)
{
	uint64_t done = 0;

	while (c->out->first) {
		int64_t n = done < FLUSH_MOST ? try_first(c) : 0;
		if (n < 0)
			return conn_fail(c, (int)n);
		if (n == 0)
			return nudge(c);
		took(c, (size_t)n);
		done += (uint64_t)n;
	}
	conn_drop_out(c);
	return 0;
}

/* ---- the operations ------------------------------------------------------------------------- */

int conn_put(struct conn *c, const struct iovec *parts, size_t count, size_t n, bool more)
{
	int64_t sent = 0;

	if (!c->out) {
		sent = try_bytes(c, parts, MIN(count, IOV_MAX), more);
		if (sent < 0)
			return conn_fail(c, (int)sent);
		if ((size_t)sent == n)
			return 0;
	}
	bool waited = c->out != NULL;
	int err = keep(c, parts, count, (size_t)sent, n - (size_t)sent);
	if (err) /* a part of it is on its way already */
		return sent || !waited ? conn_fail(c, err) : err;
	return waited ? 0 : nudge(c);
}

int conn_put_later(struct conn *c, const struct iovec *part)
{
	bool waited = c->out != NULL;
	int err = keep(c, part, 1, 0, part->iov_len);

	if (err)
		return conn_fail(c, err);
	return waited ? 0 : nudge(c);
}

int conn_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct conn *c = conn_of(conn);
	size_t n = 0;

	CHECK(!c->closing && !c->lingers && !c->unconnected);
	for (size_t i = 0; i < count; i++)
		n += parts[i].iov_len;
	if (c->failed)
		return ERR_CLOSED;
	if (n == 0)
		return 0;
	if (c->tls)
		return conn_tls_send(c, parts, count, n, more);
	if (c->out && c->out->bytes + n > IO_CONN_UNSENT)
		return ERR_LIMIT;
	return conn_put(c, parts, count, n, more);
}

int conn_send_file(struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct conn *c = conn_of(conn);
	uint64_t done = 0;

	CHECK(!c->closing && !c->lingers && !c->unconnected);
	if (c->failed)
		return ERR_CLOSED;
	if (c->tls)
		return conn_tls_send_file(c, file, offset, length);
	while (!c->out && done < length && done < FLUSH_MOST) {
		int64_t n = try_file(c, file, offset + done, length - done);
		if (n < 0)
			return conn_fail(c, (int)n);
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	if (done == length)
		return 0;
	bool waited = c->out != NULL;
	struct piece *piece = piece_add(c, 0);
	if (!piece)
		return conn_fail(c, ERR_NOMEM);
	piece->file = file;
	piece->offset = offset + done;
	piece->n = length - done;
	c->out->total += piece->n;
	return waited ? 0 : nudge(c);
}
