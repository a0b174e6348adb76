/* A connection for the tests of the loop: it remembers what happened to it. */
#ifndef TESTS_IO_LOOP_PEER_H
#define TESTS_IO_LOOP_PEER_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

/* It wants the four above before it. */
#include <cmocka.h>

#define PEER_NEVER 1

struct peer {
	struct loop *loop;
	struct io_conn *conn;
	int connected; /* PEER_NEVER: not called */
	int closed;    /* likewise */
	int closed_calls;
	int secured; /* likewise */
	int secured_calls;
	struct tls_info info; /* of then; its spans point into the connection */
	int drained;
	size_t received, reads;
	char data[65536];
	size_t room;	/* of data, for one read */
	struct buf all; /* everything, where it is kept */
	bool keep;
	bool inside; /* a call into the connection is under way: no callback may come */
	void (*on_connected)(struct peer *p);
	void (*on_received)(struct peer *p, size_t n);
	void (*on_drained)(struct peer *p);
	void (*on_closed)(struct peer *p);
	void (*on_secured)(struct peer *p);
	struct iovec (*on_buffer)(struct peer *p);
	void *arg;
};

static inline void peer_connected(void *owner, int err)
{
	struct peer *p = owner;
	assert_false(p->inside);
	assert_int_equal(p->connected, PEER_NEVER);
	p->connected = err;
	if (p->on_connected)
		p->on_connected(p);
	else if (err)
		loop_stop(p->loop);
}

static inline struct iovec peer_buffer(void *owner)
{
	struct peer *p = owner;
	assert_false(p->inside);
	if (p->on_buffer)
		return p->on_buffer(p);
	return (struct iovec){p->data, p->room};
}

static inline void peer_received(void *owner, size_t n)
{
	struct peer *p = owner;
	assert_false(p->inside);
	p->received += n;
	p->reads++;
	if (p->keep)
		buf_add(&p->all, p->data, n);
	if (p->on_received)
		p->on_received(p, n);
}

static inline void peer_drained(void *owner)
{
	struct peer *p = owner;
	assert_false(p->inside);
	p->drained++;
	if (p->on_drained)
		p->on_drained(p);
}

static inline void peer_closed(void *owner, int err)
{
	struct peer *p = owner;
	assert_false(p->inside);
	p->closed = err;
	p->closed_calls++;
	if (p->on_closed)
		p->on_closed(p);
	else
		loop_stop(p->loop);
}

static inline void peer_secured(void *owner, int err, const struct tls_info *info)
{
	struct peer *p = owner;
	assert_false(p->inside);
	p->secured = err;
	p->secured_calls++;
	p->info = *info;
	if (p->on_secured)
		p->on_secured(p);
	else
		loop_stop(p->loop);
}

static const struct io_conn_handler peer_handler = {
	.connected = peer_connected,
	.buffer = peer_buffer,
	.received = peer_received,
	.drained = peer_drained,
	.closed = peer_closed,
	.secured = peer_secured,
};

static inline void peer_init(struct peer *p, struct loop *loop)
{
	*p = (struct peer){.loop = loop,
		.connected = PEER_NEVER,
		.closed = PEER_NEVER,
		.secured = PEER_NEVER,
		.room = sizeof(p->data)};
	buf_init(&p->all, 64u << 20);
}

static inline struct peer *peer_new(struct loop *loop)
{
	struct peer *p = malloc(sizeof(*p));
	assert_non_null(p);
	peer_init(p, loop);
	return p;
}

static inline void peer_free(struct peer *p)
{
	io_conn_close(&p->conn, false);
	buf_done(&p->all);
	free(p);
}

static inline int peer_send(struct peer *p, const void *bytes, size_t n, bool more)
{
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	p->inside = true;
	int err = io_conn_send(p->conn, &part, 1, more);
	p->inside = false;
	return err;
}

static inline struct netaddr loopback(uint16_t port)
{
	return (struct netaddr){.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = port};
}

/* A timer that stops the loop. */
struct stopper {
	struct timer timer;
	struct loop *loop;
	bool fired;
};

static inline void stopper_fire(struct timer *timer)
{
	struct stopper *s = (struct stopper *)(void *)timer;
	s->fired = true;
	loop_stop(s->loop);
}

/* Runs for at most ms; true: something else stopped it. */
static inline bool run_for(struct loop *loop, uint64_t ms)
{
	struct stopper s = {.timer.fire = stopper_fire, .loop = loop};
	io_timer_after(loop_io(loop), &s.timer, ms);
	loop_run(loop);
	io_timer_stop(loop_io(loop), &s.timer);
	return !s.fired;
}

#endif
