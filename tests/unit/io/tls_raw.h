/* The other end as plain OpenSSL in a thread of its own, for what our own end never does. */
#ifndef TESTS_IO_TLS_RAW_H
#define TESTS_IO_TLS_RAW_H

#include "tls_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

struct raw {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
	bool serves;
	int listening;		       /* of a server */
	void (*play)(struct raw *raw); /* after a handshake that went well */
	void *arg;
	int shook;   /* what SSL_connect() or SSL_accept() said */
	int records; /* of application data that came */
	pthread_t thread;
	atomic_bool done;
};

static inline void raw_count(
	int write, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct raw *raw = arg;
	(void)version;
	(void)ssl;

	/* In 1.3 all is application data outside; what is inside follows as another call. */
	if (!write && type == SSL3_RT_HEADER && n > 0 &&
		((const uint8_t *)p)[0] == SSL3_RT_APPLICATION_DATA)
		raw->records++;
}

static inline void *raw_main(void *arg)
{
	struct raw *raw = arg;

	if (raw->serves)
		raw->fd = accept(raw->listening, NULL, NULL);
	SSL_set_fd(raw->ssl, raw->fd);
	raw->shook = raw->serves ? SSL_accept(raw->ssl) : SSL_connect(raw->ssl);
	if (raw->shook == 1 && raw->play)
		raw->play(raw);
	atomic_store(&raw->done, true);
	return NULL;
}

static inline void raw_init(struct raw *raw, bool serves, int most_version)
{
	*raw = (struct raw){.serves = serves, .fd = -1, .listening = -1};
	raw->context = SSL_CTX_new(serves ? TLS_server_method() : TLS_client_method());
	SSL_CTX_set_max_proto_version(raw->context, most_version);
	SSL_CTX_set_security_level(raw->context, 0);
	SSL_CTX_set_msg_callback(raw->context, raw_count);
	SSL_CTX_set_msg_callback_arg(raw->context, raw);
}

static inline void raw_identify(struct raw *raw, const struct identity *identity)
{
	assert_true(SSL_CTX_use_certificate(raw->context, identity->certificate));
	assert_true(SSL_CTX_use_PrivateKey(raw->context, identity->key));
}

/* The client's end: connected to w's listener; w->server is ours. */
static inline void raw_dial(struct raw *raw, struct tls_world *w)
{
	struct sockaddr_storage a;
	socklen_t n = netaddr_to_sockaddr(&w->address, &a);

	peers_end(w);
	raw->ssl = SSL_new(raw->context);
	raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(raw->fd, (struct sockaddr *)&a, n), 0);
	while (!w->has_server)
		(void)run_for(w->loop, 1000);
}

static inline void raw_start(struct raw *raw)
{
	assert_int_equal(pthread_create(&raw->thread, NULL, raw_main, raw), 0);
}

/* The server's end; w->client is ours, connected to it. */
static inline void raw_listen(struct raw *raw, struct tls_world *w)
{
	struct netaddr any = loopback(0), at;
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);

	peers_end(w);
	raw->ssl = SSL_new(raw->context);
	assert_int_equal(listener_bind_tcp(&any, false, &raw->listening), 0);
	/* It blocks, in the thread. */
	int flags = fcntl(raw->listening, F_GETFL);
	assert_int_equal(fcntl(raw->listening, F_SETFL, flags & ~O_NONBLOCK), 0);
	assert_int_equal(getsockname(raw->listening, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&a, n, &at), 0);
	raw_start(raw);
	w->client.on_connected = NULL;
	assert_int_equal(
		io_connect(loop_io(w->loop), NULL, &at, &peer_handler, &w->client, &w->client.conn),
		0);
	while (w->client.connected == PEER_NEVER)
		(void)run_for(w->loop, 10);
	assert_int_equal(w->client.connected, 0);
}

static inline void run_while(
	struct tls_world *w, bool (*goes_on)(struct tls_world *w, void *arg), void *arg)
{
	for (int i = 0; i < 3000 && goes_on(w, arg); i++)
		(void)run_for(w->loop, 10);
	assert_false(goes_on(w, arg));
}

static inline bool raw_plays(struct tls_world *w, void *arg)
{
	struct raw *raw = arg;
	(void)w;
	return !atomic_load(&raw->done);
}

/* Turns the loop until the other end has come to its own. */
static inline void raw_finish(struct raw *raw, struct tls_world *w)
{
	run_while(w, raw_plays, raw);
	pthread_join(raw->thread, NULL);
}

static inline void raw_done(struct raw *raw)
{
	SSL_free(raw->ssl);
	SSL_CTX_free(raw->context);
	if (raw->fd >= 0)
		close(raw->fd);
	if (raw->listening >= 0)
		close(raw->listening);
}

static inline bool raw_read(struct raw *raw, char *to, size_t n)
{
	size_t got = 0, one;

	while (got < n && SSL_read_ex(raw->ssl, to + got, n - got, &one) == 1)
		got += one;
	return got == n;
}

#endif
