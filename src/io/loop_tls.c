/*
 * Protected connections: how they begin. What comes in is in loop_tls_read.c, sending in
 * loop_tls_send.c.
 */
#include "io/loop_tls.h"

#include "base/err.h"

#include <openssl/err.h>
#include <stdlib.h>

/* ---- between OpenSSL and the socket --------------------------------------------------------- */

static long bio_ctrl(BIO *bio, int what, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

struct loop_tls *loop_tls_get(struct loop *loop)
{
	if (loop->tls)
		return loop->tls;
	struct loop_tls *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "connection of a loop");
	if (!t->method || tls_clients_new(&t->clients) != 0 ||
		fibers_new(TLS_SIGNINGS, &t->fibers) != 0) {
		tls_clients_free(&t->clients);
		BIO_meth_free(t->method);
		free(t);
		return NULL;
	}
	list_init(&t->queue);
	BIO_meth_set_read_ex(t->method, conn_tls_bio_read);
	BIO_meth_set_write_ex(t->method, conn_tls_bio_write);
	BIO_meth_set_ctrl(t->method, bio_ctrl);
	loop->tls = t;
	return t;
}

int loop_prepare_tls(struct loop *loop)
{
	struct loop_tls *t = loop_tls_get(loop);

	return t ? tls_clients_load(t->clients) : ERR_NOMEM;
}

void loop_tls_done(struct loop *loop)
{
	struct loop_tls *t = loop->tls;

	if (!t)
		return;
	loop->tls = NULL;
	tls_clients_free(&t->clients);
	fibers_free(&t->fibers);
	BIO_meth_free(t->method);
	OPENSSL_cleanse(t->plain, sizeof(t->plain));
	free(t);
}

void conn_tls_free(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	c->tls = NULL;
	io_turn_forget(c->base.io, &tls->turn);
	while (tls->later)
		conn_tls_drop_later(tls);
	tls_link_done(&tls->link);
	free(tls->held);
	free(tls);
}

static int attach_bio(struct conn_tls *tls)
{
	BIO *bio = BIO_new(conn_loop(tls->conn)->tls->method);

	if (!bio)
		return ERR_NOMEM;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->link.ssl, bio, bio);
	return 0;
}

/* ---- the handshake -------------------------------------------------------------------------- */

void conn_tls_stop_reading(struct conn *c)
{
	if (c->reading && !c->closing)
		uv_read_stop(&c->uv.stream);
	c->reading = false;
}

static int err_of(enum tls_failure failure)
{
	switch (failure) {
	case TLS_FINE: return 0;
	case TLS_LOST: return ERR_CLOSED;
	case TLS_TIMEOUT: return ERR_TIMEOUT;
	case TLS_OURS: return ERR_NOMEM;
	default: return ERR_DENIED;
	}
}

/* ---- who waits for a fiber ------------------------------------------------------------------- */

/* As many as there are fibers; one that finds none left waits again, behind the others. */
static void let_shake(struct loop_tls *t)
{
	struct conn_tls *first;

	for (size_t n = fibers_left(t->fibers); n; n--) {
		first = LIST_FIRST(&t->queue, struct conn_tls, queued);
		if (!first)
			return;
		list_remove(&first->queued);
		conn_read_on(first->conn);
	}
}

bool conn_tls_may_shake(struct conn *c)
{
	struct loop_tls *t = conn_loop(c)->tls;
	struct conn_tls *tls = c->tls;

	if (tls_link_may_shake(&tls->link, t->fibers))
		return true;
	if (!tls_link_waits(&tls->link) && list_empty(&tls->queued))
		list_push_back(&t->queue, &tls->queued);
	return false;
}

void conn_tls_give_up(struct conn *c)
{
	list_remove(&c->tls->queued);
	tls_link_give_up(&c->tls->link);
	let_shake(conn_loop(c)->tls);
}

/* ---- the end of a handshake ------------------------------------------------------------------ */

