/*
 * A destination's hosts, and the attempts that wait in line for a session to it; a session is
 * opened for each that waits (the queue has counted them against all limits already).
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"
#include "route/loop.h"

#include <stdlib.h>

/* ---- life ----------------------------------------------------------------------------------- */

int link_get(struct delivery *d, uint32_t destination, struct span transport, struct span next_hop,
	struct link **out)
{
	struct link *link = queue_destination_user(d->queue, destination);

	if (!link) {
		link = calloc(1, sizeof(*link) + transport.n + next_hop.n);
		if (!link)
			return ERR_NOMEM;
		char *text = (char *)(link + 1);

		memcpy(text, transport.p, transport.n);
		link->name = span_of(text, transport.n);
		if (next_hop.n)
			memcpy(text + transport.n, next_hop.p, next_hop.n);
		link->next_hop = span_of(text + transport.n, next_hop.n);
		link->delivery = d;
		link->destination = destination;
		list_init(&link->waiting);
		list_init(&link->strict);
		list_init(&link->sessions);
		list_init(&link->idle);
		list_push_back(&d->links, &link->node);
		queue_destination_set_user(d->queue, destination, link);
	}
	*out = link;
	return 0;
}

static void forget_hosts(struct link *link)
{
	mx_lookup_cancel(&link->lookup);
	secure_cancel(&link->securing);
	mx_result_free(&link->found);
	mx_result_free(&link->hosts);
	secure_release(&link->secure);
	free(link->addresses);
	link->addresses = NULL;
}

void link_free(struct link *link)
{
	CHECK(list_empty(&link->waiting) && list_empty(&link->strict));
	LIST_FOR_EACH(node, &link->sessions)
	session_end(CONTAINER_OF(node, struct session, node), true);
	forget_hosts(link);
	list_remove(&link->node);
	free(link);
}

void link_destination_gone(void *context, uint32_t destination, void *user)
{
	(void)context;
	(void)destination;
	if (user)
		link_free(user);
}

void link_set_limits(struct link *link)
{
	struct transport transport;

	if (delivery_transport(link->delivery, link->name, &transport))
		return;
	LIST_FOR_EACH(node, &link->sessions)
	CONTAINER_OF(node, struct session, node)->jobs_most = transport.messages_per_connection;
}

/* A look-up that runs asked with the old settings; what waits for it asks anew. */
void link_refresh(struct link *link)
{
	LIST_FOR_EACH(node, &link->idle)
	session_end(CONTAINER_OF(node, struct session, idle_node), true);
	LIST_FOR_EACH(node, &link->sessions)
	{
		struct session *session = CONTAINER_OF(node, struct session, node);

		session->outdated = true;
		if (!session->ready)
			session_end(session, false);
	}
	forget_hosts(link);
	link_open(link);
}

/* ---- what waits ----------------------------------------------------------------------------- */

struct attempt *link_take_waiting(struct link *link)
{
	struct attempt *attempt = LIST_FIRST(&link->waiting, struct attempt, waiting);

	if (attempt) {
		list_remove(&attempt->waiting);
		link->waiting_count--;
	}
	return attempt;
}

static struct attempt *find_relaxed(const struct link *link)
{
	for (struct list *at = link->waiting.next; at != &link->waiting; at = at->next) {
		struct attempt *attempt = CONTAINER_OF(at, struct attempt, waiting);

		if (attempt->envelope.flags & ENVELOPE_TLS_OPTIONAL)
			return attempt;
	}
	return NULL;
}

bool link_has_relaxed(const struct link *link)
{
	return find_relaxed(link) != NULL;
}

struct attempt *link_take_relaxed(struct link *link)
{
	struct attempt *attempt = find_relaxed(link);

	if (attempt)
		link_forget(link, attempt);
	return attempt;
}

