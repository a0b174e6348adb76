/* A DNS of a table. */
#include "world_parts.h"

struct question {
	struct dns_question base; /* first */
	struct question *next;
	struct world *world;
	char name[DNS_NAME + 2];
	enum dns_type type;
	dns_done *done;
	void *owner;
};

static int dns_do_ask(struct dns *dns, struct span servers, struct span name, enum dns_type type,
	dns_done *done, void *owner, struct dns_question **out)
{
	struct world *w = CONTAINER_OF(dns, struct world, dns);
	struct question *q = calloc(1, sizeof(*q)), **at = &w->questions;

	(void)servers;
	CHECK(q && name.n <= DNS_NAME);
	*q = (struct question){
		.base = {dns}, .world = w, .type = type, .done = done, .owner = owner};
	memcpy(q->name, name.p, name.n);
	while (*at)
		at = &(*at)->next;
	*at = q;
	w->dns_asked++;
	*out = &q->base;
	return 0;
}

static void dns_do_cancel(struct dns_question **question)
{
	struct question *q = (struct question *)(void *)*question;
	struct question **at = &q->world->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
	*question = NULL;
}

const struct dns_ops world_dns_ops = {dns_do_ask, dns_do_cancel};

void world_dns_answer(struct world *w)
{
	struct question *q = w->questions;
	struct netaddr addresses[WORLD_ANSWERS];
	struct dns_mx mx[WORLD_ANSWERS];
	struct dns_answer answer = {.ttl_s = 300, .addresses = addresses, .mx = mx};
	bool exists = false;

	w->questions = q->next;
	for (const struct dns_row *row = w->rows; row && row->name; row++) {
		if (strcmp(row->name, q->name) != 0)
			continue;
		exists = true;
		CHECK(answer.count < WORLD_ANSWERS);
		if (row->type != q->type)
			continue;
		if (q->type == DNS_MX)
			mx[answer.count] = (struct dns_mx){row->preference, span_str(row->value)};
		else
			CHECK(!netaddr_parse_ip(span_str(row->value), &addresses[answer.count]));
		answer.count++;
	}
	answer.status = answer.count ? DNS_OK : exists ? DNS_NODATA : DNS_NXDOMAIN;
	if (w->dns_fails)
		answer = (struct dns_answer){.status = DNS_TEMPORARY,
			.ttl_s = 1,
			.reason = SPAN("the test's DNS fails")};
	q->done(q->owner, &answer);
	free(q);
}
