/*
 * A socket of the load tools, in clear or under TLS, that never waits: plain OpenSSL with as little
 * around it as goes, so that the tools are not what is measured. Nothing is verified, and no name
 * is sent: every server of the benchmark has one certificate.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "counts.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_tls { WIRE_CLEAR, WIRE_STARTTLS, WIRE_IMPLICIT };

/* Results of wire_read(), wire_write() and wire_handshake() that are no byte counts. */
#define WIRE_ENDED 0  /* closed, or broken */
#define WIRE_AGAIN -1 /* wire_events() says what for */

struct wire {
	int fd;
	SSL *ssl; /* NULL: in clear */
	bool wants_room;
};

/* "none", "starttls" or "implicit". */
bool wire_tls_named(const char *name, enum wire_tls *out);
/* Decimal, 1 to 65535. */
bool wire_port_named(const char *text, uint16_t *out);

/* Contexts end the program where they cannot be made. Without `resume` a server gives no tickets,
 * and a client keeps none. */
SSL_CTX *wire_server(const char *certificate, const char *key, bool resume);
/* `keep` gets each new session, with a reference of its own. */
SSL_CTX *wire_client(bool resume, void (*keep)(SSL_SESSION *session));

/* The session may be NULL; it stays the caller's. */
bool wire_secure(struct wire *wire, SSL_CTX *context, bool server, SSL_SESSION *session);
/* 1 when it is done, and counted. */
int wire_handshake(struct wire *wire, struct counts *counts);

ssize_t wire_read(struct wire *wire, void *to, size_t room);
ssize_t wire_write(struct wire *wire, const void *from, size_t n);
/* What has come is not all read, though the socket may look empty. */
bool wire_has_more(const struct wire *wire);
/* For epoll: EPOLLIN, or EPOLLOUT where it wants to write first. */
unsigned wire_events(const struct wire *wire);
/* `tell`: the other side is told that this is the end (close_notify). */
void wire_close(struct wire *wire, bool tell);

#endif
