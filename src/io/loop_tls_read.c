/*
 * What comes in on a protected connection. libuv reads ciphertext into the loop's one buffer;
 * OpenSSL takes it from there, and the plaintext goes straight into the owner's buffer. All of it
 * is used up before the loop reads again, unless the owner pauses meanwhile: then the rest is held.
 */
#include "base/err.h"
#include "io/loop_tls.h"

#include <openssl/err.h>
#include <stdlib.h>

/* Bytes that OpenSSL answers by itself (key updates, alerts) to a peer that does not read. */
#define ANSWERS_MOST 65536

/* OpenSSL, which knows nothing of it, says none: fatal, illegal_parameter (RFC 8446 section 6.2).
 */
static void refuse_hello(BIO *bio)
{
	static const char alert[] = {SSL3_RT_ALERT, TLS1_2_VERSION_MAJOR, TLS1_2_VERSION_MINOR, 0,
		2, SSL3_AL_FATAL, SSL_AD_ILLEGAL_PARAMETER};
	size_t written;

	(void)conn_tls_bio_write(bio, alert, sizeof(alert), &written);
}

int conn_tls_bio_read(BIO *bio, char *to, size_t n, size_t *got)
{
	struct conn_tls *tls = BIO_get_data(bio);
	size_t take = MIN(n, tls->in_n);

	BIO_clear_retry_flags(bio);
	if (take == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (tls->link.server && tls->state == CONN_TLS_SHAKES &&
		!tls_hello_fits(&tls->link, tls->in, take)) {
		refuse_hello(bio);
		return 0;
	}
	memcpy(to, tls->in, take);
	tls->in += take;
	tls->in_n -= take;
	*got = take;
	return 1;
}

bool conn_tls_holds(const struct conn *c)
{
	const struct conn_tls *tls = c->tls;

	return tls->state == CONN_TLS_OPEN && !tls->told_end &&
	       (tls->held_n || tls->end != CONN_TLS_GOES_ON || SSL_pending(tls->link.ssl) > 0);
}

bool conn_tls_wants(const struct conn *c)
{
	const struct conn_tls *tls = c->tls;

	if (tls->state == CONN_TLS_OPEN)
		return !c->paused && !tls->told_end && !conn_tls_holds(c);
	return tls->state == CONN_TLS_SHAKES && !tls_link_waits(&tls->link) &&
	       list_empty(&tls->queued);
}

uv_buf_t conn_tls_room(struct conn *c)
{
	bool may = c->tls->state != CONN_TLS_SHAKES || conn_tls_may_shake(c);

	return may && conn_tls_wants(c) ? uv_buf_init(conn_loop(c)->tls->eaten, TLS_EATEN)
					: uv_buf_init(NULL, 0);
}

static bool may_deliver(const struct conn *c)
{
	return !c->closing && !c->lingers && !c->paused && !c->failed &&
	       c->tls->state == CONN_TLS_OPEN && !c->tls->told_end;
}

static bool more_to_read(const struct conn_tls *tls)
{
	return tls->end == CONN_TLS_GOES_ON && (tls->in_n || SSL_pending(tls->link.ssl) > 0);
}

static void input_ended(struct conn_tls *tls)
{
	switch (SSL_get_error(tls->link.ssl, 0)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: break;
	case SSL_ERROR_ZERO_RETURN: tls->end = CONN_TLS_ENDED; break;
	default: tls->end = CONN_TLS_BROKEN; break;
	}
}

/* Many small records fill one buffer together. */
static size_t fill(struct conn *c, struct iovec into)
{
	struct conn_tls *tls = c->tls;
	uint64_t written = tls->written;
	size_t n = 0;

	ERR_clear_error();
	while (n < into.iov_len && more_to_read(tls)) {
		size_t got = 0;
		if (SSL_read_ex(tls->link.ssl, (char *)into.iov_base + n, into.iov_len - n, &got) ==
			1)
			n += got;
		else
			input_ended(tls);
		if (tls->link.again)
			tls->end = CONN_TLS_BROKEN;
	}
	tls->answers = c->out ? tls->answers + (tls->written - written) : 0;
	if (tls->answers > ANSWERS_MOST)
		tls->end = CONN_TLS_BROKEN;
	return n;
}

static void tell_end(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	tls->told_end = true;
	conn_tls_stop_reading(c);
	if (tls->end == CONN_TLS_ENDED) {
		c->handler->closed(c->owner, 0);
		return;
	}
	conn_tls_flush(c); /* the alert */
	conn_tell_closed(c, ERR_SYNTAX);
}

static void deliver(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	while (may_deliver(c)) {
		if (tls->end != CONN_TLS_GOES_ON) {
			tell_end(c);
			return;
		}
		if (!more_to_read(tls))
			return;
		struct iovec into = c->handler->buffer(c->owner);
		if (!may_deliver(c))
			return;
		CHECK(into.iov_base && into.iov_len);
		size_t n = fill(c, into);
		if (n)
			c->handler->received(c->owner, n);
	}
}

/* What the owner did not want yet. */
static void hold_rest(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	if (tls->held && tls->in_n) {
		tls->held_at += tls->held_n - tls->in_n;
		tls->held_n = tls->in_n;
	} else if (tls->in_n) {
		tls->held = malloc(tls->in_n);
		if (!tls->held) {
			(void)conn_fail(c, ERR_NOMEM);
			return;
		}
		memcpy(tls->held, tls->in, tls->in_n);
		tls->held_at = 0;
		tls->held_n = tls->in_n;
	} else {
		free(tls->held);
		tls->held = NULL;
		tls->held_n = 0;
	}
	tls->in = NULL;
	tls->in_n = 0;
}

static void feed(struct conn *c, const char *in, size_t n)
{
	struct conn_tls *tls = c->tls;

	tls->in = in;
	tls->in_n = n;
	if (tls->state == CONN_TLS_SHAKES)
		conn_tls_shake(c);
	deliver(c);
	if (c->closing || c->lingers || c->failed) {
		tls->in = NULL;
		tls->in_n = 0;
		return;
	}
	conn_tls_flush(c);
	hold_rest(c);
	/* A send waited for the end of a message of the handshake's kind. */
	if (tls->blocked) {
		tls->blocked = false;
		conn_flushed(c);
	}
}

void conn_tls_received(struct conn *c, size_t n)
{
	feed(c, conn_loop(c)->tls->eaten, n);
}

void conn_tls_signed(struct tls_link *link)
{
	struct conn *c = CONTAINER_OF(link, struct conn_tls, link)->conn;

	feed(c, c->tls->held_n ? c->tls->held + c->tls->held_at : NULL, c->tls->held_n);
	if (!c->closing && !c->lingers && conn_tls_wants(c))
		conn_read_on(c);
}

void conn_tls_turn(struct io_turn *turn)
{
	struct conn_tls *tls = CONTAINER_OF(turn, struct conn_tls, turn);
	struct conn *c = tls->conn;

	if (c->closing || c->lingers || c->failed)
		return;
	conn_tls_flush(c);
	if (!tls->feeds)
		return;
	tls->feeds = false;
	if (!c->paused && conn_tls_holds(c))
		feed(c, tls->held + tls->held_at, tls->held_n);
	if (!c->closing && !c->lingers && conn_tls_wants(c))
		conn_read_on(c);
}

/* Never within the call: at the end of the turn. */
void conn_tls_resume(struct conn *c)
{
	if (conn_tls_holds(c)) {
		c->tls->feeds = true;
		io_turn_end(c->base.io, &c->tls->turn);
	} else if (conn_tls_wants(c)) {
		conn_read_on(c);
	}
}
