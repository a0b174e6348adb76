/*
 * How a session begins: a link's hosts, one address after the other, until one of them greets it.
 * When no session stands and none can be opened, all that wait hear why.
 */
#include "delivery/link.h"

#include "base/err.h"

#include <stdlib.h>

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

bool session_try(struct session *session, const struct verdict *last)
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
