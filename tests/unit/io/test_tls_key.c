/* Keys that sign for another process, and the handshakes that are made with them. */
#include "tls_raw.h"
#include "tls_signing.h"

#include <openssl/rsa.h>

static void shake_with(struct tls_world *w, struct tls_server *server, int version,
	const struct identity *trusted, int *client_result)
{
	struct raw raw;

	raw_init(&raw, false, version);
	SSL_CTX_set_verify(raw.context, SSL_VERIFY_PEER, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(raw.context), trusted->certificate);
	raw_dial(&raw, w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(&raw);
	raw_finish(&raw, w);
	while (w->server.secured == PEER_NEVER)
		(void)run_for(w->loop, 10);
	*client_result = raw.shook;
	raw_done(&raw);
}

static const struct {
	enum key_kind kind;
	enum tls_signature in_1_2, in_1_3;
} kinds[] = {
	{KEY_RSA, TLS_SIGN_RSA_PSS, TLS_SIGN_RSA_PSS},
	{KEY_P256, TLS_SIGN_ECDSA, TLS_SIGN_ECDSA},
	{KEY_P384, TLS_SIGN_ECDSA, TLS_SIGN_ECDSA},
	{KEY_ED25519, TLS_SIGN_ED25519, TLS_SIGN_ED25519},
};

static void every_kind_of_key_signs_handshakes_from_afar(void **state)
{
	struct tls_world *w = *state;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct identity one;
		struct signer s;
		int result;

		signer_begin(&s, w->loop);
		identity_make(&one, &(struct wish){.kind = kinds[i].kind, .subject = "one"});
		s.keys[2] = key_of(&one);
		struct tls_server *server = remote_server(&one, 2, &s);
		assert_int_equal(s.asked_count, 0);
		shake_with(w, server, TLS1_2_VERSION, &one, &result);
		assert_int_equal(result, 1);
		assert_int_equal(w->server.secured, 0);
		assert_int_equal(s.asked_count, 1);
		assert_int_equal(s.kind, kinds[i].in_1_2);
		shake_with(w, server, TLS1_3_VERSION, &one, &result);
		assert_int_equal(result, 1);
		assert_int_equal(s.asked_count, 2);
		assert_int_equal(s.kind, kinds[i].in_1_3);
		tls_server_release(&server);
		signer_end(&s);
		identity_done(&one);
	}
}

/* Clients of before PSS. */
static void rsa_signs_with_pkcs1_where_the_client_wants_it(void **state)
{
	struct tls_world *w = *state;
	struct identity one;
	struct signer s;
	struct raw raw;

	identity_make(&one, &(struct wish){.kind = KEY_RSA, .subject = "one"});
	signer_begin(&s, w->loop);
	s.keys[0] = key_of(&one);
	struct tls_server *server = remote_server(&one, 0, &s);
	const char *const lists[] = {"RSA+SHA256", "RSA+SHA384", "RSA+SHA512"};
	for (int i = 0; i < 3; i++) {
		raw_init(&raw, false, TLS1_2_VERSION);
		assert_true(SSL_CTX_set1_sigalgs_list(raw.context, lists[i]));
		raw_dial(&raw, w);
		assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
		raw_start(&raw);
		raw_finish(&raw, w);
		assert_int_equal(raw.shook, 1);
		assert_int_equal(s.kind, TLS_SIGN_RSA_PKCS1);
		assert_int_equal(s.hash, (int)TLS_SHA256 + i);
		raw_done(&raw);
	}
	tls_server_release(&server);
	signer_end(&s);
	identity_done(&one);
}

