#include "io/dns_context.h"

#include "base/err.h"

#include <stdlib.h>

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
	list_init(&context->retired);
	trial_init(context);
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
	context_cancel_asks(context);
	trial_stop(context);
	probe_stop(context);
	engine_retire(&context->engine);
	engines_free(context, true);
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
		trial_doubt(context);
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

static void begin(struct context *context, struct flight *flight)
{
	struct engine *engine = context->engine;

	list_remove(&flight->queue);
	flight->begun = true;
	flight->engine = engine;
	engine->open++;
	context->open++;
	int err = engine_ask(
		engine, flight->name, (int)flight->type, flight, on_answer, &flight->async_id);
	if (err) {
		flight->answered = true;
		flight_fail(flight, ub_strerror(err));
	}
}

/* The first that waits, or NULL. */
static struct flight *waiting(struct context *context)
{
	return LIST_FIRST(&context->waiting, struct flight, queue);
}

static void fail_waiting(struct context *context)
{
	for (struct flight *flight; (flight = waiting(context)) != NULL;)
		flight_fail(flight, "no memory for another list of DNS servers");
}

void context_begin(struct context *context)
{
	struct flight *flight;

	if (context->state == CONTEXT_READY && waiting(context) && trial_turn(context) < 0)
		fail_waiting(context);
	while (context->engine && context->open < DNS_CONTEXT_OPEN &&
		(flight = waiting(context)) != NULL)
		begin(context, flight);
	probe_begin(context);
	engines_free(context, false);
}
