/*
 * OpenSSL contexts of the client side: one for each way of looking at a server's certificate, and
 * one for each set of trust anchors. Those used last are kept.
 */
#include "io/tls_impl.h"

#include "base/check.h"
#include "base/err.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* What hops of all ages speak, the good ones first. Even to an unverified hop nothing anonymous or
 * broken: who cannot do better is better off with the policy that says so. */
#define CLIENT_CIPHERS                                                                      \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:HIGH:!aNULL:!eNULL:!PSK:!SRP:" \
	"!DSS:!CAMELLIA:!ARIA:!AESCCM"
#define CLIENT_GROUPS "X25519:P-256:P-384:P-521"

/* Where systems keep their trust anchors in one file; the first that there is. */
static const char *const root_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",	      /* SUSE */
	"/etc/ssl/cert.pem",		      /* Alpine, BSD */
};

/* A context for chains that end at these anchors. */
struct context {
	struct list node;
	uint8_t anchors[TLS_HASH_BYTES];
	SSL_CTX *ssl;
};

struct tls_clients {
	SSL_CTX *nothing, *pins, *dane, *system;
	X509_STORE *roots;
	bool loaded;
	struct list contexts; /* the one used last is first */
	size_t context_count;
	struct tls_sessions sessions;
};

/* ---- contexts ------------------------------------------------------------------------------- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_link *link = SSL_get_app_data(ssl);

	return link && link->session_key &&
	       tls_sessions_put(&link->clients->sessions, link->session_key, session);
}

static int accept_any(X509_STORE_CTX *verification, void *arg)
{
	(void)verification;
	(void)arg;
	return 1;
}

static bool is_pinned(const struct tls_link *link, const uint8_t hash[TLS_HASH_BYTES])
{
	for (size_t i = 0; i < link->pin_count; i++)
		if (memcmp(link->pins[i], hash, TLS_HASH_BYTES) == 0)
			return true;
	return false;
}

static struct tls_link *link_of(X509_STORE_CTX *verification)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());

	return SSL_get_app_data(ssl);
}

/* OpenSSL forgets what it refuses; whoever looks for the cause wants to see it. */
static void remember(struct tls_link *link, X509 *leaf)
{
	if (!link->refused && leaf && X509_up_ref(leaf))
		link->refused = leaf;
}

static int on_verdict(int fine, X509_STORE_CTX *verification)
{
	if (!fine)
		remember(link_of(verification), X509_STORE_CTX_get0_cert(verification));
	return fine;
}