/* RFC 8446 section 4.1.4: a first hello that is not signed for, and a second one that is. */
static void a_client_that_is_asked_for_another_hello(void **state)
{
	struct tls_world *w = *state;
	struct signer s;
	struct raw raw;

	signer_begin(&s, w->loop);
	s.keys[0] = key_of(&w->leaf);
	struct tls_server *server = remote_server(&w->leaf, 0, &s);
	raw_init(&raw, false, TLS1_3_VERSION);
	assert_true(SSL_CTX_set1_groups_list(raw.context, "P-521:P-384"));
	raw_dial(&raw, w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(&raw);
	raw_finish(&raw, w);
	assert_int_equal(raw.shook, 1);
	while (w->server.secured == PEER_NEVER)
		(void)run_for(w->loop, 10);
	assert_int_equal(w->server.secured, 0);
	assert_int_equal(s.asked_count, 1);
	raw_done(&raw);
	tls_server_release(&server);
	signer_end(&s);
}

static void a_signer_that_fails_says_nothing_of_the_client(void **state)
{
	struct tls_world *w = *state;
	struct signer s;
	int result;

	signer_begin(&s, w->loop);
	s.fails = ERR_TIMEOUT;
	s.keys[0] = key_of(&w->leaf);
	struct tls_server *server = remote_server(&w->leaf, 0, &s);
	shake_with(w, server, TLS1_3_VERSION, &w->ca, &result);
	assert_true(result <= 0);
	assert_int_equal(w->server.secured, ERR_NOMEM);
	assert_int_equal(w->server.info.failure, TLS_OURS);
	assert_true(span_equal(w->server.info.detail, span_str(err_text(ERR_TIMEOUT))));
	/* Nor does one that cannot even be asked. */
	s.refuses = ERR_IO;
	shake_with(w, server, TLS1_2_VERSION, &w->ca, &result);
	assert_true(result <= 0);
	assert_int_equal(w->server.info.failure, TLS_OURS);
	assert_true(span_equal(w->server.info.detail, span_str(err_text(ERR_IO))));
	/* What it makes up does not get past the end of a buffer. */
	s.refuses = 0;
	s.fails = 0;
	s.too_long = SIGNING_TOO_LONG;
	shake_with(w, server, TLS1_2_VERSION, &w->ca, &result);
	assert_true(result <= 0);
	assert_int_equal(w->server.info.failure, TLS_OURS);
	s.too_long = 1000;
	shake_with(w, server, TLS1_2_VERSION, &w->ca, &result);
	assert_true(result <= 0);
	assert_int_equal(w->server.info.failure, TLS_OURS);
	/* The next handshake is none the worse for it. */
	s.too_long = 0;
	shake_with(w, server, TLS1_3_VERSION, &w->ca, &result);
	assert_int_equal(result, 1);
	tls_server_release(&server);
	signer_end(&s);
}

static void keys_here_and_elsewhere_stand_side_by_side(void **state)
{
	struct tls_world *w = *state;
	struct signer s;
	struct identity rsa;
	struct raw raw;

	signer_begin(&s, w->loop);
	identity_make(&rsa, &(struct wish){.kind = KEY_RSA, .subject = "rsa"});
	s.keys[1] = key_of(&rsa);
	struct tls_certificate both[] = {
		{.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)},
		{.chain = span_str(rsa.chain_pem), .key_number = 1}};
	struct tls_server_config config = {
		.certificates = both, .certificate_count = 2, .signer = &s.base};
	struct tls_server *server = server_for_all(&config);
	for (int i = 0; i < 2; i++) {
		raw_init(&raw, false, TLS1_2_VERSION);
		assert_true(SSL_CTX_set_cipher_list(raw.context, i ? "aRSA" : "aECDSA"));
		raw_dial(&raw, w);
		assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
		raw_start(&raw);
		raw_finish(&raw, w);
		assert_int_equal(raw.shook, 1);
		assert_int_equal(s.asked_count, i);
		raw_done(&raw);
	}
	tls_server_release(&server);
	signer_end(&s);
	identity_done(&rsa);
}

/* Resumption, tickets, clients' certificates: all in the library context of the signer. */
static void sessions_and_client_certificates_work_beside_a_signer(void **state)
{
	struct tls_world *w = *state;
	struct signer s;
	struct tls_tickets tickets = {.count = 1, .keys = {{1}}};
	struct tls_client client = {.session_key = SPAN("k")};
	struct identity shown;

	identity_make(&shown, &(struct wish){.kind = KEY_RSA, .subject = "c", .by = &w->other_ca});
	signer_begin(&s, w->loop);
	s.keys[0] = key_of(&w->leaf);
	struct tls_certificate certificate = {.chain = span_str(w->leaf.chain_pem)};
	struct tls_server_config config = {.certificates = &certificate,
		.certificate_count = 1,
		.signer = &s.base,
		.client_ca = span_str(w->other_ca.chain_pem)};
	struct tls_server *server = server_for_all(&config);
	tls_server_set_tickets(server, &tickets);
	for (int i = 0; i < 2; i++) {
		peers_secure(w, server, &client);
		assert_int_equal(w->server.secured, 0);
		assert_int_equal(w->server.info.resumed, i);
		assert_int_equal(peer_send(&w->server, "x", 1, false), 0);
		run_until_received(w, &w->client, 1);
	}
	assert_int_equal(s.asked_count, 1);
	struct raw raw;
	raw_init(&raw, false, TLS1_3_VERSION);
	raw_identify(&raw, &shown);
	raw_dial(&raw, w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(&raw);
	raw_finish(&raw, w);
	while (w->server.secured == PEER_NEVER)
		(void)run_for(w->loop, 10);
	assert_true(w->server.info.peer_verified);
	raw_done(&raw);
	tls_server_release(&server);
	signer_end(&s);
	identity_done(&shown);
}

/* ---- the other half ------------------------------------------------------------------------- */

static bool verifies(const struct identity *by, enum tls_signature kind, const EVP_MD *md,
	struct span in, const uint8_t *signature, size_t n)
{
	if (kind == TLS_SIGN_ED25519) {
		EVP_MD_CTX *c = EVP_MD_CTX_new();
		bool fine = EVP_DigestVerifyInit(c, NULL, NULL, NULL, by->key) == 1 &&
			    EVP_DigestVerify(c, signature, n, (const uint8_t *)in.p, in.n) == 1;
		EVP_MD_CTX_free(c);
		return fine;
	}
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(by->key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(c), 1);
	if (kind == TLS_SIGN_RSA_PKCS1)
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING);
	if (kind == TLS_SIGN_RSA_PSS) {
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST);
	}
	EVP_PKEY_CTX_set_signature_md(c, md);
	bool fine = EVP_PKEY_verify(c, signature, n, (const uint8_t *)in.p, in.n) == 1;
	EVP_PKEY_CTX_free(c);
	return fine;
}

