#include "keys/link.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "keys/keys.h"
#include "keys/message.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define QUERY_BYTES (128 + AUTH_USER + AUTH_PASSWORD + KEYS_AUTH_MESSAGE)

struct link_question {
	struct auth_question base; /* first */
	struct list node;
	struct keys_link *link;
	uint32_t request;
	auth_done *done;
	void *owner;
	struct timer timer;
};

struct keys_link {
	struct auth base; /* first */
	struct keys_link_config config;
	struct list questions;
	size_t count;
	uint32_t request; /* the last one */
};

static void forget(struct link_question *q)
{
	io_timer_stop(q->link->config.io, &q->timer);
	list_remove(&q->node);
	q->link->count--;
	free(q);
}

static void end(struct link_question *q, const struct auth_answer *answer)
{
	auth_done *done = q->done;
	void *owner = q->owner;

	forget(q);
	done(owner, answer);
}

static void late(struct timer *timer)
{
	end(CONTAINER_OF(timer, struct link_question, timer),
		&(struct auth_answer){.result = AUTH_BROKEN});
}

static int send_query(struct keys_link *link, uint32_t request, const struct auth_query *query)
{
	char memory[QUERY_BYTES];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	keys_put_query(&buf, query);
	int err = buf_ok(&buf) ? link->config.send(link->config.context, request, buf_span(&buf))
			       : ERR_LIMIT;
	OPENSSL_cleanse(memory, sizeof(memory));
	return err;
}

static int ask(struct auth *auth, const struct auth_query *query, auth_done *done, void *owner,
	struct auth_question **out)
{
	struct keys_link *link = CONTAINER_OF(auth, struct keys_link, base);

	if (link->count == KEYS_QUESTIONS)
		return ERR_LIMIT;
	struct link_question *q = calloc(1, sizeof(*q));
	if (!q)
		return ERR_NOMEM;
	*q = (struct link_question){.base.auth = auth,
		.link = link,
		.request = ++link->request,
		.done = done,
		.owner = owner,
		.timer.fire = late};
	list_push_back(&link->questions, &q->node);
	link->count++;
	int err = io_timer_after(link->config.io, &q->timer, AUTH_ASK_MS);
	if (err == 0)
		err = send_query(link, q->request, query);
	if (err)
		forget(q);
	else
		*out = &q->base;
	return err;
}

static void cancel(struct auth_question **question)
{
	struct link_question *q = CONTAINER_OF(*question, struct link_question, base);

	*question = NULL;
	forget(q);
}

int keys_link_new(const struct keys_link_config *config, struct keys_link **out)
{
	static const struct auth_ops ops = {ask, cancel};
	struct keys_link *link = calloc(1, sizeof(*link));

	if (!link)
		return ERR_NOMEM;
	link->base.ops = &ops;
	link->config = *config;
	list_init(&link->questions);
	*out = link;
	return 0;
}

void keys_link_free(struct keys_link **at)
{
	struct keys_link *link = *at;

	if (!link)
		return;
	LIST_FOR_EACH(node, &link->questions)
	forget(CONTAINER_OF(node, struct link_question, node));
	free(link);
	*at = NULL;
}

struct auth *keys_link_auth(struct keys_link *link)
{
	return &link->base;
}

void keys_link_answer(struct keys_link *link, uint32_t request, struct span bytes)
{
	struct auth_answer answer;

	LIST_FOR_EACH(node, &link->questions)
	{
		struct link_question *q = CONTAINER_OF(node, struct link_question, node);

		if (q->request != request)
			continue;
		if (keys_get_answer(bytes, &answer) != 0)
			answer = (struct auth_answer){.result = AUTH_BROKEN};
		end(q, &answer);
		return;
	}
}

/* The first, if it was asked up to then; out of the list. */
static struct link_question *take_asked(struct keys_link *link, uint32_t last)
{
	struct link_question *q = LIST_FIRST(&link->questions, struct link_question, node);

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is out of the list */
	if (!q || (int32_t)(last - q->request) < 0)
		return NULL;
	list_remove(&q->node);
	return q;
}

void keys_link_lost(struct keys_link *link)
{
	struct link_question *q;
	uint32_t last = link->request;

	/* Whoever hears of it may ask anew, or cancel another one. */
	while ((q = take_asked(link, last)))
		end(q, &(struct auth_answer){.result = AUTH_BROKEN});
}
