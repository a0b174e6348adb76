/*
 * Finding out how links are to be protected: which questions are asked, and when all is known. What
 * the answers mean is in secure_plan.c.
 */
#include "delivery/secure_plan.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

/* "_65535._tcp." and a name */
#define TLSA_NAME (DNS_NAME + 16)

struct tlsa_question {
	struct secure_search *search;
	uint32_t host;
	struct dns_question *question;
};

struct secure_search {
	struct delivery *delivery;
	struct snapshot *snapshot; /* in which the transport's texts are */
	struct transport transport;
	struct span next_hop; /* the owner's */
	const struct mx_result *hosts;
	secure_done *done;
	void *owner;
	struct secure *secure;
	struct secure_answers answers;
	struct tlsa_question tlsa[MX_HOSTS];
	struct sts_question *sts;
	uint32_t open; /* questions */
};

/* ---- the result ------------------------------------------------------------------------------ */

static struct secure *secure_new(uint32_t host_count)
{
	struct secure *secure = calloc(1, sizeof(*secure));

	if (!secure)
		return NULL;
	secure->refs = 1;
	arena_init(&secure->arena, SECURE_ARENA);
	secure->hosts = arena_alloc(&secure->arena, host_count * sizeof(*secure->hosts));
	if (!secure->hosts) {
		secure_release(&secure);
		return NULL;
	}
	secure->host_count = host_count;
	secure->ttl_s = DNS_TTL_MOST;
	return secure;
}

struct secure *secure_hold(struct secure *secure)
{
	secure->refs++;
	return secure;
}

void secure_release(struct secure **pointer)
{
	struct secure *secure = *pointer;

	*pointer = NULL;
	if (!secure || --secure->refs)
		return;
	sts_release(&secure->sts);
	arena_reset(&secure->arena);
	free(secure);
}

static struct secure *finish(struct secure_search *search)
{
	struct secure *secure = search->secure;

	secure_plan(search->delivery, &search->transport, search->next_hop, search->hosts,
		&search->answers, secure);
	/* What is found out beside it counts soon. */
	if (secure->sts && sts_looks(search->delivery->sts, search->next_hop))
		secure->ttl_s = MIN(secure->ttl_s, (uint32_t)SECURE_AGAIN_STS_S);
	search->secure = NULL;
	if (secure->arena.overflow)
		secure_release(&secure);
	return secure;
}

static void search_free(struct secure_search *search)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(search->tlsa); i++)
		dns_cancel(&search->tlsa[i].question);
	sts_cancel(&search->sts);
	secure_release(&search->secure);
	snapshot_release(&search->snapshot);
	free(search);
}

void secure_cancel(struct secure_search **pointer)
{
	if (*pointer)
		search_free(*pointer);
	*pointer = NULL;
}

