/*
 * Certificates made while the test runs, and two connections of one loop with the two ends of a
 * TLS session.
 */
#ifndef TESTS_IO_TLS_FIXTURE_H
#define TESTS_IO_TLS_FIXTURE_H

#include "loop_peer.h"

#include "base/check.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAY 86400

/* ---- certificates --------------------------------------------------------------------------- */

enum key_kind { KEY_P256, KEY_P384, KEY_RSA, KEY_ED25519, KEY_RSA_WEAK, KEY_KINDS };

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	char *chain_pem, *key_pem;
};

struct wish {
	enum key_kind kind;
	const char *subject;
	const char *names;	   /* of the SAN extension: "DNS:a.example,DNS:b.example" */
	const struct identity *by; /* NULL: self-signed */
	bool authority;
	int from_days, to_days; /* both 0: valid now */
	int lives_s;		/* not 0: for so long, instead of to_days */
	const EVP_MD *digest;	/* NULL: SHA-256 */
};

static inline EVP_PKEY *make_key(enum key_kind kind)
{
	EVP_PKEY *key = NULL;

	switch (kind) {
	case KEY_P256: key = EVP_EC_gen("P-256"); break;
	case KEY_P384: key = EVP_EC_gen("P-384"); break;
	case KEY_RSA: key = EVP_RSA_gen(2048); break;
	case KEY_RSA_WEAK: key = EVP_RSA_gen(1024); break;
	case KEY_ED25519: key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
	case KEY_KINDS: break;
	}
	assert_non_null(key);
	return key;
}

static inline void add_extension(X509 *to, const X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, to, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, (char *)(uintptr_t)value);
	assert_non_null(e);
	assert_true(X509_add_ext(to, e, -1));
	X509_EXTENSION_free(e);
}

static inline char *bio_text(BIO *bio)
{
	char *at;
	long n = BIO_get_mem_data(bio, &at);
	char *text = strndup(at, (size_t)n);
	BIO_free(bio);
	assert_non_null(text);
	return text;
}

static inline void identity_make(struct identity *out, const struct wish *wish)
{
	static long serial = 1;
	X509 *c = X509_new();
	const X509 *issuer = wish->by ? wish->by->certificate : c;

	out->key = make_key(wish->kind);
	out->certificate = c;
	X509_set_version(c, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
	bool now = wish->from_days == 0 && wish->to_days == 0;
	X509_gmtime_adj(X509_getm_notBefore(c), (now ? -1 : wish->from_days) * DAY);
	X509_gmtime_adj(X509_getm_notAfter(c),
		wish->lives_s ? wish->lives_s : (now ? 30 : wish->to_days) * DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
		(const unsigned char *)wish->subject, -1, -1, 0);
	X509_set_issuer_name(c, X509_get_subject_name(issuer));
	X509_set_pubkey(c, out->key);
	add_extension(c, issuer, NID_basic_constraints,
		wish->authority ? "critical,CA:TRUE" : "CA:FALSE");
	add_extension(c, issuer, NID_subject_key_identifier, "hash");
	if (wish->names)
		add_extension(c, issuer, NID_subject_alt_name, wish->names);
	EVP_PKEY *signs = wish->by ? wish->by->key : out->key;
	const EVP_MD *digest = wish->digest ? wish->digest : EVP_sha256();
	assert_true(X509_sign(c, signs, EVP_PKEY_is_a(signs, "ED25519") ? NULL : digest));
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, c);
	if (wish->by && wish->by->chain_pem && wish->authority)
		BIO_puts(bio, wish->by->chain_pem);
	out->chain_pem = bio_text(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, out->key, NULL, NULL, 0, NULL, NULL);
	out->key_pem = bio_text(bio);
}

static inline void identity_done(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
	free(identity->chain_pem);
	free(identity->key_pem);
}

static inline void certificate_hash(const struct identity *of, uint8_t out[TLS_HASH_BYTES])
{
	assert_true(X509_digest(of->certificate, EVP_sha256(), out, NULL));
}

static inline void key_hash(const struct identity *of, uint8_t out[TLS_HASH_BYTES])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(of->key, &der);
	assert_true(n > 0 && EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL));
	OPENSSL_free(der);
}

