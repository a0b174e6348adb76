#include "io/dns_unbound.h"

#include "base/err.h"
#include "io/dns_context.h"

#include <stdlib.h>

#define SERVERS_KEPT_S 60 /* a list of servers by name is kept this long at least */

/* ---- contexts --------------------------------------------------------------------------- */

/* No new question reaches it, and it goes when it is idle. */
static void context_retire(struct context *context)
{
	context->stale = true;
	list_remove(&context->node);
	list_push_back(&context->all->stale, &context->node);
	context->all->context_count--;
	context_touch(context);
}

/*
 * What the turn left to do. Questions are begun here and not in dns_ask(), so that a failure is
 * told from the loop, and contexts are freed here, when their answers are surely not being taken.
 */
static void end_of_turn(struct io_turn *turn)
{
	struct unbound *all = CONTAINER_OF(turn, struct unbound, turn);

	while (!list_empty(&all->pending)) {
		struct context *context = LIST_FIRST(&all->pending, struct context, pending);

		list_remove(&context->pending);
		context_begin(context);
	}
	LIST_FOR_EACH(node, &all->stale)
	{
		struct context *context = CONTAINER_OF(node, struct context, node);

		if (context_idle(context))
			context_free(context);
	}
}

static void fail_waiting(struct context *context, const char *reason)
{
	while (!list_empty(&context->waiting))
		flight_fail(LIST_FIRST(&context->waiting, struct flight, queue), reason);
}

/* All names of servers are known, or known not to be. */
static void names_resolved(struct context *context)
{
	if (!context->address_count) {
		context_retire(context);
		fail_waiting(context, "the DNS servers of query= have no address");
	} else {
		context->state = CONTEXT_READY;
	}
	context_touch(context);
}

static void server_found(void *owner, const struct dns_answer *answer)
{
	struct resolve *resolve = owner;
	struct context *context = resolve->context;
	uint64_t ttl_s = MAX(answer->ttl_s, (uint32_t)SERVERS_KEPT_S);

	context->asks[resolve->slot] = NULL;
	context->asks_open--;
	if (answer->status == DNS_OK)
		context->expires_ns =
			MIN(context->expires_ns, context->all->loop->io.now_ns + ttl_s * NS_PER_S);
	for (uint32_t i = 0; answer->status == DNS_OK && i < answer->count; i++) {
		if (context->address_count == DNS_SERVER_ADDRESSES)
			break;
		context->addresses[context->address_count] = answer->addresses[i];
		context->addresses[context->address_count++].port = resolve->port;
	}
	if (!context->asks_open)
		names_resolved(context);
}

static int resolve_name(struct context *context, const struct dns_server *server)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t slot = context->asks_open;
		int err;

		context->resolves[slot] = (struct resolve){context, slot, server->port};
		err = dns_ask(&context->all->base, SPAN_NONE, server->name, types[i], server_found,
			&context->resolves[slot], &context->asks[slot]);
		if (err < 0)
			return err;
		context->asks_open++;
		context->by_name = true;
	}
	return 0;
}

static int open_list(struct context *context)
{
	struct dns_server servers[DNS_SERVERS];
	uint32_t count;
	int err = dns_servers_parse(context->key, servers, &count);

	context->expires_ns = UINT64_MAX;
	for (uint32_t i = 0; err == 0 && i < count; i++) {
		if (servers[i].address.family == NETADDR_NONE)
			err = resolve_name(context, &servers[i]);
		else
			context->addresses[context->address_count++] = servers[i].address;
	}
	if (err == 0 && !context->by_name)
		context->state = CONTEXT_READY;
	return err == ERR_LIMIT ? ERR_SYNTAX : err;
}

/* Makes room by giving up the list that was unused for the longest time. */
static int make_room(struct unbound *all)
{
	if (all->context_count < DNS_CONTEXTS)
		return 0;
	for (struct list *node = all->contexts.prev; node != &all->contexts; node = node->prev) {
		struct context *context = CONTAINER_OF(node, struct context, node);

		if (!context_idle(context))
			continue;
		context_retire(context);
		return 0;
	}
	return ERR_NOMEM;
}

