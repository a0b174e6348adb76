/*
 * What a listener shows its clients: certificates by server name, TLS 1.2 and 1.3 with forward
 * secrecy and AEAD only, no renegotiation, no compression, no early data.
 *
 * Each name has an OpenSSL context of its own, alike but for the certificates. A handshake begins
 * in the first one and changes over when the client's hello has named a server.
 */
#include "io/tls_server_impl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define CIPHERS_1_2   "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SERVER_GROUPS "X25519:P-256:P-384"
#define CLIENT_NAMES  100 /* anchors that clients are told; of more, none are */

int tls_context_common(SSL_CTX *context, int security_level)
{
	SSL_CTX_set_security_level(context, security_level);
	SSL_CTX_set_options(
		context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_ANTI_REPLAY);
	SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
	/* Idle connections keep no buffers; what is sent may move between tries. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify_depth(context, TLS_CHAIN);
	SSL_CTX_set_timeout(context, TLS_SESSION_S);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(context, 0);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 ? 0 : ERR_NOMEM;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool name_fits(const char *pattern, struct span name)
{
	struct span p = span_str(pattern);

	if (p.n > 2 && p.p[0] == '*' && p.p[1] == '.')
		return span_equal_nocase(span_skip(p, 1), span_skip(name, span_find(name, '.')));
	return span_equal_nocase(p, name);
}

static struct tls_identity *find(const struct tls_server *server, struct span name)
{
	for (int wild = 0; wild < 2; wild++)
		for (size_t i = 0; i < server->identity_count; i++) {
			struct tls_identity *one = &server->identities[i];
			if (one->name && (one->name[0] == '*') == wild &&
				name_fits(one->name, name))
				return one;
		}
	return NULL;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_link *link = SSL_get_app_data(ssl);
	struct span name = span_str(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	(void)alert;
	(void)arg;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	struct tls_identity *one = name.n && link ? find(link->server, name) : NULL;
	if (!one)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_set_SSL_CTX(ssl, one->context) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- making --------------------------------------------------------------------------------- */

/* A client without a right certificate is served like one without any; who asks for
 * peer_verified sees the difference. */
static int on_client_certificate(int fine, X509_STORE_CTX *verification)
{
	(void)fine;
	(void)verification;
	return 1;
}

static int ask_clients(const struct tls_server *server, SSL_CTX *context)
{
	SSL_CTX_set1_cert_store(context, server->client_ca);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_client_certificate);
	STACK_OF(X509_NAME) *names = SSL_dup_CA_list(server->client_names);
	if (!names)
		return ERR_NOMEM;
	SSL_CTX_set_client_CA_list(context, names);
	return 0;
}

static int context_new(const struct tls_server *server, SSL_CTX **out)
{
	SSL_CTX *context = SSL_CTX_new_ex(server->library, NULL, TLS_server_method());
	if (!context)
		return ERR_NOMEM;
	/* Passwords that clients send stay in no buffer of the library. */
	SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_PRIORITIZE_CHACHA |
					     SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
	SSL_CTX_set_max_cert_list(context, TLS_CLIENT_CHAIN);
	/* One ticket: a client that wants more sessions opens more connections. */
	bool fine = tls_context_common(context, TLS_SECURITY_LEVEL) == 0 &&
		    SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 &&
		    SSL_CTX_set1_groups_list(context, SERVER_GROUPS) == 1 &&
		    SSL_CTX_set_num_tickets(context, 1) == 1 &&
		    SSL_CTX_set_session_id_context(context, server->scope, sizeof(server->scope)) ==
			    1 &&
		    tls_tickets_attach(context) == 0 &&
		    (!server->client_ca || ask_clients(server, context) == 0);
	if (!fine) {
		SSL_CTX_free(context);
		return ERR_NOMEM;
	}
	*out = context;
	return 0;
}

