/*
 * How a session begins: a link's hosts, one address after the other, until one of them greets it.
 * When no session stands and none can be opened, all that wait hear why.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT "no memory or descriptor for an outbound connection"

/* ---- addresses ------------------------------------------------------------------------------ */

enum pick { PICK_ONE, PICK_NONE, PICK_BUSY };

/* Of all destinations together, one host has no more than this; an administrator who names a server
 * also says how many it takes. */
static uint32_t host_limit(const struct link *link)
{
	uint32_t all = link->delivery->config.config->limits.outbound_connections;

	return link->next_hop.n ? MAX(DELIVERY_HOST_SESSIONS, all / DELIVERY_HOST_SHARE)
				: UINT32_MAX;
}

bool session_host_full(const struct link *link, uint32_t address)
{
	return peers_sessions(&link->delivery->peers, &link->hosts->addresses[address].address) >=
	       host_limit(link);
}

/* From this one on, in order, but those that failed lately come last. */
static bool find_address(const struct link *link, uint32_t from, bool bad_too, uint32_t *out)
{
	uint32_t count = link->hosts->address_count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (from + i) % count;

		if (session_host_full(link, at) ||
			(!bad_too && link->addresses[at].bad_until_ns > link->delivery->io->now_ns))
			continue;
		*out = at;
		return true;
	}
	return false;
}

static enum pick pick_address(struct session *session)
{
	struct link *link = session->link;
	uint32_t count = link->hosts ? link->hosts->address_count : 0;

	if (session->strict)
		return strict_pick(session) ? PICK_ONE : PICK_NONE;
	if (session->tried >= MIN(count, DELIVERY_ADDRESSES_TRIED)) {
		/* The next session goes on with those that had no turn. */
		link->first_address = session->tried < count ? session->address + 1 : 0;
		return PICK_NONE;
	}
	uint32_t from = session->tried ? session->address + 1 : link->first_address;

	return find_address(link, from, false, &session->address) ||
			       find_address(link, from, true, &session->address)
		       ? PICK_ONE
		       : PICK_BUSY;
}

void session_leave_host(struct session *session)
{
	if (session->counted)
		peers_remove(&session->link->delivery->peers, &session->peer);
	session->counted = false;
}

/* ---- connecting ----------------------------------------------------------------------------- */

void session_forget_secret(struct session *session)
{
	if (session->sasl)
		explicit_bzero(session->sasl, session->sasl_bytes);
	free(session->sasl);
	session->sasl = NULL;
}

/* Generations of the directory come and go while a session opens. */
static int set_sasl(
	struct session *session, const struct transport *transport, struct client_config *config)
{
	struct delivery *d = session->link->delivery;
	struct span user = transport->sasl_user, secret;

	session_forget_secret(session);
	if (!user.n)
		return 0;
	if (!d->secrets || secrets_find(d->secrets, transport->name, &secret) != 0)
		return ERR_NOT_FOUND;
	session->sasl_bytes = user.n + secret.n;
	session->sasl = malloc(session->sasl_bytes);
	if (!session->sasl)
		return ERR_NOMEM;
	memcpy(session->sasl, user.p, user.n);
	memcpy(session->sasl + user.n, secret.p, secret.n);
	config->sasl_user = span_of(session->sasl, user.n);
	config->sasl_secret = span_of(session->sasl + user.n, secret.n);
	/* A password goes nowhere in clear, and to nobody who stripped STARTTLS. */
	if (config->tls == CLIENT_TLS_MAY)
		config->tls = CLIENT_TLS_MUST;
	return 0;
}

static void set_tls(struct session *session, struct client_config *config)
{
	config->tls = session->relaxed ? CLIENT_TLS_MAY : session->plan->tls;
	session->security = session->plan->client;
	if (session->manner == SESSION_IN_CLEAR) {
		config->tls = CLIENT_TLS_NONE;
	} else if (session->manner == SESSION_UNCHECKED) {
		/* What is resumed was checked; so nothing is kept of this one. */
		session->security.check = TLS_CHECK_NOTHING;
		session->security.session_key = SPAN_NONE;
	}
	config->security = &session->security;
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
	/* What is not known of it must not be taken for "anything goes". */
	if (delivery_transport(d, link->name, &transport))
		return ERR_CLOSED;
	struct span source =
		address->address.family == NETADDR_V6 ? transport.source_v6 : transport.source_v4;

	if (source.n)
		netaddr_parse_ip(source, &config.local);
	if (transport.helo.n)
		config.helo = transport.helo;
	session->jobs_most = transport.messages_per_connection;
	set_tls(session, &config);
	int err = set_sasl(session, &transport, &config);
	if (err)
		return err;
	session_leave_host(session);
	if (link->next_hop.n && peers_add(&d->peers, &address->address))
		return ERR_NOMEM;
	session->counted = link->next_hop.n != 0;
	size_t n = MIN(host->name.n, sizeof(session->host) - 1);

	memcpy(session->host, host->name.p, n);
	session->host[n] = '\0';
	session->peer = address->address;
	d->figures.connections++;
	return client_new(d->io, &config, &session_ops, session, &session->client);
}

