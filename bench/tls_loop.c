/*
 * What keys apart cost: the loop and the TLS of Postern (io/loop.h, io/tls.h) with nothing behind
 * them but a greeting and a goodbye, and the private key either in this process or, as in Postern,
 * in another one that is asked for each signature over a socket pair (role/signer.h,
 * role/key_ring.h). The two differ in nothing else.
 *
 * usage: bench_tls_loop inside|apart PORT CERTIFICATE KEY
 * Counters: counts.h. Ends on SIGTERM.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/netaddr.h"
#include "counts.h"
#include "io/loop.h"
#include "io/tls.h"
#include "keys/message.h"
#include "role/key_ring.h"
#include "role/signer.h"
#include "role/tls_set.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_NUMBER   1
#define HANDSHAKE_MS 30000
#define LINE	     512

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_tls_loop: %s: %s\n", what, why);
	exit(1);
}

static void need(const char *what, int err)
{
	if (err)
		die(what, err_text(err));
}

static struct span file_read(const char *path)
{
	struct buf all;
	char piece[4096];
	size_t n;
	FILE *file = fopen(path, "re");

	if (!file)
		die(path, "cannot be opened");
	buf_init(&all, TLS_PEM_BYTES);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&all, piece, n);
	(void)fclose(file);
	if (!buf_ok(&all) || all.n == 0)
		die(path, "cannot be read");
	return buf_span(&all); /* for as long as the program runs */
}

/* ---- the process with the key, as role/role_keys.c does it ---------------------------------- */

struct keys {
	struct loop *loop;
	struct key_ring ring;
	struct io_channel *signing;
};

static void asked(void *owner, struct span bytes, const int *fds, size_t fd_count)
{
	struct keys *k = owner;
	char memory[KEYS_SIGN_BYTES];
	struct buf answers = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	(void)fds;
	(void)fd_count;

	if (key_ring_answer(&k->ring, loop_io(k->loop)->now_ns, bytes, &answers) &&
		buf_ok(&answers))
		(void)io_channel_send(k->signing, buf_span(&answers), NULL, 0);
}

static void writable(void *owner)
{
	(void)owner;
}

static void gone(void *owner)
{
	(void)owner;
	_exit(0);
}

static const struct io_channel_handler signing_handler = {asked, writable, gone};

static _Noreturn void serve_key(int fd, struct span pem)
{
	struct keys k = {.loop = NULL};
	struct buf set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	buf_init(&set, 2 * TLS_PEM_BYTES);
	tls_set_put_key(&set, KEY_NUMBER, pem);
	key_ring_take(&k.ring, buf_span(&set), NULL);
	if (!key_ring_find(&k.ring, KEY_NUMBER))
		die("the key", "cannot be used");
	need("loop", loop_new(&k.loop));
	need("channel", loop_channel(k.loop, fd, &signing_handler, &k, &k.signing));
	loop_channel_slow(k.signing);
	loop_run(k.loop);
	_exit(1);
}

/* ---- connections ---------------------------------------------------------------------------- */

struct door {
	struct tls_server *server;
	struct counts *counts;
};

struct client {
	struct io_conn *conn;
	struct door *door;
	char in[LINE];
};

static void end(struct client *c, bool linger)
{
	io_conn_close(&c->conn, linger);
	free(c);
}

static void say(struct client *c, const char *line)
{
	const struct iovec part = {(void *)(uintptr_t)line, strlen(line)};

	(void)io_conn_send(c->conn, &part, 1, false);
}

static struct iovec buffer(void *owner)
{
	struct client *c = owner;

	return (struct iovec){c->in, sizeof(c->in)};
}

static void received(void *owner, size_t n)
{
	struct client *c = owner;

	if (n && c->in[0] == 'Q') {
		say(c, "221 bye\r\n");
		end(c, true);
	} else {
		say(c, "250 ok\r\n");
	}
}

static void drained(void *owner)
{
	(void)owner;
}

static void closed(void *owner, int err)
{
	(void)err;
	end(owner, false);
}

static void secured(void *owner, int err, const struct tls_info *info)
{
	struct client *c = owner;
	struct counts *counts = c->door->counts;

	if (err) {
		end(c, false);
		return;
	}
	counts->handshakes++;
	counts->resumed += info->resumed;
	say(c, "220 bench.test ESMTP\r\n");
}

static const struct io_conn_handler client_handler = {
	.buffer = buffer,
	.received = received,
	.drained = drained,
	.closed = closed,
	.secured = secured,
};

static void accepted(void *owner, struct io_conn *conn)
{
	struct door *door = owner;
	struct client *c = malloc(sizeof(*c));

	if (!c)
		abort();
	c->conn = conn;
	c->door = door;
	door->counts->connections++;
	loop_conn_adopt(conn, &client_handler, c);
	if (io_conn_secure_server(conn, door->server, HANDSHAKE_MS) != 0)
		end(c, false);
}

/* ---- the start ------------------------------------------------------------------------------ */

static struct tls_server *server_new(struct span chain, struct span key, struct tls_signer *signer)
{
	const struct tls_certificate certificate = {
		.chain = chain, .key = signer ? SPAN_NONE : key, .key_number = KEY_NUMBER};
	const struct tls_server_config config = {
		.certificates = &certificate, .certificate_count = 1, .signer = signer};
	struct tls_tickets tickets = {.count = 1};
	struct tls_server *server;
	struct buf problem;

	buf_init(&problem, 4096);
	if (tls_server_new(&config, &server, &problem) != 0)
		die("the certificate", problem.n ? "cannot be used with this key" : "no memory");
	buf_done(&problem);
	if (getrandom(tickets.keys, sizeof(tickets.keys), 0) != sizeof(tickets.keys))
		die("getrandom", "failed");
	tls_server_set_tickets(server, &tickets);
	return server;
}

static void ended(void *arg, int number)
{
	(void)number;
	loop_stop(arg);
}

static int usage(void)
{
	fprintf(stderr, "usage: bench_tls_loop inside|apart PORT CERTIFICATE KEY\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct signer signer;
	struct listener *listener;
	struct loop_signal *term;
	struct netaddr address;
	struct door door;
	struct loop *loop;
	int fds[2], fd;

	if (argc != 5 || (strcmp(argv[1], "inside") != 0 && strcmp(argv[1], "apart") != 0))
		return usage();
	bool apart = strcmp(argv[1], "apart") == 0;
	struct span chain = file_read(argv[3]), key = file_read(argv[4]);
	door.counts = counts_map();
	if (apart) {
		need("socket pair", loop_channel_pair(fds));
		pid_t child = fork();
		if (child < 0)
			die("fork", "failed");
		if (child == 0) {
			close(fds[1]);
			serve_key(fds[0], key);
		}
		close(fds[0]);
	}
	need("loop", loop_new(&loop));
	signer_init(&signer, loop);
	if (apart)
		need("channel", signer_open(&signer, fds[1]));
	door.server = server_new(chain, key, apart ? &signer.base : NULL);
	char where[64];
	snprintf(where, sizeof(where), "127.0.0.1:%s", argv[2]);
	need("address", netaddr_parse(span_str(where), 0, &address));
	need("bind", listener_bind_tcp(&address, false, &fd));
	need("listen", loop_listen(loop, fd, accepted, &door, NULL, &listener));
	need("signal", loop_signal(loop, SIGTERM, ended, loop, &term));
	loop_run(loop);
	return 0;
}
