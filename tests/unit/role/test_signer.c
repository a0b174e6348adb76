/*
 * Signatures by another process, here a thread that stands for role keys: what a worker asks and
 * gets, and what becomes of it when nobody answers.
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
#include <stdatomic.h>
#include <time.h>

#define MANY 20

enum manner {
	ANSWERS,
	SILENT,
	DEAF, /* does not even read */
	GOES,
	OTHERS_FIRST,  /* answers what nobody asked, too */
	OTHERS_ONLY,   /* nothing but that */
	BACKWARDS,     /* the last question of a datagram first */
	NONSENSE,      /* no answer at all */
	HALF_NONSENSE, /* behind a right answer */
	TOO_LONG,
};

struct other_side {
	int fd;
	enum manner manner;
	struct key_ring ring;
	pthread_t thread;
	atomic_int datagrams, questions;
};

struct fixture {
	struct loop *loop;
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

/* ---- the other side ------------------------------------------------------------------------- */

static void put_other(struct buf *buf, uint32_t serial)
{
	const struct keys_signed other = {
		.serial = serial, .done = true, .signature = SPAN("not asked for")};

	keys_put_signed(buf, &other);
}

static void put_too_long(struct buf *buf)
{
	static const char bytes[TLS_SIGN_OUT + 1];

	buf_put_u32(buf, 1);
	buf_put_u8(buf, 1);
	buf_put_bytes16(buf, span_of(bytes, sizeof(bytes)));
}

static void put_backwards(const struct other_side *o, struct span in, struct buf *buf)
{
	struct keys_sign questions[KEYS_SIGN_TOGETHER];
	struct cursor at = cursor_of(in);
	size_t n = 0;
	char memory[1024];

	while (cursor_left(&at) && n < KEYS_SIGN_TOGETHER && keys_get_sign(&at, &questions[n]) == 0)
		n++;
	while (n--) {
		struct buf one = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
		keys_put_sign(&one, &questions[n]);
		(void)key_ring_answer(&o->ring, 0, buf_span(&one), buf);
	}
}

static void reply(struct other_side *o, struct span in, struct buf *buf)
{
	switch (o->manner) {
	case OTHERS_FIRST:
		put_other(buf, 0);
		put_other(buf, UINT32_MAX);
		(void)key_ring_answer(&o->ring, 0, in, buf);
		break;
	case OTHERS_ONLY: put_other(buf, 99); break;
	case BACKWARDS: put_backwards(o, in, buf); break;
	case NONSENSE: buf_add_str(buf, "nonsense"); break;
	case HALF_NONSENSE:
		(void)key_ring_answer(&o->ring, 0, in, buf);
		buf_add_str(buf, "nonsense");
		break;
	case TOO_LONG: put_too_long(buf); break;
	default: (void)key_ring_answer(&o->ring, 0, in, buf); break;
	}
}

static int count(struct span in)
{
	struct cursor at = cursor_of(in);
	struct keys_sign sign;
	int n = 0;

	while (cursor_left(&at) && keys_get_sign(&at, &sign) == 0)
		n++;
	return n;
}

static void *serve(void *arg)
{
	struct other_side *o = arg;
	char question[KEYS_SIGN_BYTES], memory[2 * KEYS_SIGN_BYTES];
	ssize_t n;

	while ((n = recv(o->fd, question, sizeof(question), 0)) > 0) {
		struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
		struct span in = span_of(question, (size_t)n);
		atomic_fetch_add(&o->datagrams, 1);
		atomic_fetch_add(&o->questions, count(in));
		if (o->manner == SILENT)
			continue;
		if (o->manner == GOES)
			break;
		reply(o, in, &buf);
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
	atomic_store(&f->other.datagrams, 0);
	atomic_store(&f->other.questions, 0);
	assert_int_equal(signer_open(&f->signer, fds[0]), 0);
	if (manner != DEAF)
		assert_int_equal(pthread_create(&f->other.thread, NULL, serve, &f->other), 0);
}

static void end(struct fixture *f)
{
	signer_close(&f->signer);
	if (f->other.manner == DEAF)
		close(f->other.fd);
	else
		pthread_join(f->other.thread, NULL);
	/* It was told to stop by what ended now. */
	(void)run_for(f->loop, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(loop_new(&f->loop), 0);
	identity_make(&f->rsa, &(struct wish){.kind = KEY_RSA, .subject = "rsa"});
	identity_make(&f->ec, &(struct wish){.kind = KEY_P256, .subject = "ec"});
	signer_init(&f->signer, f->loop);
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
	loop_free(&f->loop);
	free(f);
	return 0;
}

/* ---- this side ------------------------------------------------------------------------------ */

#define NOT_YET 1

struct asked {
	struct tls_signing signing; /* first */
	struct loop *loop;
	int err;
	int calls;
	size_t n;
	uint8_t out[TLS_SIGN_OUT];
	struct asked *forgets; /* when it is answered */
	struct signer *of;
};

static void done(struct tls_signing *signing, int err, struct span signature)
{
	struct asked *a = (struct asked *)(void *)signing;

	a->err = err;
	a->calls++;
	a->n = signature.n;
	if (signature.n)
		memcpy(a->out, signature.p, signature.n);
	if (a->forgets) {
		a->of->base.forget(&a->of->base, &a->forgets->signing);
		a->forgets = NULL;
	}
	loop_stop(a->loop);
}

static const char digest[] = "a digest of thirty-two bytes ...";

static int begin_ask(struct fixture *f, struct asked *a, uint32_t key, enum tls_signature kind)
{
	*a = (struct asked){.signing = {.key = key,
				    .kind = kind,
				    .hash = TLS_SHA256,
				    .in = span_of(digest, 32),
				    .done = done},
		.loop = f->loop,
		.of = &f->signer,
		.err = NOT_YET};
	list_init(&a->signing.place);
	int err = f->signer.base.ask(&f->signer.base, &a->signing);
	assert_int_equal(a->calls, 0);
	return err;
}

static void wait_for(struct fixture *f, struct asked *a)
{
	for (int i = 0; i < 100 && a->err == NOT_YET; i++)
		(void)run_for(f->loop, 100);
	assert_int_equal(a->calls, 1);
}

static int ask(struct fixture *f, uint32_t key, enum tls_signature kind)
{
	struct asked a;
	int err = begin_ask(f, &a, key, kind);

	if (err)
		return err;
	wait_for(f, &a);
	assert_int_equal(a.n > 0, a.err == 0);
	return a.err;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void a_signature_is_that_of_the_key(void **state)
{
	struct fixture *f = *state;
	struct asked a;

	begin(f, ANSWERS);
	assert_int_equal(begin_ask(f, &a, 7, TLS_SIGN_RSA_PKCS1), 0);
	wait_for(f, &a);
	assert_int_equal(a.err, 0);
	EVP_PKEY_CTX *check = EVP_PKEY_CTX_new(f->rsa.key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(check), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(check, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(check, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_verify(check, a.out, a.n, (const unsigned char *)digest, 32), 1);
	EVP_PKEY_CTX_free(check);
	/* Another kind, another key, one that could not be read: no, and it goes on. */
	assert_int_equal(ask(f, 7, TLS_SIGN_ECDSA), ERR_DENIED);
	assert_int_equal(ask(f, 8, TLS_SIGN_RSA_PSS), ERR_DENIED);
	assert_int_equal(ask(f, 9, TLS_SIGN_RSA_PSS), ERR_DENIED);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	end(f);
}

static void a_handshake_that_has_begun_ends_with_its_key(void **state)
{
	struct fixture *f = *state;

	take(&f->other.ring, 20, f->ec.key_pem);
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 20, TLS_SIGN_ECDSA), 0);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	end(f);
	take(&f->other.ring, 30, f->ec.key_pem);
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), ERR_DENIED);
	assert_int_equal(ask(f, 20, TLS_SIGN_ECDSA), 0);
	end(f);
	/* What cannot be read changes nothing. */
	key_ring_take(&f->other.ring, SPAN("nonsense"), NULL);
	assert_non_null(key_ring_find(&f->other.ring, 30));
	assert_non_null(key_ring_find(&f->other.ring, 20));
}

static void what_is_asked_in_one_turn_goes_together(void **state)
{
	static const enum manner manners[] = {ANSWERS, BACKWARDS, OTHERS_FIRST};
	struct fixture *f = *state;
	struct asked asked[MANY];

	for (size_t m = 0; m < ARRAY_SIZE(manners); m++) {
		begin(f, manners[m]);
		/* Which of them are refused says that each has its own answer. */
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(
				begin_ask(f, &asked[i], i % 3 ? 7 : 8, TLS_SIGN_RSA_PKCS1), 0);
		for (uint32_t i = 0; i < MANY; i++) {
			wait_for(f, &asked[i]);
			assert_int_equal(asked[i].err, i % 3 ? 0 : ERR_DENIED);
		}
		assert_int_equal(atomic_load(&f->other.questions), MANY);
		assert_int_equal(atomic_load(&f->other.datagrams),
			(MANY + KEYS_SIGN_TOGETHER - 1) / KEYS_SIGN_TOGETHER);
		end(f);
	}
}

/* Role keys' part: as many as go together, and no more. */
static void more_than_go_together_are_not_answered(void **state)
{
	struct fixture *f = *state;
	const struct keys_sign sign = {
		1, 8, UINT64_MAX, TLS_SIGN_RSA_PSS, TLS_SHA256, span_of(digest, 32)};
	struct buf in, out;

	buf_init(&in, 65536);
	buf_init(&out, KEYS_SIGN_BYTES);
	for (int i = 0; i < KEYS_SIGN_TOGETHER; i++)
		keys_put_sign(&in, &sign);
	assert_true(key_ring_answer(&f->other.ring, 0, buf_span(&in), &out));
	size_t n = out.n;
	keys_put_sign(&in, &sign);
	buf_clear(&out);
	assert_false(key_ring_answer(&f->other.ring, 0, buf_span(&in), &out));
	assert_int_equal(out.n, n);
	/* What comes before nonsense is answered, the rest is not. */
	buf_clear(&in);
	buf_clear(&out);
	keys_put_sign(&in, &sign);
	buf_add_str(&in, "nonsense");
	assert_false(key_ring_answer(&f->other.ring, 0, buf_span(&in), &out));
	assert_int_equal(out.n, n / KEYS_SIGN_TOGETHER);
	buf_done(&in);
	buf_done(&out);
}

/* Under a flood those who wait are signed for, not those who have gone. */
static void nobody_is_signed_for_who_has_gone(void **state)
{
	struct fixture *f = *state;
	struct keys_sign sign = {.serial = 5,
		.key = 7,
		.until_ns = 1000,
		.kind = TLS_SIGN_RSA_PSS,
		.hash = TLS_SHA256,
		.in = span_of(digest, 32)};
	struct keys_signed answer;
	struct buf in, out;

	for (uint64_t now = 999; now <= 1000; now++) {
		buf_init(&in, KEYS_SIGN_BYTES);
		buf_init(&out, KEYS_SIGN_BYTES);
		keys_put_sign(&in, &sign);
		assert_true(key_ring_answer(&f->other.ring, now, buf_span(&in), &out));
		struct cursor at = cursor_of(buf_span(&out));
		assert_int_equal(keys_get_signed(&at, &answer), 0);
		assert_int_equal(answer.serial, 5);
		assert_int_equal(answer.done, now < 1000);
		buf_done(&in);
		buf_done(&out);
	}
}

static void nobody_waits_for_long(void **state)
{
	struct fixture *f = *state;
	struct asked one, other;

	begin(f, SILENT);
	(void)run_for(f->loop, 0); /* it knows the time */
	uint64_t began = now_ms();
	assert_int_equal(begin_ask(f, &one, 7, TLS_SIGN_RSA_PSS), 0);
	(void)run_for(f->loop, SIGNER_MS / 2);
	assert_int_equal(begin_ask(f, &other, 7, TLS_SIGN_RSA_PSS), 0);
	wait_for(f, &one);
	assert_int_equal(one.err, ERR_TIMEOUT);
	assert_in_range(now_ms() - began, SIGNER_MS - 2, SIGNER_MS + SIGNER_MS / 4);
	assert_int_equal(other.err, NOT_YET);
	wait_for(f, &other);
	assert_int_equal(other.err, ERR_TIMEOUT);
	assert_in_range(now_ms() - began, 3 * SIGNER_MS / 2 - 2, 2 * SIGNER_MS);
	/* Answers to something else are none. */
	end(f);
	begin(f, OTHERS_ONLY);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), ERR_TIMEOUT);
	end(f);
	/* A new life of role keys. */
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	end(f);
}

