/* Handshakes that wait for their signatures, many on one loop: nobody waits for anybody else's. */
#include "tls_signing.h"

#include <openssl/err.h>
#include <time.h>

#define MANY (TLS_SIGNINGS + 12)

struct many {
	struct loop *loop;
	struct listener *listener;
	struct netaddr address;
	struct identity leaf;
	struct signer signer;
	struct tls_server *tls;
	uint64_t ms; /* for a handshake */
	size_t accepted;
	struct peer *servers[MANY], *clients[MANY];
};

static void note(struct peer *p)
{
	(void)p;
}

static void accepted(void *owner, struct io_conn *conn)
{
	struct many *m = owner;
	struct peer *p = peer_new(m->loop);

	assert_true(m->accepted < MANY);
	m->servers[m->accepted++] = p;
	p->conn = conn;
	p->on_secured = note;
	p->on_closed = note;
	loop_conn_adopt(conn, &peer_handler, p);
	assert_int_equal(io_conn_secure_server(conn, m->tls, m->ms), 0);
}

static void secure(struct peer *p)
{
	const struct tls_client *request = p->arg;

	assert_int_equal(io_conn_secure_client(p->conn, request, 5000), 0);
}

static int setup(void **state)
{
	struct many *m = calloc(1, sizeof(*m));
	struct netaddr any = loopback(0);
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int fd;

	assert_int_equal(loop_new(&m->loop), 0);
	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&a, n, &m->address), 0);
	assert_int_equal(loop_listen(m->loop, fd, accepted, m, NULL, &m->listener), 0);
	identity_make(&m->leaf, &(struct wish){.subject = "mx.example"});
	signer_begin(&m->signer, m->loop);
	m->signer.keys[0] = key_of(&m->leaf);
	m->signer.holds = true;
	m->tls = remote_server(&m->leaf, 0, &m->signer);
	m->ms = 5000;
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct many *m = *state;

	for (size_t i = 0; i < MANY; i++) {
		if (m->servers[i])
			peer_free(m->servers[i]);
		if (m->clients[i])
			peer_free(m->clients[i]);
	}
	listener_close(&m->listener);
	signer_end(&m->signer);
	tls_server_release(&m->tls);
	loop_free(&m->loop);
	identity_done(&m->leaf);
	free(m);
	return 0;
}

static const struct tls_client plain = {.check = TLS_CHECK_NOTHING};

/* A client whose hello is on its way; secured where `request` says how. */
static struct peer *dial(struct many *m, const struct tls_client *request)
{
	struct peer *p = peer_new(m->loop);

	for (size_t i = 0; i < MANY; i++) {
		if (m->clients[i])
			continue;
		m->clients[i] = p;
		break;
	}
	p->arg = (void *)(uintptr_t)request;
	p->on_connected = request ? secure : note;
	p->on_secured = note;
	p->on_closed = note;
	assert_int_equal(
		io_connect(loop_io(m->loop), NULL, &m->address, &peer_handler, p, &p->conn), 0);
	return p;
}

static void run_until_asked(struct many *m, int count)
{
	for (int i = 0; i < 1000 && m->signer.asked_count < count; i++)
		(void)run_for(m->loop, 10);
	assert_int_equal(m->signer.asked_count, count);
}

static void run_until(struct many *m, const int *what)
{
	for (int i = 0; i < 1000 && *what == PEER_NEVER; i++)
		(void)run_for(m->loop, 10);
	assert_int_not_equal(*what, PEER_NEVER);
}

/* ---- beside each other ---------------------------------------------------------------------- */

