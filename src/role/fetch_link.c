#include "role/fetch_link.h"

#include "base/check.h"
#include "base/err.h"
#include "role/fetch_message.h"

#include <stdlib.h>

#define QUERY_BYTES (FETCH_SEND + 16384)

struct question {
	struct fetch_question base; /* first */
	struct list node;
	struct fetch_link *link;
	uint32_t request;
	struct timer timer;
	fetch_done *done;
	void *owner;
};

static struct fetch_link *link_of(struct fetch *fetch)
{
	return CONTAINER_OF(fetch, struct fetch_link, base);
}

static void question_free(struct question *question)
{
	io_timer_stop(question->link->io, &question->timer);
	list_remove(&question->node);
	question->link->count--;
	free(question);
}

static void end(struct question *question, const struct fetch_answer *answer)
{
	/* There is one, and the one before is out of the list.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc,clang-analyzer-core.NullDereference) */
	fetch_done *done = question->done;
	void *owner = question->owner;

	question_free(question);
	done(owner, answer);
}

static void no_answer(struct question *question, const char *detail)
{
	const struct fetch_answer broken = {.result = FETCH_BROKEN, .detail = span_str(detail)};

	end(question, &broken);
}

static void too_late(struct timer *timer)
{
	struct question *question = CONTAINER_OF(timer, struct question, timer);

	(void)question->link->send(question->link->context, question->request, SPAN_NONE);
	no_answer(question, "nobody answered in time");
}

static int send_query(struct fetch_link *link, uint32_t request, const struct fetch_query *query)
{
	struct buf bytes;

	buf_init(&bytes, QUERY_BYTES);
	fetch_put_query(&bytes, query);
	int err = buf_ok(&bytes) ? link->send(link->context, request, buf_span(&bytes)) : ERR_NOMEM;
	buf_done(&bytes);
	return err;
}

static int ask(struct fetch *fetch, const struct fetch_query *query, fetch_done *done, void *owner,
	struct fetch_question **out)
{
	struct fetch_link *link = link_of(fetch);

	if (link->count == FETCH_LINK_QUESTIONS || query->body.n > FETCH_SEND ||
		query->address_count > FETCH_ADDRESSES)
		return ERR_LIMIT;
	struct question *question = calloc(1, sizeof(*question));
	if (!question)
		return ERR_NOMEM;
	if (++link->request == 0)
		link->request = 1;
	*question = (struct question){.base.fetch = fetch,
		.link = link,
		.request = link->request,
		.timer.fire = too_late,
		.done = done,
		.owner = owner};
	list_push_back(&link->open, &question->node);
	link->count++;
	int err = io_timer_after(link->io, &question->timer, FETCH_ASK_MS);
	if (!err)
		err = send_query(link, question->request, query);
	if (err) {
		question_free(question);
		return err;
	}
	*out = &question->base;
	return 0;
}

static void cancel(struct fetch_question **at)
{
	struct question *question = (struct question *)(void *)*at;

	*at = NULL;
	(void)question->link->send(question->link->context, question->request, SPAN_NONE);
	question_free(question);
}

static const struct fetch_ops ops = {ask, cancel};

void fetch_link_init(struct fetch_link *link, struct io *io, void *context,
	int (*send)(void *context, uint32_t request, struct span query))
{
	*link = (struct fetch_link){.base.ops = &ops, .io = io, .context = context, .send = send};
	list_init(&link->open);
}

void fetch_link_answer(struct fetch_link *link, uint32_t request, struct span bytes)
{
	LIST_FOR_EACH(node, &link->open)
	{
		struct question *question = CONTAINER_OF(node, struct question, node);
		struct fetch_answer answer;

		if (question->request != request)
			continue;
		if (fetch_get_answer(bytes, &answer) == 0)
			end(question, &answer);
		else
			no_answer(question, "the answer cannot be read");
		return;
	}
}

void fetch_link_lost(struct fetch_link *link)
{
	uint32_t most = link->count;

	/* Whoever hears of it may ask anew. */
	while (most-- && !list_empty(&link->open))
		no_answer(LIST_FIRST(&link->open, struct question, node), "nobody answers");
}
