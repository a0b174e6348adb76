/* A process's connections: struct io_conn over an end of the network, as io/loop_conn.c does it
 * over sockets. */
#include "sim_conn_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

static struct conn *conn_of(const struct io_conn *conn)
{
	return (struct conn *)(void *)(uintptr_t)conn;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct conn *conn_new(struct sim_process *p)
{
	struct conn *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->base.io = &p->io;
	c->process = p;
	c->last = &c->first;
	c->again.fire = sim_conn_again_fired;
	c->linger.fire = sim_conn_linger_over;
	list_push_back(&p->conns, &c->node);
	return c;
}

struct io_conn *sim_conn_new(struct sim_process *p, struct sim_end *end)
{
	struct conn *c = conn_new(p);

	c->end = end;
	sim_end_adopt(end, &sim_conn_end_calls, c);
	return &c->base;
}

void sim_conn_adopt(struct io_conn *conn, const struct io_conn_handler *handler, void *owner)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->handler && handler);
	c->handler = handler;
	c->owner = owner;
	sim_conn_look_again(c, SIM_US);
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
		p->net, local && local->family ? local : &p->address, peer, &sim_conn_end_calls, c);
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
	sim_conn_drop_pieces(c);
	c->failed = err;
	sim_conn_look_again(c, 0);
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
	if (c->tls && !c->tls->open)
		return ERR_BUSY;
	for (size_t i = 0; i < count; i++)
		n += parts[i].iov_len;
	if (c->first && c->unsent_bytes + n > IO_CONN_UNSENT)
		return ERR_LIMIT;
	if (!n)
		return 0;
	bool waited = sim_conn_waits(c);
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
	int err = sim_conn_flush(c);

	c->drain = sim_conn_waits(c);
	return err < 0 ? fail(c, err) : 0;
}

int sim_conn_send_file(struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->lingers && !c->connecting);
	if (c->failed)
		return ERR_CLOSED;
	if (c->tls && !c->tls->open)
		return ERR_BUSY;
	if (!length)
		return 0;
	bool waited = sim_conn_waits(c);
	struct piece *piece = add_piece(c);

	piece->file = file;
	piece->offset = offset;
	piece->n = length;
	c->unsent += length;
	if (waited)
		return 0;
	int err = sim_conn_flush(c);

	c->drain = sim_conn_waits(c);
	return err < 0 ? fail(c, err) : 0;
}

size_t sim_conn_unsent(const struct io_conn *conn)
{
	const struct conn *c = conn_of(conn);

	return c->unsent + (c->tls ? c->tls->tls->out.n : 0);
}

bool sim_conn_arrived(const struct io_conn *conn)
{
	const struct conn *c = conn_of(conn);

	return (c->tls && (c->tls->tls->in.n || c->tls->end)) || sim_end_has_input(c->end);
}

void sim_conn_pause(struct io_conn *conn)
{
	conn_of(conn)->paused = true;
}

void sim_conn_resume(struct io_conn *conn)
{
	conn_of(conn)->paused = false;
	sim_conn_look_again(conn_of(conn), SIM_US);
}

static bool waits_for_file(const struct conn *c)
{
	for (const struct piece *p = c->first; p; p = p->next)
		if (p->file)
			return true;
	return false;
}

/* Behind all that waits: so all of that is sealed first, however much it is. */
static void say_end(struct conn *c)
{
	for (struct piece *p = c->first; p; p = p->next)
		sim_tls_seal(c->tls->tls, p->bytes + p->offset, p->n);
	sim_conn_drop_pieces(c);
	sim_tls_end(c->tls->tls);
	(void)sim_conn_flush(c);
}

void sim_conn_close(struct io_conn **conn, bool linger)
{
	struct conn *c = conn_of(*conn);

	*conn = NULL;
	if (c->tls && c->tls->open && linger && !waits_for_file(c))
		say_end(c);
	if (!linger || c->failed || c->connecting || (c->eof && !sim_conn_waits(c)) ||
		waits_for_file(c)) {
		sim_conn_destroy(c);
		return;
	}
	c->lingers = true;
	c->handler = NULL;
	sim_arm(c->process->sim, &c->linger, IO_CONN_LINGER_MS * NS_PER_MS);
	if (!sim_conn_waits(c))
		sim_end_shutdown(c->end);
	sim_conn_look_again(c, SIM_US);
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

		timers_disarm(sim_conn_events(c), &c->again);
		timers_disarm(sim_conn_events(c), &c->linger);
		sim_conn_tls_free(c);
		list_remove(&c->node);
		if (no_power)
			sim_end_vanish(&c->end);
		else if (sim_chance(p->sim, 300))
			sim_end_reset(&c->end);
		else
			sim_end_close(&c->end);
	}
}