static void handshake_failed(struct conn *c, enum tls_failure failure)
{
	struct conn_tls *tls = c->tls;

	conn_tls_give_up(c);
	tls->state = CONN_TLS_DEAD;
	c->told = true;
	timers_disarm(&c->base.io->timers, &c->timer);
	conn_tls_stop_reading(c);
	tls_link_failed(&tls->link, failure);
	if (!c->failed)
		conn_tls_flush(c); /* the alert */
	c->handler->secured(c->owner, err_of(tls->link.info.failure), &tls->link.info);
}

static void handshake_done(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	tls->state = CONN_TLS_OPEN;
	timers_disarm(&c->base.io->timers, &c->timer);
	tls_link_established(&tls->link);
	/* What OpenSSL has to say yet goes out with what the owner says now. */
	c->handler->secured(c->owner, 0, &tls->link.info);
}

void conn_tls_shake(struct conn *c)
{
	struct loop_tls *t = conn_loop(c)->tls;
	int err = tls_link_shake(&c->tls->link, t->fibers);

	let_shake(t);
	if (c->failed)
		return; /* the timer tells of it */
	if (err == 0)
		handshake_done(c);
	else if (err != ERR_AGAIN && err != ERR_BUSY)
		handshake_failed(c, err == ERR_NOMEM ? TLS_OURS : TLS_FINE);
}

bool conn_tls_timeout(struct conn *c)
{
	if (c->tls->state != CONN_TLS_SHAKES)
		return false;
	handshake_failed(c, c->tls->link.found ? TLS_FINE : TLS_TIMEOUT);
	return true;
}

bool conn_tls_ended(struct conn *c, int err)
{
	switch (c->tls->state) {
	case CONN_TLS_SHAKES:
		handshake_failed(c, err == ERR_NOMEM ? TLS_OURS : TLS_LOST);
		return true;
	case CONN_TLS_OPEN: return err == 0 && c->tls->told_end;
	case CONN_TLS_DEAD: break;
	}
	return true;
}

/* ---- the operations ------------------------------------------------------------------------- */

const struct tls_info *conn_tls_info(const struct io_conn *conn)
{
	const struct conn *c = conn_of(conn);

	return c->tls && c->tls->state != CONN_TLS_SHAKES ? &c->tls->link.info : NULL;
}

static int make(struct conn *c, struct tls_server *server, const struct tls_client *client)
{
	struct loop_tls *t = loop_tls_get(conn_loop(c));
	struct conn_tls *tls = t ? calloc(1, sizeof(*tls)) : NULL;

	if (!tls)
		return ERR_NOMEM;
	tls->conn = c;
	tls->turn.end = conn_tls_turn;
	tls->link.signed_now = conn_tls_signed;
	list_init(&tls->queued);
	tls->later_last = &tls->later;
	c->tls = tls;
	int err = server ? tls_link_serve(&tls->link, server)
			 : tls_link_call(&tls->link, t->clients, client);
	if (err == 0)
		err = attach_bio(tls);
	if (err)
		conn_tls_free(c);
	return err;
}

/* A server says nothing before it has the client's hello: what lies there already was put in by
 * somebody else, or by a server that cannot be talked to. */
static bool server_spoke(const struct conn *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

int conn_secure(struct io_conn *conn, struct tls_server *server, const struct tls_client *client,
	uint64_t ms)
{
	struct conn *c = conn_of(conn);

	CHECK(!c->closing && !c->lingers && !c->unconnected && c->handler && c->handler->secured);
	CHECK(!server != !client);
	if (c->failed || c->eof)
		return ERR_CLOSED;
	if (c->tls || c->out || (client && server_spoke(c)))
		return ERR_BUSY;
	int err = make(c, server, client);
	if (err)
		return err;
	bool doomed = c->tls->link.found != TLS_FINE;
	if (client && !doomed) {
		err = tls_link_shake(&c->tls->link, conn_loop(c)->tls->fibers);
		doomed = err != 0 && err != ERR_AGAIN;
		if (doomed)
			c->tls->link.found = TLS_OURS;
		conn_tls_flush(c);
	}
	err = io_timer_after(c->base.io, &c->timer, doomed || c->failed ? 0 : ms);
	if (err) {
		conn_tls_farewell(c);
		conn_tls_free(c);
		return err;
	}
	conn_read_on(c);
	return 0;
}