/* The one for this name; made where it is missing. The first is for all others, too. */
static int identity_for(struct tls_server *server, struct span name, struct tls_identity **out)
{
	for (size_t i = 0; i < server->identity_count; i++) {
		struct tls_identity *one = &server->identities[i];
		if (name.n ? one->name && span_equal_nocase(span_str(one->name), name)
			   : i == 0 || !one->name) {
			*out = one;
			return 0;
		}
	}
	struct tls_identity *one = &server->identities[server->identity_count];
	int err = context_new(server, &one->context);
	if (err)
		return err;
	server->identity_count++;
	if (name.n) {
		one->name = strndup(name.p, name.n);
		if (!one->name)
			return ERR_NOMEM;
	}
	*out = one;
	return 0;
}

static bool kind_is_known(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") ||
	       EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "ED25519");
}

static int use(struct tls_identity *one, const struct tls_pem_chain *chain, EVP_PKEY *key,
	struct buf *problem)
{
	char reason[TLS_DETAIL];

	if (!kind_is_known(X509_get0_pubkey(chain->leaf))) {
		buf_add_str(problem, "its key is neither RSA, ECDSA nor Ed25519");
		return ERR_SYNTAX;
	}
	if (EVP_PKEY_eq(X509_get0_pubkey(chain->leaf), key) != 1) {
		buf_add_str(problem, "the key does not belong to the certificate");
		ERR_clear_error();
		return ERR_SYNTAX;
	}
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(one->context, chain->leaf, key, chain->rest, 0) == 1)
		return 0;
	unsigned long code = ERR_peek_error();
	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
		ERR_GET_REASON(code) == SSL_R_NOT_REPLACING_CERTIFICATE)
		buf_add_str(problem, "there is one with the same kind of key for this name");
	else
		buf_add_str(problem, tls_openssl_reason(reason));
	ERR_clear_error();
	return ERR_SYNTAX;
}

static int add_certificate(struct tls_server *server, const struct tls_certificate *given,
	struct tls_signer *signer, struct buf *problem)
{
	struct tls_identity *one;
	struct tls_pem_chain chain;
	EVP_PKEY *key = NULL;

	int err = tls_pem_chain(given->chain, &chain, problem);
	if (err)
		return err;
	server->expires_ms[server->certificate_count] = tls_time_ms(X509_get0_notAfter(chain.leaf));
	err = identity_for(server, given->name, &one);
	if (err == 0 && given->key.n) {
		key = tls_pem_key(given->key, problem);
	} else if (err == 0 && signer) {
		key = tls_remote_key(server->remote, given->key_number, chain.leaf);
		if (!key)
			buf_add_str(problem, "its key is of a kind that cannot be kept apart");
	} else if (err == 0) {
		buf_add_str(problem, "there is no key for it");
	}
	if (err == 0)
		err = key ? use(one, &chain, key, problem) : ERR_SYNTAX;
	if (err == 0)
		server->certificate_count++;
	EVP_PKEY_free(key);
	tls_pem_chain_done(&chain);
	return err;
}

static int list_client_names(struct tls_server *server)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(server->client_ca);

	server->client_names = sk_X509_NAME_new_null();
	if (!server->client_names)
		return ERR_NOMEM;
	if (sk_X509_OBJECT_num(all) > CLIENT_NAMES)
		return 0;
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *anchor = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		X509_NAME *name = anchor ? X509_NAME_dup(X509_get_subject_name(anchor)) : NULL;
		if (!name || !sk_X509_NAME_push(server->client_names, name)) {
			X509_NAME_free(name);
			return ERR_NOMEM;
		}
	}
	return 0;
}

/* What a session is good for: this set of clients' certificates. */
static int set_scope(struct tls_server *server, struct span client_ca)
{
	unsigned n;

	return EVP_Digest(client_ca.n ? client_ca.p : "", client_ca.n, server->scope, &n,
		       EVP_sha256(), NULL) == 1
		       ? 0
		       : ERR_NOMEM;
}

static int prepare(
	struct tls_server *server, const struct tls_server_config *config, struct buf *problem)
{
	size_t count = config->certificate_count;
	int err = 0;