static void a_key_signs_what_fits_it_and_nothing_else(void **state)
{
	static const enum key_kind of[] = {KEY_RSA, KEY_P256, KEY_P384, KEY_ED25519};
	static const size_t bytes[] = {32, 48, 64};
	const EVP_MD *mds[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
	char in[TLS_SIGN_MESSAGE + 1];
	(void)state;

	memset(in, 'x', sizeof(in));
	for (size_t k = 0; k < 4; k++) {
		struct identity one;
		identity_make(&one, &(struct wish){.kind = of[k], .subject = "k"});
		struct tls_private_key *key = key_of(&one);
		int signed_count = 0;
		for (enum tls_signature kind = 0; kind <= TLS_SIGNATURES; kind++) {
			for (int hash = TLS_SHA256; hash <= TLS_SHA1 + 1; hash++) {
				uint8_t out[TLS_SIGN_OUT];
				size_t n = 0;
				bool fits =
					hash <= TLS_SHA512 &&
					(of[k] == KEY_RSA	       ? kind <= TLS_SIGN_RSA_PSS
						: of[k] == KEY_ED25519 ? false
								       : kind == TLS_SIGN_ECDSA);
				fits = fits || (of[k] == KEY_ED25519 && kind == TLS_SIGN_ED25519 &&
						       hash == TLS_NO_HASH);
				size_t m = hash <= TLS_SHA512 ? bytes[hash] : 20;
				int err = tls_key_sign(
					key, kind, (enum tls_hash)hash, span_of(in, m), out, &n);
				assert_int_equal(err, fits ? 0 : ERR_DENIED);
				if (!fits)
					continue;
				signed_count++;
				assert_true(
					verifies(&one, kind, hash <= TLS_SHA512 ? mds[hash] : NULL,
						span_of(in, m), out, n));
				/* A digest of another length is none. */
				if (hash != TLS_NO_HASH)
					assert_int_equal(
						tls_key_sign(key, kind, (enum tls_hash)hash,
							span_of(in, m - 1), out, &n),
						ERR_DENIED);
				else
					assert_int_equal(
						tls_key_sign(key, kind, (enum tls_hash)hash,
							span_of(in, sizeof(in)), out, &n),
						ERR_DENIED);
			}
		}
		assert_int_equal(signed_count, of[k] == KEY_RSA ? 6 : of[k] == KEY_ED25519 ? 1 : 3);
		tls_private_key_free(&key);
		identity_done(&one);
	}
}

static void keys_that_cannot_be_used_are_refused_with_a_reason(void **state)
{
	struct tls_world *w = *state;
	struct tls_private_key *key = NULL;
	struct buf problem;
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *dh = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	buf_init(&problem, 200);
	PEM_write_bio_PrivateKey(bio, w->leaf.key, EVP_aes_128_cbc(),
		(unsigned char *)(uintptr_t) "secret", 6, NULL, NULL);
	char *locked = bio_text(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, dh, NULL, NULL, 0, NULL, NULL);
	char *other = bio_text(bio);
	const char *const bad[] = {"", "no key", w->leaf.chain_pem, locked, other};
	const char *const why[] = {
		"empty", "no key in it", "cannot be read", "pass phrase", "neither RSA"};
	for (int i = 0; i < 5; i++) {
		buf_clear(&problem);
		assert_int_equal(tls_private_key_new(span_str(bad[i]), &key, &problem), ERR_SYNTAX);
		assert_non_null(memmem(problem.p, problem.n, why[i], strlen(why[i])));
	}
	free(locked);
	free(other);
	EVP_PKEY_free(dh);
	buf_done(&problem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_kind_of_key_signs_handshakes_from_afar, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			rsa_signs_with_pkcs1_where_the_client_wants_it, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_client_that_is_asked_for_another_hello, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_signer_that_fails_says_nothing_of_the_client, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			keys_here_and_elsewhere_stand_side_by_side, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			sessions_and_client_certificates_work_beside_a_signer, tls_setup,
			tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_key_signs_what_fits_it_and_nothing_else, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(keys_that_cannot_be_used_are_refused_with_a_reason,
			tls_setup, tls_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