/* ---- connections ---------------------------------------------------------------------------- */

struct tls_world {
	struct loop *loop;
	struct listener *listener;
	struct netaddr address;
	struct peer server, client;
	bool has_server, has_client;
	struct identity ca, other_ca, leaf;
};

static inline void tls_accepted(void *owner, struct io_conn *conn)
{
	struct tls_world *w = owner;

	assert_false(w->has_server);
	w->has_server = true;
	w->server.conn = conn;
	loop_conn_adopt(conn, &peer_handler, &w->server);
	loop_stop(w->loop);
}

static inline void peers_begin(struct tls_world *w)
{
	peer_init(&w->server, w->loop);
	peer_init(&w->client, w->loop);
	w->server.keep = w->client.keep = true;
	w->has_server = w->has_client = false;
}

static inline void peers_end(struct tls_world *w)
{
	io_conn_close(&w->server.conn, false);
	io_conn_close(&w->client.conn, false);
	buf_done(&w->server.all);
	buf_done(&w->client.all);
	peers_begin(w);
}

static inline int tls_setup(void **state)
{
	struct tls_world *w = calloc(1, sizeof(*w));
	struct netaddr any = loopback(0);
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int fd;

	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&a, n, &w->address), 0);
	assert_int_equal(loop_listen(w->loop, fd, tls_accepted, w, NULL, &w->listener), 0);
	identity_make(&w->ca, &(struct wish){.subject = "Test CA", .authority = true});
	identity_make(&w->other_ca, &(struct wish){.subject = "Other CA", .authority = true});
	identity_make(&w->leaf,
		&(struct wish){.subject = "mx.example", .names = "DNS:mx.example", .by = &w->ca});
	peers_begin(w);
	*state = w;
	return 0;
}

static inline int tls_teardown(void **state)
{
	struct tls_world *w = *state;

	peers_end(w);
	listener_close(&w->listener);
	loop_free(&w->loop);
	identity_done(&w->ca);
	identity_done(&w->other_ca);
	identity_done(&w->leaf);
	free(w);
	return 0;
}

/* A fresh pair of connections, unprotected yet. */
static inline void peers_connect(struct tls_world *w)
{
	peers_end(w);
	assert_int_equal(io_connect(loop_io(w->loop), NULL, &w->address, &peer_handler, &w->client,
				 &w->client.conn),
		0);
	while (!w->has_server || w->client.connected == PEER_NEVER)
		assert_true(run_for(w->loop, 5000) || w->client.connected == 0);
	assert_int_equal(w->client.connected, 0);
}

static inline struct tls_server *server_for_all(const struct tls_server_config *config)
{
	struct tls_server *server = NULL;
	struct buf problem;

	buf_init(&problem, 1000);
	int err = tls_server_new(config, &server, &problem);
	if (err)
		fail_msg("%d: %.*s", err, (int)problem.n, problem.p);
	buf_done(&problem);
	return server;
}

static inline struct tls_server *server_with(const struct identity *one)
{
	struct tls_certificate certificate = {
		.chain = span_str(one->chain_pem), .key = span_str(one->key_pem)};
	struct tls_server_config config = {.certificates = &certificate, .certificate_count = 1};
	return server_for_all(&config);
}

static inline void run_until_secured(struct tls_world *w)
{
	for (int i = 0; i < 100; i++) {
		if (w->client.secured != PEER_NEVER && w->server.secured != PEER_NEVER)
			return;
		(void)run_for(w->loop, 100);
	}
	fail_msg("client %d, server %d", w->client.secured, w->server.secured);
}

/* Both handshakes; what came of them is in the peers. */
static inline void peers_secure(
	struct tls_world *w, struct tls_server *server, const struct tls_client *client)
{
	peers_connect(w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	w->client.inside = true;
	assert_int_equal(io_conn_secure_client(w->client.conn, client, 5000), 0);
	w->client.inside = false;
	run_until_secured(w);
}

static inline void run_until_received(struct tls_world *w, struct peer *p, size_t n)
{
	for (int i = 0; i < 1000 && p->received < n && p->closed == PEER_NEVER; i++)
		(void)run_for(w->loop, 10);
	assert_int_equal(p->received, n);
}

#endif
