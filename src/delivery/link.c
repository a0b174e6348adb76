/*
 * A destination's hosts and sessions. Attempts wait in line here for a session; a session is
 * opened for each that waits (the queue has counted them against all limits already), and tries
 * the destination's addresses in order. When no session stands and none can be opened, all that
 * wait hear why.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/err.h"
#include "route/loop.h"

#include <stdlib.h>

#define CODE_CLOSING 421 /* RFC 5321 section 3.8 */

static void open_sessions(struct link *link);

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
	mx_result_free(&link->hosts);
	free(link->bad_until_ns);
	link->bad_until_ns = NULL;
}

static void session_end(struct session *session, bool polite)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is unlinked */
	struct link *link = session->link;
	struct delivery *d = link->delivery;

	CHECK(!session->attempt);
	if (!session->ready)
		link->connecting--;
	link->session_count--;
	d->sessions--;
	list_remove(&session->node);
	list_remove(&session->idle_node);
	list_remove(&session->lru_node);
	io_timer_stop(d->io, &session->timer);
	client_close(&session->client, polite);
	free(session);
	if (d->starved)
		delivery_wake(d);
}

void link_drop_session(struct session *session)
{
	session->attempt->session = NULL;
	session->attempt = NULL;
	session_end(session, false);
}

void link_free(struct link *link)
{
	CHECK(list_empty(&link->waiting));
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
	CONTAINER_OF(node, struct session, node)->outdated = true;
	forget_hosts(link);
	link_open(link);
}

/* ---- what waits ----------------------------------------------------------------------------- */

static struct attempt *take_waiting(struct link *link)
{
	struct attempt *attempt = LIST_FIRST(&link->waiting, struct attempt, waiting);

	if (attempt) {
		list_remove(&attempt->waiting);
		link->waiting_count--;
	}
	return attempt;
}

void link_forget(struct link *link, struct attempt *attempt)
{
	if (list_empty(&attempt->waiting))
		return;
	list_remove(&attempt->waiting);
	link->waiting_count--;
}

static void fail_waiting(struct link *link, const struct verdict *verdict)
{
	uint32_t most = link->waiting_count;
	struct attempt *attempt;

	while (most-- && (attempt = take_waiting(link))) {
		if (verdict->kind == VERDICT_PERMANENT)
			attempt_finish_all(attempt, verdict);
		else
			attempt_destination_failed(attempt, verdict);
	}
}

static void set_dns(struct link *link, bool waits)
{
	struct delivery *d = link->delivery;

	for (struct list *at = link->waiting.next; at != &link->waiting; at = at->next)
		queue_unit_set_dns(d->queue, CONTAINER_OF(at, struct attempt, waiting)->unit, waits,
			delivery_now(d));
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static void trouble(struct verdict *verdict, uint8_t subject, uint8_t detail, const char *text)
{
	verdict_set(verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, subject, detail},
		false, span_str(text));
}

