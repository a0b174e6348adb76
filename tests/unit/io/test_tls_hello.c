/* What a client may have a server keep before the handshake is over. */
#include "tls_raw.h"

#include <malloc.h>

#define EXTENSION      0xff77 /* for private use: RFC 8446 section 11 */
#define WHOLE_HELLO    12000  /* bytes of an extension in a hello of a legal length … */
#define TOO_LONG       17000  /* … and in one that is not */
#define HELD_MOST      65536  /* bytes of OpenSSL for one that waits */
#define LONG_CHAIN     10
#define TOO_LONG_CHAIN 120 /* of some 400 bytes each */

/* ---- what OpenSSL holds --------------------------------------------------------------------- */

static _Atomic int64_t held;

static void *counting_realloc(void *p, size_t n, const char *file, int line)
{
	size_t before = p ? malloc_usable_size(p) : 0;
	(void)file, (void)line;

	void *now = realloc(p, n);
	if (now)
		atomic_fetch_add(&held, (int64_t)malloc_usable_size(now) - (int64_t)before);
	return now;
}

static void *counting_malloc(size_t n, const char *file, int line)
{
	return counting_realloc(NULL, n, file, line);
}

static void counting_free(void *p, const char *file, int line)
{
	(void)file, (void)line;

	if (p)
		atomic_fetch_sub(&held, (int64_t)malloc_usable_size(p));
	free(p);
}

/* ---- hellos by hand ------------------------------------------------------------------------- */

static int dial(struct tls_world *w, struct tls_server *server, uint64_t ms)
{
	struct sockaddr_storage a;
	socklen_t n = netaddr_to_sockaddr(&w->address, &a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peers_end(w);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
	while (!w->has_server)
		(void)run_for(w->loop, 1000);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, ms), 0);
	return fd;
}

static void refuses(struct tls_world *w, struct tls_server *server, const char *bytes, size_t n)
{
	char alert[8];
	int fd = dial(w, server, 5000);

	assert_int_equal(write(fd, bytes, n), n);
	assert_true(run_for(w->loop, 10000));
	assert_int_equal(w->server.secured, ERR_DENIED);
	assert_int_equal(w->server.info.failure, TLS_HANDSHAKE);
	assert_true(span_equal(w->server.info.detail, SPAN("the client's hello is too long")));
	/* It is told: fatal, illegal_parameter. */
	assert_int_equal(read(fd, alert, sizeof(alert)), 7);
	assert_memory_equal(alert, "\x15\x03\x03\x00\x02\x02\x2f", 7);
	assert_int_equal(w->server.secured_calls, 1);
	close(fd);
}

/* OpenSSL would make room for all of it when it has seen four bytes. */
static void a_hello_that_never_ends_is_cut_off_where_it_begins(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);

	/* 131071 bytes, and one more than there may be. */
	refuses(w, server, "\x16\x03\x01\x00\x06\x01\x01\xff\xff\x03\x03", 11);
	refuses(w, server, "\x16\x03\x01\x00\x06\x01\x00\x40\x01\x03\x03", 11);
	/* Its length comes in pieces. */
	refuses(w, server,
		"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x02\x01\xff"
		"\x16\x03\x01\x00\x01\xff",
		19);
	tls_server_release(&server);
}

/* … which keeps little: a record, and the hello. */
static void a_hello_of_the_most_bytes_is_waited_for(void **state)
{
	struct tls_world *w = *state;
	struct tls_server *server = server_with(&w->leaf);
	static char record[5 + 16384] = "\x16\x03\x01\x40\x00\x01\x00\x40\x00\x03\x03";
	int64_t before = atomic_load(&held);
	int fd = dial(w, server, 200);

	assert_int_equal(write(fd, record, sizeof(record)), sizeof(record));
	assert_false(run_for(w->loop, 100));
	int64_t waits = atomic_load(&held) - before;
	assert_true(waits > 16384);
	assert_true(waits < HELD_MOST);
	assert_true(run_for(w->loop, 10000));
	assert_int_equal(w->server.info.failure, TLS_TIMEOUT);
	close(fd);
	tls_server_release(&server);
}

/* ---- hellos of OpenSSL ---------------------------------------------------------------------- */

struct extra {
	size_t bytes[2]; /* in the first hello, and in one that the server asked for */
	int hellos;
	unsigned char *p;
};

static int add_extra(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
	size_t *n, X509 *x, size_t place, int *alert, void *arg)
{
	struct extra *extra = arg;
	(void)ssl, (void)type, (void)context, (void)x, (void)place, (void)alert;

	*n = extra->bytes[MIN(extra->hellos, 1)];
	*out = extra->p;
	extra->hellos++;
	return 1;
}

static void visit(struct tls_world *w, struct tls_server *server, struct raw *raw)
{
	raw_dial(raw, w);
	assert_int_equal(io_conn_secure_server(w->server.conn, server, 5000), 0);
	raw_start(raw);
	raw_finish(raw, w);
	for (int i = 0; i < 100 && w->server.secured == PEER_NEVER; i++)
		(void)run_for(w->loop, 10);
}

