/* Bytes of a stranger in place of a handshake, to a server's connection of the real loop. */
#include "base/check.h"
#include "io/loop.h"
#include "io/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct world {
	struct loop *loop;
	struct listener *listener;
	struct netaddr address;
	struct tls_server *server;
	struct io_conn *conn;
	char into[4096];
	int secured;
};

static struct iovec buffer(void *owner)
{
	struct world *w = owner;
	return (struct iovec){w->into, sizeof(w->into)};
}

static void received(void *owner, size_t n)
{
	(void)owner;
	(void)n;
	CHECK(!"bytes of a stranger are no plaintext");
}

static void nothing(void *owner)
{
	(void)owner;
}

static void closed(void *owner, int err)
{
	(void)owner;
	(void)err;
	CHECK(!"closed() in a handshake");
}

static void secured(void *owner, int err, const struct tls_info *info)
{
	struct world *w = owner;

	CHECK(err != 0 && info->failure != TLS_FINE && w->secured++ == 0);
	io_conn_close(&w->conn, false);
	loop_stop(w->loop);
}

static const struct io_conn_handler handler = {.buffer = buffer,
	.received = received,
	.drained = nothing,
	.closed = closed,
	.secured = secured};

static void accepted(void *owner, struct io_conn *conn)
{
	struct world *w = owner;

	w->conn = conn;
	loop_conn_adopt(conn, &handler, w);
	CHECK(io_conn_secure_server(conn, w->server, 1000) == 0);
}

static struct span text_of(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	return span_of(p, (size_t)n);
}

static void make_server(struct world *w)
{
	struct buf problem;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *c = X509_new();
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());

	X509_gmtime_adj(X509_getm_notBefore(c), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c), 3600);
	X509_set_pubkey(c, key);
	CHECK(X509_sign(c, key, EVP_sha256()));
	PEM_write_bio_X509(chain, c);
	PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
	struct tls_certificate one = {.chain = text_of(chain), .key = text_of(secret)};
	struct tls_server_config config = {
		.certificates = &one, .certificate_count = 1, .client_ca = one.chain};
	struct tls_tickets tickets = {.count = 2, .keys = {{1}, {2}}};
	buf_init(&problem, 200);
	CHECK(tls_server_new(&config, &w->server, &problem) == 0);
	tls_server_set_tickets(w->server, &tickets);
	buf_done(&problem);
	BIO_free(chain);
	BIO_free(secret);
	X509_free(c);
	EVP_PKEY_free(key);
}

static struct world *world(void)
{
	static struct world *w;
	struct netaddr any = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int fd;

	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	CHECK(w && loop_new(&w->loop) == 0);
	CHECK(listener_bind_tcp(&any, false, &fd) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	CHECK(netaddr_from_sockaddr((struct sockaddr *)&a, n, &w->address) == 0);
	CHECK(loop_listen(w->loop, fd, accepted, w, NULL, &w->listener) == 0);
	make_server(w);
	return w;
}

#define INPUT_MOST 60000 /* that a socket takes at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world *w = world();
	struct sockaddr_storage a;
	socklen_t size = netaddr_to_sockaddr(&w->address, &a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger hard = {.l_onoff = 1};

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, size) == 0);
	(void)send(fd, data, MIN(n, INPUT_MOST), MSG_NOSIGNAL);
	/* So the handshake ends, whatever it was. */
	shutdown(fd, SHUT_WR);
	w->secured = 0;
	while (w->secured == 0)
		loop_run(w->loop);
	/* No port stays taken. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	return 0;
}
