#include "io/dns_context.h"

#include "base/err.h"

#include <stdlib.h>

#define SERVER_TEXT 80 /* bytes of "address@port" */

static const char *const options[][2] = {
	/* Servers on this machine are as good as others. */
	{"do-not-query-localhost:", "no"},
	/* A server that was away is asked again soon: mail waits for it. */
	{"infra-keep-probing:", "yes"},
	{"infra-host-ttl:", "60"},
	{"cache-max-ttl:", "3600"},
	{"cache-max-negative-ttl:", "60"},
	{"outgoing-range:", "64"},
	{"outgoing-num-tcp:", "16"},
	{"num-queries-per-thread:", "512"},
	/* RFC 9715: no fragments. */
	{"edns-buffer-size:", "1232"},
	/* The given servers are all that is asked. */
	{"qname-minimisation:", "no"},
};

static int err_from_ub(int ub_error)
{
	switch (ub_error) {
	case UB_NOERROR: return 0;
	case UB_NOMEM: return ERR_NOMEM;
	case UB_SYNTAX: return ERR_SYNTAX;
	default: return ERR_IO;
	}
}

static int set_server(struct ub_ctx *ub, const struct netaddr *a)
{
	struct buf text;
	int err;

	buf_init(&text, SERVER_TEXT);
	netaddr_add_ip(&text, a);
	buf_printf(&text, "@%u", a->port);
	buf_add_char(&text, '\0');
	err = buf_ok(&text) ? err_from_ub(ub_ctx_set_fwd(ub, text.p)) : ERR_NOMEM;
	buf_done(&text);
	return err;
}

static int configure(struct context *context, struct ub_ctx *ub)
{
	int err = 0;

	ub_ctx_debugout(ub, NULL); /* what goes wrong reaches us with the answer */
	for (size_t i = 0; i < ARRAY_SIZE(options) && err == 0; i++)
		err = err_from_ub(ub_ctx_set_option(ub, options[i][0], options[i][1]));
	if (err == 0)
		err = err_from_ub(ub_ctx_async(ub, 1));
	for (uint32_t i = 0; i < context->address_count && err == 0; i++)
		err = set_server(ub, &context->addresses[i]);
	/* libunbound has an answer of its own for this top-level domain (RFC 6761), which
	 * laboratories use for what it is meant for. */
	if (err == 0)
		err = err_from_ub(ub_ctx_zone_add(ub, "test.", "transparent"));
	return err;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct context *context = poll->data;
	struct unbound *all = context->all;

	(void)events;
	loop_wake(all->loop);
	if (status < 0)
		return;
	all->processing = context;
	ub_process(context->ub);
	all->processing = NULL;
	/* There is room for others now, and who is stale may be idle. */
	if (context->stale || !list_empty(&context->waiting))
		context_touch(context);
}

static void poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static int watch(struct context *context)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	int err;

	if (!poll)
		return ERR_NOMEM;
	err = uv_poll_init(&context->all->loop->uv, poll, ub_fd(context->ub));
	if (err < 0) {
		free(poll);
		return err_from_uv(err);
	}
	poll->data = context;
	/* Open questions keep the loop alive by their timer. */
	uv_unref((uv_handle_t *)poll);
	err = uv_poll_start(poll, UV_READABLE, on_readable);
	if (err < 0) {
		uv_close((uv_handle_t *)poll, poll_closed);
		return err_from_uv(err);
	}
	context->poll = poll;
	return 0;
}

int context_open(struct context *context)
{
	int err;

	context->ub = ub_ctx_create();
	if (!context->ub)
		return ERR_NOMEM;
	err = configure(context, context->ub);
	if (err == 0)
		err = watch(context);
	if (err < 0) {
		ub_ctx_delete(context->ub);
		context->ub = NULL;
		return err;
	}
	context->state = CONTEXT_READY;
	return 0;
}

int context_new(struct unbound *all, struct span key, struct context **out)
{
	struct context *context = calloc(1, sizeof(*context) + key.n);

	if (!context)
		return ERR_NOMEM;
	context->all = all;
	context->state = CONTEXT_RESOLVING;
	list_init(&context->node);
	list_init(&context->pending);
	list_init(&context->waiting);
	probe_init(context);
	if (key.n)
		memcpy(context->text, key.p, key.n);
	context->key = span_of(context->text, key.n);
	*out = context;
	return 0;
}

