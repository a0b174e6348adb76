/* Somebody who signs for a loop, and for whom a test can hold his answers back. */
#ifndef TESTS_IO_TLS_SIGNING_H
#define TESTS_IO_TLS_SIGNING_H

#include "tls_fixture.h"

#include "io/fiber.h"
#include "io/tls_key.h"

/* Where it were not looked at, nobody's stack would have room for it. */
#define SIGNING_TOO_LONG ((size_t)4 * FIBER_STACK)

struct signer {
	struct tls_signer base; /* first */
	struct loop *loop;
	struct tls_private_key *keys[KEY_KINDS];
	struct list asked;
	struct io_turn turn;
	bool holds; /* answers nothing by itself */
	int asked_count, forgotten;
	/* The last question. */
	uint32_t key;
	enum tls_signature kind;
	enum tls_hash hash;
	int refuses;	 /* an error, at once */
	int fails;	 /* an error, instead of a signature */
	size_t too_long; /* or a signature with bytes that nobody wants */
	bool wrong;	 /* or one that is none */
};

static inline struct tls_private_key *key_of(const struct identity *identity)
{
	struct tls_private_key *key = NULL;
	struct buf problem;

	buf_init(&problem, 200);
	assert_int_equal(tls_private_key_new(span_str(identity->key_pem), &key, &problem), 0);
	buf_done(&problem);
	return key;
}

static inline void signer_answer(struct signer *s, struct tls_signing *signing)
{
	static uint8_t out[TLS_SIGN_OUT + SIGNING_TOO_LONG];
	size_t n = 0;

	list_remove(&signing->place);
	if (s->fails == 0) {
		assert_int_equal(tls_key_sign(s->keys[signing->key], signing->kind, signing->hash,
					 signing->in, out, &n),
			0);
		out[n / 2] ^= s->wrong;
	}
	signing->done(signing, s->fails, span_of(out, s->fails ? 0 : n + s->too_long));
}

static inline void signer_answer_first(struct signer *s)
{
	struct tls_signing *first = LIST_FIRST(&s->asked, struct tls_signing, place);

	assert_non_null(first);
	signer_answer(s, first);
}

static inline void signer_turn(struct io_turn *turn)
{
	struct signer *s = CONTAINER_OF(turn, struct signer, turn);

	while (!s->holds && !list_empty(&s->asked))
		signer_answer_first(s);
}

static inline int signer_ask(struct tls_signer *base, struct tls_signing *signing)
{
	struct signer *s = CONTAINER_OF(base, struct signer, base);

	assert_true(signing->key < KEY_KINDS);
	s->asked_count++;
	s->key = signing->key;
	s->kind = signing->kind;
	s->hash = signing->hash;
	if (s->refuses)
		return s->refuses;
	list_push_back(&s->asked, &signing->place);
	io_turn_end(loop_io(s->loop), &s->turn);
	return 0;
}

static inline void signer_forget(struct tls_signer *base, struct tls_signing *signing)
{
	struct signer *s = CONTAINER_OF(base, struct signer, base);

	assert_false(list_empty(&signing->place));
	list_remove(&signing->place);
	s->forgotten++;
}

static inline void signer_begin(struct signer *s, struct loop *loop)
{
	*s = (struct signer){
		.base = {signer_ask, signer_forget}, .loop = loop, .turn.end = signer_turn};
	list_init(&s->asked);
}

static inline void signer_end(struct signer *s)
{
	assert_true(list_empty(&s->asked));
	io_turn_forget(loop_io(s->loop), &s->turn);
	for (size_t i = 0; i < KEY_KINDS; i++)
		tls_private_key_free(&s->keys[i]);
}

/* One certificate, whose key the signer has under this number. */
static inline struct tls_server *remote_server(
	const struct identity *one, uint32_t number, struct signer *s)
{
	struct tls_certificate certificate = {
		.chain = span_str(one->chain_pem), .key_number = number};
	struct tls_server_config config = {
		.certificates = &certificate, .certificate_count = 1, .signer = &s->base};
	return server_for_all(&config);
}

#endif
