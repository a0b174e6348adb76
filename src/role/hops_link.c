#include "role/hops_link.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "role/hops_message.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS	    256
#define QUERY_BYTES (8 + HOPS_TRANSPORT + HOPS_DOMAIN)

/* What is known, or being asked, of one destination. */
struct hop {
	struct list node;  /* in its bucket */
	struct list order; /* of the link: the one used last is first */
	struct list questions;
	struct timer timer; /* asked: answered by then; known: somebody is to be told */
	struct hops_link *link;
	uint32_t request; /* 0: it is known, or will not be */
	bool stale;	  /* found by nobody any more */
	bool held;	  /* those who asked are being told */
	bool known;
	uint64_t until_ns;
	uint32_t count;
	struct netaddr *addresses;
	size_t transport_bytes, key_bytes;
	char key[HOPS_TRANSPORT + HOPS_DOMAIN];
};

struct hop_question {
	struct hops_question base; /* first */
	struct list node;
	struct hop *hop;
	hops_done *done;
	void *owner;
};

struct hops_link {
	struct hops base; /* first */
	struct hops_link_config config;
	struct list buckets[BUCKETS];
	struct list order;
	size_t kept, open; /* hops, questions */
	uint32_t request;  /* the last one */
};

/* ---- what is kept --------------------------------------------------------------------------- */

static struct list *bucket_of(struct hops_link *link, struct span key)
{
	uint32_t hash = 2166136261u;

	/* FNV-1a: whoever can fill one bucket costs a walk along what is kept, no more. */
	for (size_t i = 0; i < key.n; i++)
		hash = (hash ^ (uint8_t)key.p[i]) * 16777619u;
	return &link->buckets[hash % BUCKETS];
}

static struct hop *find(struct hops_link *link, struct span key, size_t transport_bytes)
{
	LIST_FOR_EACH(node, bucket_of(link, key))
	{
		struct hop *hop = CONTAINER_OF(node, struct hop, node);
		if (!hop->stale && hop->transport_bytes == transport_bytes &&
			span_equal(span_of(hop->key, hop->key_bytes), key))
			return hop;
	}
	return NULL;
}

static bool is_free(const struct hop *hop)
{
	return !hop->held && list_empty(&hop->questions);
}

static void drop(struct hop *hop)
{
	io_timer_stop(hop->link->config.io, &hop->timer);
	list_remove(&hop->node);
	list_remove(&hop->order);
	hop->link->kept--;
	free(hop->addresses);
	free(hop);
}

static void drop_if_stale(struct hop *hop)
{
	if (hop->stale && is_free(hop))
		drop(hop);
}

/* The one used longest ago that nobody waits for. */
static bool make_room(struct hops_link *link)
{
	if (link->kept < HOPS_LINK_KEPT)
		return true;
	for (struct list *at = link->order.prev; at != &link->order; at = at->prev) {
		struct hop *hop = CONTAINER_OF(at, struct hop, order);
		if (!is_free(hop))
			continue;
		drop(hop);
		return true;
	}
	return false;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void forget(struct hop_question *q, struct hops_link *link)
{
	list_remove(&q->node);
	link->open--;
	free(q);
}

/* All that wait for it. Whoever hears of it may cancel another one, or ask anew. */
static void tell(struct hop *hop)
{
	const struct hops_answer answer = {hop->known, hop->addresses, hop->count};
	struct hop_question *q;
	struct list waiting;

	io_timer_stop(hop->link->config.io, &hop->timer);
	hop->request = 0;
	hop->held = true;
	list_init(&waiting);
	LIST_FOR_EACH(node, &hop->questions)
	{
		list_remove(node);
		list_push_back(&waiting, node);
	}
	while ((q = LIST_FIRST(&waiting, struct hop_question, node))) {
		hops_done *done = q->done;
		void *owner = q->owner;
		forget(q, hop->link);
		done(owner, &answer);
	}
	hop->held = false;
	drop_if_stale(hop);
}

static void fail(struct hop *hop)
{
	hop->known = false;
	hop->stale = true;
	tell(hop);
}

static void due(struct timer *timer)
{
	struct hop *hop = CONTAINER_OF(timer, struct hop, timer);

	if (hop->known)
		tell(hop);
	else
		fail(hop);
}

static bool keep(struct hop *hop, const struct hops_reply *reply)
{
	uint64_t ttl_s = MIN(reply->ttl_s, HOPS_LINK_TTL_MOST);

	if (reply->count) {
		hop->addresses = malloc(reply->count * sizeof(*hop->addresses));
		if (!hop->addresses)
			return false;
		memcpy(hop->addresses, reply->addresses, reply->count * sizeof(*hop->addresses));
	}
	hop->count = reply->count;
	hop->known = true;
	hop->until_ns = hop->link->config.io->now_ns + ttl_s * NS_PER_S;
	return true;
}

void hops_link_answer(struct hops_link *link, uint32_t request, struct span bytes)
{
	struct hops_reply reply;

	LIST_FOR_EACH(node, &link->order)
	{
		struct hop *hop = CONTAINER_OF(node, struct hop, order);
		if (!request || hop->request != request)
			continue;
		if (hops_get_reply(bytes, &reply) == 0 && reply.known && keep(hop, &reply))
			tell(hop);
		else
			fail(hop);
		return;
	}
}

/* One that was asked up to then; NULL: there is none. */
static struct hop *find_asked(struct hops_link *link, uint32_t last)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what failed is out of the list */
	LIST_FOR_EACH(node, &link->order)
	{
		struct hop *hop = CONTAINER_OF(node, struct hop, order);
		if (hop->request && (int32_t)(last - hop->request) >= 0)
			return hop;
	}
	return NULL;
}