/* Recipients' domains said how mail to them is to be protected, and no host is so; but there is
 * mail whose sender wants it to arrive all the same, such as a report about that very trouble. What
 * an administrator demands (require, verify) is not the domains' to waive. */
static bool may_relax(const struct session *session)
{
	const struct link *link = session->link;
	struct transport transport;

	return !session->relaxed && !session->client && link->session_count == 1 && link->hosts &&
	       link->hosts->address_count && link_has_relaxed(link) &&
	       !delivery_transport(link->delivery, link->name, &transport) &&
	       (transport.tls == TLS_DANE || transport.tls == TLS_MTA_STS);
}

void session_failed(struct session *session, const struct verdict *verdict)
{
	struct link *link = session->link;

	if (session->strict) {
		strict_failed(session);
		return;
	}
	if (may_relax(session)) {
		session->relaxed = true;
		session->tried = 0;
		(void)session_try(session, verdict);
		return;
	}
	session_end(session, false);
	if (link->session_count == 0)
		link_fail_waiting(link, verdict);
}

/* What is short may be had from a connection that idles elsewhere. */
static void session_short(struct session *session)
{
	struct link *link = session->link;
	struct session *oldest = LIST_FIRST(&link->delivery->idle, struct session, lru_node);
	bool strict = session->strict;

	session_end(session, false);
	if (oldest)
		session_end(oldest, true);
	if (strict)
		strict_short(link, SHORT);
	else if (link->session_count == 0)
		link_short_waiting(link, SHORT);
}

/* What is left over of those that wait, when the sessions that are being opened have theirs, need
 * not hold its place among all deliveries. */
static void session_busy(struct session *session)
{
	struct link *link = session->link;
	uint32_t limit = host_limit(link);

	session_end(session, false);
	while (link->waiting_count > link->connecting) {
		struct attempt *last = CONTAINER_OF(link->waiting.prev, struct attempt, waiting);

		link_forget(link, last);
		attempt_busy(last, limit);
	}
}

/* Those to which no session may be had are passed over. *last: why the last one was. */
static enum pick pick_allowed(struct session *session, struct verdict *last)
{
	struct link *link = session->link;

	for (;;) {
		enum pick pick = pick_address(session);

		if (pick != PICK_ONE)
			return pick;
		uint32_t host = link->hosts->addresses[session->address].host;

		secure_release(&session->secure);
		session->secure = secure_hold(link->secure);
		session->plan = &session->secure->hosts[host];
		session->manner = session->relaxed ? SESSION_UNCHECKED : SESSION_AS_PLANNED;
		if (!session->plan->refused || session->relaxed)
			return PICK_ONE;
		*last = session->plan->why;
		secure_report_refusal(link, session->plan, link->hosts->hosts[host].name);
		session->tried++;
	}
}

bool session_again(struct session *session, enum client_stage stage)
{
	const struct secure_host *plan = session->plan;

	/* Only a handshake that failed may go better with less. */
	if (stage != CLIENT_AT_TLS || session->link->secure != session->secure)
		return false;
	if (session->manner == SESSION_AS_PLANNED && plan->testing)
		session->manner = SESSION_UNCHECKED;
	else if (session->manner != SESSION_IN_CLEAR && !session->sasl &&
		 (plan->tls == CLIENT_TLS_MAY || session->relaxed))
		session->manner = SESSION_IN_CLEAR;
	else
		return false;
	client_close(&session->client, false);
	return session_connect(session) == 0;
}

/* What of the transport's settings keeps it from connecting, and how to mend it. */
static void unusable(const struct link *link, int err, struct verdict *verdict)
{
	char text[VERDICT_TEXT];
	int n = (int)MIN(link->name.n, VERDICT_TEXT / 8u);

	if (err == ERR_NOT_FOUND)
		snprintf(text, sizeof(text),
			"the transport's sasl secret is not known here: give it with posternctl "
			"transport set %.*s --secret",
			n, link->name.p);
	else if (err == ERR_CLOSED)
		snprintf(text, sizeof(text), "the transport is no longer in the directory");
	else
		snprintf(text, sizeof(text),
			"no connection can be begun with the transport's helo and source "
			"addresses (%s): see posternctl transport show %.*s",
			err_text(err), n, link->name.p);
	link_trouble(verdict, 3, 5, text);
}

bool session_try(struct session *session, const struct verdict *before)
{
	struct verdict verdict, last_one = *before;
	const struct verdict *last = &last_one;
	enum pick pick = pick_allowed(session, &last_one);

	if (pick != PICK_ONE) {
		if (pick == PICK_BUSY)
			session_busy(session);
		else
			session_failed(session, last);
		return false;
	}
	int err = session_connect(session);
	if (err == ERR_NOMEM) {
		session_short(session);
		return false;
	}
	if (err) {
		/* Another address would fare no better. */
		unusable(session->link, err, &verdict);
		session_failed(session, &verdict);
		return false;
	}
	return true;
}