struct late {
	struct timer timer; /* first */
	struct fixture *f;
	struct asked asked;
};

static void ask_late(struct timer *timer)
{
	struct late *late = (struct late *)(void *)timer;

	assert_int_equal(begin_ask(late->f, &late->asked, 7, TLS_SIGN_RSA_PSS), 0);
}

/* In the very turn in which another one's time would have been over. */
static void nobody_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct late late = {.timer.fire = ask_late, .f = f, .asked.err = NOT_YET};
	struct asked first;

	begin(f, SILENT);
	(void)run_for(f->loop, 0);
	assert_int_equal(io_timer_after(loop_io(f->loop), &late.timer, SIGNER_MS), 0);
	assert_int_equal(begin_ask(f, &first, 7, TLS_SIGN_RSA_PSS), 0);
	(void)run_for(f->loop, 10);
	f->signer.base.forget(&f->signer.base, &first.signing);
	wait_for(f, &late.asked);
	assert_int_equal(late.asked.err, ERR_TIMEOUT);
	assert_int_equal(first.calls, 0);
	end(f);
}

/* A socket that is full. */
static void who_does_not_read_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	static struct asked asked[100000];
	size_t n = 0;

	begin(f, DEAF);
	do {
		assert_true(n < ARRAY_SIZE(asked));
		for (int i = 0; i < KEYS_SIGN_TOGETHER; i++)
			assert_int_equal(begin_ask(f, &asked[n++], 7, TLS_SIGN_RSA_PSS), 0);
		(void)run_for(f->loop, 0);
	} while (asked[n - 1].err == NOT_YET);
	assert_int_equal(asked[n - 1].err, ERR_TIMEOUT);
	assert_int_equal(asked[0].err, NOT_YET);
	end(f);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(asked[i].calls, 1);
	assert_int_equal(asked[0].err, ERR_IO);
}

