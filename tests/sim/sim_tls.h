/*
 * TLS of the simulated world: a handshake of three small messages, and records after it that say
 * who wrote them, in which order. So a byte that was not protected, or that somebody else put
 * there, is told from one that was. It hides nothing: nobody listens here.
 *
 *   client: nonce, ticket, the server's name  ─►
 *                         ◄─  server: nonce, certificate, whether the ticket is taken
 *   client: its certificate, if it has one    ─►
 *
 * One struct sim_tls is one side of one connection. Its owner moves bytes between it and the wire.
 */
#ifndef SIM_TLS_H
#define SIM_TLS_H

#include "base/buf.h"
#include "sim.h"
#include "sim_cert.h"

enum sim_tls_state {
	SIM_TLS_SHAKES,
	SIM_TLS_SHOWN, /* client: the server's certificate is there, and waits to be judged */
	SIM_TLS_OPEN,
	SIM_TLS_REFUSED, /* by the other side */
	SIM_TLS_BROKEN,	 /* what came is nothing of this */
};

struct sim_tls {
	enum sim_tls_state state;
	bool server;
	bool resumed;
	bool said_end, heard_end;
	enum sim_cert own, peer;
	uint64_t ticket; /* client: the one it has; 0: none */
	uint64_t nonce, key;
	uint64_t sealed, opened; /* records */
	struct buf wire;	 /* what came and is no whole record */
	struct buf in;		 /* what was protected, and the owner has not taken yet */
	struct buf out;		 /* what is to go over the wire */
	char sni[64];
};

/* The hello is in `out` at once. */
struct sim_tls *sim_tls_client(
	struct sim *sim, enum sim_cert own, struct span sni, uint64_t ticket);
struct sim_tls *sim_tls_server(struct sim *sim, enum sim_cert shown);
void sim_tls_free(struct sim_tls **tls);

/* Bytes from the wire. */
void sim_tls_take(struct sim_tls *tls, const void *bytes, size_t n);
/* Client, where it is SHOWN: it is what was wanted, or not. */
void sim_tls_accept(struct sim_tls *tls);
void sim_tls_refuse(struct sim_tls *tls);
/* Bytes to protect. */
void sim_tls_seal(struct sim_tls *tls, const void *bytes, size_t n);
/* Nothing more will follow. */
void sim_tls_end(struct sim_tls *tls);
/* What a server with this certificate gives out and takes back. */
uint64_t sim_tls_ticket(enum sim_cert cert);
/* The same bytes at both ends, and nowhere else. */
void sim_tls_binding(const struct sim_tls *tls, uint8_t out[TLS_BINDING_BYTES]);

/* ---- behind io/tls.h ------------------------------------------------------------------------- */

struct tls_server *sim_tls_server_new(enum sim_cert cert);
enum sim_cert sim_tls_server_cert(const struct tls_server *server);

#endif