void context_cancel_asks(struct context *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(context->asks); i++)
		dns_cancel(&context->asks[i]);
}

void context_free(struct context *context)
{
	CHECK(context != context->all->processing);
	context_cancel_asks(context);
	probe_stop(context);
	if (context->poll)
		uv_close((uv_handle_t *)context->poll, poll_closed);
	if (context->ub)
		ub_ctx_delete(context->ub); /* ends its thread */
	list_remove(&context->node);
	list_remove(&context->pending);
	free(context);
}

bool context_idle(const struct context *context)
{
	return context->open == 0 && list_empty(&context->waiting) && context->asks_open == 0;
}

void context_touch(struct context *context)
{
	struct unbound *all = context->all;

	list_remove(&context->pending);
	list_push_back(&all->pending, &context->pending);
	io_turn_end(&all->loop->io, &all->turn);
}

static const char *failure(int err, const struct ub_result *result)
{
	if (err)
		return ub_strerror(err);
	return result->rcode == RCODE_REFUSED ? "the DNS servers refuse to answer (REFUSED)"
					      : "the DNS servers give an error";
}

static struct span without_dot(const char *name)
{
	struct span s = span_str(name);

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static uint32_t bounded_ttl(int ttl)
{
	if (ttl < DNS_TTL_LEAST)
		return DNS_TTL_LEAST;
	return ttl > DNS_TTL_MOST ? DNS_TTL_MOST : (uint32_t)ttl;
}

static void fill_answer(struct flight *flight, const struct ub_result *r, struct dns_answer *answer)
{
	struct dns_records *records = &flight->context->all->records;

	answer->secure = r->secure != 0;
	answer->ttl_s = bounded_ttl(r->ttl);
	answer->canonical = without_dot(r->canonname);
	if (r->nxdomain || r->rcode == RCODE_NXDOMAIN) {
		answer->status = DNS_NXDOMAIN;
		return;
	}
	dns_records_clear(records);
	for (size_t i = 0; r->havedata && r->data[i]; i++)
		dns_records_add(records, flight->type, span_of(r->data[i], (size_t)r->len[i]));
	dns_records_into(records, flight->type, answer);
	answer->status = records->count ? DNS_OK : DNS_NODATA;
}

static void on_answer(void *arg, int err, struct ub_result *result)
{
	struct flight *flight = arg;
	struct dns_answer answer = {.ttl_s = DNS_TTL_LEAST};
	struct context *context = flight->context;

	context->probe.answered_ns = context->all->loop->io.now_ns;
	flight->answered = true;
	if (err == 0 && !result->bogus && result->rcode == RCODE_SERVFAIL) {
		ub_resolve_free(result);
		look_begin(flight);
		return;
	}
	if (err == 0 && result->bogus) {
		answer.status = DNS_BOGUS;
		answer.reason = result->why_bogus ? span_str(result->why_bogus)
						  : SPAN("DNSSEC validation failed");
	} else if (err ||
		   (result->rcode != 0 && result->rcode != RCODE_NXDOMAIN && !result->nxdomain)) {
		answer.status = DNS_TEMPORARY;
		answer.reason = span_str(failure(err, result));
	} else {
		fill_answer(flight, result, &answer);
	}
	flight_finish(flight, &answer);
	if (result)
		ub_resolve_free(result);
}

void context_begin(struct context *context)
{
	while (context->state == CONTEXT_READY && context->open < DNS_CONTEXT_OPEN &&
		!list_empty(&context->waiting)) {
		struct flight *flight = LIST_FIRST(&context->waiting, struct flight, queue);
		int err;

		list_remove(&flight->queue);
		flight->begun = true;
		context->open++;
		err = ub_resolve_async(context->ub, flight->name, (int)flight->type, 1, flight,
			on_answer, &flight->async_id);
		if (err)
			flight_fail(flight, ub_strerror(err));
	}
	probe_begin(context);
}
