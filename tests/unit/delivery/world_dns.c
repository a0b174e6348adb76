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

/* A record's bytes: strings with their lengths (TXT), or three numbers and hex digits (TLSA). */
static struct span rdata_of(const struct dns_row *row, char *to)
{
	unsigned usage, selector, type;
	int at = 0;
	size_t n = 0;

	if (row->type == DNS_TXT) {
		for (const char *rest = row->value; *rest;) {
			size_t piece = MIN(strlen(rest), 255u);

			to[n++] = (char)piece;
			memcpy(to + n, rest, piece);
			n += piece;
			rest += piece;
		}
		return span_of(to, n);
	}
	CHECK(sscanf(row->value, "%u %u %u %n", &usage, &selector, &type, &at) == 3);
	to[n++] = (char)usage;
	to[n++] = (char)selector;
	to[n++] = (char)type;
	for (const char *hex = row->value + at; hex[0] && hex[1]; hex += 2) {
		unsigned byte;

		CHECK(sscanf(hex, "%2x", &byte) == 1);
		to[n++] = (char)byte;
	}
	return span_of(to, n);
}

static bool is_signed(const struct world *w, const char *name)
{
	size_t n = strlen(name), end = w->dns_unsigned ? strlen(w->dns_unsigned) : n + 1;

	return w->dnssec && (n < end || strcmp(name + n - end, w->dns_unsigned) != 0);
}

/* Follows aliases; *vouched: all of them are signed. */
static const char *led_to(const struct world *w, const struct question *q, bool *vouched)
{
	const char *name = q->name;

	*vouched = is_signed(w, name);
	for (const struct dns_row *row = w->rows; row && row->name; row++) {
		if (q->type == DNS_CNAME || row->type != DNS_CNAME || strcmp(row->name, name) != 0)
			continue;
		name = row->value;
		*vouched = *vouched && is_signed(w, name);
		row = w->rows - 1; /* once more, from the first on */
	}
	return name;
}

void world_dns_answer(struct world *w)
{
	struct question *q = w->questions;
	struct netaddr addresses[WORLD_ANSWERS];
	struct dns_mx mx[WORLD_ANSWERS];
	struct span rdata[WORLD_ANSWERS];
	static char bytes[WORLD_ANSWERS][WORLD_LINE];
	struct dns_answer answer = {.ttl_s = 300, .addresses = addresses, .mx = mx, .rdata = rdata};
	bool exists = false, vouched;
	const char *name = led_to(w, q, &vouched);

	w->questions = q->next;
	answer.secure = vouched;
	if (name != q->name)
		answer.canonical = span_str(name);
	for (const struct dns_row *row = w->rows; row && row->name; row++) {
		if (strcmp(row->name, name) != 0)
			continue;
		exists = true;
		CHECK(answer.count < WORLD_ANSWERS);
		if (row->type != q->type)
			continue;
		if (q->type == DNS_MX)
			mx[answer.count] = (struct dns_mx){row->preference, span_str(row->value)};
		else if (q->type == DNS_A || q->type == DNS_AAAA)
			CHECK(!netaddr_parse_ip(span_str(row->value), &addresses[answer.count]));
		else if (q->type == DNS_CNAME)
			rdata[answer.count] = span_str(row->value); /* as good as any bytes */
		else
			rdata[answer.count] = rdata_of(row, bytes[answer.count]);
		answer.count++;
	}
	answer.status = answer.count ? DNS_OK : exists ? DNS_NODATA : DNS_NXDOMAIN;
	if (w->dns_fails || (w->dns_broken && strcmp(w->dns_broken, q->name) == 0))
		answer = (struct dns_answer){.status = DNS_TEMPORARY,
			.ttl_s = 1,
			.reason = SPAN("the test's DNS fails")};
	q->done(q->owner, &answer);
	free(q);
}