static struct context *find_context(struct unbound *all, struct span servers)
{
	LIST_FOR_EACH(node, &all->contexts)
	{
		struct context *context = CONTAINER_OF(node, struct context, node);

		if (!span_equal(context->key, servers))
			continue;
		if (context->state == CONTEXT_READY &&
			context->expires_ns <= all->loop->io.now_ns) {
			context_retire(context);
			return NULL;
		}
		list_remove(&context->node);
		list_push_front(&all->contexts, &context->node);
		return context;
	}
	return NULL;
}

static int context_for(struct unbound *all, struct span servers, struct context **out)
{
	struct context *context;
	int err;

	if (!servers.n) {
		*out = all->system;
		return 0;
	}
	context = find_context(all, servers);
	if (!context) {
		err = make_room(all);
		if (err == 0)
			err = context_new(all, servers, &context);
		if (err)
			return err;
		err = open_list(context);
		if (err) {
			context_free(context);
			return err;
		}
		list_push_front(&all->contexts, &context->node);
		all->context_count++;
	}
	*out = context;
	return 0;
}

/* ---- the table of operations ------------------------------------------------------------ */

static int unbound_ask(struct dns *dns, struct span servers, struct span name, enum dns_type type,
	dns_done *done, void *owner, struct dns_question **out)
{
	struct unbound *all = unbound_of(dns);
	char normal[DNS_NAME + 1];
	size_t n;
	struct context *context;
	struct question *q;
	int err = dns_name_normal(name, normal, &n);

	if (err)
		return err;
	err = context_for(all, servers, &context);
	if (err)
		return err;
	err = question_new(context, span_of(normal, n), type, done, owner, &q);
	if (err)
		return err;
	*out = &q->base;
	return 0;
}

static const struct dns_ops unbound_ops = {.ask = unbound_ask, .cancel = question_cancel};

int dns_unbound_new(struct loop *loop, const struct dns_unbound_options *options, struct dns **out)
{
	struct unbound *all = calloc(1, sizeof(*all));
	struct dns *dns;
	int err;

	if (!all)
		return ERR_NOMEM;
	all->base.ops = &unbound_ops;
	all->loop = loop;
	all->timeout_ms = options->timeout_ms;
	all->log = options->log;
	all->timer.fire = questions_time_out;
	all->turn.end = end_of_turn;
	list_init(&all->contexts);
	list_init(&all->stale);
	list_init(&all->pending);
	list_init(&all->questions);
	for (size_t i = 0; i < DNS_BUCKETS; i++)
		list_init(&all->buckets[i]);
	dns_anchors_init(&all->anchors);
	err = anchors_open(all, options);
	if (err == 0)
		err = system_open(all, options);
	dns = &all->base;
	if (err < 0) {
		dns_unbound_free(&dns);
		return err;
	}
	*out = dns;
	return 0;
}

static void drop_questions(struct unbound *all)
{
	LIST_FOR_EACH(node, &all->questions)
	free(CONTAINER_OF(node, struct question, age));
	list_init(&all->questions);
	for (size_t i = 0; i < DNS_BUCKETS; i++)
		LIST_FOR_EACH(node, &all->buckets[i])
		{
			struct flight *flight = CONTAINER_OF(node, struct flight, bucket);

			look_end(flight);
			free(flight);
		}
}

void dns_unbound_free(struct dns **dns)
{
	struct unbound *all;

	if (!*dns)
		return;
	all = unbound_of(*dns);
	*dns = NULL;
	CHECK(!all->processing);
	/* Server names first: they are questions to the system's context. */
	LIST_FOR_EACH(node, &all->contexts)
	context_cancel_asks(CONTAINER_OF(node, struct context, node));
	drop_questions(all);
	LIST_FOR_EACH(node, &all->contexts)
	context_free(CONTAINER_OF(node, struct context, node));
	LIST_FOR_EACH(node, &all->stale)
	context_free(CONTAINER_OF(node, struct context, node));
	if (all->system)
		context_free(all->system);
	/* Last, since cancelling the above made work for it. */
	timers_disarm(&all->loop->io.timers, &all->timer);
	io_turn_forget(&all->loop->io, &all->turn);
	dns_anchors_done(&all->anchors);
	free(all);
}
