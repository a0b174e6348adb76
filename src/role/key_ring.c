#include "role/key_ring.h"

#include "base/err.h"
#include "keys/message.h"
#include "role/tls_set.h"

#include <stdlib.h>

static void set_done(struct key_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		tls_private_key_free(&set->keys[i].key);
	free(set->keys);
	*set = (struct key_set){0};
}

static void add(struct key_set *set, uint32_t number, struct span pem, struct log *log)
{
	struct tls_private_key *key;
	struct buf problem;

	buf_init(&problem, 1024);
	if (tls_private_key_new(pem, &key, &problem) == 0)
		set->keys[set->count++] = (struct key_entry){number, key};
	else
		log_write(log, LOG_ERROR, "a private key cannot be used",
			LOG_SPAN("why", buf_span(&problem)));
	buf_done(&problem);
}

void key_ring_take(struct key_ring *ring, struct span bytes, struct log *log)
{
	struct cursor in = cursor_of(bytes);
	struct key_set set = {.keys = calloc(TLS_SET_KEYS, sizeof(*set.keys))};
	struct span pem;
	uint32_t number;
	int err = set.keys ? 0 : ERR_NOMEM;

	while (err == 0 && set.count < TLS_SET_KEYS) {
		err = tls_set_get_key(&in, &number, &pem);
		if (err == 0)
			add(&set, number, pem, log);
	}
	if (err && err != ERR_NOT_FOUND) {
		log_write(log, LOG_ERROR, "private keys cannot be taken over",
			LOG_STR("reason", err_text(err)));
		set_done(&set);
		return;
	}
	set_done(&ring->before);
	ring->before = ring->now;
	ring->now = set;
}

static struct tls_private_key *find(const struct key_set *set, uint32_t number)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->keys[i].number == number)
			return set->keys[i].key;
	return NULL;
}

struct tls_private_key *key_ring_find(const struct key_ring *ring, uint32_t number)
{
	struct tls_private_key *key = find(&ring->now, number);

	return key ? key : find(&ring->before, number);
}

static void answer(const struct key_ring *ring, uint64_t now_ns, const struct keys_sign *sign,
	struct buf *answers)
{
	struct tls_private_key *key =
		now_ns < sign->until_ns ? key_ring_find(ring, sign->key) : NULL;
	uint8_t signature[TLS_SIGN_OUT];
	size_t n = 0;

	bool done = key && tls_key_sign(key, sign->kind, sign->hash, sign->in, signature, &n) == 0;
	const struct keys_signed out = {
		sign->serial, done, done ? span_of(signature, n) : SPAN_NONE};
	keys_put_signed(answers, &out);
}

bool key_ring_answer(
	const struct key_ring *ring, uint64_t now_ns, struct span questions, struct buf *answers)
{
	struct cursor in = cursor_of(questions);
	struct keys_sign sign;

	for (size_t i = 0; i < KEYS_SIGN_TOGETHER && cursor_left(&in); i++) {
		if (keys_get_sign(&in, &sign) != 0)
			return false;
		answer(ring, now_ns, &sign, answers);
	}
	return cursor_left(&in) == 0;
}

void key_ring_done(struct key_ring *ring)
{
	set_done(&ring->now);
	set_done(&ring->before);
}
