/*
 * What an smtpd that was taken over may send to role keys, and keys to it: each message by itself
 * (what can be read is written back as the same bytes), and questions one after the other to the
 * core, which answers each once.
 */
#include "base/check.h"
#include "base/cursor.h"
#include "keys/keys.h"
#include "keys/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct io_job *job; /* the one under way */
static unsigned answers;

static int submit(struct io *io, enum io_lane lane, struct io_job *submitted)
{
	(void)io;
	(void)lane;
	job = submitted;
	return 0;
}

static bool enabled(void *context, struct span account)
{
	(void)context;
	return account.n % 2 == 1;
}

static void answer(void *context, uint8_t worker, uint32_t request, struct span bytes)
{
	struct auth_answer got;
	(void)context;
	(void)worker;
	(void)request;

	if (keys_get_answer(bytes, &got) != 0)
		abort();
	answers++;
}

static void same(struct buf *written, struct span read)
{
	if (!buf_ok(written) || !span_equal(buf_span(written), read))
		abort();
	buf_done(written);
}

static void each_alone(struct span in)
{
	struct auth_query query;
	struct auth_answer reply;
	struct keys_sign sign;
	struct keys_signed done;
	struct buf buf;

	buf_init(&buf, 65536);
	if (keys_get_query(in, &query) == 0) {
		keys_put_query(&buf, &query);
		same(&buf, in);
	}
	buf_init(&buf, 65536);
	if (keys_get_answer(in, &reply) == 0) {
		keys_put_answer(&buf, &reply);
		same(&buf, in);
	}
	buf_init(&buf, 65536);
	struct cursor questions = cursor_of(in), signatures = questions;

	while (cursor_left(&questions) && keys_get_sign(&questions, &sign) == 0)
		keys_put_sign(&buf, &sign);
	same(&buf, span_of(in.p, buf.n));
	while (cursor_left(&signatures) && keys_get_signed(&signatures, &done) == 0) {
		if (done.signature.n > TLS_SIGN_OUT)
			abort();
	}
}

static struct secrets *accounts(void)
{
	/* A hash that costs nothing to try. */
	static const struct secret list[] = {
		{SPAN("joe@c.example"), SPAN("crypt:$1$salt$LRHUjOhpqkM2G2jV.DPQa/")}};
	struct secrets *secrets;
	int memfd;

	if (secrets_make_memfd(list, 1, &memfd) != 0 || secrets_open(memfd, &secrets) != 0)
		abort();
	return secrets;
}

static void one_after_the_other(struct span input)
{
	static const struct io_ops ops = {.submit = submit};
	struct cursor in = cursor_of(input);
	struct io io = {.now_ns = NS_PER_S};
	struct keys *keys;
	unsigned asked = 0;

	io.ops = &ops;
	const struct keys_config config = {.io = &io, .enabled = enabled, .answer = answer};
	answers = 0;
	if (keys_new(&config, &keys) != 0)
		abort();
	if (keys_set_accounts(keys, accounts()) != 0)
		abort();
	while (cursor_left(&in)) {
		uint8_t worker = cursor_u8(&in) % 4;
		struct span query = cursor_bytes16(&in);
		if (!cursor_ok(&in))
			break;
		keys_ask(keys, worker, asked++, query);
		io.now_ns += NS_PER_S * (worker * worker);
		for (struct io_job *now = job; worker && now; now = job) {
			job = NULL;
			now->run(now);
			now->done(now);
		}
	}
	for (struct io_job *now = job; now; now = job) {
		job = NULL;
		now->run(now);
		now->done(now);
	}
	if (answers != asked || !keys_idle(keys))
		abort();
	keys_free(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	each_alone(span_of(data, size));
	one_after_the_other(span_of(data, size));
	return 0;
}
