/* A process's connections: struct io_conn over an end of the network, as io/loop_conn.c does it
 * over sockets. */
#include "base/check.h"
#include "base/err.h"
#include "io/disk.h"
#include "sim_io.h"

#include <stdlib.h>

#define COPY_BYTES 16384

struct piece {
	struct piece *next;
	struct io_file *file; /* NULL: bytes */
	uint64_t offset;
	uint64_t n;
	char *bytes;
};

struct conn {
	struct io_conn base; /* first */
	struct sim_process *process;
	struct list node;
	struct sim_end *end;
	const struct io_conn_handler *handler;
	void *owner;
	struct piece *first, **last;
	uint64_t unsent, unsent_bytes;
	bool connecting, paused, lingers, told, eof, drain;
	int failed;
	struct timer again, linger;
};

static struct conn *conn_of(const struct io_conn *conn)
{
	return (struct conn *)(void *)(uintptr_t)conn;
}

static struct timers *events(struct conn *c)
{
	return &c->process->sim->events;
}

static void drop_pieces(struct conn *c)
{
	while (c->first) {
		struct piece *piece = c->first;

		c->first = piece->next;
		free(piece->bytes);
		free(piece);
	}
	c->last = &c->first;
	c->unsent = c->unsent_bytes = 0;
}

static void destroy(struct conn *c)
{
	drop_pieces(c);
	timers_disarm(events(c), &c->again);
	timers_disarm(events(c), &c->linger);
	list_remove(&c->node);
	sim_end_close(&c->end);
	free(c);
}

/* ---- events --------------------------------------------------------------------------------- */

static void look_again(struct conn *c, uint64_t after)
{
	if (!timer_armed(&c->again))
		sim_arm(c->process->sim, &c->again, after);
}

static void tell_closed(struct conn *c)
{
	if (c->told)
		return;
	c->told = true;
	if (c->connecting)
		c->handler->connected(c->owner, c->failed);
	else
		c->handler->closed(c->owner, c->failed);
}

static void read_linger(struct conn *c)
{
	char scratch[COPY_BYTES];
	int64_t n;

	while ((n = sim_end_read(c->end, scratch, sizeof(scratch))) > 0)
		;
	if (n == ERR_MORE)
		c->eof = true;
	if (n == ERR_CLOSED || (c->eof && !c->first))
		destroy(c);
}

static bool is_open(const struct sim_process *p, const struct conn *c)
{
	for (const struct list *at = p->conns.next; at != &p->conns; at = at->next)
		if (at == &c->node)
			return true;
	return false;
}

static void read_some(void *arg)
{
	struct conn *c = arg;

	if (c->lingers) {
		read_linger(c);
		return;
	}
	if (c->failed) {
		tell_closed(c);
		return;
	}
	if (!c->handler || c->paused || c->connecting || c->eof || !sim_end_has_input(c->end))
		return;
	/* buffer() may close or pause. */
	struct sim_process *p = c->process;
	struct iovec into = c->handler->buffer(c->owner);

	if (!is_open(p, c))
		return;
	if (c->paused || c->lingers) {
		if (c->lingers)
			read_linger(c);
		return;
	}
	CHECK(into.iov_base && into.iov_len);
	int64_t n = sim_end_read(c->end, into.iov_base, into.iov_len);

	look_again(c, 2 * SIM_US);
	if (n > 0) {
		c->handler->received(c->owner, (size_t)n);
	} else if (n == ERR_MORE) {
		c->eof = true;
		c->handler->closed(c->owner, 0);
	} else if (n < 0) {
		c->failed = (int)n;
		tell_closed(c);
	}
}

static void again_fired(struct timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, again);

	process_enter(c->process, read_some, c);
}

static void on_readable(void *owner)
{
	struct conn *c = owner;

	process_enter(c->process, read_some, c);
}

/* Bytes taken of the first piece, 0: no room, < 0: failed. */
static int64_t write_piece(struct conn *c, struct piece *piece)
{
	char copy[COPY_BYTES];

	if (!piece->file)
		return sim_end_write(c->end, piece->bytes + piece->offset, piece->n);
	int64_t n = disk_read(piece->file, copy, MIN(piece->n, sizeof(copy)), piece->offset);

	if (n <= 0)
		return n < 0 ? n : ERR_CORRUPT;
	return sim_end_write(c->end, copy, (size_t)n);
}

static int flush(struct conn *c)
{
	while (c->first) {
		struct piece *piece = c->first;
		int64_t n = write_piece(c, piece);

		if (n <= 0)
			return (int)n;
		piece->offset += (uint64_t)n;
		piece->n -= (uint64_t)n;
		c->unsent -= (uint64_t)n;
		if (!piece->file)
			c->unsent_bytes -= (uint64_t)n;
		if (piece->n)
			continue;
		c->first = piece->next;
		if (!c->first)
			c->last = &c->first;
		free(piece->bytes);
		free(piece);
	}
	return 0;
}

static void write_some(void *arg)
{
	struct conn *c = arg;
	int err = flush(c);

	if (err < 0) {
		drop_pieces(c);
		if (c->lingers) {
			destroy(c);
			return;
		}
		c->failed = err;
		tell_closed(c);
	} else if (!c->first && c->lingers) {
		if (c->eof)
			destroy(c);
		else
			sim_end_shutdown(c->end);
	} else if (!c->first && c->drain) {
		c->drain = false;
		c->handler->drained(c->owner);
	}
}

