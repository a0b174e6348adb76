/*
 * Signatures by another process, here a thread that stands for role keys: what a worker asks and
 * waits for, and what becomes of it when nobody answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../io/tls_fixture.h"
#include "base/err.h"
#include "keys/message.h"
#include "role/key_ring.h"
#include "role/signer.h"
#include "role/tls_set.h"

#include <pthread.h>
#include <time.h>

enum manner { ANSWERS, SILENT, GOES, LATE_ONES_FIRST, NONSENSE };

struct other_side {
	int fd;
	enum manner manner;
	struct key_ring ring;
	pthread_t thread;
};

struct fixture {
	struct io io;
	struct identity rsa, ec;
	struct signer signer;
	struct other_side other;
};

static void take(struct key_ring *ring, uint32_t number, const char *pem)
{
	struct buf set;

	buf_init(&set, 65536);
	tls_set_put_key(&set, number, span_str(pem));
	tls_set_put_key(&set, number + 1, SPAN("no key at all"));
	key_ring_take(ring, buf_span(&set), NULL);
	buf_done(&set);
}

static void send_late(struct other_side *o)
{
	char memory[KEYS_SIGN_BYTES];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	const struct keys_signed late = {.serial = 0, .done = true, .signature = SPAN("late")};

	keys_put_signed(&buf, &late);
	(void)!send(o->fd, buf.p, buf.n, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
	struct other_side *o = arg;
	char question[KEYS_SIGN_BYTES], memory[KEYS_SIGN_BYTES];
	ssize_t n;

	while ((n = recv(o->fd, question, sizeof(question), 0)) > 0) {
		struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
		if (o->manner == SILENT)
			continue;
		if (o->manner == GOES)
			break;
		if (o->manner == LATE_ONES_FIRST)
			send_late(o);
		if (o->manner == NONSENSE)
			buf_add_str(&buf, "nonsense");
		else if (!key_ring_answer(&o->ring, span_of(question, (size_t)n), &buf))
			break;
		(void)!send(o->fd, buf.p, buf.n, MSG_NOSIGNAL);
	}
	close(o->fd);
	return NULL;
}

static void begin(struct fixture *f, enum manner manner)
{
	int fds[2];

	assert_int_equal(loop_channel_pair(fds), 0);
	f->other.fd = fds[1];
	f->other.manner = manner;
	signer_open(&f->signer, fds[0]);
	assert_int_equal(pthread_create(&f->other.thread, NULL, serve, &f->other), 0);
}

static void end(struct fixture *f)
{
	signer_close(&f->signer);
	pthread_join(f->other.thread, NULL);
}

static int setup(void **state)
{
	static const struct io_ops ops = {.submit = NULL};
	struct fixture *f = calloc(1, sizeof(*f));

	io_init(&f->io, &ops);
	f->io.now_ns = NS_PER_S;
	identity_make(&f->rsa, &(struct wish){.kind = KEY_RSA, .subject = "rsa"});
	identity_make(&f->ec, &(struct wish){.kind = KEY_P256, .subject = "ec"});
	signer_init(&f->signer, &f->io);
	take(&f->other.ring, 7, f->rsa.key_pem);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	identity_done(&f->rsa);
	identity_done(&f->ec);
	key_ring_done(&f->other.ring);
	timers_done(&f->io.timers);
	free(f);
	return 0;
}

static int ask(struct fixture *f, uint32_t key, enum tls_signature kind, uint8_t *out, size_t *n)
{
	static const char digest[32] = "a digest of thirty-two bytes ...";

	return f->signer.base.sign(
		&f->signer.base, key, kind, TLS_SHA256, span_of(digest, 32), out, n);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void a_signature_is_that_of_the_key(void **state)
{
	static const unsigned char digest[32] = "a digest of thirty-two bytes ...";
	struct fixture *f = *state;
	uint8_t out[TLS_SIGN_OUT];
	size_t n = 0;

	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PKCS1, out, &n), 0);
	EVP_PKEY_CTX *check = EVP_PKEY_CTX_new(f->rsa.key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(check), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(check, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(check, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_verify(check, out, n, digest, sizeof(digest)), 1);
	EVP_PKEY_CTX_free(check);
	/* Another kind, another key, one that could not be read: no, and it goes on. */
	assert_int_equal(ask(f, 7, TLS_SIGN_ECDSA, out, &n), ERR_DENIED);
	assert_int_equal(ask(f, 8, TLS_SIGN_RSA_PSS, out, &n), ERR_DENIED);
	assert_int_equal(ask(f, 9, TLS_SIGN_RSA_PSS, out, &n), ERR_DENIED);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), 0);
	end(f);
}

static void a_handshake_that_has_begun_ends_with_its_key(void **state)
{
	struct fixture *f = *state;
	uint8_t out[TLS_SIGN_OUT];
	size_t n;

	take(&f->other.ring, 20, f->ec.key_pem);
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 20, TLS_SIGN_ECDSA, out, &n), 0);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), 0);
	end(f);
	take(&f->other.ring, 30, f->ec.key_pem);
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_DENIED);
	assert_int_equal(ask(f, 20, TLS_SIGN_ECDSA, out, &n), 0);
	end(f);
	/* What cannot be read changes nothing. */
	key_ring_take(&f->other.ring, SPAN("nonsense"), NULL);
	assert_non_null(key_ring_find(&f->other.ring, 30));
	assert_non_null(key_ring_find(&f->other.ring, 20));
}

static void nobody_waits_for_long_nor_twice(void **state)
{
	struct fixture *f = *state;
	uint8_t out[TLS_SIGN_OUT];
	size_t n;

	begin(f, SILENT);
	uint64_t began = now_ms();
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_TIMEOUT);
	assert_in_range(now_ms() - began, SIGNER_MS - 1, SIGNER_MS + 1000);
	began = now_ms();
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_TIMEOUT);
	assert_true(now_ms() - began < 500);
	end(f);
	/* A new life of role keys is asked at once. */
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), 0);
	end(f);
}

static void it_is_asked_again_after_a_while(void **state)
{
	struct fixture *f = *state;
	uint8_t out[TLS_SIGN_OUT];
	size_t n;

	begin(f, LATE_ONES_FIRST);
	f->signer.rest_until_ns = f->io.now_ns + SIGNER_REST_MS * NS_PER_MS;
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_TIMEOUT);
	f->io.now_ns = f->signer.rest_until_ns;
	/* What comes late is not taken for the answer. */
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), 0);
	assert_int_equal(n, 256);
	end(f);
}

static void who_is_gone_or_mad_is_told_at_once(void **state)
{
	static const enum manner manners[] = {GOES, NONSENSE};
	struct fixture *f = *state;
	uint8_t out[TLS_SIGN_OUT];
	size_t n;

	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_IO);
	for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
		uint64_t began = now_ms();
		begin(f, manners[i]);
		assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_IO);
		assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS, out, &n), ERR_IO);
		assert_true(now_ms() - began < SIGNER_MS / 2);
		end(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_signature_is_that_of_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_handshake_that_has_begun_ends_with_its_key, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_long_nor_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_asked_again_after_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_is_gone_or_mad_is_told_at_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
