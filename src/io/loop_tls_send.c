/*
 * What a protected connection sends: plaintext is gathered to whole records, sealed, and goes by
 * the same way as unprotected bytes.
 *
 * Ciphertext that the socket does not take waits in the connection's `out`; a range of a file waits
 * unsealed in `later`, with what was sent behind it, and goes on when the socket has taken all.
 */
#include "base/err.h"
#include "io/loop_tls.h"

#include <openssl/err.h>
#include <stdlib.h>

#define LATER_ROOM 4096	      /* least room of a piece for bytes, so that small ones join */
#define TURN_MOST  (1u << 20) /* bytes of a file in one go: others want their turn */

/* ---- sealed bytes --------------------------------------------------------------------------- */

static void put_sealed(struct conn *c, bool more, bool yield)
{
	struct loop_tls *t = conn_loop(c)->tls;
	struct iovec part = {t->sealed, t->sealed_n};

	t->seals = NULL;
	t->sealed_n = 0;
	if (c->failed || part.iov_len == 0)
		return;
	int err = yield ? conn_put_later(c, &part) : conn_put(c, &part, 1, part.iov_len, more);
	/* A gap cannot be mended. */
	if (err && !c->failed)
		(void)conn_fail(c, err);
}

/* Takes everything: a connection that fails here is told of by the loop. */
int conn_tls_bio_write(BIO *bio, const char *p, size_t n, size_t *written)
{
	struct conn_tls *tls = BIO_get_data(bio);
	struct conn *c = tls->conn;
	struct loop_tls *t = conn_loop(c)->tls;

	BIO_clear_retry_flags(bio);
	if (t->seals && t->seals != c)
		put_sealed(t->seals, false, false);
	for (size_t done = 0; done < n;) {
		if (t->sealed_n == TLS_SEALED)
			put_sealed(c, true, false);
		size_t take = MIN(n - done, TLS_SEALED - t->sealed_n);
		memcpy(t->sealed + t->sealed_n, p + done, take);
		t->seals = c;
		t->sealed_n += take;
		done += take;
	}
	tls->written += n;
	*written = n;
	return 1;
}

/* ---- what waits unsealed -------------------------------------------------------------------- */

void conn_tls_drop_later(struct conn_tls *tls)
{
	struct piece *piece = tls->later;

	tls->later = piece->next;
	if (!tls->later)
		tls->later_last = &tls->later;
	free(piece);
}

static struct piece *later_add(struct conn_tls *tls, size_t room)
{
	struct piece *piece = malloc(sizeof(*piece) + room);

	if (!piece)
		return NULL;
	*piece = (struct piece){.room = room};
	CHECK(tls->later_last);
	*tls->later_last = piece;
	tls->later_last = &piece->next;
	return piece;
}

static int keep_later(struct conn *c, const char *p, size_t n)
{
	struct conn_tls *tls = c->tls;
	struct piece *tail = NULL;

	if (n == 0)
		return 0;
	if (tls->later)
		tail = CONTAINER_OF(tls->later_last, struct piece, next);
	if (!tail || tail->file || tail->room - (tail->offset + tail->n) < n) {
		tail = later_add(tls, MAX(n, LATER_ROOM));
		if (!tail)
			return conn_fail(c, ERR_NOMEM);
	}
	memcpy(tail->data + tail->offset + tail->n, p, n);
	tail->n += n;
	tls->later_bytes += n;
	tls->later_total += n;
	return 0;
}

/* Before all that waits. */
static void keep_first(struct conn *c, const char *p, size_t n)
{
	struct conn_tls *tls = c->tls;
	struct piece *piece = malloc(sizeof(*piece) + n);

	if (!piece) {
		(void)conn_fail(c, ERR_NOMEM);
		return;
	}
	*piece = (struct piece){.room = n, .n = n, .next = tls->later};
	memcpy(piece->data, p, n);
	if (!tls->later)
		tls->later_last = &piece->next;
	tls->later = piece;
	tls->later_bytes += n;
	tls->later_total += n;
}