/* In place of OpenSSL's own verification. That the server has the key is proved all the same. */
static int compare_pins(X509_STORE_CTX *verification, void *arg)
{
	struct tls_link *link = link_of(verification);
	X509 *leaf = X509_STORE_CTX_get0_cert(verification);
	uint8_t hash[TLS_HASH_BYTES];
	unsigned char *der = NULL;
	unsigned n;
	(void)arg;

	bool fits = X509_digest(leaf, EVP_sha256(), hash, &n) == 1 && is_pinned(link, hash);
	if (!fits) {
		int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
		fits = size > 0 &&
		       EVP_Digest(der, (size_t)size, hash, &n, EVP_sha256(), NULL) == 1 &&
		       is_pinned(link, hash);
		OPENSSL_free(der);
	}
	if (fits)
		return 1;
	remember(link, leaf);
	link->found = TLS_PIN;
	X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static SSL_CTX *context_new(enum tls_check check)
{
	bool any = check == TLS_CHECK_NOTHING;
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

	/* What is not verified is protected from listeners only, and old certificates will do. */
	if (!ssl || tls_context_common(ssl, any ? 0 : TLS_SECURITY_LEVEL) != 0 ||
		SSL_CTX_set_cipher_list(ssl, CLIENT_CIPHERS) != 1 ||
		SSL_CTX_set1_groups_list(ssl, CLIENT_GROUPS) != 1 ||
		(check == TLS_CHECK_DANE && SSL_CTX_dane_enable(ssl) != 1)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_verify(ssl, any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verdict);
	if (any)
		SSL_CTX_set_cert_verify_callback(ssl, accept_any, NULL);
	if (check == TLS_CHECK_PINS)
		SSL_CTX_set_cert_verify_callback(ssl, compare_pins, NULL);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_session);
	return ssl;
}

int tls_clients_load(struct tls_clients *clients)
{
	const char *named = getenv(X509_get_default_cert_file_env());

	if (clients->loaded)
		return 0;
	X509_STORE *roots = X509_STORE_new();
	if (!roots)
		return ERR_NOMEM;
	bool fine = named && X509_STORE_load_file(roots, named) == 1;
	for (size_t i = 0; !named && !fine && i < ARRAY_SIZE(root_files); i++)
		fine = X509_STORE_load_file(roots, root_files[i]) == 1;
	ERR_clear_error();
	if (!fine) {
		X509_STORE_free(roots);
		return ERR_NOT_FOUND;
	}
	clients->roots = roots;
	clients->loaded = true;
	return 0;
}

static SSL_CTX *system_context(struct tls_clients *clients)
{
	if (clients->system)
		return clients->system;
	/* Without any, every chain is untrusted. */
	(void)tls_clients_load(clients);
	clients->system = context_new(TLS_CHECK_CHAIN);
	if (clients->system && clients->roots)
		SSL_CTX_set1_cert_store(clients->system, clients->roots);
	return clients->system;
}

static void context_drop(struct tls_clients *clients, struct context *one)
{
	list_remove(&one->node);
	clients->context_count--;
	SSL_CTX_free(one->ssl);
	free(one);
}

static struct context *context_add(struct tls_clients *clients, struct span ca_pem)
{
	X509_STORE *store = NULL;
	struct buf problem;

	struct context *one = calloc(1, sizeof(*one));
	if (!one)
		return NULL;
	one->ssl = context_new(TLS_CHECK_CHAIN);
	buf_init(&problem, TLS_DETAIL);
	/* A file that cannot be used trusts nobody; whoever configured it was told. */
	int err = tls_pem_store(ca_pem, &store, NULL, &problem);
	buf_done(&problem);
	if (!one->ssl || err == ERR_NOMEM) {
		X509_STORE_free(store);
		SSL_CTX_free(one->ssl);
		free(one);
		return NULL;
	}
	if (store)
		SSL_CTX_set_cert_store(one->ssl, store);
	if (clients->context_count >= TLS_CONTEXTS)
		context_drop(clients, CONTAINER_OF(clients->contexts.prev, struct context, node));
	list_push_front(&clients->contexts, &one->node);
	clients->context_count++;
	return one;
}

static SSL_CTX *context_for(struct tls_clients *clients, struct span ca_pem)
{
	uint8_t hash[TLS_HASH_BYTES];
	unsigned n;

	if (EVP_Digest(ca_pem.p, ca_pem.n, hash, &n, EVP_sha256(), NULL) != 1)
		return NULL;
	LIST_FOR_EACH(node, &clients->contexts)
	{
		struct context *one = CONTAINER_OF(node, struct context, node);
		if (memcmp(one->anchors, hash, sizeof(hash)) != 0)
			continue;
		list_remove(node);
		list_push_front(&clients->contexts, node);
		return one->ssl;
	}
	struct context *made = context_add(clients, ca_pem);
	if (!made)
		return NULL;
	memcpy(made->anchors, hash, sizeof(hash));
	return made->ssl;
}

static SSL_CTX *made_once(SSL_CTX **at, enum tls_check check)
{
	if (!*at)
		*at = context_new(check);
	return *at;
}

SSL_CTX *tls_clients_context(struct tls_clients *clients, const struct tls_client *request)
{
	switch (request->check) {
	case TLS_CHECK_NOTHING: return made_once(&clients->nothing, request->check);
	case TLS_CHECK_PINS: return made_once(&clients->pins, request->check);
	case TLS_CHECK_DANE: return made_once(&clients->dane, request->check);
	case TLS_CHECK_CHAIN:
		return request->ca_pem.n ? context_for(clients, request->ca_pem)
					 : system_context(clients);
	}
	return NULL;
}

int tls_clients_new(struct tls_clients **out)
{
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct tls_clients *clients = calloc(1, sizeof(*clients));
	if (!clients)
		return ERR_NOMEM;
	list_init(&clients->contexts);
	tls_sessions_init(&clients->sessions);
	*out = clients;
	return 0;
}

void tls_clients_free(struct tls_clients **at)
{
	struct tls_clients *clients = *at;

	*at = NULL;
	if (!clients)
		return;
	tls_sessions_done(&clients->sessions);
	LIST_FOR_EACH(node, &clients->contexts)
	context_drop(clients, CONTAINER_OF(node, struct context, node));
	SSL_CTX_free(clients->nothing);
	SSL_CTX_free(clients->pins);
	SSL_CTX_free(clients->dane);
	SSL_CTX_free(clients->system);
	X509_STORE_free(clients->roots);
	free(clients);
}

struct tls_sessions *tls_clients_sessions(struct tls_clients *clients)
{
	return &clients->sessions;
}