void link_forget(struct link *link, struct attempt *attempt)
{
	if (list_empty(&attempt->waiting))
		return;
	list_remove(&attempt->waiting);
	if (attempt->strict)
		link->strict_count--;
	else
		link->waiting_count--;
}

void link_trouble(struct verdict *verdict, uint8_t subject, uint8_t detail, const char *text)
{
	verdict_set(verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, subject, detail},
		false, span_str(text));
}

void link_fail_waiting(struct link *link, const struct verdict *verdict)
{
	uint32_t most = link->waiting_count;
	struct attempt *attempt;

	while (most-- && (attempt = link_take_waiting(link))) {
		if (verdict->kind == VERDICT_PERMANENT)
			attempt_finish_all(attempt, verdict);
		else
			attempt_destination_failed(attempt, verdict);
	}
}

void link_short_waiting(struct link *link, const char *what)
{
	uint32_t most = link->waiting_count;
	struct attempt *attempt;
	struct verdict verdict;

	link_trouble(&verdict, 3, 0, what);
	while (most-- && (attempt = link_take_waiting(link)))
		attempt_short(attempt, &verdict);
}

static void set_dns_of(struct delivery *d, const struct list *attempts, bool waits)
{
	for (const struct list *at = attempts->next; at != attempts; at = at->next)
		queue_unit_set_dns(d->queue, CONTAINER_OF(at, const struct attempt, waiting)->unit,
			waits, delivery_now(d));
}

static void set_dns(struct link *link, bool waits)
{
	set_dns_of(link->delivery, &link->waiting, waits);
	set_dns_of(link->delivery, &link->strict, waits);
}

/* No hosts are known: for those that wait for particular ones, neither. */
static void fail_all(struct link *link, const struct verdict *verdict)
{
	bool others = link->waiting_count;

	strict_fail(link, verdict);
	if (others)
		link_fail_waiting(link, verdict);
}

