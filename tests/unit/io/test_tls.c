/* Handshakes over loopback connections: what each side learns of the other, and what is refused. */
#include "tls_fixture.h"

#define NAMES(...)                                   \
	.names = (const struct span[]){__VA_ARGS__}, \
	.name_count = sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span)

static void both_sides_agree_and_talk(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	struct tls_client client = {.sni = SPAN("MX.example")};
	uint8_t hash[TLS_HASH_BYTES];

	peers_secure(w, server, &client);
	assert_int_equal(w->client.secured, 0);
	assert_int_equal(w->server.secured, 0);
	assert_true(span_equal(w->client.info.version, SPAN("TLSv1.3")));
	assert_true(span_equal(w->server.info.cipher, w->client.info.cipher));
	assert_true(w->client.info.cipher.n > 0);
	assert_true(span_equal(w->server.info.sni, SPAN("mx.example")));
	assert_false(w->client.info.resumed);
	/* Both know the same channel binding, and the client whom it talks to. */
	assert_true(w->client.info.has_binding && w->server.info.has_binding);
	assert_memory_equal(w->client.info.binding, w->server.info.binding, TLS_BINDING_BYTES);
	assert_true(w->client.info.peer_certificate);
	assert_false(w->client.info.peer_verified);
	assert_false(w->server.info.peer_certificate);
	certificate_hash(&w->leaf, hash);
	assert_memory_equal(hash, w->client.info.peer_certificate_hash, TLS_HASH_BYTES);
	key_hash(&w->leaf, hash);
	assert_memory_equal(hash, w->client.info.peer_key_hash, TLS_HASH_BYTES);
	assert_true(span_equal(w->client.info.peer_subject, SPAN("CN = mx.example")));

	assert_int_equal(peer_send(&w->client, "EHLO a\r\n", 8, false), 0);
	run_until_received(w, &w->server, 8);
	assert_memory_equal(w->server.all.p, "EHLO a\r\n", 8);
	assert_int_equal(peer_send(&w->server, "250 b\r\n", 7, false), 0);
	run_until_received(w, &w->client, 7);
	assert_memory_equal(w->client.all.p, "250 b\r\n", 7);
	tls_server_release(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_sides_agree_and_talk, tls_setup, tls_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