static void the_second_is_done_before_the_first(void **state)
{
	struct many *m = *state;

	dial(m, &plain);
	run_until_asked(m, 1);
	dial(m, &plain);
	run_until_asked(m, 2);
	signer_answer(&m->signer, CONTAINER_OF(m->signer.asked.prev, struct tls_signing, place));
	run_until(m, &m->servers[1]->secured);
	assert_int_equal(m->servers[1]->secured, 0);
	run_until(m, &m->clients[1]->secured);
	assert_int_equal(m->clients[1]->secured, 0);
	/* What is said meanwhile arrives. */
	assert_int_equal(peer_send(m->servers[1], "220 hello", 9, false), 0);
	for (int i = 0; i < 100 && m->clients[1]->received < 9; i++)
		(void)run_for(m->loop, 10);
	assert_int_equal(m->clients[1]->received, 9);
	assert_int_equal(m->servers[0]->secured, PEER_NEVER);
	assert_int_equal(m->clients[0]->secured, PEER_NEVER);
	signer_answer_first(&m->signer);
	run_until(m, &m->servers[0]->secured);
	assert_int_equal(m->servers[0]->secured, 0);
	run_until(m, &m->clients[0]->secured);
	assert_int_equal(m->clients[0]->secured, 0);
}

static void more_than_may_wait_wait_their_turn(void **state)
{
	struct many *m = *state;
	int done = 0;

	m->ms = 60000;
	for (int i = 0; i < MANY; i++)
		dial(m, &plain);
	run_until_asked(m, TLS_SIGNINGS);
	(void)run_for(m->loop, 100);
	assert_int_equal(m->signer.asked_count, TLS_SIGNINGS);
	assert_int_equal(m->accepted, MANY);
	/* Of those that wait to begin one goes: the others do not miss it. */
	for (int i = 0; i < MANY; i++) {
		if (m->clients[i]->secured != PEER_NEVER || i % 10)
			continue;
		io_conn_close(&m->clients[i]->conn, false);
	}
	m->signer.holds = false;
	io_turn_end(loop_io(m->loop), &m->signer.turn);
	for (int i = 0; i < 1000 && done < MANY; i++) {
		(void)run_for(m->loop, 10);
		done = 0;
		for (int j = 0; j < MANY; j++)
			done += m->servers[j]->secured != PEER_NEVER;
	}
	assert_int_equal(done, MANY);
	for (int i = 0; i < MANY; i++)
		if (m->clients[i]->conn)
			assert_int_equal(m->clients[i]->secured, 0);
}

static void who_waits_to_begin_may_go_or_run_out_of_time(void **state)
{
	struct many *m = *state;

	m->ms = 60000;
	for (int i = 0; i < TLS_SIGNINGS; i++)
		dial(m, &plain);
	run_until_asked(m, TLS_SIGNINGS);
	m->ms = 300;
	for (int i = 0; i < 3; i++)
		dial(m, &plain);
	while (m->accepted < TLS_SIGNINGS + 3)
		(void)run_for(m->loop, 10);
	(void)run_for(m->loop, 50);
	io_conn_close(&m->servers[TLS_SIGNINGS]->conn, false);
	run_until(m, &m->servers[TLS_SIGNINGS + 1]->secured);
	assert_int_equal(m->servers[TLS_SIGNINGS + 1]->secured, ERR_TIMEOUT);
	run_until(m, &m->servers[TLS_SIGNINGS + 2]->secured);
	assert_int_equal(m->servers[TLS_SIGNINGS + 2]->secured, ERR_TIMEOUT);
	/* None of them was ever asked for, and who waits for a signature still gets it. */
	assert_int_equal(m->signer.asked_count, TLS_SIGNINGS);
	signer_answer_first(&m->signer);
	run_until(m, &m->servers[0]->secured);
	assert_int_equal(m->servers[0]->secured, 0);
}

/* ---- ends in the middle --------------------------------------------------------------------- */

static void closed_while_it_waits(void **state)
{
	struct many *m = *state;

	for (int linger = 0; linger < 2; linger++) {
		dial(m, &plain);
		run_until_asked(m, linger + 1);
		m->servers[linger]->inside = true;
		io_conn_close(&m->servers[linger]->conn, linger);
		m->servers[linger]->inside = false;
		assert_int_equal(m->signer.forgotten, linger + 1);
		run_until(m, &m->clients[linger]->secured);
		assert_int_equal(m->clients[linger]->secured, ERR_CLOSED);
		assert_int_equal(m->servers[linger]->secured, PEER_NEVER);
	}
	/* The next one is none the worse for it. */
	m->signer.holds = false;
	dial(m, &plain);
	run_until_asked(m, 3);
	run_until(m, &m->clients[2]->secured);
	assert_int_equal(m->clients[2]->secured, 0);
}

