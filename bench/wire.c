#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_AHEAD (32 * 1024) /* else each record is two reads: its head, and the rest */

static void (*keep_session)(SSL_SESSION *session);

bool wire_tls_named(const char *name, enum wire_tls *out)
{
	static const char *const names[] = {
		[WIRE_CLEAR] = "none", [WIRE_STARTTLS] = "starttls", [WIRE_IMPLICIT] = "implicit"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum wire_tls)i;
			return true;
		}
	}
	return false;
}

bool wire_port_named(const char *text, uint16_t *out)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	*out = (uint16_t)port;
	return *text >= '0' && *text <= '9' && !*end && port > 0 && port <= UINT16_MAX;
}

/* ---- contexts ------------------------------------------------------------------------------- */

static void fail(const char *what)
{
	fprintf(stderr, "%s: ", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		fail("TLS");
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
	return context;
}

SSL_CTX *wire_server(const char *certificate, const char *key, bool resume)
{
	SSL_CTX *context = context_new(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		fail(certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		fail(key);
	SSL_CTX_set_num_tickets(context, resume ? 1 : 0);
	if (!resume)
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	return context;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	keep_session(session);
	return 1;
}

SSL_CTX *wire_client(bool resume, void (*keep)(SSL_SESSION *session))
{
	SSL_CTX *context = context_new(TLS_client_method());

	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	if (resume) {
		keep_session = keep;
		SSL_CTX_set_session_cache_mode(
			context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(context, on_session);
	} else {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	}
	return context;
}

/* ---- a connection --------------------------------------------------------------------------- */

bool wire_secure(struct wire *wire, SSL_CTX *context, bool server, SSL_SESSION *session)
{
	SSL *ssl = SSL_new(context);

	if (!ssl || SSL_set_fd(ssl, wire->fd) != 1 ||
		(session && SSL_set_session(ssl, session) != 1)) {
		SSL_free(ssl);
		return false;
	}
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	wire->ssl = ssl;
	return true;
}

/* What was negotiated decides what a handshake costs, so it is told. */
static void describe(SSL *ssl, char out[COUNTS_LINK])
{
	EVP_PKEY *shared = NULL;
	X509 *shown =
		SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
	const EVP_PKEY *key = shown ? X509_get0_pubkey(shown) : NULL;
	char group[16] = "-";

	if (!SSL_is_server(ssl) && SSL_get_peer_tmp_key(ssl, &shared) == 1) {
		const char *name = EVP_PKEY_get0_type_name(shared);
		size_t n = 0;
		if (EVP_PKEY_get_group_name(shared, group, sizeof(group), &n) != 1)
			snprintf(group, sizeof(group), "%s", name ? name : "-");
		EVP_PKEY_free(shared);
	}
	snprintf(out, COUNTS_LINK, "%s %s %s %s-%d", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
		group, key ? EVP_PKEY_get0_type_name(key) : "no key",
		key ? EVP_PKEY_get_bits(key) : 0);
}

static int outcome(struct wire *wire, int result)
{
	switch (SSL_get_error(wire->ssl, result)) {
	case SSL_ERROR_WANT_READ: wire->wants_room = false; return WIRE_AGAIN;
	case SSL_ERROR_WANT_WRITE: wire->wants_room = true; return WIRE_AGAIN;
	default: ERR_clear_error(); return WIRE_ENDED;
	}
}

int wire_handshake(struct wire *wire, struct counts *counts)
{
	int result = SSL_do_handshake(wire->ssl);

	if (result != 1)
		return outcome(wire, result);
	wire->wants_room = false;
	counts->handshakes++;
	if (SSL_session_reused(wire->ssl))
		counts->resumed++;
	if (!counts->link[0])
		describe(wire->ssl, counts->link);
	return 1;
}

ssize_t wire_read(struct wire *wire, void *to, size_t room)
{
	if (wire->ssl) {
		int n = SSL_read(wire->ssl, to, (int)room);
		return n > 0 ? n : outcome(wire, n);
	}
	ssize_t n = recv(wire->fd, to, room, 0);
	return n < 0 && errno == EAGAIN ? WIRE_AGAIN : n < 0 ? WIRE_ENDED : n;
}

ssize_t wire_write(struct wire *wire, const void *from, size_t n)
{
	ssize_t result;

	if (wire->ssl) {
		result = SSL_write(wire->ssl, from, (int)n);
		result = result > 0 ? result : outcome(wire, (int)result);
	} else {
		result = send(wire->fd, from, n, MSG_NOSIGNAL);
		if (result < 0)
			result = errno == EAGAIN ? WIRE_AGAIN : WIRE_ENDED;
	}
	wire->wants_room = result == WIRE_AGAIN;
	return result;
}

bool wire_has_more(const struct wire *wire)
{
	return wire->ssl && SSL_has_pending(wire->ssl);
}

unsigned wire_events(const struct wire *wire)
{
	return wire->wants_room ? EPOLLOUT : EPOLLIN;
}

void wire_close(struct wire *wire, bool tell)
{
	if (wire->ssl) {
		/* Without either, OpenSSL takes the session for a bad one. */
		SSL_set_quiet_shutdown(wire->ssl, !tell);
		SSL_shutdown(wire->ssl);
		ERR_clear_error();
		SSL_free(wire->ssl);
	}
	if (wire->fd >= 0)
		close(wire->fd);
	*wire = (struct wire){.fd = -1};
}