	server->identities = calloc(count, sizeof(*server->identities));
	server->expires_ms = calloc(count, sizeof(*server->expires_ms));
	if (!server->identities || !server->expires_ms)
		return ERR_NOMEM;
	if (config->signer)
		err = tls_remote_new(config->signer, &server->remote);
	if (err)
		return err;
	server->library = server->remote ? tls_remote_library(server->remote) : NULL;
	server->ticket_cipher = EVP_CIPHER_fetch(server->library, "AES-256-CBC", NULL);
	if (!server->ticket_cipher)
		return ERR_NOMEM;
	if (config->client_ca.n) {
		buf_add_str(problem, "clients' authorities: ");
		err = tls_pem_store(config->client_ca, &server->client_ca, NULL, problem);
		if (err == 0)
			err = list_client_names(server);
		if (err == 0)
			buf_clear(problem);
	}
	return err ? err : set_scope(server, config->client_ca);
}

int tls_server_new(
	const struct tls_server_config *config, struct tls_server **out, struct buf *problem)
{
	if (config->certificate_count == 0 || config->certificate_count > TLS_SERVER_NAMES) {
		buf_printf(
			problem, "there must be a certificate, and %d at most", TLS_SERVER_NAMES);
		return ERR_SYNTAX;
	}
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct tls_server *server = calloc(1, sizeof(*server));
	if (!server)
		return ERR_NOMEM;
	server->magic = TLS_SERVER_MAGIC;
	server->holders = 1;
	int err = prepare(server, config, problem);
	for (size_t i = 0; err == 0 && i < config->certificate_count; i++) {
		if (config->certificate_count > 1)
			buf_printf(problem, "certificate %zu: ", i + 1);
		err = add_certificate(server, &config->certificates[i], config->signer, problem);
		if (err == 0)
			buf_clear(problem);
	}
	ERR_clear_error();
	if (err) {
		tls_server_release(&server);
		return err;
	}
	*out = server;
	return 0;
}

/* ---- holding -------------------------------------------------------------------------------- */

struct tls_server *tls_server_hold(struct tls_server *server)
{
	CHECK_MAGIC(server, TLS_SERVER_MAGIC);
	server->holders++;
	return server;
}

void tls_server_release(struct tls_server **at)
{
	struct tls_server *server = *at;

	*at = NULL;
	if (!server || --server->holders)
		return;
	for (size_t i = 0; i < server->identity_count; i++) {
		free(server->identities[i].name);
		SSL_CTX_free(server->identities[i].context);
	}
	free(server->identities);
	free(server->expires_ms);
	X509_STORE_free(server->client_ca);
	sk_X509_NAME_pop_free(server->client_names, X509_NAME_free);
	EVP_CIPHER_free(server->ticket_cipher);
	tls_remote_free(&server->remote);
	OPENSSL_cleanse(&server->tickets, sizeof(server->tickets));
	server->magic = 0;
	free(server);
}

int tls_server_expiry(const struct tls_server *server, size_t certificate, int64_t *out_ms)
{
	if (certificate >= server->certificate_count)
		return ERR_NOT_FOUND;
	*out_ms = server->expires_ms[certificate];
	return 0;
}

/* OpenSSL refuses to renegotiate, but only when it has kept the whole hello, of any length. */
static void on_progress(const SSL *ssl, int what, int result)
{
	struct tls_link *link = SSL_get_app_data(ssl);
	(void)result;

	if ((what & SSL_CB_HANDSHAKE_START) && link->established)
		link->again = true;
}

int tls_link_serve(struct tls_link *link, struct tls_server *server)
{
	CHECK_MAGIC(server, TLS_SERVER_MAGIC);
	SSL *ssl = SSL_new(server->identities[0].context);
	if (!ssl || !SSL_set_app_data(ssl, link)) {
		SSL_free(ssl);
		return ERR_NOMEM;
	}
	if (server->tickets.count == 0) {
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_set_num_tickets(ssl, 0);
	}
	SSL_set_info_callback(ssl, on_progress);
	SSL_set_accept_state(ssl);
	link->ssl = ssl;
	link->server = tls_server_hold(server);
	return 0;
}