void hops_link_lost(struct hops_link *link)
{
	uint32_t last = link->request;
	struct hop *hop;

	while ((hop = find_asked(link, last)))
		fail(hop);
}

void hops_link_forget(struct hops_link *link)
{
	LIST_FOR_EACH(node, &link->order)
	{
		struct hop *hop = CONTAINER_OF(node, struct hop, order);
		hop->stale = true;
		drop_if_stale(hop);
	}
}

/* ---- questions ------------------------------------------------------------------------------ */

static int send_query(struct hop *hop)
{
	struct hops_link *link = hop->link;
	char memory[QUERY_BYTES];
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	if (++link->request == 0)
		link->request = 1;
	hop->request = link->request;
	hops_put_query(&buf, span_of(hop->key, hop->transport_bytes),
		span_of(hop->key + hop->transport_bytes, hop->key_bytes - hop->transport_bytes));
	int err = io_timer_after(link->config.io, &hop->timer, HOPS_ASK_MS);
	return err ? err : link->config.send(link->config.context, hop->request, buf_span(&buf));
}

static int make_hop(
	struct hops_link *link, struct span key, size_t transport_bytes, struct hop **out)
{
	struct hop *hop = make_room(link) ? calloc(1, sizeof(*hop)) : NULL;

	if (!hop)
		return ERR_NOMEM;
	hop->link = link;
	hop->timer.fire = due;
	hop->transport_bytes = transport_bytes;
	hop->key_bytes = key.n;
	memcpy(hop->key, key.p, key.n);
	list_init(&hop->questions);
	list_push_front(bucket_of(link, key), &hop->node);
	list_push_front(&link->order, &hop->order);
	link->kept++;
	int err = send_query(hop);
	if (err) {
		drop(hop);
		return err;
	}
	*out = hop;
	return 0;
}

/* Known, or being asked. */
static int find_or_ask(
	struct hops_link *link, struct span key, size_t transport_bytes, struct hop **out)
{
	struct hop *hop = find(link, key, transport_bytes);

	if (hop && hop->known && link->config.io->now_ns >= hop->until_ns) {
		hop->stale = true;
		drop_if_stale(hop);
		hop = NULL;
	}
	if (!hop)
		return make_hop(link, key, transport_bytes, out);
	/* Never inside the question. */
	int err = hop->known ? io_timer_after(link->config.io, &hop->timer, 0) : 0;
	if (err)
		return err;
	list_remove(&hop->order);
	list_push_front(&link->order, &hop->order);
	*out = hop;
	return 0;
}

static int ask(struct hops *base, struct span transport, struct span domain, hops_done *done,
	void *owner, struct hops_question **out)
{
	struct hops_link *link = CONTAINER_OF(base, struct hops_link, base);
	char text[HOPS_TRANSPORT + HOPS_DOMAIN];
	struct hop *hop = NULL;

	if (link->open == HOPS_LINK_QUESTIONS || !transport.n || transport.n > HOPS_TRANSPORT ||
		domain.n > HOPS_DOMAIN)
		return ERR_LIMIT;
	memcpy(text, transport.p, transport.n);
	if (domain.n)
		memcpy(text + transport.n, domain.p, domain.n);
	struct hop_question *q = calloc(1, sizeof(*q));
	if (!q)
		return ERR_NOMEM;
	int err = find_or_ask(link, span_of(text, transport.n + domain.n), transport.n, &hop);
	if (err) {
		free(q);
		return err;
	}
	*q = (struct hop_question){.base.hops = base, .hop = hop, .done = done, .owner = owner};
	list_push_back(&hop->questions, &q->node);
	link->open++;
	*out = &q->base;
	return 0;
}

static void cancel(struct hops_question **question)
{
	struct hop_question *q = CONTAINER_OF(*question, struct hop_question, base);
	struct hop *hop = q->hop;

	*question = NULL;
	forget(q, hop->link);
	drop_if_stale(hop);
}

int hops_link_new(const struct hops_link_config *config, struct hops_link **out)
{
	static const struct hops_ops ops = {ask, cancel};
	struct hops_link *link = calloc(1, sizeof(*link));

	if (!link)
		return ERR_NOMEM;
	link->base.ops = &ops;
	link->config = *config;
	list_init(&link->order);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&link->buckets[i]);
	*out = link;
	return 0;
}

void hops_link_free(struct hops_link **at)
{
	struct hops_link *link = *at;

	if (!link)
		return;
	LIST_FOR_EACH(node, &link->order)
	{
		struct hop *hop = CONTAINER_OF(node, struct hop, order);
		LIST_FOR_EACH(asked, &hop->questions)
		forget(CONTAINER_OF(asked, struct hop_question, node), link);
		drop(hop);
	}
	free(link);
	*at = NULL;
}

struct hops *hops_link_hops(struct hops_link *link)
{
	return &link->base;
}
