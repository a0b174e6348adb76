#include "delivery/https.h"

#include "base/check.h"
#include "base/err.h"
#include "route/public.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "https://"

struct https {
	struct delivery *delivery;
	fetch_done *done;
	void *owner;
	bool private_hosts;
	struct dns_question *v4, *v6;
	struct fetch_question *fetch;
	unsigned open; /* of v4 and v6 */
	bool failed;   /* one of them was */
	struct netaddr addresses[FETCH_ADDRESSES];
	uint32_t address_count;
	struct span url, content_type, body; /* in `text` */
	char text[];
};

static void https_free(struct https *https)
{
	dns_cancel(&https->v4);
	dns_cancel(&https->v6);
	fetch_cancel(&https->fetch);
	free(https);
}

void https_cancel(struct https **pointer)
{
	if (*pointer)
		https_free(*pointer);
	*pointer = NULL;
}

static void end(struct https *https, const struct fetch_answer *answer)
{
	fetch_done *done = https->done;
	void *owner = https->owner;

	https->fetch = NULL;
	done(owner, answer);
	https_free(https);
}

static void fail(struct https *https, enum fetch_result result, const char *detail)
{
	const struct fetch_answer answer = {.result = result, .detail = span_str(detail)};

	end(https, &answer);
}

static void fetched(void *owner, const struct fetch_answer *answer)
{
	end(owner, answer);
}

static void ask_fetch(struct https *https)
{
	struct fetch *fetch = https->delivery->config.fetch;
	const struct fetch_query query = {
		.url = https->url,
		.addresses = https->addresses,
		.address_count = https->address_count,
		.private_hosts = https->private_hosts,
		.content_type = https->content_type,
		.body = https->body,
	};

	if (!https->address_count && https->failed)
		fail(https, FETCH_UNREACHABLE, "the host cannot be looked up now");
	else if (!https->address_count)
		fail(https, FETCH_REFUSED, "the host has no address that may be used");
	else if (!fetch || fetch_ask(fetch, &query, fetched, https, &https->fetch))
		fail(https, FETCH_BROKEN, "nothing can be fetched now");
}

static void take(struct https *https, const struct dns_answer *answer)
{
	if (answer->status == DNS_TEMPORARY || answer->status == DNS_BOGUS)
		https->failed = true;
	for (uint32_t i = 0; answer->status == DNS_OK && i < answer->count; i++) {
		if (https->address_count == FETCH_ADDRESSES)
			break;
		if (https->private_hosts || route_is_public(&answer->addresses[i]))
			https->addresses[https->address_count++] = answer->addresses[i];
	}
	CHECK(https->open > 0);
	if (!--https->open)
		ask_fetch(https);
}

static void v4_answered(void *owner, const struct dns_answer *answer)
{
	struct https *https = owner;

	https->v4 = NULL;
	take(https, answer);
}

static void v6_answered(void *owner, const struct dns_answer *answer)
{
	struct https *https = owner;

	https->v6 = NULL;
	take(https, answer);
}

/* Names only: an address in a URL that somebody published is no host of his. */
static struct span host_of(struct span url)
{
	static const struct span scheme = SPAN(SCHEME);
	size_t n = 0;

	if (!span_starts_nocase(url, scheme))
		return SPAN_NONE;
	url = span_skip(url, scheme.n);
	while (n < url.n && url.p[n] != '/' && url.p[n] != ':' && url.p[n] != '?' &&
		url.p[n] != '#')
		n++;
	for (size_t i = 0; i < n; i++)
		if (url.p[i] == '@' || url.p[i] == '[' || (unsigned char)url.p[i] <= ' ')
			return SPAN_NONE;
	return n <= DNS_NAME ? span_of(url.p, n) : SPAN_NONE;
}

static struct span keep(char **at, struct span text)
{
	struct span kept = span_of(*at, text.n);

	if (text.n)
		memcpy(*at, text.p, text.n);
	*at += text.n;
	return kept;
}

int https_start(struct delivery *d, const struct https_query *query, fetch_done *done, void *owner,
	struct https **out)
{
	struct span host = host_of(query->url);
	struct dns *dns = d->config.dns;

	if (!host.n || query->url.n > FETCH_URL || query->body.n > FETCH_SEND)
		return ERR_SYNTAX;
	struct https *https =
		calloc(1, sizeof(*https) + query->url.n + query->content_type.n + query->body.n);

	if (!https)
		return ERR_NOMEM;
	char *at = https->text;

	https->delivery = d;
	https->done = done;
	https->owner = owner;
	https->private_hosts = query->private_hosts;
	https->url = keep(&at, query->url);
	https->content_type = keep(&at, query->content_type);
	https->body = keep(&at, query->body);
	int err = dns_ask(dns, SPAN_NONE, host, DNS_A, v4_answered, https, &https->v4);
	https->open += err == 0;
	if (!err)
		err = dns_ask(dns, SPAN_NONE, host, DNS_AAAA, v6_answered, https, &https->v6);
	https->open += err == 0;
	if (err) {
		https_free(https);
		return err;
	}
	*out = https;
	return 0;
}