static void who_is_gone_or_mad_is_told_at_once(void **state)
{
	static const enum manner manners[] = {GOES, NONSENSE, TOO_LONG};
	struct fixture *f = *state;
	struct asked one, other;

	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), ERR_IO);
	for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
		uint64_t began = now_ms();
		begin(f, manners[i]);
		assert_int_equal(begin_ask(f, &one, 7, TLS_SIGN_RSA_PSS), 0);
		assert_int_equal(begin_ask(f, &other, 7, TLS_SIGN_RSA_PSS), 0);
		wait_for(f, &one);
		wait_for(f, &other);
		assert_int_equal(one.err, ERR_IO);
		assert_int_equal(other.err, ERR_IO);
		assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), ERR_IO);
		assert_true(now_ms() - began < SIGNER_MS / 2);
		end(f);
	}
	/* What was right before the nonsense counts. */
	begin(f, HALF_NONSENSE);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), ERR_IO);
	end(f);
	begin(f, ANSWERS);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	end(f);
}

/* Its memory may be used for something else at once. */
static void what_is_forgotten_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct asked kept, *gone = malloc(sizeof(*gone));

	begin(f, ANSWERS);
	/* Before it was sent, after, and while another one is told. */
	assert_int_equal(begin_ask(f, gone, 7, TLS_SIGN_RSA_PSS), 0);
	f->signer.base.forget(&f->signer.base, &gone->signing);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	assert_int_equal(begin_ask(f, gone, 7, TLS_SIGN_RSA_PSS), 0);
	(void)run_for(f->loop, 0);
	if (gone->err == NOT_YET)
		f->signer.base.forget(&f->signer.base, &gone->signing);
	assert_int_equal(ask(f, 7, TLS_SIGN_RSA_PSS), 0);
	assert_int_equal(begin_ask(f, &kept, 7, TLS_SIGN_RSA_PSS), 0);
	assert_int_equal(begin_ask(f, gone, 7, TLS_SIGN_RSA_PSS), 0);
	kept.forgets = gone;
	wait_for(f, &kept);
	assert_int_equal(kept.err, 0);
	assert_int_equal(gone->calls, 0);
	/* Likewise while all are told that there is nobody. */
	assert_int_equal(begin_ask(f, &kept, 7, TLS_SIGN_RSA_PSS), 0);
	assert_int_equal(begin_ask(f, gone, 7, TLS_SIGN_RSA_PSS), 0);
	kept.forgets = gone;
	signer_close(&f->signer);
	assert_int_equal(kept.err, ERR_IO);
	assert_int_equal(gone->calls, 0);
	free(gone);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_signature_is_that_of_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_handshake_that_has_begun_ends_with_its_key, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_asked_in_one_turn_goes_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_than_go_together_are_not_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_signed_for_who_has_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_long, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_does_not_read_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_is_gone_or_mad_is_told_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_told, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
