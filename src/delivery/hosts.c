/* Asking the DNS for an administrator: where mail for a domain would go at this moment. */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"
#include "delivery/link.h"
#include "route/explain.h"
#include "route/loop.h"

#include <jansson.h>
#include <stdlib.h>

#define HOSTS_QUESTIONS 16	    /* at a time */
#define HOSTS_REPLY	(64u << 10) /* bytes: all addresses of a result with their names */

struct hosts_question {
	struct list node; /* in delivery->questions */
	struct delivery *delivery;
	uint32_t ticket;
	struct mx_lookup *lookup;
	size_t transport_length, domain_length;
	char text[]; /* the transport's name, the domain */
};

/* Does what is queued for it wait for a probe? */
static void put_state(
	struct delivery *d, struct span name, struct span domain, struct json_write *json)
{
	struct queue_destination_info info;
	struct transport transport;

	if (delivery_transport(d, name, &transport) ||
		queue_destination_find(
			d->queue, name, transport.host.n ? SPAN_NONE : domain, &info) ||
		!info.down)
		return;
	const struct explain_down down = {
		.since_ms = info.down_since_ms,
		.next_probe_ms = info.next_probe_ms,
		.probing = info.probing,
		.failed = info.has_verdict,
		.last = info.verdict,
	};
	explain_put_down(&down, json);
}

/* `error` where there is no result. */
static void tell(struct delivery *d, uint32_t ticket, struct span name, struct span domain,
	const struct mx_result *result, const char *error)
{
	struct json_write json;
	struct buf reply;

	buf_init(&reply, HOSTS_REPLY);
	json_write_init(&json, &reply);
	json_open_object(&json, NULL);
	if (result)
		explain_put_hosts(result, &json);
	else
		json_put_str(&json, "error", error);
	put_state(d, name, domain, &json);
	json_close_object(&json);
	d->config.answer(d->config.context, ticket, buf_span(&reply));
	buf_done(&reply);
}

/* As link.c decides: an address of a fixed server may be one of our own. */
static void tell_for(struct delivery *d, uint32_t ticket, struct span name, struct span domain,
	struct mx_result *result)
{
	struct transport transport;
	struct mx_result loop = {0};

	if (result && !delivery_transport(d, name, &transport) && transport.host.n) {
		for (uint32_t i = 0; i < result->address_count; i++)
			if (loop_fixed_server(d->config.route, &transport,
				    &result->addresses[i].address, &loop.verdict)) {
				tell(d, ticket, name, domain, &loop, NULL);
				mx_result_free(&result);
				return;
			}
	}
	tell(d, ticket, name, domain, result, "out of memory for the look-up");
	mx_result_free(&result);
}

static void looked_up(void *owner, struct mx_result *result)
{
	struct hosts_question *q = owner;

	list_remove(&q->node);
	q->delivery->question_count--;
	tell_for(q->delivery, q->ticket, span_of(q->text, q->transport_length),
		span_of(q->text + q->transport_length, q->domain_length), result);
	free(q);
}

void hosts_forget(struct delivery *d)
{
	LIST_FOR_EACH(node, &d->questions)
	{
		struct hosts_question *q = CONTAINER_OF(node, struct hosts_question, node);

		mx_lookup_cancel(&q->lookup);
		list_remove(&q->node);
		free(q);
	}
	d->question_count = 0;
}

static void ask(struct delivery *d, uint32_t ticket, struct span name, struct span domain)
{
	struct transport transport;
	struct mx_query query;
	struct mx_result *at_once = NULL;

	if (d->question_count == HOSTS_QUESTIONS) {
		tell(d, ticket, name, domain, NULL, "too many such questions are open; try again");
		return;
	}
	if (!d->snapshot || delivery_transport(d, name, &transport)) {
		tell(d, ticket, SPAN_NONE, SPAN_NONE, NULL,
			"delivery does not know the transport yet; try again");
		return;
	}
	struct hosts_question *q = calloc(1, sizeof(*q) + name.n + domain.n);

	if (!q) {
		tell(d, ticket, name, domain, NULL, "out of memory for the look-up");
		return;
	}
	memcpy(q->text, name.p, name.n);
	if (domain.n)
		memcpy(q->text + name.n, domain.p, domain.n);
	q->transport_length = name.n;
	q->domain_length = domain.n;
	q->delivery = d;
	q->ticket = ticket;
	link_query(d, &transport, domain, &query);
	int err = mx_lookup_start(
		d->config.dns, transport.query, &query, looked_up, q, &q->lookup, &at_once);
	if (!err && q->lookup) {
		list_push_back(&d->questions, &q->node);
		d->question_count++;
		return;
	}
	free(q);
	tell_for(d, ticket, name, domain, at_once);
}

bool delivery_hosts(struct delivery *d, uint32_t ticket, struct span request)
{
	json_error_t error;
	json_t *json = json_loadb(request.p, request.n, JSON_REJECT_DUPLICATES, &error);
	const char *op = json_string_value(json_object_get(json, "op"));
	const json_t *name = json_object_get(json, "transport");
	const json_t *domain = json_object_get(json, "domain");
	bool is = op && strcmp(op, "hosts") == 0;

	if (is && json_is_string(name) && json_string_length(name) && json_is_string(domain))
		ask(d, ticket, span_of(json_string_value(name), json_string_length(name)),
			span_of(json_string_value(domain), json_string_length(domain)));
	else if (is)
		tell(d, ticket, SPAN_NONE, SPAN_NONE, NULL, "transport and domain are needed");
	json_decref(json);
	return is;
}
