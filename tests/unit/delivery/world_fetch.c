/* Whoever fetches: the test says what is found. */
#include "world_parts.h"

struct fetching {
	struct fetch_question base; /* first */
	struct fetching *next;
	struct world *world;
	char url[FETCH_URL + 1];
	char content_type[100];
	struct netaddr addresses[FETCH_ADDRESSES];
	struct fetch_query query;
	char *body;
	fetch_done *done;
	void *owner;
};

static int do_ask(struct fetch *fetch, const struct fetch_query *query, fetch_done *done,
	void *owner, struct fetch_question **out)
{
	struct world *w = CONTAINER_OF(fetch, struct world, fetch);
	struct fetching *f = calloc(1, sizeof(*f)), **at = &w->fetching;

	CHECK(f && query->url.n < FETCH_URL && query->address_count <= FETCH_ADDRESSES);
	f->base.fetch = fetch;
	f->world = w;
	f->done = done;
	f->owner = owner;
	memcpy(f->url, query->url.p, query->url.n);
	f->query = *query;
	f->query.url = span_str(f->url);
	memcpy(f->addresses, query->addresses, query->address_count * sizeof(f->addresses[0]));
	f->query.addresses = f->addresses;
	f->body = malloc(query->body.n + 1);
	CHECK(f->body);
	if (query->body.n)
		memcpy(f->body, query->body.p, query->body.n);
	f->query.body = span_of(f->body, query->body.n);
	snprintf(f->content_type, sizeof(f->content_type), "%.*s", (int)query->content_type.n,
		query->content_type.p);
	f->query.content_type = span_str(f->content_type);
	while (*at)
		at = &(*at)->next;
	*at = f;
	w->fetches++;
	*out = &f->base;
	return 0;
}

static void fetching_free(struct fetching *f)
{
	free(f->body);
	free(f);
}

static void do_cancel(struct fetch_question **question)
{
	struct fetching *f = (struct fetching *)(void *)*question, **at = &f->world->fetching;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	fetching_free(f);
	*question = NULL;
}

const struct fetch_ops world_fetch_ops = {do_ask, do_cancel};

void world_fetch_answer(struct world *w)
{
	struct fetching *f = w->fetching;
	struct fetch_answer answer = {.result = FETCH_UNREACHABLE};

	w->fetching = f->next;
	if (w->web)
		w->web(w, &f->query, &answer);
	if (f->query.content_type.n) {
		free(w->posted);
		w->posted = f->body;
		w->posted_bytes = f->query.body.n;
		f->body = NULL;
	}
	f->done(f->owner, &answer);
	fetching_free(f);
}