uint64_t conn_tls_unsent(const struct conn *c)
{
	return c->tls->later_total;
}

/* Bytes that could not even be sealed wait for the peer as a file does: then it is in the middle of
 * a message to OpenSSL. */
bool conn_tls_waits_for_file(const struct conn *c)
{
	return c->tls->later != NULL;
}

/* ---- sealing -------------------------------------------------------------------------------- */

/* All of it, or nothing where OpenSSL must read first (`blocked`). */
static void seal(struct conn *c, const char *p, size_t n)
{
	struct conn_tls *tls = c->tls;
	size_t written;

	if (n == 0 || c->failed)
		return;
	ERR_clear_error();
	if (SSL_write_ex(tls->link.ssl, p, n, &written) == 1) {
		CHECK(written == n);
		return;
	}
	/* The peer is in the middle of a message of the handshake's kind, such as a ticket. */
	if (SSL_get_error(tls->link.ssl, 0) == SSL_ERROR_WANT_READ) {
		tls->blocked = true;
		keep_first(c, p, n);
		return;
	}
	ERR_clear_error();
	(void)conn_fail(c, ERR_IO);
}

/* What was gathered; `whole`: without the last record, where it is not full yet. */
static void seal_gathered(struct conn *c, bool whole)
{
	struct loop_tls *t = conn_loop(c)->tls;
	size_t rest = whole ? t->plain_n % TLS_RECORD : 0;
	size_t n = t->plain_n - rest;

	if (t->gathers != c)
		return;
	seal(c, t->plain, n);
	if (c->tls->blocked && rest) {
		(void)keep_later(c, t->plain + n, rest);
		rest = 0;
	}
	memmove(t->plain, t->plain + n, rest);
	t->plain_n = rest;
	if (rest == 0)
		t->gathers = NULL;
}

void conn_tls_flush(struct conn *c)
{
	struct loop_tls *t = conn_loop(c)->tls;

	if (t->gathers == c)
		seal_gathered(c, false);
	if (t->seals == c)
		put_sealed(c, false, false);
}

static struct loop_tls *take_plain(struct conn *c)
{
	struct loop_tls *t = conn_loop(c)->tls;

	if (t->gathers && t->gathers != c)
		conn_tls_flush(t->gathers);
	t->gathers = c;
	return t;
}

static void gather(struct conn *c, const char *p, size_t n)
{
	struct loop_tls *t = take_plain(c);

	while (n && !c->failed && !c->tls->blocked) {
		size_t take = n - n % TLS_RECORD;
		if (t->plain_n || take == 0) {
			take = MIN(n, TLS_RECORD - t->plain_n);
			memcpy(t->plain + t->plain_n, p, take);
			t->gathers = c;
			t->plain_n += take;
			if (t->plain_n == TLS_RECORD)
				seal_gathered(c, false);
		} else {
			seal(c, p, take); /* many records, without a copy */
		}
		p += take;
		n -= take;
	}
	if (t->plain_n == 0 && t->gathers == c)
		t->gathers = NULL;
	if (!c->failed)
		(void)keep_later(c, p, n);
}

/* ---- going on ------------------------------------------------------------------------------- */

/* Bytes of what waits first, into the plaintext. */
static int64_t gather_first(struct conn *c)
{
	struct conn_tls *tls = c->tls;
	struct loop_tls *t = take_plain(c);
	struct piece *piece = tls->later;
	size_t n = (size_t)MIN(piece->n, TLS_PLAIN - t->plain_n);

	if (piece->file) {
		int64_t got = disk_read(piece->file, t->plain + t->plain_n, n, piece->offset);
		if (got <= 0)
			return got < 0 ? got : ERR_CORRUPT; /* shorter than its owner says */
		n = (size_t)got;
	} else {
		memcpy(t->plain + t->plain_n, piece->data + piece->offset, n);
		tls->later_bytes -= n;
	}
	t->plain_n += n;
	piece->offset += n;
	piece->n -= n;
	tls->later_total -= n;
	if (piece->n == 0)
		conn_tls_drop_later(tls);
	return (int64_t)n;
}

