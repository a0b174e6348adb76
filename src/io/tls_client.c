/* What one connection asks of a server's certificate, as settings of OpenSSL. */
#include "io/tls_impl.h"

#include "base/check.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define NAME_BYTES 255

/* A DNS name as OpenSSL wants it. False: none. */
static bool to_text(struct span name, char text[NAME_BYTES + 1])
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_BYTES || memchr(name.p, '\0', name.n))
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	return true;
}

static bool is_address(const char *text)
{
	uint8_t ip[16];

	return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* How many of them can be asked for. */
static size_t ask_names(SSL *ssl, const struct tls_client *request)
{
	char text[NAME_BYTES + 1];
	unsigned flags =
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS;
	size_t asked = 0;

	if (request->alternative_only)
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	SSL_set_hostflags(ssl, flags);
	for (size_t i = 0; i < MIN(request->name_count, TLS_NAMES); i++) {
		if (!to_text(request->names[i], text))
			continue;
		/* An address is asked for alone: OpenSSL wants it beside a name, not instead. */
		if (is_address(text))
			asked += request->name_count == 1 &&
				 X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1;
		else
			asked += SSL_add1_host(ssl, text) == 1;
	}
	return asked;
}

/* RFC 7672 section 3.1: DANE-TA and DANE-EE; the other usages count as absent. */
static bool ask_tlsa(SSL *ssl, const struct tls_client *request)
{
	size_t usable = 0;

	if (SSL_dane_enable(ssl, NULL) != 1)
		return false;
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	size_t names = ask_names(ssl, request);
	for (size_t i = 0; i < MIN(request->tlsa_count, TLS_TLSA); i++) {
		const struct tls_tlsa *r = &request->tlsa[i];
		bool fits = r->usage == 3 || (r->usage == 2 && names);
		usable += fits && SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->type,
					  (const unsigned char *)r->data.p, r->data.n) == 1;
	}
	return usable != 0;
}

static int ask_pins(struct tls_link *link, const struct tls_client *request)
{
	size_t count = MIN(request->pin_count, TLS_PINS);

	link->pins = calloc(MAX(count, 1), sizeof(*link->pins));
	if (!link->pins)
		return ERR_NOMEM;
	if (count)
		memcpy(link->pins, request->pins, count * sizeof(*link->pins));
	link->pin_count = count;
	return 0;
}

/* Where nothing could ever fit, the failure is known before a byte is sent. */
static int ask(struct tls_link *link, const struct tls_client *request)
{
	switch (request->check) {
	case TLS_CHECK_NOTHING: return 0;
	case TLS_CHECK_PINS: return ask_pins(link, request);
	case TLS_CHECK_DANE:
		if (!ask_tlsa(link->ssl, request))
			link->found = TLS_NO_MATCH;
		return 0;
	case TLS_CHECK_CHAIN:
		if (ask_names(link->ssl, request) == 0)
			link->found = TLS_NAME;
		return 0;
	}
	return ERR_UNSUPPORTED;
}

static int resume(struct tls_link *link, struct span key)
{
	if (key.n == 0 || key.n > TLS_SESSION_KEY || memchr(key.p, '\0', key.n))
		return 0;
	link->session_key = strndup(key.p, key.n);
	if (!link->session_key)
		return ERR_NOMEM;
	SSL_SESSION *session =
		tls_sessions_get(tls_clients_sessions(link->clients), link->session_key);
	if (session)
		(void)SSL_set_session(link->ssl, session);
	SSL_SESSION_free(session);
	return 0;
}

int tls_link_call(
	struct tls_link *link, struct tls_clients *clients, const struct tls_client *request)
{
	char name[NAME_BYTES + 1];
	SSL_CTX *context = tls_clients_context(clients, request);
	SSL *ssl = context ? SSL_new(context) : NULL;

	if (!ssl || !SSL_set_app_data(ssl, link)) {
		SSL_free(ssl);
		ERR_clear_error();
		return ERR_NOMEM;
	}
	SSL_set_connect_state(ssl);
	link->ssl = ssl;
	link->clients = clients;
	link->check = request->check;
	int err = ask(link, request);
	if (err == 0)
		err = resume(link, request->session_key);
	/* RFC 6066 section 3: no addresses. */
	bool named = to_text(request->sni, name) && !is_address(name);
	if (err == 0 && SSL_set_tlsext_host_name(ssl, named ? name : NULL) != 1)
		err = ERR_NOMEM;
	ERR_clear_error();
	if (err)
		tls_link_done(link);
	return err;
}