static void out_of_time_while_it_waits(void **state)
{
	struct many *m = *state;

	m->ms = 100;
	dial(m, &plain);
	run_until_asked(m, 1);
	run_until(m, &m->servers[0]->secured);
	assert_int_equal(m->servers[0]->secured, ERR_TIMEOUT);
	assert_int_equal(m->servers[0]->info.failure, TLS_TIMEOUT);
	assert_int_equal(m->signer.forgotten, 1);
	run_until(m, &m->clients[0]->secured);
	assert_int_not_equal(m->clients[0]->secured, 0);
}

static void the_client_goes_while_it_waits(void **state)
{
	struct many *m = *state;

	dial(m, &plain);
	run_until_asked(m, 1);
	io_conn_close(&m->clients[0]->conn, false);
	(void)run_for(m->loop, 100);
	signer_answer_first(&m->signer);
	/* What is to be sent may find nobody, or the end may be read first. */
	run_until(m, &m->servers[0]->secured);
	assert_int_equal(m->servers[0]->secured, ERR_CLOSED);
	assert_int_equal(m->servers[0]->info.failure, TLS_LOST);
}

static struct peer *victim;

static void close_the_other(struct peer *p)
{
	assert_int_equal(p->secured, 0);
	io_conn_close(&victim->conn, false);
}

static void one_that_is_done_closes_one_that_waits(void **state)
{
	struct many *m = *state;

	dial(m, &plain);
	run_until_asked(m, 1);
	dial(m, &plain);
	run_until_asked(m, 2);
	victim = m->servers[1];
	m->servers[0]->on_secured = close_the_other;
	signer_answer_first(&m->signer);
	run_until(m, &m->clients[0]->secured);
	assert_int_equal(m->clients[0]->secured, 0);
	assert_int_equal(m->signer.forgotten, 1);
	run_until(m, &m->clients[1]->secured);
	assert_int_equal(m->clients[1]->secured, ERR_CLOSED);
}

/* ---- what comes meanwhile ------------------------------------------------------------------- */

static size_t make_hello(char *to, size_t room)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, out);
	assert_int_equal(SSL_connect(ssl), -1);
	int n = BIO_read(out, to, (int)room);
	assert_true(n > 0);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(context);
	return (size_t)n;
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A client that does not wait for its turn: in the packet of its hello, and later. */
static void bytes_that_come_too_early_wait_as_well(void **state)
{
	static char bytes[40000];
	struct many *m = *state;

	for (int i = 0; i < 3; i++) {
		size_t n = make_hello(bytes, sizeof(bytes));
		struct peer *p = dial(m, NULL);
		run_until(m, &p->connected);
		memset(bytes + n, i == 2 ? SSL3_RT_HANDSHAKE : 'x', sizeof(bytes) - n);
		size_t first = i ? n : n + 500;
		assert_int_equal(peer_send(p, bytes, first, false), 0);
		run_until_asked(m, i + 1);
		assert_int_equal(peer_send(p, bytes + first, sizeof(bytes) - first, false), 0);
		uint64_t began = cpu_ms();
		(void)run_for(m->loop, 200);
		assert_true(cpu_ms() - began < 100); /* they are let lie, not looked at for ever */
		assert_int_equal(m->servers[i]->secured, PEER_NEVER);
		signer_answer_first(&m->signer);
		run_until(m, &m->servers[i]->secured);
		assert_int_equal(m->servers[i]->secured, ERR_DENIED);
	}
}

/* ---- what is answered ----------------------------------------------------------------------- */

static void no_signature_or_a_wrong_one_fails_that_handshake_alone(void **state)
{
	struct many *m = *state;

	dial(m, &plain);
	run_until_asked(m, 1);
	dial(m, &plain);
	run_until_asked(m, 2);
	dial(m, &plain);
	run_until_asked(m, 3);
	m->signer.fails = ERR_IO;
	signer_answer_first(&m->signer);
	m->signer.fails = 0;
	assert_int_equal(m->servers[0]->secured, ERR_NOMEM);
	assert_int_equal(m->servers[0]->info.failure, TLS_OURS);
	assert_true(span_equal(m->servers[0]->info.detail, span_str(err_text(ERR_IO))));
	m->signer.wrong = true;
	signer_answer_first(&m->signer);
	m->signer.wrong = false;
	/* That is the client's to find out. */
	run_until(m, &m->clients[1]->secured);
	assert_int_equal(m->clients[1]->secured, ERR_DENIED);
	signer_answer_first(&m->signer);
	run_until(m, &m->clients[2]->secured);
	assert_int_equal(m->clients[2]->secured, 0);
	run_until(m, &m->clients[0]->secured);
	assert_int_equal(m->clients[0]->secured, ERR_DENIED);
}

