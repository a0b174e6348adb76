#include "role/hops_desk.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_BYTES 4096
#define REPLY_BYTES   2048

struct waiting {
	struct list node;
	uint32_t request;
	size_t transport_bytes, domain_bytes;
	char text[HOPS_TRANSPORT + HOPS_DOMAIN];
};

void hops_desk_init(struct hops_desk *desk)
{
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		list_init(&desk->waiting[i]);
}

static void tell(
	struct hops_desk *desk, uint8_t worker, uint32_t request, const struct hops_reply *reply)
{
	struct buf buf;

	buf_init(&buf, REPLY_BYTES);
	hops_put_reply(&buf, reply);
	desk->tell(desk->context, worker, request, buf_span(&buf));
	buf_done(&buf);
}

static void tell_nothing(struct hops_desk *desk, uint8_t worker, uint32_t request)
{
	tell(desk, worker, request, &(struct hops_reply){.known = false});
}

/* ---- one after the other -------------------------------------------------------------------- */

static struct waiting *take_next(struct hops_desk *desk)
{
	for (unsigned i = 1; i <= CONFIG_WORKERS; i++) {
		uint8_t worker = (uint8_t)((desk->turn + i) % CONFIG_WORKERS);
		struct waiting *w = LIST_FIRST(&desk->waiting[worker], struct waiting, node);
		if (!w)
			continue;
		desk->turn = worker;
		desk->counts[worker]--;
		list_remove(&w->node);
		return w;
	}
	return NULL;
}

static void start(struct hops_desk *desk, uint32_t place, struct waiting *w)
{
	struct buf request;

	desk->open[place] =
		(struct hops_open){.used = true, .worker = desk->turn, .request = w->request};
	buf_init(&request, REQUEST_BYTES);
	hops_add_request(&request, span_of(w->text, w->transport_bytes),
		span_of(w->text + w->transport_bytes, w->domain_bytes));
	free(w);
	desk->ask(desk->context, HOPS_DESK_TICKETS + place, buf_span(&request));
	buf_done(&request);
}

static void start_all(struct hops_desk *desk)
{
	/* An answer may come inside the question. */
	if (desk->busy)
		return;
	desk->busy = true;
	for (uint32_t i = 0; i < HOPS_DESK_OPEN; i++) {
		struct waiting *w;
		while (!desk->open[i].used && (w = take_next(desk)))
			start(desk, i, w);
	}
	desk->busy = false;
}

void hops_desk_ask(struct hops_desk *desk, uint8_t worker, uint32_t request, struct span query)
{
	struct span transport, domain;
	struct waiting *w = NULL;

	if (hops_get_query(query, &transport, &domain) == 0 &&
		desk->counts[worker] < HOPS_DESK_WAITING)
		w = calloc(1, sizeof(*w));
	if (!w) {
		tell_nothing(desk, worker, request);
		return;
	}
	w->request = request;
	w->transport_bytes = transport.n;
	w->domain_bytes = domain.n;
	memcpy(w->text, transport.p, transport.n);
	if (domain.n)
		memcpy(w->text + transport.n, domain.p, domain.n);
	list_push_back(&desk->waiting[worker], &w->node);
	desk->counts[worker]++;
	start_all(desk);
}

bool hops_desk_answer(struct hops_desk *desk, uint32_t ticket, struct span json)
{
	uint32_t place = ticket - HOPS_DESK_TICKETS;
	struct hops_reply reply;

	if (ticket < HOPS_DESK_TICKETS)
		return false;
	if (place >= HOPS_DESK_OPEN || !desk->open[place].used)
		return true;
	struct hops_open open = desk->open[place];
	desk->open[place].used = false;
	if (!open.orphaned) {
		hops_from_json(json, &reply);
		tell(desk, open.worker, open.request, &reply);
	}
	start_all(desk);
	return true;
}

void hops_desk_worker_gone(struct hops_desk *desk, uint8_t worker)
{
	LIST_FOR_EACH(node, &desk->waiting[worker])
	{
		struct waiting *w = CONTAINER_OF(node, struct waiting, node);
		list_remove(&w->node);
		free(w);
	}
	desk->counts[worker] = 0;
	for (size_t i = 0; i < HOPS_DESK_OPEN; i++)
		if (desk->open[i].worker == worker)
			desk->open[i].orphaned = true;
}