/* `groups`: the first one is what the client has a share for. */
static int says(struct tls_world *w, int version, const char *groups, size_t first, size_t second)
{
	struct tls_server *server = server_with(&w->leaf);
	struct extra extra = {.bytes = {first, second}, .p = calloc(1, TOO_LONG)};
	struct raw raw;

	raw_init(&raw, false, version);
	assert_true(SSL_CTX_set1_groups_list(raw.context, groups));
	assert_true(SSL_CTX_add_custom_ext(
		raw.context, EXTENSION, SSL_EXT_CLIENT_HELLO, add_extra, NULL, &extra, NULL, NULL));
	visit(w, server, &raw);
	assert_int_equal(raw.shook == 1, w->server.secured == 0);
	raw_done(&raw);
	free(extra.p);
	tls_server_release(&server);
	return extra.hellos;
}

static void a_long_hello_is_fine_and_a_longer_one_is_not(void **state)
{
	struct tls_world *w = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_int_equal(says(w, version, "X25519:P-256", WHOLE_HELLO, 0), 1);
		assert_int_equal(w->server.secured, 0);
		assert_int_equal(says(w, version, "X25519:P-256", TOO_LONG, 0), 1);
		assert_int_equal(w->server.secured, ERR_DENIED);
		assert_int_equal(w->server.info.failure, TLS_HANDSHAKE);
	}
}

/* RFC 8446 section 4.1.4. */
static void a_second_hello_has_the_same_bound(void **state)
{
	struct tls_world *w = *state;

	assert_int_equal(says(w, TLS1_3_VERSION, "X448:P-256", WHOLE_HELLO, WHOLE_HELLO), 2);
	assert_int_equal(w->server.secured, 0);
	assert_int_equal(says(w, TLS1_3_VERSION, "X448:P-256", 1, TOO_LONG), 2);
	assert_int_equal(w->server.secured, ERR_DENIED);
	assert_true(span_equal(w->server.info.detail, SPAN("the client's hello is too long")));
}

/* A client of 1.2 begins again, when all is encrypted; of its hello the first record comes, or all,
 * and then nothing. */
static void begins_again(struct raw *raw)
{
	const bool *whole = raw->arg;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	uint8_t *p;

	SSL_set_bio(raw->ssl, in, out);
	(void)SSL_renegotiate(raw->ssl);
	(void)SSL_do_handshake(raw->ssl);
	long n = BIO_get_mem_data(out, &p);
	assert_true(n > TOO_LONG);
	size_t first = 5 + (size_t)(p[3] << 8 | p[4]);
	/* The server may have cut us off in the middle. */
	ssize_t sent = write(raw->fd, p, *whole ? (size_t)n : first);
	(void)sent;
	usleep(200000);
}

static void no_hello_is_kept_behind_the_handshake(void **state)
{
	struct tls_world *w = *state;

	for (int i = 0; i < 2; i++) {
		struct tls_server *server = server_with(&w->leaf);
		struct extra extra = {.bytes = {1, TOO_LONG}, .p = calloc(1, TOO_LONG)};
		bool whole = i == 1;
		struct raw raw;

		raw_init(&raw, false, TLS1_2_VERSION);
		assert_true(SSL_CTX_add_custom_ext(raw.context, EXTENSION, SSL_EXT_CLIENT_HELLO,
			add_extra, NULL, &extra, NULL, NULL));
		raw.play = begins_again;
		raw.arg = &whole;
		visit(w, server, &raw);
		assert_int_equal(w->server.secured, 0);
		assert_int_equal(extra.hellos, 2);
		assert_int_equal(w->server.closed, ERR_SYNTAX);
		raw_done(&raw);
		free(extra.p);
		tls_server_release(&server);
	}
}

/* ---- certificates --------------------------------------------------------------------------- */

static void shows(struct tls_world *w, int version, int certificates)
{
	struct tls_certificate certificate = {
		.chain = span_str(w->leaf.chain_pem), .key = span_str(w->leaf.key_pem)};
	struct tls_server_config config = {.certificates = &certificate,
		.certificate_count = 1,
		.client_ca = span_str(w->other_ca.chain_pem)};
	struct tls_server *server = server_for_all(&config);
	struct identity shown;
	struct raw raw;

	identity_make(&shown, &(struct wish){.subject = "relay.example", .by = &w->other_ca});
	raw_init(&raw, false, version);
	raw_identify(&raw, &shown);
	for (int i = 1; i < certificates; i++)
		assert_true(SSL_CTX_add1_chain_cert(raw.context, w->other_ca.certificate));
	visit(w, server, &raw);
	raw_done(&raw);
	identity_done(&shown);
	tls_server_release(&server);
}

static void a_clients_chain_has_a_bound(void **state)
{
	struct tls_world *w = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		shows(w, version, LONG_CHAIN);
		assert_int_equal(w->server.secured, 0);
		assert_true(w->server.info.peer_verified);
		shows(w, version, TOO_LONG_CHAIN);
		assert_int_equal(w->server.secured, ERR_DENIED);
		assert_int_equal(w->server.info.failure, TLS_HANDSHAKE);
		assert_true(w->server.info.detail.n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_hello_that_never_ends_is_cut_off_where_it_begins,
			tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_hello_of_the_most_bytes_is_waited_for, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_long_hello_is_fine_and_a_longer_one_is_not, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_second_hello_has_the_same_bound, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			no_hello_is_kept_behind_the_handshake, tls_setup, tls_teardown),
		cmocka_unit_test_setup_teardown(
			a_clients_chain_has_a_bound, tls_setup, tls_teardown),
	};
	if (!CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
