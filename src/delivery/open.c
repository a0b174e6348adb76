/*
 * Sessions are made: one for each attempt that waits, where there may be so many.
 */
#include "delivery/link.h"

#include "base/err.h"

#include <stdlib.h>

/* Until now no host has greeted it, and no time is left for another one. */
static void ready_too_late(struct timer *timer)
{
	struct session *session = CONTAINER_OF(timer, struct session, timer);
	struct link *link = session->link;
	struct delivery *d = link->delivery;
	struct verdict verdict;

	link_trouble(&verdict, 4, 1, "no host of the destination was ready for mail in time");
	if (link->hosts && session->address < link->hosts->address_count)
		link->addresses[session->address].bad_until_ns =
			d->io->now_ns + DELIVERY_ADDRESS_BAD_MS * NS_PER_MS;
	session_failed(session, &verdict);
	intake_settle(d);
	delivery_wake(d);
}

/* No less than the first host may take by itself. */
static uint64_t ready_ms(const struct delivery *d)
{
	const struct config_timeouts *timeouts = &d->config.config->timeouts;

	return MAX(DELIVERY_READY_MS, timeouts->connect + timeouts->greeting);
}

/* One that is being opened, for attempts that have found another session meanwhile. */
static struct session *find_surplus(struct delivery *d)
{
	if (d->no_surplus_ns == d->io->now_ns)
		return NULL;
	LIST_FOR_EACH(at, &d->links)
	{
		struct link *link = CONTAINER_OF(at, struct link, node);

		if (link->connecting <= link->waiting_count)
			continue;
		LIST_FOR_EACH(node, &link->sessions)
		{
			struct session *session = CONTAINER_OF(node, struct session, node);

			if (!session->ready && !session->strict)
				return session;
		}
	}
	d->no_surplus_ns = d->io->now_ns;
	return NULL;
}

bool session_room(struct delivery *d)
{
	if (d->sessions < d->config.config->limits.outbound_connections)
		return true;
	struct session *unused = LIST_FIRST(&d->idle, struct session, lru_node);

	if (!unused)
		unused = find_surplus(d);
	if (!unused) {
		/* When a session ends, the pump comes back to those that wait. */
		d->starved = true;
		return false;
	}
	session_end(unused, true);
	return true;
}

struct session *session_make(struct link *link, bool strict)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->link = link;
	session->strict = strict;
	session->timer.fire = ready_too_late;
	list_init(&session->idle_node);
	list_init(&session->lru_node);
	if (io_timer_after(link->delivery->io, &session->timer, ready_ms(link->delivery))) {
		free(session);
		return NULL;
	}
	list_push_back(&link->sessions, &session->node);
	if (strict) {
		link->strict_session = session;
	} else {
		link->session_count++;
		link->connecting++;
	}
	link->delivery->sessions++;
	return session;
}

void session_open_for(struct link *link)
{
	struct delivery *d = link->delivery;
	struct verdict none;
	bool others = link->waiting_count;

	strict_open(link);
	if (!others)
		return;
	link_trouble(&none, 4, 1, "no address of the destination could be used");
	while (link->connecting < link->waiting_count) {
		if (!session_room(d))
			return;
		struct session *session = session_make(link, false);

		if (!session) {
			if (!link->session_count)
				link_short_waiting(link, "no memory for an outbound connection");
			return;
		}
		if (!session_try(session, &none))
			return;
	}
}
