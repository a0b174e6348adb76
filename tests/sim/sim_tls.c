#include "sim_tls.h"

#include "base/check.h"
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_HEAD  7 /* kind, length, seal */
#define RECORD_BYTES 16384
#define TLS_BYTES    (64u << 20)
#define RESUMED	     800 /* of 1000 tickets are taken */

enum record { RECORD_ALERT = 0x15, RECORD_HELLO = 0x16, RECORD_DATA = 0x17 };

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = a ^ b * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

/* What only the owner of a certificate knows. */
static uint64_t secret_of(enum sim_cert cert)
{
	return mix(0x5ec7e7, (uint64_t)cert + 1);
}

uint64_t sim_tls_ticket(enum sim_cert cert)
{
	return mix(secret_of(cert), 0x71c4e7) | 1;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct sim_tls *tls_new(struct sim *sim, bool server, enum sim_cert own)
{
	struct sim_tls *tls = calloc(1, sizeof(*tls));

	CHECK(tls);
	tls->server = server;
	tls->own = own;
	tls->nonce = prng_u64(&sim->prng);
	buf_init(&tls->wire, TLS_BYTES);
	buf_init(&tls->in, TLS_BYTES);
	buf_init(&tls->out, TLS_BYTES);
	return tls;
}

void sim_tls_free(struct sim_tls **pointer)
{
	struct sim_tls *tls = *pointer;

	*pointer = NULL;
	if (!tls)
		return;
	buf_done(&tls->wire);
	buf_done(&tls->in);
	buf_done(&tls->out);
	free(tls);
}

/* ---- records --------------------------------------------------------------------------------- */

static uint32_t seal_of(uint64_t key, bool server, uint64_t number, struct span bytes)
{
	uint64_t h = mix(key, number * 2 + server);

	for (size_t i = 0; i < bytes.n; i++)
		h = (h ^ (unsigned char)bytes.p[i]) * 0x100000001b3ull;
	return (uint32_t)mix(h, bytes.n);
}

static void put(struct sim_tls *tls, enum record kind, struct span bytes)
{
	buf_put_u8(&tls->out, kind);
	buf_put_u16(&tls->out, (uint16_t)bytes.n);
	buf_put_u32(&tls->out, tls->key ? seal_of(tls->key, tls->server, tls->sealed, bytes) : 0);
	buf_add_span(&tls->out, bytes);
	tls->sealed += tls->key != 0;
}

void sim_tls_seal(struct sim_tls *tls, const void *bytes, size_t n)
{
	const char *p = bytes;

	CHECK(tls->state == SIM_TLS_OPEN);
	while (n) {
		size_t piece = MIN(n, RECORD_BYTES);

		put(tls, RECORD_DATA, span_of(p, piece));
		p += piece;
		n -= piece;
	}
}

void sim_tls_end(struct sim_tls *tls)
{
	if (!tls->said_end)
		put(tls, RECORD_ALERT, SPAN_NONE);
	tls->said_end = true;
}

/* ---- the handshake --------------------------------------------------------------------------- */

struct sim_tls *sim_tls_client(struct sim *sim, enum sim_cert own, struct span sni, uint64_t ticket)
{
	struct sim_tls *tls = tls_new(sim, false, own);
	struct buf hello;

	tls->ticket = ticket;
	buf_init(&hello, 512);
	buf_put_u64(&hello, tls->nonce);
	buf_put_u64(&hello, ticket);
	buf_add_span(&hello, sni);
	put(tls, RECORD_HELLO, buf_span(&hello));
	buf_done(&hello);
	return tls;
}

struct sim_tls *sim_tls_server(struct sim *sim, enum sim_cert shown)
{
	return tls_new(sim, true, shown);
}

static void set_key(struct sim_tls *tls, uint64_t client, uint64_t server, enum sim_cert cert)
{
	tls->key = mix(mix(client, server), secret_of(cert)) | 1;
}

/* The server hears the client's hello, and answers. */
static void answer(struct sim_tls *tls, struct span bytes)
{
	struct cursor in = cursor_of(bytes);
	uint64_t nonce = cursor_u64(&in), ticket = cursor_u64(&in);
	struct buf hello;

	if (!cursor_ok(&in)) {
		tls->state = SIM_TLS_BROKEN;
		return;
	}
	struct span sni = span_skip(bytes, 16);

	memcpy(tls->sni, sni.p, MIN(sni.n, sizeof(tls->sni) - 1));
	tls->resumed = ticket == sim_tls_ticket(tls->own) && mix(nonce, 1) % 1000 < RESUMED;
	buf_init(&hello, 64);
	buf_put_u64(&hello, tls->nonce);
	buf_put_u8(&hello, (uint8_t)tls->own);
	buf_put_u8(&hello, tls->resumed);
	put(tls, RECORD_HELLO, buf_span(&hello));
	buf_done(&hello);
	set_key(tls, nonce, tls->nonce, tls->own);
}

static void take_hello(struct sim_tls *tls, struct span bytes)
{
	struct cursor in = cursor_of(bytes);

	if (tls->server && !tls->key) {
		answer(tls, bytes);
	} else if (tls->server && tls->state == SIM_TLS_SHAKES && bytes.n == 1) {
		tls->peer = (enum sim_cert)cursor_u8(&in);
		tls->opened++;
		tls->state = SIM_TLS_OPEN;
	} else if (!tls->server && tls->state == SIM_TLS_SHAKES && bytes.n == 10) {
		uint64_t nonce = cursor_u64(&in);

		tls->peer = (enum sim_cert)cursor_u8(&in);
		tls->resumed = cursor_u8(&in) && tls->ticket;
		set_key(tls, tls->nonce, nonce, tls->peer);
		tls->state = SIM_TLS_SHOWN;
	} else {
		tls->state = SIM_TLS_BROKEN;
	}
}

void sim_tls_accept(struct sim_tls *tls)
{
	const char own = (char)tls->own;

	CHECK(tls->state == SIM_TLS_SHOWN);
	put(tls, RECORD_HELLO, span_of(&own, 1));
	tls->state = SIM_TLS_OPEN;
}

void sim_tls_refuse(struct sim_tls *tls)
{
	tls->key = 0;
	put(tls, RECORD_ALERT, SPAN("no"));
	tls->state = SIM_TLS_BROKEN;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void take_record(struct sim_tls *tls, enum record kind, uint32_t seal, struct span bytes)
{
	/* Who refuses in the handshake has no key yet, or wants none. */
	if (kind == RECORD_ALERT && tls->state != SIM_TLS_OPEN) {
		tls->state = SIM_TLS_REFUSED;
		return;
	}
	bool right = !tls->key || seal == seal_of(tls->key, !tls->server, tls->opened, bytes);

	if (!right || (kind != RECORD_HELLO && tls->state != SIM_TLS_OPEN)) {
		tls->state = SIM_TLS_BROKEN;
	} else if (kind == RECORD_HELLO) {
		take_hello(tls, bytes);
	} else {
		tls->opened++;
		tls->heard_end = tls->heard_end || kind == RECORD_ALERT;
		if (!tls->heard_end)
			buf_add_span(&tls->in, bytes);
	}
}

void sim_tls_take(struct sim_tls *tls, const void *bytes, size_t n)
{
	buf_add(&tls->wire, bytes, n);
	/* What follows a certificate that waits to be judged waits as well. */
	while (tls->wire.n >= RECORD_HEAD && tls->state != SIM_TLS_SHOWN &&
		tls->state != SIM_TLS_BROKEN && tls->state != SIM_TLS_REFUSED) {
		struct cursor in = cursor_of(buf_span(&tls->wire));
		enum record kind = (enum record)cursor_u8(&in);
		size_t length = cursor_u16(&in);
		uint32_t seal = cursor_u32(&in);

		if (kind < RECORD_ALERT || kind > RECORD_DATA || length > RECORD_BYTES) {
			tls->state = SIM_TLS_BROKEN;
			return;
		}
		if (tls->wire.n < RECORD_HEAD + length)
			return;
		take_record(tls, kind, seal, span_of(tls->wire.p + RECORD_HEAD, length));
		buf_drop(&tls->wire, RECORD_HEAD + length);
	}
}

void sim_tls_binding(const struct sim_tls *tls, uint8_t out[TLS_BINDING_BYTES])
{
	for (size_t i = 0; i < TLS_BINDING_BYTES / 8; i++) {
		uint64_t word = mix(tls->key, i + 100);

		memcpy(out + 8 * i, &word, 8);
	}
}

/* ---- behind io/tls.h ------------------------------------------------------------------------- */

struct tls_server {
	uint32_t holders;
	enum sim_cert cert;
};

struct tls_server *sim_tls_server_new(enum sim_cert cert)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	CHECK(server);
	server->cert = cert;
	return server;
}

enum sim_cert sim_tls_server_cert(const struct tls_server *server)
{
	return server->cert;
}

struct tls_server *tls_server_hold(struct tls_server *server)
{
	server->holders++;
	return server;
}

void tls_server_release(struct tls_server **server)
{
	CHECK((*server)->holders > 0);
	(*server)->holders--;
	*server = NULL;
}
