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
	char transport[]; /* its name */
};

/* `error` where there is no result. */
static void tell(
	struct delivery *d, uint32_t ticket, const struct mx_result *result, const char *error)
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
	json_close_object(&json);
	d->config.answer(d->config.context, ticket, buf_span(&reply));
	buf_done(&reply);
}

/* As link.c decides: an address of a fixed server may be one of our own. */
static void tell_for(
	struct delivery *d, uint32_t ticket, struct span name, struct mx_result *result)
{
	struct transport transport;
	struct mx_result loop = {0};

	if (result && !delivery_transport(d, name, &transport) && transport.host.n) {
		for (uint32_t i = 0; i < result->address_count; i++)
			if (loop_fixed_server(d->config.route, &transport,
				    &result->addresses[i].address, &loop.verdict)) {
				tell(d, ticket, &loop, NULL);
				mx_result_free(&result);
				return;
			}
	}
	tell(d, ticket, result, "out of memory for the look-up");
	mx_result_free(&result);
}

static void looked_up(void *owner, struct mx_result *result)
{
	struct hosts_question *q = owner;

	list_remove(&q->node);
	q->delivery->question_count--;
	tell_for(q->delivery, q->ticket, span_str(q->transport), result);
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
		tell(d, ticket, NULL, "too many such questions are open; try again");
		return;
	}
	if (!d->snapshot || delivery_transport(d, name, &transport)) {
		tell(d, ticket, NULL, "delivery does not know the transport yet; try again");
		return;
	}
	struct hosts_question *q = calloc(1, sizeof(*q) + name.n + 1);

	if (!q) {
		tell(d, ticket, NULL, "out of memory for the look-up");
		return;
	}
	memcpy(q->transport, name.p, name.n);
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
	tell_for(d, ticket, name, at_once);
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
		tell(d, ticket, NULL, "transport and domain are needed");
	json_decref(json);
	return is;
}
