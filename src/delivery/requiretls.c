/*
 * Mail with REQUIRETLS goes only to a host that has the right certificate and offers REQUIRETLS
 * itself (RFC 8689 section 4.2.1). Such an attempt begins like any other; where it comes to a
 * session whose host lacks that, the session goes on with other mail, and the attempt waits apart,
 * in link->strict. For all that wait there, one session at a time, a strict one, asks the link's
 * other hosts, each once in a round, and leaves those that lack it:
 *
 *   a host has it          it gets the mail, and the session ends with it
 *   every host lacks it    550 5.7.30
 *   some cannot be asked   451: they may have it, also where the DNS does not say now where they
 * are. Other mail is not held up, as some host was there
 *
 * Mail of the null sender would be lost with a 550, as nobody hears of it. It must not be (section
 * 5), so a lenient round follows for it: among the hosts that have the right certificate.
 */
#include "delivery/link.h"

#include "base/check.h"

/* ---- what waits ----------------------------------------------------------------------------- */

static bool is_null_senders(const struct attempt *attempt)
{
	return !attempt->envelope.sender.n;
}

/* The one that has waited longest. */
static struct attempt *find(const struct link *link, bool null_sender)
{
	for (struct list *at = link->strict.next; at != &link->strict; at = at->next) {
		struct attempt *attempt = CONTAINER_OF(at, struct attempt, waiting);

		if (!null_sender || is_null_senders(attempt))
			return attempt;
	}
	return NULL;
}

struct attempt *strict_take(struct session *session)
{
	struct attempt *attempt = find(session->link, session->lenient);

	if (attempt)
		link_forget(session->link, attempt);
	return attempt;
}

void strict_wait(struct link *link, struct attempt *attempt)
{
	struct delivery *d = link->delivery;

	attempt->strict = true;
	list_push_back(&link->strict, &attempt->waiting);
	link->strict_count++;
	if (link_looks_up(link)) {
		queue_unit_set_dns(d->queue, attempt->unit, true, delivery_now(d));
	} else if (!link->strict_session) {
		/* Whoever calls has a session in his hands, so none is closed for this here. */
		d->starved = true;
		delivery_wake(d);
	}
}

void strict_fail(struct link *link, const struct verdict *verdict)
{
	uint32_t most = link->strict_count;

	while (most--) {
		struct attempt *attempt = find(link, false);

		link_forget(link, attempt);
		attempt_finish_all(attempt, verdict);
	}
}

void strict_short(struct link *link, const char *what)
{
	uint32_t most = link->strict_count;
	struct verdict verdict;

	link_trouble(&verdict, 3, 0, what);
	while (most--) {
		struct attempt *attempt = find(link, false);

		link_forget(link, attempt);
		attempt_short(attempt, &verdict);
	}
}

/* ---- hosts ---------------------------------------------------------------------------------- */

/* Is it known that this one will not do? */
static bool lacks(const struct link *link, uint32_t address)
{
	const struct secure_host *plan = &link->secure->hosts[link->hosts->addresses[address].host];

	/* Nobody looks at its certificate. */
	if (!plan->refused && plan->client.check == TLS_CHECK_NOTHING)
		return true;
	return link->addresses[address].lacks_until_ns > link->delivery->io->now_ns;
}

static bool lacks_offer_only(const struct link *link, uint32_t address)
{
	return lacks(link, address) && link->addresses[address].verified;
}

bool strict_learn(struct session *session)
{
	struct link *link = session->link;
	struct client_security security;

	client_security(session->client, &security);
	session->requires =
		security.verified && (client_caps(session->client)->can & CLIENT_REQUIRETLS);
	/* A relaxed one has not even tried; and hosts may have been looked up anew. */
	if (!session->relaxed && session->secure == link->secure) {
		struct link_address *address = &link->addresses[session->address];

		address->verified = security.verified;
		address->lacks_until_ns = session->requires ? 0
							    : link->delivery->io->now_ns +
								      DELIVERY_LACKS_MS * NS_PER_MS;
	}
	return !session->strict || session->requires || (session->lenient && security.verified);
}

/* In the order of the MX records; those that failed lately come last. None is asked for attempts
 * that were given up meanwhile. */
bool strict_pick(struct session *session)
{
	struct link *link = session->link;
	uint32_t count = link->hosts && link->strict_count ? link->hosts->address_count : 0;

	for (int bad_too = 0; bad_too < 2; bad_too++) {
		for (uint32_t at = 0; at < count; at++) {
			struct link_address *address = &link->addresses[at];
			bool wanted =
				session->lenient ? lacks_offer_only(link, at) : !lacks(link, at);

			if (!wanted || address->round == link->strict_round ||
				session_host_full(link, at) ||
				(!bad_too && address->bad_until_ns > link->delivery->io->now_ns))
				continue;
			address->round = link->strict_round;
			address->lacks_until_ns = 0; /* it is asked again */
			session->address = at;
			return true;
		}
	}
	return false;
}

/* ---- the end of a round --------------------------------------------------------------------- */

static void why_not(const struct link *link, struct verdict *verdict)
{
	uint32_t count = link->hosts ? link->hosts->address_count : 0, lacking = 0, verified = 0;

	for (uint32_t at = 0; at < count; at++) {
		lacking += lacks(link, at);
		verified += lacks_offer_only(link, at);
	}
	if (count && lacking == count && !link->hosts->incomplete)
		client_requiretls_verdict(verified != 0, verdict);
	else
		link_trouble(verdict, 4, 1,
			"REQUIRETLS needed: the message must only go over protected links, which "
			"those hosts of the destination that could be reached do not support");
}

/* Some host is good enough for the null sender's, and there is such mail. */
static bool may_be_lenient(const struct session *session)
{
	const struct link *link = session->link;
	uint32_t count = link->hosts ? link->hosts->address_count : 0;

	if (session->lenient || session->client || !find(link, true))
		return false;
	for (uint32_t at = 0; at < count; at++)
		if (lacks_offer_only(link, at))
			return true;
	return false;
}

static void begin_lenient_round(struct session *session, const struct verdict *verdict)
{
	struct link *link = session->link;

	LIST_FOR_EACH(node, &link->strict)
	{
		struct attempt *attempt = CONTAINER_OF(node, struct attempt, waiting);

		if (is_null_senders(attempt))
			continue;
		link_forget(link, attempt);
		attempt_finish_all(attempt, verdict);
	}
	session->lenient = true;
	link->strict_round++;
	(void)session_try(session, verdict);
}

void strict_failed(struct session *session)
{
	struct link *link = session->link;
	struct verdict verdict;

	why_not(link, &verdict);
	if (may_be_lenient(session)) {
		begin_lenient_round(session, &verdict);
		return;
	}
	session_end(session, false);
	strict_fail(link, &verdict);
}

/* ---- opening -------------------------------------------------------------------------------- */

void strict_open(struct link *link)
{
	struct verdict none;

	if (!link->strict_count || link->strict_session || !session_room(link->delivery))
		return;
	struct session *session = session_make(link, true);

	if (!session) {
		strict_short(link, "no memory for an outbound connection");
		return;
	}
	link->strict_round++;
	link_trouble(&none, 4, 1, "no address of the destination could be used");
	if (!session_try(session, &none))
		return;
	/* One that could not be used for this idles instead: together they would be one more than
	 * may be. */
	struct session *idle = LIST_FIRST(&link->idle, struct session, idle_node);

	if (idle)
		session_end(idle, true);
}