/* Takes the hosts over. Permanent and temporary verdicts end what waits. */
static void set_hosts(struct link *link, struct mx_result *hosts)
{
	struct delivery *d = link->delivery;
	struct transport transport;
	struct verdict verdict;

	if (!hosts) {
		trouble(&verdict, 3, 0, "out of memory while looking up the destination");
		fail_waiting(link, &verdict);
		return;
	}
	if (hosts->verdict.kind != VERDICT_OK) {
		verdict = hosts->verdict;
		mx_result_free(&hosts);
		fail_waiting(link, &verdict);
		return;
	}
	if (!delivery_transport(d, link->name, &transport) && transport.host.n) {
		for (uint32_t i = 0; i < hosts->address_count; i++) {
			if (!loop_fixed_server(d->config.route, &transport,
				    &hosts->addresses[i].address, &verdict))
				continue;
			mx_result_free(&hosts);
			fail_waiting(link, &verdict);
			return;
		}
	}
	uint64_t *bad = calloc(MAX(hosts->address_count, 1u), sizeof(*bad));

	if (!bad) {
		mx_result_free(&hosts);
		set_hosts(link, NULL);
		return;
	}
	forget_hosts(link);
	link->hosts = hosts;
	link->bad_until_ns = bad;
	link->hosts_until_ns = d->io->now_ns + hosts->ttl_s * NS_PER_S;
	open_sessions(link);
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

static void look_up(struct link *link)
{
	struct delivery *d = link->delivery;
	struct transport transport;
	struct mx_result *at_once = NULL;
	struct verdict verdict;

	if (delivery_transport(d, link->name, &transport)) {
		trouble(&verdict, 3, 5, "the transport is no longer in the directory");
		fail_waiting(link, &verdict);
		return;
	}
	struct mx_query query = {
		.domain = link->next_hop,
		.host = transport.host,
		.zone = transport.zone,
		.port = transport.port,
		.v4 = true,
		.v6 = true,
		.random = prng_u64(&d->prng),
		.self = d->config.route,
	};
	/* A transport bound to an address of one family has no use for hosts of the other. */
	if (transport.source_v4.n && !transport.source_v6.n)
		query.v6 = false;
	if (transport.source_v6.n && !transport.source_v4.n)
		query.v4 = false;
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

/* ---- sessions ------------------------------------------------------------------------------- */

static const struct client_ops session_ops;

/* The next address to try: in order, but those that failed lately come last. */
static bool pick_address(struct session *session)
{
	struct link *link = session->link;
	uint64_t now = link->delivery->io->now_ns;
	uint32_t count = link->hosts ? link->hosts->address_count : 0;

	if (session->tried >= count)
		return false;
	if (!session->tried) {
		session->address = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (link->bad_until_ns[i] <= now) {
				session->address = i;
				break;
			}
		}
	} else {
		session->address = (session->address + 1) % count;
	}
	return true;
}

static int session_connect(struct session *session)
{
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	const struct mx_address *address = &link->hosts->addresses[session->address];
	const struct mx_host *host = &link->hosts->hosts[address->host];
	struct transport transport;
	struct netaddr literal;
	struct client_config config = {
		.peer = address->address,
		.helo = d->config.config->hostname,
		.timeouts = &d->config.config->timeouts,
	};

	/* A host that is an address has no name beside it. */
	if (netaddr_parse_ip(host->name, &literal))
		config.peer_name = host->name;
	if (!delivery_transport(d, link->name, &transport)) {
		struct span source = address->address.family == NETADDR_V6 ? transport.source_v6
									   : transport.source_v4;

		if (source.n)
			netaddr_parse_ip(source, &config.local);
		if (transport.helo.n)
			config.helo = transport.helo;
		session->jobs_most = transport.messages_per_connection;
	}
	size_t n = MIN(host->name.n, sizeof(session->host) - 1);

	memcpy(session->host, host->name.p, n);
	session->host[n] = '\0';
	session->peer = address->address;
	d->figures.connections++;
	return client_new(d->io, &config, &session_ops, session, &session->client);
}

/* All addresses were tried in vain, or no session could be made. No other one is tried for what
 * waits: those that stand serve it, one after the other, or open one when they end. */
static void session_failed(struct session *session, const struct verdict *verdict)
{
	struct link *link = session->link;

	session_end(session, false);
	if (link->session_count == 0)
		fail_waiting(link, verdict);
}

/* False: it failed at once, and is gone. */
static bool session_try(struct session *session, const struct verdict *last)
{
	struct verdict verdict;

	if (!pick_address(session)) {
		session_failed(session, last);
		return false;
	}
	if (session_connect(session)) {
		/* No descriptor, no memory: another address would fare no better. */
		trouble(&verdict, 3, 0, "out of resources for outbound connections");
		session_failed(session, &verdict);
		return false;
	}
	return true;
}

/* One that stood is over: what waited for it needs another. */
static void session_over(struct session *session, bool polite)
{
	struct link *link = session->link;

	session_end(session, polite);
	link_open(link);
}

static void idle_too_long(struct timer *timer)
{
	session_end(CONTAINER_OF(timer, struct session, timer), true);
}

/* All connections that may be open are: one that idles elsewhere makes room. */
static bool room_for_session(struct delivery *d)
{
	if (d->sessions < d->config.config->limits.outbound_connections)
		return true;
	struct session *oldest = LIST_FIRST(&d->idle, struct session, lru_node);

	if (!oldest)
		return false;
	session_end(oldest, true);
	return true;
}

static void open_sessions(struct link *link)
{
	struct delivery *d = link->delivery;
	struct verdict none;

	trouble(&none, 4, 1, "no address of the destination could be used");
	while (link->connecting < link->waiting_count) {
		if (!room_for_session(d)) {
			/* When a session ends, the pump comes back to this link. */
			d->starved = true;
			return;
		}
		struct session *session = calloc(1, sizeof(*session));

		if (!session) {
			struct verdict verdict;

			trouble(&verdict, 3, 0, "out of memory for outbound connections");
			if (!link->session_count)
				fail_waiting(link, &verdict);
			return;
		}
		session->link = link;
		session->timer.fire = idle_too_long;
		list_init(&session->idle_node);
		list_init(&session->lru_node);
		list_push_back(&link->sessions, &session->node);
		link->session_count++;
		link->connecting++;
		d->sessions++;
		if (!session_try(session, &none))
			return;
	}
}

static void session_run(struct session *session, struct attempt *attempt)
{
	list_remove(&session->idle_node);
	list_remove(&session->lru_node);
	io_timer_stop(session->link->delivery->io, &session->timer);
	session->attempt = attempt;
	attempt->session = session;
	attempt_send(attempt);
}

void link_open(struct link *link)
{
	if (!link->waiting_count || link->lookup)
		return;
	if (hosts_fresh(link))
		open_sessions(link);
	else
		look_up(link);
}

void link_run(struct link *link, struct attempt *attempt)
{
	struct session *session = LIST_FIRST(&link->idle, struct session, idle_node);

	if (session) {
		session_run(session, attempt);
		return;
	}
	if (link->delivery->stopping) {
		attempt_put_back(attempt);
		return;
	}
	list_push_back(&link->waiting, &attempt->waiting);
	link->waiting_count++;
	if (link->lookup)
		queue_unit_set_dns(
			link->delivery->queue, attempt->unit, true, delivery_now(link->delivery));
	else
		link_open(link);
}

void session_free_for_work(struct session *session)
{
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	const struct client_caps *caps = client_caps(session->client);
	struct queue_start start;

	CHECK(!session->attempt);
	if ((session->jobs_most && session->jobs >= session->jobs_most) ||
		(caps->mail_most && session->jobs >= caps->mail_most) || session->outdated ||
		d->stopping) {
		session_over(session, true);
		return;
	}
	struct attempt *attempt = take_waiting(link);

	if (attempt) {
		session_run(session, attempt);
		return;
	}
	/* The one used last is used next, so that those not needed grow old and close. */
	list_push_front(&link->idle, &session->idle_node);
	list_push_back(&d->idle, &session->lru_node);
	while (!session->attempt && !owed_too_much(d) &&
		!queue_next_for(d->queue, link->destination, delivery_now(d), &start))
		attempt_start(d, &start);
	if (session->attempt)
		return;
	if (io_timer_after(d->io, &session->timer, d->config.config->timeouts.idle))
		session_end(session, true);
}

/* ---- what clients say ----------------------------------------------------------------------- */

static void on_ready(void *owner, const struct client_caps *caps)
{
	struct session *session = owner;
	struct delivery *d = session->link->delivery;

	(void)caps;
	session->ready = true;
	session->link->connecting--;
	session_free_for_work(session);
	intake_settle(d);
	delivery_wake(d);
}

/* The attempt goes to another connection. */
static void run_elsewhere(struct session *session)
{
	struct link *link = session->link;
	struct attempt *attempt = session->attempt;

	session->attempt = NULL;
	attempt->session = NULL;
	session_end(session, false);
	link_run(link, attempt);
}

/* A server that waited too long for us says so when it hears MAIL: no failure, either. */
static bool stale_by_421(const struct session *session, const struct client_job *job)
{
	return session->jobs > 0 && !job->usable && job->stage == CLIENT_AT_MAIL &&
	       job->results[0].verdict.code == CODE_CLOSING;
}

static void on_done(void *owner, struct client_job *job)
{
	struct session *session = owner;
	struct delivery *d = session->link->delivery;
	struct attempt *attempt = session->attempt;
	bool usable = job->usable; /* the job is the attempt's, and goes with it */
	bool stale = stale_by_421(session, job);

	session->jobs++;
	if (stale) {
		attempt_job_undone(attempt);
		run_elsewhere(session);
	} else if (attempt_job_done(attempt, job)) {
		if (usable)
			attempt_send(attempt);
		else
			run_elsewhere(session);
	} else {
		session->attempt = NULL;
		outcome(attempt);
		if (usable)
			session_free_for_work(session);
		else
			session_over(session, false);
	}
	intake_settle(d);
	delivery_wake(d);
}

/* A kept connection that the server closed before it took anything: no failure, only a need for
 * another connection. */
static bool just_stale(const struct session *session, enum client_stage stage)
{
	return session->jobs > 0 && (stage == CLIENT_AT_IDLE || stage == CLIENT_AT_MAIL);
}

static void on_failed(
	void *owner, struct client_job *job, const struct verdict *verdict, enum client_stage stage)
{
	struct session *session = owner;
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	struct attempt *attempt = session->attempt;

	if (!job) {
		/* Not even greeted: the next address. */
		struct verdict last = *verdict;

		client_close(&session->client, false);
		if (session->outdated) {
			session_over(session, false);
		} else {
			if (session->address < link->hosts->address_count)
				link->bad_until_ns[session->address] =
					d->io->now_ns + DELIVERY_ADDRESS_BAD_MS * NS_PER_MS;
			session->tried++;
			(void)session_try(session, &last);
		}
	} else if (just_stale(session, stage)) {
		attempt_job_undone(attempt);
		run_elsewhere(session);
	} else {
		/* Recipients that were put off to another transaction share the failure. */
		attempt_job_done(attempt, job);
		session->attempt = NULL;
		attempt_finish_all(attempt, verdict);
		session_over(session, false);
	}
	intake_settle(d);
	delivery_wake(d);
}

static void on_gone(void *owner)
{
	session_end(owner, false);
}

static const struct client_ops session_ops = {
	.ready = on_ready,
	.done = on_done,
	.failed = on_failed,
	.gone = on_gone,
};
