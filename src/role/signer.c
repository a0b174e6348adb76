#include "role/signer.h"

#include "base/check.h"
#include "base/err.h"
#include "keys/message.h"

#include <unistd.h>

static struct io *io_of(const struct signer *s)
{
	return loop_io(s->loop);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void end(struct tls_signing *signing, int err, struct span signature)
{
	list_remove(&signing->place);
	signing->done(signing, err, signature);
}

static struct tls_signing *first_of(const struct list *signings)
{
	return LIST_FIRST(signings, struct tls_signing, place);
}

static void end_all(struct list *signings, int err)
{
	struct tls_signing *first;

	while ((first = first_of(signings)))
		end(first, err, SPAN_NONE);
}

/* It looks again when the next one is due, if only one of this turn, which is not sent yet.
 * Answers, which come much sooner, leave the timer alone. */
static void fire(struct timer *timer)
{
	struct signer *s = CONTAINER_OF(timer, struct signer, timer);
	struct tls_signing *next;

	while ((next = first_of(&s->sent)) && next->until_ns <= io_of(s)->now_ns)
		end(next, ERR_TIMEOUT, SPAN_NONE);
	if (!next)
		next = first_of(&s->asked);
	/* One that was asked within end() has armed it. */
	if (next && !timer_armed(timer))
		CHECK(timers_arm(&io_of(s)->timers, timer, next->until_ns) == 0);
}

void signer_close(struct signer *s)
{
	io_channel_close(&s->channel);
	io_turn_forget(io_of(s), &s->turn);
	io_timer_stop(io_of(s), &s->timer);
	end_all(&s->sent, ERR_IO);
	end_all(&s->asked, ERR_IO);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* They come in the order of the questions. */
static struct tls_signing *find(const struct signer *s, uint32_t serial)
{
	LIST_FOR_EACH(node, &s->sent)
	{
		struct tls_signing *signing = CONTAINER_OF(node, struct tls_signing, place);
		if (signing->serial == serial)
			return signing;
	}
	return NULL;
}

static void answered(void *owner, struct span bytes, const int *fds, size_t fd_count)
{
	struct cursor in = cursor_of(bytes);
	struct signer *s = owner;
	struct keys_signed answer;

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	while (cursor_left(&in)) {
		if (keys_get_signed(&in, &answer) != 0) {
			signer_close(s);
			return;
		}
		struct tls_signing *signing = find(s, answer.serial);
		if (signing)
			end(signing, answer.done ? 0 : ERR_DENIED, answer.signature);
	}
}

static void writable(void *owner)
{
	(void)owner;
}

static void gone(void *owner)
{
	signer_close(owner);
}

static const struct io_channel_handler handler = {answered, writable, gone};

/* ---- questions ------------------------------------------------------------------------------ */

/* Up to KEYS_SIGN_TOGETHER of them. */
static int send_some(struct signer *s)
{
	char memory[KEYS_SIGN_BYTES];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct tls_signing *first;
	struct list some;

	list_init(&some);
	for (size_t i = 0; i < KEYS_SIGN_TOGETHER && (first = first_of(&s->asked)); i++) {
		const struct keys_sign question = {.serial = first->serial,
			.key = first->key,
			.until_ns = first->until_ns,
			.kind = first->kind,
			.hash = first->hash,
			.in = first->in};
		keys_put_sign(&buf, &question);
		list_remove(&first->place);
		list_push_back(&some, &first->place);
	}
	int err = io_channel_send(s->channel, buf_span(&buf), NULL, 0);
	/* It is full: nobody has read for long. */
	if (err == ERR_AGAIN) {
		end_all(&some, ERR_TIMEOUT);
		return 0;
	}
	while ((first = first_of(&some))) {
		list_remove(&first->place);
		list_push_back(&s->sent, &first->place);
	}
	return err;
}

static void send_asked(struct io_turn *turn)
{
	struct signer *s = CONTAINER_OF(turn, struct signer, turn);
	int err = 0;

	while (err == 0 && s->channel && !list_empty(&s->asked))
		err = send_some(s);
	if (err)
		signer_close(s);
}

static int ask(struct tls_signer *base, struct tls_signing *signing)
{
	struct signer *s = CONTAINER_OF(base, struct signer, base);

	if (!s->channel)
		return ERR_IO;
	if (signing->in.n > TLS_SIGN_MESSAGE)
		return ERR_DENIED;
	if (!timer_armed(&s->timer) && io_timer_after(io_of(s), &s->timer, SIGNER_MS) != 0)
		return ERR_NOMEM;
	signing->serial = ++s->serial;
	signing->until_ns = io_of(s)->now_ns + SIGNER_MS * NS_PER_MS;
	list_push_back(&s->asked, &signing->place);
	io_turn_end(io_of(s), &s->turn);
	return 0;
}

static void forget(struct tls_signer *base, struct tls_signing *signing)
{
	(void)base;
	list_remove(&signing->place);
}

void signer_init(struct signer *s, struct loop *loop)
{
	*s = (struct signer){
		.base = {ask, forget}, .loop = loop, .turn.end = send_asked, .timer.fire = fire};
	list_init(&s->asked);
	list_init(&s->sent);
}

int signer_open(struct signer *s, int fd)
{
	signer_close(s);
	return loop_channel(s->loop, fd, &handler, s, &s->channel);
}