static void answered(struct secure_search *search)
{
	secure_done *done = search->done;
	void *owner = search->owner;

	CHECK(search->open > 0);
	if (--search->open)
		return;
	struct secure *secure = finish(search);
	search_free(search);
	done(owner, secure);
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool is_literal(struct span name)
{
	struct netaddr address;

	return netaddr_parse_ip(name, &address) == 0;
}

static void tlsa_answered(void *owner, const struct dns_answer *answer);

/* A host whose name leaves no room for the prefix has no such records. ERR_NOMEM. */
static int ask_tlsa(struct tlsa_question *question, struct span base)
{
	struct secure_search *search = question->search;
	char name[TLSA_NAME];

	search->answers.tlsa[question->host].base = base;
	snprintf(name, sizeof(name), "_%u._tcp.%.*s", search->transport.port, (int)base.n, base.p);
	int err = dns_ask(search->delivery->config.dns, search->transport.query, span_str(name),
		DNS_TLSA, tlsa_answered, question, &question->question);

	if (err == 0)
		search->open++;
	return err == ERR_NOMEM ? err : 0;
}

/* The next name; where that cannot be asked for, nothing is known of the host. */
static void ask_on(struct tlsa_question *question, struct span base)
{
	if (ask_tlsa(question, base))
		question->search->answers.tlsa[question->host].failed = true;
}

/* An alias whose own end has none may have them by its own name. */
static void tlsa_answered(void *owner, const struct dns_answer *answer)
{
	struct tlsa_question *question = owner;
	struct secure_search *search = question->search;
	struct secure_tlsa *tlsa = &search->answers.tlsa[question->host];
	struct span name = search->hosts->hosts[question->host].name;

	question->question = NULL;
	secure_take_tlsa(search->secure, tlsa, answer);
	if (!tlsa->found && !tlsa->failed && !span_equal(tlsa->base, name))
		ask_on(question, name);
	answered(search);
}

/* Where it leads to is not vouched for; but the alias may be. */
static void alias_answered(void *owner, const struct dns_answer *answer)
{
	struct tlsa_question *question = owner;
	struct secure_search *search = question->search;
	struct secure_tlsa *tlsa = &search->answers.tlsa[question->host];

	question->question = NULL;
	search->secure->ttl_s = MIN(search->secure->ttl_s, MAX(answer->ttl_s, 1u));
	if (answer->status == DNS_TEMPORARY || answer->status == DNS_BOGUS) {
		tlsa->failed = true;
		tlsa->bogus = answer->status == DNS_BOGUS;
	} else if (answer->status == DNS_OK && answer->secure) {
		ask_on(question, search->hosts->hosts[question->host].name);
	}
	answered(search);
}

static int ask_alias(struct tlsa_question *question, struct span name)
{
	struct secure_search *search = question->search;
	int err = dns_ask(search->delivery->config.dns, search->transport.query, name, DNS_CNAME,
		alias_answered, question, &question->question);

	if (err == 0)
		search->open++;
	return err == ERR_NOMEM ? err : 0;
}

/*
 * RFC 7672 section 2.2.2: only where the host's own name is vouched for; else the records would
 * prove nothing. Where its addresses are too, they are those of the name that aliases lead to, else
 * of its own (section 2.2.3); where they are not, since an alias leads into an unsigned zone, it is
 * by its own name that it may have some.
 */
static int ask_host(struct secure_search *search, uint32_t at)
{
	const struct mx_host *host = &search->hosts->hosts[at];
	struct tlsa_question *question = &search->tlsa[at];

	question->search = search;
	question->host = at;
	if (is_literal(host->name))
		return 0;
	if (host->secure)
		return ask_tlsa(question, host->canonical.n ? host->canonical : host->name);
	return host->named && host->canonical.n ? ask_alias(question, host->name) : 0;
}

static void sts_answered(void *owner, struct sts_entry *entry)
{
	struct secure_search *search = owner;

	search->sts = NULL;
	search->secure->sts = entry;
	answered(search);
}

static int ask(struct secure_search *search)
{
	bool dane = search->transport.tls == TLS_DANE || search->transport.tls == TLS_MTA_STS;

	if (dane)
		dnssec_look(search->delivery);
	for (uint32_t i = 0; dane && i < search->hosts->host_count; i++) {
		int err = ask_host(search, i);

		if (err)
			return err;
	}
	/* A policy is that of a recipient's domain, found by its MX; a server that an administrator
	 * named is none of its exchangers. */
	if (search->transport.tls != TLS_MTA_STS || !search->next_hop.n ||
		search->next_hop.p[0] == '[' || search->transport.zone.n || !search->delivery->sts)
		return 0;
	int err = sts_ask(search->delivery->sts, search->next_hop, search->transport.private_hosts,
		sts_answered, search, &search->sts, &search->secure->sts);
	search->open += err == 0 && search->sts;
	return err;
}

int secure_start(struct delivery *d, const struct transport *transport, struct span next_hop,
	const struct mx_result *hosts, secure_done *done, void *owner, struct secure_search **out,
	struct secure **now)
{
	struct secure_search *search = calloc(1, sizeof(*search));
	int err = 0;

	*out = NULL;
	*now = NULL;
	if (!search)
		return ERR_NOMEM;
	search->delivery = d;
	search->snapshot = snapshot_hold(d->snapshot);
	search->transport = *transport;
	search->next_hop = next_hop;
	search->hosts = hosts;
	search->done = done;
	search->owner = owner;
	search->secure = secure_new(hosts->host_count);
	if (!search->secure)
		err = ERR_NOMEM;
	if (!err)
		err = ask(search);
	if (!err && search->open) {
		*out = search;
		return 0;
	}
	if (!err)
		*now = finish(search);
	search_free(search);
	return err || *now ? err : ERR_NOMEM;
}
