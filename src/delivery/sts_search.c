#include "delivery/sts_search.h"

#include "base/err.h"
#include "delivery/https.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_ARENA 4096
#define RECORD_NAME  "_mta-sts."
#define HOST_NAME    "mta-sts."
#define POLICY_PATH  "/.well-known/mta-sts.txt"
#define STATUS_OK    200

struct sts_search {
	struct delivery *delivery;
	sts_search_done *done;
	void *owner;
	bool private_hosts;
	struct dns_question *record;
	struct https *https;
	struct sts_id id, kept, failed;
	size_t domain_length;
	char domain[DNS_NAME + 1];
};

static void search_free(struct sts_search *search)
{
	dns_cancel(&search->record);
	https_cancel(&search->https);
	free(search);
}

void sts_search_cancel(struct sts_search **pointer)
{
	if (*pointer)
		search_free(*pointer);
	*pointer = NULL;
}

static void end(struct sts_search *search, const struct sts_result *result)
{
	search->done(search->owner, result);
	search_free(search);
}

static void fail(struct sts_search *search, enum sts_trouble trouble, const char *detail)
{
	const struct sts_result result = {
		.outcome = STS_SEARCH_TROUBLE,
		.trouble = trouble,
		.detail = detail,
		.id = sts_id_span(&search->id),
	};

	end(search, &result);
}

/* ---- the policy ------------------------------------------------------------------------------ */

static void fetched(void *owner, const struct fetch_answer *answer)
{
	struct sts_search *search = owner;

	search->https = NULL;
	switch (answer->result) {
	case FETCH_OK: break;
	case FETCH_TLS:
		fail(search, STS_WEBPKI_INVALID, "the policy host's certificate is not valid");
		return;
	case FETCH_TOO_BIG: fail(search, STS_INVALID, "the policy is too long"); return;
	case FETCH_STATUS:
		fail(search, STS_FETCH_ERROR, "the policy host answers with an error or redirect");
		return;
	case FETCH_TIMEOUT: fail(search, STS_FETCH_ERROR, "the policy host is too slow"); return;
	case FETCH_REFUSED:
		fail(search, STS_FETCH_ERROR, "the policy host has no public address");
		return;
	default: fail(search, STS_FETCH_ERROR, "the policy host cannot be reached"); return;
	}
	/* RFC 8461 section 3.3: 200 and no other */
	if (answer->status != STATUS_OK) {
		fail(search, STS_FETCH_ERROR, "the policy host answers without a policy");
		return;
	}
	/* RFC 8461 section 3.2 */
	if (!span_equal(answer->content_type, SPAN("text/plain"))) {
		fail(search, STS_INVALID, "the policy is not of type text/plain");
		return;
	}
	struct sts_result result = {
		.outcome = STS_SEARCH_POLICY,
		.id = sts_id_span(&search->id),
		.body = answer->body,
	};
	struct mta_sts_policy policy;
	struct arena arena;

	arena_init(&arena, (size_t)2 * MTA_STS_POLICY);
	int err = mta_sts_parse(answer->body, &arena, &policy);
	arena_reset(&arena);
	if (err)
		fail(search, STS_INVALID, "the policy makes no sense");
	else
		end(search, &result);
}

static void fetch_policy(struct sts_search *search)
{
	char url[FETCH_URL];

	snprintf(url, sizeof(url), "https://" HOST_NAME "%s" POLICY_PATH, search->domain);
	const struct https_query query = {
		.url = span_str(url),
		.private_hosts = search->private_hosts,
	};
	if (https_start(search->delivery, &query, fetched, search, &search->https))
		fail(search, STS_FETCH_ERROR, "nothing can be fetched now");
}

/* ---- the record ------------------------------------------------------------------------------ */

static bool is_id(const struct sts_search *search, const struct sts_id *id)
{
	return id->length && span_equal(sts_id_span(&search->id), sts_id_span(id));
}

static void record_answered(void *owner, const struct dns_answer *answer)
{
	struct sts_search *search = owner;
	struct sts_result result = {.outcome = STS_SEARCH_NONE};
	struct arena arena;
	struct span id;

	search->record = NULL;
	if (answer->status == DNS_TEMPORARY || answer->status == DNS_BOGUS) {
		result.outcome = STS_SEARCH_FAILED;
		end(search, &result);
		return;
	}
	arena_init(&arena, RECORD_ARENA);
	int err = answer->status == DNS_OK
			  ? mta_sts_find_record(answer->rdata, answer->count, &arena, &id)
			  : ERR_NOT_FOUND;
	if (!err)
		sts_id_set(&search->id, id);
	arena_reset(&arena);
	if (err) {
		/* What is no valid record is none (RFC 8461 section 3.1). */
		end(search, &result);
	} else if (is_id(search, &search->kept)) {
		result.outcome = STS_SEARCH_SAME;
		end(search, &result);
	} else if (is_id(search, &search->failed)) {
		result.outcome = STS_SEARCH_LATER;
		end(search, &result);
	} else {
		fetch_policy(search);
	}
}

int sts_search_start(struct delivery *d, struct span domain, const struct sts_ids *ids,
	bool private_hosts, sts_search_done *done, void *owner, struct sts_search **out)
{
	char name[sizeof(RECORD_NAME) + DNS_NAME];
	struct sts_search *search = calloc(1, sizeof(*search));

	if (!search)
		return ERR_NOMEM;
	search->delivery = d;
	search->done = done;
	search->owner = owner;
	search->private_hosts = private_hosts;
	search->domain_length = MIN(domain.n, DNS_NAME);
	memcpy(search->domain, domain.p, search->domain_length);
	sts_id_set(&search->kept, ids->kept);
	sts_id_set(&search->failed, ids->failed);
	snprintf(name, sizeof(name), RECORD_NAME "%s", search->domain);
	int err = dns_ask(d->config.dns, SPAN_NONE, span_str(name), DNS_TXT, record_answered,
		search, &search->record);
	if (err) {
		free(search);
		return err;
	}
	*out = search;
	return 0;
}
