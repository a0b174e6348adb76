/*
 * A link's sessions: each tries the destination's addresses in order until one greets it, then
 * carries one attempt after the other. When no session stands and none can be opened, all that wait
 * hear why.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define CODE_CLOSING 421 /* RFC 5321 section 3.8 */

/* ---- life ----------------------------------------------------------------------------------- */

void session_end(struct session *session, bool polite)
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

/* ---- beginnings ------------------------------------------------------------------------------ */

static const struct client_ops session_ops;

/* The next address to try: in order, but those that failed lately come last. */
static bool pick_address(struct session *session)
{
	struct link *link = session->link;
	uint64_t now = link->delivery->io->now_ns;
	uint32_t count = link->hosts ? link->hosts->address_count : 0;

	if (session->tried >= MIN(count, DELIVERY_ADDRESSES_TRIED)) {
		/* The next session goes on with those that had no turn. */
		link->first_address = session->tried < count ? session->address + 1 : 0;
		return false;
	}
	uint32_t from = session->tried ? session->address + 1 : link->first_address, i = 0;

	from %= count;

	while (i < count && link->bad_until_ns[(from + i) % count] > now)
		i++;
	session->address = (from + i) % count; /* all are bad: the next in order */
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
		link_fail_waiting(link, verdict);
}

/* What is short may be had from a connection that idles elsewhere. */
static void session_short(struct session *session)
{
	struct link *link = session->link;
	struct session *oldest = LIST_FIRST(&link->delivery->idle, struct session, lru_node);

	session_end(session, false);
	if (oldest)
		session_end(oldest, true);
	if (link->session_count == 0)
		link_short_waiting(link, "no memory or descriptor for an outbound connection");
}

/* False: it failed at once, and is gone. */
static bool session_try(struct session *session, const struct verdict *last)
{
	struct verdict verdict;

	if (!pick_address(session)) {
		session_failed(session, last);
		return false;
	}
	int err = session_connect(session);
	if (err == ERR_NOMEM) {
		session_short(session);
		return false;
	}
	if (err) {
		/* A setting that cannot be used; another address would fare no better. */
		link_trouble(&verdict, 3, 5, "the transport's settings allow no connection");
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

void session_open_for(struct link *link)
{
	struct delivery *d = link->delivery;
	struct verdict none;

	link_trouble(&none, 4, 1, "no address of the destination could be used");
	while (link->connecting < link->waiting_count) {
		if (!room_for_session(d)) {
			/* When a session ends, the pump comes back to this link. */
			d->starved = true;
			return;
		}
		struct session *session = calloc(1, sizeof(*session));

		if (!session) {
			if (!link->session_count)
				link_short_waiting(link, "no memory for an outbound connection");
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

void session_run(struct session *session, struct attempt *attempt)
{
	list_remove(&session->idle_node);
	list_remove(&session->lru_node);
	io_timer_stop(session->link->delivery->io, &session->timer);
	session->attempt = attempt;
	attempt->session = session;
	attempt_send(attempt);
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
	struct attempt *attempt = link_take_waiting(link);

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
	session->link->first_address = 0;
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
