/*
 * Session tickets (RFC 5077, RFC 8446 section 4.6.1) under keys that all workers share: AES-256-CBC
 * and HMAC-SHA-256, as OpenSSL lays them out. The state of a session is with the client; nothing is
 * kept here.
 */
#include "io/tls_server_impl.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define NAME_BYTES 16
#define AES_AT	   16
#define HMAC_AT	   48
#define HMAC_BYTES 32

static int begin(const struct tls_server *server, const uint8_t *key, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)(key + HMAC_AT), HMAC_BYTES),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	int fine = EVP_MAC_CTX_set_params(mac, params) &&
		   (encrypt ? EVP_EncryptInit_ex2(
				      cipher, server->ticket_cipher, key + AES_AT, iv, NULL)
			    : EVP_DecryptInit_ex2(
				      cipher, server->ticket_cipher, key + AES_AT, iv, NULL));
	return fine ? 1 : -1;
}

/* 0: no such key, a full handshake; 1: fine; 2: fine, and a new ticket is due. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_link *link = SSL_get_app_data(ssl);
	const struct tls_server *server = link->server;
	const struct tls_tickets *tickets = &server->tickets;

	if (encrypt) {
		if (tickets->count == 0)
			return 0;
		if (RAND_bytes_ex(server->library, iv,
			    (size_t)EVP_CIPHER_get_iv_length(server->ticket_cipher), 0) != 1)
			return -1;
		memcpy(name, tickets->keys[0], NAME_BYTES);
		return begin(server, tickets->keys[0], iv, cipher, mac, true);
	}
	for (uint32_t i = 0; i < tickets->count; i++) {
		if (CRYPTO_memcmp(name, tickets->keys[i], NAME_BYTES) != 0)
			continue;
		int result = begin(server, tickets->keys[i], iv, cipher, mac, false);
		/* A client of TLS 1.3 uses a ticket once, and so needs another each time. */
		bool renew = i > 0 || SSL_version(ssl) >= TLS1_3_VERSION;
		return result == 1 && renew ? 2 : result;
	}
	return 0;
}

int tls_tickets_attach(SSL_CTX *context)
{
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1 ? 0 : ERR_NOMEM;
}

void tls_server_set_tickets(struct tls_server *server, const struct tls_tickets *tickets)
{
	CHECK_MAGIC(server, TLS_SERVER_MAGIC);
	server->tickets = *tickets;
	server->tickets.count = MIN(tickets->count, ARRAY_SIZE(tickets->keys));
}