static void on_writable(void *owner)
{
	struct conn *c = owner;

	process_enter(c->process, write_some, c);
}

struct connect_result {
	struct conn *conn;
	int err;
};

static void connect_done(void *arg)
{
	struct connect_result *result = arg;
	struct conn *c = result->conn;

	if (c->failed || result->err) {
		c->failed = c->failed ? c->failed : result->err;
		tell_closed(c);
		return;
	}
	c->connecting = false;
	look_again(c, 2 * SIM_US);
	c->handler->connected(c->owner, 0);
}

static void on_connected(void *owner, int err)
{
	struct connect_result result = {owner, err};

	process_enter(result.conn->process, connect_done, &result);
}

static const struct sim_end_calls end_calls = {on_connected, on_readable, on_writable};

static void linger_over(struct timer *timer)
{
	destroy(CONTAINER_OF(timer, struct conn, linger));
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct conn *conn_new(struct sim_process *p)
{
	struct conn *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->base.io = &p->io;
	c->process = p;
	c->last = &c->first;
	c->again.fire = again_fired;
	c->linger.fire = linger_over;
	list_push_back(&p->conns, &c->node);
	return c;
}

struct io_conn *sim_conn_new(struct sim_process *p, struct sim_end *end)
{
	struct conn *c = conn_new(p);

	c->end = end;
	sim_end_adopt(end, &end_calls, c);
	return &c->base;
}

void sim_conn_adopt(struct io_conn *conn, const struct io_conn_handler *handler, void *owner)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->handler && handler);
	c->handler = handler;
	c->owner = owner;
	look_again(c, SIM_US);
}

int sim_conn_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out)
{
	struct sim_process *p = (struct sim_process *)(void *)io;

	if (!p->sim->calm && sim_chance(p->sim, 1))
		return ERR_NOMEM;
	struct conn *c = conn_new(p);

	c->handler = handler;
	c->owner = owner;
	c->connecting = true;
	c->end = sim_net_connect(
		p->net, local && local->family ? local : &p->address, peer, &end_calls, c);
	*out = &c->base;
	return 0;
}

static struct piece *add_piece(struct conn *c)
{
	struct piece *piece = calloc(1, sizeof(*piece));

	CHECK(piece);
	*c->last = piece;
	c->last = &piece->next;
	return piece;
}

static int fail(struct conn *c, int err)
{
	drop_pieces(c);
	c->failed = err;
	look_again(c, 0);
	return ERR_CLOSED;
}

int sim_conn_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct conn *c = conn_of(conn);
	size_t n = 0, at = 0;
	(void)more;

	CHECK(!c->lingers && !c->connecting);
	if (c->failed)
		return ERR_CLOSED;
	for (size_t i = 0; i < count; i++)
		n += parts[i].iov_len;
	if (c->first && c->unsent_bytes + n > IO_CONN_UNSENT)
		return ERR_LIMIT;
	if (!n)
		return 0;
	bool waited = c->first != NULL;
	struct piece *piece = add_piece(c);

	piece->bytes = malloc(n);
	piece->n = n;
	CHECK(piece->bytes);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(piece->bytes + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	c->unsent += n;
	c->unsent_bytes += n;
	if (waited)
		return 0;
	int err = flush(c);

	c->drain = c->first != NULL;
	return err < 0 ? fail(c, err) : 0;
}

int sim_conn_send_file(struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->lingers && !c->connecting);
	if (c->failed)
		return ERR_CLOSED;
	if (!length)
		return 0;
	bool waited = c->first != NULL;
	struct piece *piece = add_piece(c);

	piece->file = file;
	piece->offset = offset;
	piece->n = length;
	c->unsent += length;
	if (waited)
		return 0;
	int err = flush(c);

	c->drain = c->first != NULL;
	return err < 0 ? fail(c, err) : 0;
}

size_t sim_conn_unsent(const struct io_conn *conn)
{
	return conn_of(conn)->unsent;
}

void sim_conn_pause(struct io_conn *conn)
{
	conn_of(conn)->paused = true;
}

void sim_conn_resume(struct io_conn *conn)
{
	conn_of(conn)->paused = false;
	look_again(conn_of(conn), SIM_US);
}

static bool waits_for_file(const struct conn *c)
{
	for (const struct piece *p = c->first; p; p = p->next)
		if (p->file)
			return true;
	return false;
}

void sim_conn_close(struct io_conn **conn, bool linger)
{
	struct conn *c = conn_of(*conn);

	*conn = NULL;
	if (!linger || c->failed || c->connecting || (c->eof && !c->first) || waits_for_file(c)) {
		destroy(c);
		return;
	}
	c->lingers = true;
	c->handler = NULL;
	sim_arm(c->process->sim, &c->linger, IO_CONN_LINGER_MS * NS_PER_MS);
	if (!c->first)
		sim_end_shutdown(c->end);
	look_again(c, SIM_US);
}

void sim_conn_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	sim_end_names(conn_of(conn)->end, local, peer);
}

void sim_conns_abandon(struct sim_process *p, bool no_power)
{
	LIST_FOR_EACH(node, &p->conns)
	{
		struct conn *c = CONTAINER_OF(node, struct conn, node);

		timers_disarm(events(c), &c->again);
		timers_disarm(events(c), &c->linger);
		list_remove(&c->node);
		if (no_power)
			sim_end_vanish(&c->end);
		else if (sim_chance(p->sim, 300))
			sim_end_reset(&c->end);
		else
			sim_end_close(&c->end);
	}
}