/* Each name's own key is asked. */
static void certificates_by_name_each_ask_their_key(void **state)
{
	static const enum key_kind kinds[] = {KEY_RSA, KEY_P384, KEY_ED25519};
	static const char *const names[] = {"a.example", "b.example", "c.example"};
	struct many *m = *state;
	struct tls_certificate shown[4] = {{.chain = span_str(m->leaf.chain_pem)}};
	struct identity ids[3];

	for (uint32_t i = 0; i < 3; i++) {
		identity_make(&ids[i], &(struct wish){.kind = kinds[i], .subject = names[i]});
		m->signer.keys[i + 1] = key_of(&ids[i]);
		shown[i + 1] = (struct tls_certificate){.name = span_str(names[i]),
			.chain = span_str(ids[i].chain_pem),
			.key_number = i + 1};
	}
	struct tls_server_config config = {
		.certificates = shown, .certificate_count = 4, .signer = &m->signer.base};
	tls_server_release(&m->tls);
	m->tls = server_for_all(&config);
	/* All wait before the first is answered. */
	const struct tls_client clients[] = {{.sni = SPAN("c.example")}, {.sni = SPAN("b.example")},
		{.sni = SPAN("a.example")}, plain};
	for (int i = 0; i < 4; i++) {
		dial(m, &clients[i]);
		run_until_asked(m, i + 1);
		assert_int_equal(m->signer.key, i < 3 ? 3 - i : 0);
	}
	for (int i = 0; i < 4; i++) {
		const struct identity *expected = i < 3 ? &ids[2 - i] : &m->leaf;
		uint8_t hash[TLS_HASH_BYTES];
		signer_answer_first(&m->signer);
		run_until(m, &m->clients[i]->secured);
		assert_int_equal(m->clients[i]->secured, 0);
		certificate_hash(expected, hash);
		assert_memory_equal(m->clients[i]->info.peer_certificate_hash, hash, sizeof(hash));
	}
	for (int i = 0; i < 3; i++)
		identity_done(&ids[i]);
}

/* New certificates while one waits: it ends with those that it began with. */
static void certificates_change_while_it_waits(void **state)
{
	struct many *m = *state;
	struct identity other;
	uint8_t hash[TLS_HASH_BYTES];

	dial(m, &plain);
	run_until_asked(m, 1);
	identity_make(&other, &(struct wish){.subject = "mx.example"});
	m->signer.keys[1] = key_of(&other);
	tls_server_release(&m->tls);
	m->tls = remote_server(&other, 1, &m->signer);
	dial(m, &plain);
	run_until_asked(m, 2);
	for (int i = 0; i < 2; i++) {
		signer_answer_first(&m->signer);
		run_until(m, &m->clients[i]->secured);
		assert_int_equal(m->clients[i]->secured, 0);
		certificate_hash(i ? &other : &m->leaf, hash);
		assert_memory_equal(m->clients[i]->info.peer_certificate_hash, hash, sizeof(hash));
	}
	identity_done(&other);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_second_is_done_before_the_first),
		CASE(more_than_may_wait_wait_their_turn),
		CASE(who_waits_to_begin_may_go_or_run_out_of_time),
		CASE(closed_while_it_waits),
		CASE(out_of_time_while_it_waits),
		CASE(the_client_goes_while_it_waits),
		CASE(one_that_is_done_closes_one_that_waits),
		CASE(bytes_that_come_too_early_wait_as_well),
		CASE(no_signature_or_a_wrong_one_fails_that_handshake_alone),
		CASE(certificates_by_name_each_ask_their_key),
		CASE(certificates_change_while_it_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
