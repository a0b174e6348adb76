#include "sim_conn_inner.h"

#include "base/check.h"
#include "base/err.h"
#include "io/disk.h"

#include <stdlib.h>

struct timers *sim_conn_events(struct conn *c)
{
	return &c->process->sim->events;
}

void sim_conn_drop_pieces(struct conn *c)
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

void sim_conn_destroy(struct conn *c)
{
	sim_conn_drop_pieces(c);
	timers_disarm(sim_conn_events(c), &c->again);
	timers_disarm(sim_conn_events(c), &c->linger);
	sim_conn_tls_free(c);
	list_remove(&c->node);
	sim_end_close(&c->end);
	free(c);
}

/* ---- events --------------------------------------------------------------------------------- */

void sim_conn_look_again(struct conn *c, uint64_t after)
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
	if (n == ERR_CLOSED || (c->eof && !sim_conn_waits(c)))
		sim_conn_destroy(c);
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
	if (c->tls && !c->tls->open) {
		sim_conn_shake(c);
		return;
	}
	if (!c->handler || c->paused || c->connecting || c->eof || !sim_conn_has_input(c))
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
	int64_t n = sim_conn_read(c, into.iov_base, into.iov_len);

	sim_conn_look_again(c, 2 * SIM_US);
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

void sim_conn_again_fired(struct timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, again);

	process_enter(c->process, read_some, c);
}

static void on_readable(void *owner)
{
	struct conn *c = owner;

	process_enter(c->process, read_some, c);
}

/* 1: all that was sealed is written. */
static int64_t write_sealed(struct conn *c)
{
	struct buf *out = &c->tls->tls->out;

	while (out->n) {
		int64_t n = sim_end_write(c->end, out->p, out->n);

		if (n <= 0)
			return n;
		buf_drop(out, (size_t)n);
	}
	return 1;
}

/* Bytes taken, 0: no room, < 0: failed. */
static int64_t write_bytes(struct conn *c, const char *bytes, size_t n)
{
	int64_t room = c->tls ? write_sealed(c) : 1;

	if (room <= 0)
		return room;
	if (!c->tls)
		return sim_end_write(c->end, bytes, n);
	sim_tls_seal(c->tls->tls, bytes, n);
	return (int64_t)n;
}

/* Of the first piece. */
static int64_t write_piece(struct conn *c, struct piece *piece)
{
	char copy[COPY_BYTES];

	if (!piece->file)
		return write_bytes(c, piece->bytes + piece->offset, piece->n);
	int64_t n = disk_read(piece->file, copy, MIN(piece->n, sizeof(copy)), piece->offset);

	if (n <= 0)
		return n < 0 ? n : ERR_CORRUPT;
	return write_bytes(c, copy, (size_t)n);
}

bool sim_conn_waits(const struct conn *c)
{
	return c->first || (c->tls && c->tls->tls->out.n);
}

int sim_conn_flush(struct conn *c)
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
	int64_t n = c->tls ? write_sealed(c) : 1;

	return n < 0 ? (int)n : 0;
}

static void write_some(void *arg)
{
	struct conn *c = arg;
	int err = sim_conn_flush(c);

	if (c->tls && !c->tls->open) {
		if (err < 0)
			sim_conn_look_again(c, 0); /* the handshake sees it as well */
		return;
	}
	if (err < 0) {
		sim_conn_drop_pieces(c);
		if (c->lingers) {
			sim_conn_destroy(c);
			return;
		}
		c->failed = err;
		tell_closed(c);
	} else if (!sim_conn_waits(c) && c->lingers) {
		if (c->eof)
			sim_conn_destroy(c);
		else
			sim_end_shutdown(c->end);
	} else if (!sim_conn_waits(c) && c->drain) {
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
	sim_conn_look_again(c, 2 * SIM_US);
	c->handler->connected(c->owner, 0);
}

static void on_connected(void *owner, int err)
{
	struct connect_result result = {owner, err};

	process_enter(result.conn->process, connect_done, &result);
}

const struct sim_end_calls sim_conn_end_calls = {on_connected, on_readable, on_writable};

void sim_conn_linger_over(struct timer *timer)
{
	sim_conn_destroy(CONTAINER_OF(timer, struct conn, linger));
}