static void short_all(struct link *link, const char *what)
{
	bool others = link->waiting_count;

	strict_short(link, what);
	if (others)
		link_short_waiting(link, what);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

/* A look-up's word for "no memory": trouble with the DNS is of subject 4 (RFC 3463 section 3.5). */
static bool is_shortage(const struct verdict *verdict)
{
	return verdict->kind == VERDICT_TEMPORARY && !verdict->remote &&
	       verdict->enhanced.subject == 3 && verdict->enhanced.detail == 0;
}

/* All is known; NULL: no memory. Takes it over. */
static void set_security(struct link *link, struct secure *secure)
{
	struct mx_result *hosts = link->found;
	struct link_address *addresses =
		secure ? calloc(MAX(hosts->address_count, 1u), sizeof(*addresses)) : NULL;

	link->found = NULL;
	if (!addresses) {
		secure_release(&secure);
		mx_result_free(&hosts);
		short_all(link, "no memory to look up the destination");
		return;
	}
	forget_hosts(link);
	link->hosts = hosts;
	link->secure = secure;
	link->addresses = addresses;
	link->hosts_until_ns =
		link->delivery->io->now_ns + MIN(hosts->ttl_s, secure->ttl_s) * NS_PER_S;
	session_open_for(link);
}

static void secured(void *owner, struct secure *secure)
{
	struct link *link = owner;
	struct delivery *d = link->delivery;

	link->securing = NULL;
	set_dns(link, false);
	set_security(link, secure);
	intake_settle(d);
	delivery_wake(d);
}

/* Takes the hosts over. */
static void find_security(struct link *link, struct mx_result *hosts)
{
	struct transport transport;
	struct verdict verdict;
	struct secure *now;

	if (delivery_transport(link->delivery, link->name, &transport)) {
		mx_result_free(&hosts);
		link_trouble(&verdict, 3, 5, "the transport is no longer in the directory");
		fail_all(link, &verdict);
		return;
	}
	link->found = hosts;
	if (secure_start(link->delivery, &transport, link->next_hop, hosts, secured, link,
		    &link->securing, &now))
		now = NULL;
	if (link->securing)
		set_dns(link, true);
	else
		set_security(link, now);
}

/* Takes the hosts over. Permanent and temporary verdicts end what waits. */
static void set_hosts(struct link *link, struct mx_result *hosts)
{
	struct delivery *d = link->delivery;
	struct transport transport;
	struct verdict verdict;

	if (!hosts) {
		short_all(link, "no memory to look up the destination");
		return;
	}
	if (is_shortage(&hosts->verdict)) {
		mx_result_free(&hosts);
		set_hosts(link, NULL);
		return;
	}
	if (hosts->verdict.kind != VERDICT_OK) {
		verdict = hosts->verdict;
		mx_result_free(&hosts);
		fail_all(link, &verdict);
		return;
	}
	if (!delivery_transport(d, link->name, &transport) && transport.host.n) {
		for (uint32_t i = 0; i < hosts->address_count; i++) {
			if (!loop_fixed_server(d->config.route, &transport,
				    &hosts->addresses[i].address, &verdict))
				continue;
			mx_result_free(&hosts);
			fail_all(link, &verdict);
			return;
		}
	}
	find_security(link, hosts);
}

static void looked_up(void *owner, struct mx_result *result)
{
	struct link *link = owner;
	struct delivery *d = link->delivery;

	link->lookup = NULL;
	set_dns(link, false);
	set_hosts(link, result);
	intake_settle(d);
	delivery_wake(d);
}

void link_query(struct delivery *d, const struct transport *transport, struct span next_hop,
	struct mx_query *out)
{
	*out = (struct mx_query){
		.domain = next_hop,
		.host = transport->host,
		.zone = transport->zone,
		.port = transport->port,
		.private_hosts = transport->private_hosts,
		/* A transport bound to an address of one family has no use for hosts of the
		 * other. */
		.v4 = transport->source_v4.n || !transport->source_v6.n,
		.v6 = transport->source_v6.n || !transport->source_v4.n,
		.random = prng_u64(&d->prng),
		.self = d->config.route,
	};
}

static void look_up(struct link *link)
{
	struct delivery *d = link->delivery;
	struct transport transport;
	struct mx_query query;
	struct mx_result *at_once = NULL;
	struct verdict verdict;

	if (delivery_transport(d, link->name, &transport)) {
		link_trouble(&verdict, 3, 5, "the transport is no longer in the directory");
		fail_all(link, &verdict);
		return;
	}
	link_query(d, &transport, link->next_hop, &query);
	if (mx_lookup_start(d->config.dns, transport.query, &query, looked_up, link, &link->lookup,
		    &at_once)) {
		set_hosts(link, NULL);
		return;
	}
	if (link->lookup)
		set_dns(link, true);
	else
		set_hosts(link, at_once);
}

static bool hosts_fresh(const struct link *link)
{
	return link->hosts && link->delivery->io->now_ns < link->hosts_until_ns;
}

/* ---- work for sessions ----------------------------------------------------------------------- */

void link_open(struct link *link)
{
	if ((!link->waiting_count && !link->strict_count) || link_looks_up(link))
		return;
	if (hosts_fresh(link))
		session_open_for(link);
	else
		look_up(link);
}

void link_run(struct link *link, struct attempt *attempt)
{
	struct session *session = LIST_FIRST(&link->idle, struct session, idle_node);

	if (session && strict_fits(session, attempt)) {
		session_run(session, attempt);
		return;
	}
	if (link->delivery->stopping) {
		attempt_put_back(attempt);
		return;
	}
	if (session || attempt->strict) {
		strict_wait(link, attempt);
		return;
	}
	list_push_back(&link->waiting, &attempt->waiting);
	link->waiting_count++;
	if (link_looks_up(link))
		queue_unit_set_dns(
			link->delivery->queue, attempt->unit, true, delivery_now(link->delivery));
	else
		link_open(link);
}
