#include "base/err.h"
#include "io/dns_context.h"

#include <stdlib.h>

/* ---- flights ---------------------------------------------------------------------------- */

static struct list *bucket_of(
	struct unbound *all, const struct context *context, struct span name, enum dns_type type)
{
	uint64_t hash = 14695981039346656037u ^ (uint64_t)(uintptr_t)context ^ (uint64_t)type;

	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (unsigned char)name.p[i]) * 1099511628211u;
	return &all->buckets[(hash ^ hash >> 32) % DNS_BUCKETS];
}

static struct flight *find_flight(
	struct context *context, struct span name, enum dns_type type, struct list *bucket)
{
	LIST_FOR_EACH(node, bucket)
	{
		struct flight *f = CONTAINER_OF(node, struct flight, bucket);

		if (f->context == context && f->type == type &&
			span_equal(span_of(f->name, f->name_length), name))
			return f;
	}
	return NULL;
}

static int flight_join(
	struct context *context, struct span name, enum dns_type type, struct flight **out)
{
	struct list *bucket = bucket_of(context->all, context, name, type);
	struct flight *flight = find_flight(context, name, type, bucket);

	if (!flight) {
		flight = calloc(1, sizeof(*flight));
		if (!flight)
			return ERR_NOMEM;
		flight->context = context;
		flight->type = type;
		flight->name_length = name.n;
		memcpy(flight->name, name.p, name.n);
		list_init(&flight->askers);
		list_push_back(bucket, &flight->bucket);
		list_push_back(&context->waiting, &flight->queue);
	}
	*out = flight;
	return 0;
}

static void flight_free(struct flight *flight)
{
	look_end(flight);
	list_remove(&flight->bucket);
	list_remove(&flight->queue);
	if (flight->begun) {
		flight->engine->open--;
		if (--flight->context->open == 0)
			probe_stop(flight->context);
	}
	free(flight);
}

/* Nobody waits for it any more. */
static void flight_abandon(struct flight *flight)
{
	struct context *context = flight->context;

	if (flight->begun && !flight->answered)
		ub_cancel(flight->engine->ub, flight->async_id);
	flight_free(flight);
	context_touch(context);
}

/* ---- questions -------------------------------------------------------------------------- */

/* The timer is left where it is when the oldest question goes: waking once in a timeout for nothing
 * is cheaper than moving it with every answer. */
static void rearm(struct unbound *all)
{
	struct question *oldest = LIST_FIRST(&all->questions, struct question, age);

	if (!oldest)
		timers_disarm(&all->loop->io.timers, &all->timer);
	else if (!timer_armed(&all->timer))
		/* It was armed a moment ago, so there is room for it. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the freed one is unlinked */
		(void)timers_arm(&all->loop->io.timers, &all->timer, oldest->deadline_ns);
}

int question_new(struct context *context, struct span name, enum dns_type type, dns_done *done,
	void *owner, struct question **out)
{
	struct unbound *all = context->all;
	struct question *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return ERR_NOMEM;
	q->base.dns = &all->base;
	q->done = done;
	q->owner = owner;
	q->deadline_ns = all->loop->io.now_ns + all->timeout_ms * NS_PER_MS;
	err = timer_armed(&all->timer)
		      ? 0
		      : timers_arm(&all->loop->io.timers, &all->timer, q->deadline_ns);
	if (err == 0)
		err = flight_join(context, name, type, &q->flight);
	if (err) {
		free(q);
		rearm(all);
		return err;
	}
	list_push_back(&q->flight->askers, &q->node);
	list_push_back(&all->questions, &q->age);
	context_touch(context);
	*out = q;
	return 0;
}

static void question_unlink(struct question *q)
{
	list_remove(&q->node);
	list_remove(&q->age);
}

void question_cancel(struct dns_question **question)
{
	struct question *q = CONTAINER_OF(*question, struct question, base);
	struct flight *flight = q->flight;
	struct unbound *all = flight->context->all;

	*question = NULL;
	question_unlink(q);
	free(q);
	/* A flight that is being answered has left its bucket and goes by itself. */
	if (list_empty(&flight->askers) && !list_empty(&flight->bucket))
		flight_abandon(flight);
	rearm(all);
}

void flight_finish(struct flight *flight, const struct dns_answer *answer)
{
	struct unbound *all = flight->context->all;

	list_remove(&flight->bucket);
	list_remove(&flight->queue);
	/* Whoever is told may cancel others of the list: always the first that is left. */
	while (!list_empty(&flight->askers)) {
		struct question *q = LIST_FIRST(&flight->askers, struct question, node);
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is unlinked */
		dns_done *done = q->done;
		void *owner = q->owner;

		question_unlink(q);
		free(q);
		done(owner, answer);
	}
	flight_free(flight);
	rearm(all);
}

void flight_fail(struct flight *flight, const char *reason)
{
	struct dns_answer answer = {
		.status = DNS_TEMPORARY, .ttl_s = DNS_TTL_LEAST, .reason = span_str(reason)};

	flight_finish(flight, &answer);
}

void flights_fail(struct context *context, const char *reason)
{
	struct unbound *all = context->all;
	struct list failing;

	/* First all of them out of where they are found: who is told of one may ask anew. */
	list_init(&failing);
	for (size_t i = 0; i < DNS_BUCKETS; i++) {
		LIST_FOR_EACH(node, &all->buckets[i])
		{
			struct flight *flight = CONTAINER_OF(node, struct flight, bucket);

			if (flight->context != context)
				continue;
			if (flight->begun && !flight->answered)
				ub_cancel(flight->engine->ub, flight->async_id);
			list_remove(&flight->bucket);
			list_remove(&flight->queue);
			list_push_back(&failing, &flight->queue);
		}
	}
	while (!list_empty(&failing))
		flight_fail(LIST_FIRST(&failing, struct flight, queue), reason);
	context_touch(context);
}

/* All questions wait equally long, so the oldest is the first whose time is over. */
void questions_time_out(struct timer *timer)
{
	struct unbound *all = CONTAINER_OF(timer, struct unbound, timer);
	struct dns_answer answer = {.status = DNS_TEMPORARY,
		.ttl_s = DNS_TTL_LEAST,
		.reason = SPAN("the DNS servers do not answer in time")};

	for (;;) {
		struct question *q = LIST_FIRST(&all->questions, struct question, age);
		struct dns_question *base;
		dns_done *done;
		void *owner;

		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is unlinked */
		if (!q || q->deadline_ns > all->loop->io.now_ns)
			break;
		done = q->done;
		owner = q->owner;
		base = &q->base;
		question_cancel(&base);
		done(owner, &answer);
	}
	rearm(all);
}