/* Until the socket is full, or all is sealed: then less than a record may be left, for what the
 * owner sends next. */
static void send_later(struct conn *c)
{
	struct conn_tls *tls = c->tls;
	uint64_t done = 0;

	while (tls->later && !c->out && !c->failed && !tls->blocked) {
		int64_t n = gather_first(c);
		if (n < 0) {
			(void)conn_fail(c, (int)n);
			return;
		}
		done += (uint64_t)n;
		struct loop_tls *t = conn_loop(c)->tls;
		if (tls->later && t->plain_n < TLS_PLAIN)
			continue;
		seal_gathered(c, true);
		if (t->seals == c)
			put_sealed(c, tls->later != NULL, tls->later && done >= TURN_MOST);
	}
}

bool conn_tls_goes_on(struct conn *c)
{
	struct conn_tls *tls = c->tls;

	tls->answers = 0;
	if (tls->later && !tls->blocked) {
		send_later(c);
		conn_tls_flush(c);
	}
	return c->out || tls->later || c->failed;
}

/* ---- the operations ------------------------------------------------------------------------- */

static int may_send(const struct conn_tls *tls)
{
	if (tls->state == CONN_TLS_OPEN)
		return 0;
	return tls->state == CONN_TLS_SHAKES ? ERR_BUSY : ERR_CLOSED;
}

int conn_tls_send(struct conn *c, const struct iovec *parts, size_t count, size_t n, bool more)
{
	struct conn_tls *tls = c->tls;
	size_t waits = (c->out ? c->out->bytes : 0) + tls->later_bytes;
	int err = may_send(tls);

	if (err)
		return err;
	if (waits && waits + n > IO_CONN_UNSENT)
		return ERR_LIMIT;
	for (size_t i = 0; i < count && !c->failed; i++) {
		if (tls->later)
			(void)keep_later(c, parts[i].iov_base, parts[i].iov_len);
		else
			gather(c, parts[i].iov_base, parts[i].iov_len);
	}
	if (more)
		io_turn_end(c->base.io, &tls->turn);
	else
		conn_tls_flush(c);
	return c->failed ? ERR_CLOSED : 0;
}

int conn_tls_send_file(struct conn *c, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct conn_tls *tls = c->tls;
	bool waits = tls->later || c->out;
	int err = may_send(tls);

	if (err || length == 0)
		return err;
	struct piece *piece = later_add(tls, 0);
	if (!piece)
		return conn_fail(c, ERR_NOMEM);
	piece->file = file;
	piece->offset = offset;
	piece->n = length;
	tls->later_total += length;
	if (!waits) {
		send_later(c);
		io_turn_end(c->base.io, &tls->turn);
	}
	return c->failed ? ERR_CLOSED : 0;
}

void conn_tls_farewell(struct conn *c)
{
	struct loop_tls *t = conn_loop(c)->tls;
	struct conn_tls *tls = c->tls;

	conn_tls_give_up(c);
	if (tls->state == CONN_TLS_OPEN && !c->failed && !tls->later) {
		conn_tls_flush(c);
		if (tls->end != CONN_TLS_BROKEN && !tls->blocked)
			(void)SSL_shutdown(tls->link.ssl);
		conn_tls_flush(c);
		ERR_clear_error();
	}
	io_turn_forget(c->base.io, &tls->turn);
	if (t->gathers == c) {
		t->gathers = NULL;
		t->plain_n = 0;
	}
	if (t->seals == c) {
		t->seals = NULL;
		t->sealed_n = 0;
	}
}
