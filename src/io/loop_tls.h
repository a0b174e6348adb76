/*
 * The inside of protected connections, for loop_tls.c and loop_tls_send.c. One loop has buffers
 * for all of them, since what it does for one connection is done before it turns to the next:
 *
 *   socket -> eaten (one read) -> OpenSSL -> the owner's buffer
 *   owner -> plain (small sends join; pieces of files) -> OpenSSL -> sealed -> one sendmsg
 *
 * So a connection keeps bytes of its own only while it is paused in the middle of what was read,
 * or while the peer does not take what it is sent.
 */
#ifndef IO_LOOP_TLS_H
#define IO_LOOP_TLS_H

#include "io/loop_impl.h"
#include "io/tls_impl.h"

#define TLS_EATEN 65536			   /* ciphertext of one read */
#define TLS_PLAIN ((size_t)4 * TLS_RECORD) /* that is sealed in one go */
#define TLS_SEALED \
	((size_t)4 * (TLS_RECORD + 256)) /* … and what becomes of it (RFC 8446 section 5.2) */

struct loop_tls {
	BIO_METHOD *method;
	struct tls_clients *clients;
	struct fibers *fibers; /* of handshakes that may wait for a signature */
	struct list queue;     /* of connections that wait for a fiber */
	/* Whose bytes lie there; another one that needs the room has them sent first. */
	struct conn *gathers, *seals;
	size_t plain_n, sealed_n;
	char eaten[TLS_EATEN];
	char plain[TLS_PLAIN];
	char sealed[TLS_SEALED];
};

enum conn_tls_state {
	CONN_TLS_SHAKES,
	CONN_TLS_OPEN,
	CONN_TLS_DEAD, /* the handshake failed, and the owner knows */
};

/* How the protected input ended, and the owner does not know yet. */
enum conn_tls_end { CONN_TLS_GOES_ON, CONN_TLS_ENDED, CONN_TLS_BROKEN };

struct conn_tls {
	struct conn *conn;
	struct tls_link link;
	struct io_turn turn;
	struct list queued; /* it waits for a fiber, and is not read */
	enum conn_tls_state state;
	enum conn_tls_end end;
	bool told_end;
	bool feeds;	  /* at the end of the turn what is left of the input goes on */
	bool blocked;	  /* OpenSSL must read before it can write */
	uint64_t written; /* ciphertext bytes so far */
	uint64_t answers; /* of them, without our doing, since the peer has stopped reading */
	const char *in;	  /* ciphertext that OpenSSL has not seen, while it is fed */
	size_t in_n;
	char *held; /* … and between feedings */
	size_t held_at, held_n;
	/* What waits to be sealed: a range of a file first, and what was sent behind it. */
	struct piece *later, **later_last;
	size_t later_bytes;   /* in memory */
	uint64_t later_total; /* with file ranges */
};

/* loop_tls.c */
struct loop_tls *loop_tls_get(struct loop *loop);
/* The handshake goes on with what came, and the owner hears of its end. */
void conn_tls_shake(struct conn *c);
/* Can the handshake use what may come? Else it is told when it can. */
bool conn_tls_may_shake(struct conn *c);
/* It is of no more use. */
void conn_tls_give_up(struct conn *c);
void conn_tls_stop_reading(struct conn *c);

/* loop_tls_read.c */
int conn_tls_bio_read(BIO *bio, char *to, size_t n, size_t *got);
/* The handshake goes on that waited for a signature. */
void conn_tls_signed(struct tls_link *link);
/* What was put off to the end of the turn. */
void conn_tls_turn(struct io_turn *turn);

/* loop_tls_send.c */
int conn_tls_bio_write(BIO *bio, const char *p, size_t n, size_t *written);
/* All that was gathered and sealed for this connection goes on its way. */
void conn_tls_flush(struct conn *c);
/* The first piece. */
void conn_tls_drop_later(struct conn_tls *tls);

#endif
