/* What is known of a protected connection, put into plain data. */
#include "io/tls_impl.h"

#include "base/check.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define BINDING_LABEL "EXPORTER-Channel-Binding" /* RFC 9266 section 2 */
#define NAME_BYTES    255

const char *tls_openssl_reason(char text[TLS_DETAIL])
{
	const char *reason = NULL, *data = NULL;
	int flags = 0;
	unsigned long code = ERR_peek_error_data(&data, &flags);

	if (code && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	else if (code)
		reason = ERR_reason_error_string(code);
	if (!reason && (flags & ERR_TXT_STRING))
		reason = data;
	size_t n = 0;
	for (const char *p = reason ? reason : "no reason given"; *p && n < TLS_DETAIL - 1; p++)
		text[n++] = isprint((unsigned char)*p) ? *p : '?';
	text[n] = '\0';
	ERR_clear_error();
	return text;
}

static struct span keep(char **at, const char *text)
{
	free(*at);
	*at = text ? strdup(text) : NULL;
	return span_str(*at);
}

/* A name that could be one in the DNS; anything else is not shown at all. */
static void set_sni(struct tls_link *link)
{
	char name[NAME_BYTES + 1];
	const char *asked = SSL_get_servername(link->ssl, TLSEXT_NAMETYPE_host_name);
	size_t n = asked ? strlen(asked) : 0;

	if (n == 0 || n > NAME_BYTES)
		return;
	for (size_t i = 0; i <= n; i++) {
		char c = ascii_lower(asked[i]);
		if (i < n && !isalnum((unsigned char)c) && c != '-' && c != '.' && c != '_')
			return;
		name[i] = c;
	}
	link->info.sni = keep(&link->sni, name);
}

static void set_subject(struct tls_link *link, X509 *peer)
{
	char text[TLS_DETAIL];
	BIO *out = BIO_new(BIO_s_mem());
	unsigned long flags = XN_FLAG_ONELINE & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;

	if (!out)
		return;
	if (X509_NAME_print_ex(out, X509_get_subject_name(peer), 0, flags | ASN1_STRFLGS_ESC_MSB) >
		0) {
		int n = BIO_read(out, text, sizeof(text) - 1);
		for (int i = 0; i < n; i++)
			if (!isprint((unsigned char)text[i]))
				text[i] = '?';
		text[MAX(n, 0)] = '\0';
		link->info.peer_subject = keep(&link->subject, text);
	}
	BIO_free(out);
}

/* A client's session brings the verdict of its first handshake along, however often it was resumed
 * and renewed since. (A server's certificate may well have ended: pins and TLSA records are
 * enough.) */
static bool has_ended(const X509 *certificate)
{
	return X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

static void set_peer(struct tls_link *link)
{
	struct tls_info *info = &link->info;
	X509 *peer = link->refused ? link->refused : SSL_get0_peer_certificate(link->ssl);
	unsigned n;

	if (!peer)
		return;
	info->peer_certificate = true;
	/* Without verification there is no result, but "fine". */
	info->peer_verified = (link->server ? SSL_get_verify_mode(link->ssl) != SSL_VERIFY_NONE
					    : link->check != TLS_CHECK_NOTHING) &&
			      SSL_get_verify_result(link->ssl) == X509_V_OK &&
			      !(link->server && has_ended(peer));
	set_subject(link, peer);
	if (X509_digest(peer, EVP_sha256(), info->peer_certificate_hash, &n) != 1)
		info->peer_verified = false;
	unsigned char *der = NULL;
	int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(peer), &der);
	if (size <= 0 ||
		EVP_Digest(der, (size_t)size, info->peer_key_hash, &n, EVP_sha256(), NULL) != 1)
		info->peer_verified = false;
	OPENSSL_free(der);
}

static void set_versions(struct tls_link *link)
{
	link->info.version = span_str(SSL_get_version(link->ssl));
	const SSL_CIPHER *cipher = SSL_get_current_cipher(link->ssl);
	if (cipher)
		link->info.cipher = span_str(SSL_CIPHER_get_name(cipher));
}

void tls_link_established(struct tls_link *link)
{
	struct tls_info *info = &link->info;

	link->established = true;
	set_versions(link);
	if (link->server)
		set_sni(link);
	set_peer(link);
	info->resumed = SSL_session_reused(link->ssl) == 1;
	/* Without the extended master secret the binding of 1.2 can be brought about by a man in
	 * the middle (RFC 7627). */
	bool sound =
		SSL_version(link->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(link->ssl) == 1;
	info->has_binding =
		sound && SSL_export_keying_material(link->ssl, info->binding, TLS_BINDING_BYTES,
				 BINDING_LABEL, sizeof(BINDING_LABEL) - 1, NULL, 0, 1) == 1;
	ERR_clear_error();
}

/* RFC 8460 section 4.3 tells them apart. */
static enum tls_failure of_verification(long result)
{
	switch (result) {
	case X509_V_OK: return TLS_HANDSHAKE;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_NAME;
	case X509_V_ERR_DANE_NO_MATCH: return TLS_NO_MATCH;
	case X509_V_ERR_OUT_OF_MEM: return TLS_OURS;
	default: return TLS_UNTRUSTED;
	}
}

static enum tls_failure of_error(unsigned long code)
{
	/* Of the user's library is what a signer in another process did not do. */
	if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE || ERR_GET_LIB(code) == ERR_LIB_USER)
		return TLS_OURS;
	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
		ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return TLS_NO_CERTIFICATE;
	return TLS_HANDSHAKE;
}

void tls_link_failed(struct tls_link *link, enum tls_failure failure)
{
	char text[TLS_DETAIL];
	long result = link->server ? X509_V_OK : SSL_get_verify_result(link->ssl);
	unsigned long code = ERR_peek_error();
	bool refused = ERR_GET_LIB(code) == ERR_LIB_SSL &&
		       ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;

	set_versions(link);
	if (link->server)
		set_sni(link);
	if (failure == TLS_FINE)
		failure = link->found;
	if (failure == TLS_FINE && refused)
		failure = of_verification(result);
	if (failure == TLS_FINE)
		failure = of_error(code);
	link->info.failure = failure;
	if (link->why)
		link->info.detail = keep(&link->detail, link->why);
	else if (refused && result != X509_V_OK && link->found == TLS_FINE)
		link->info.detail = keep(&link->detail, X509_verify_cert_error_string(result));
	/* What we found ourselves OpenSSL only calls "verify failed". */
	else if (code && failure != TLS_LOST && failure != TLS_TIMEOUT &&
		 !(refused && link->found != TLS_FINE))
		link->info.detail = keep(&link->detail, tls_openssl_reason(text));
	ERR_clear_error();
	if (!link->server)
		set_peer(link);
	link->info.peer_verified = false;
}

void tls_link_done(struct tls_link *link)
{
	CHECK(!tls_link_waits(link));
	if (link->ssl) {
		/* Or OpenSSL would say of the session that it must not be resumed. */
		SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(link->ssl);
	}
	tls_server_release(&link->server);
	X509_free(link->refused);
	free(link->pins);
	free(link->session_key);
	free(link->sni);
	free(link->subject);
	free(link->detail);
	*link = (struct tls_link){0};
}
