/*
 * Pauses. A transport's (and everything's) pause stops the transport's clock; a domain's takes the
 * units out of their destinations until it is over.
 */
#include "queue/internal.h"

const struct pausing *domain_pausing(const struct queue *q, uint32_t domain)
{
	uint32_t at = domain ? *intern_tag(&q->domains, domain) : 0;
	return at ? &q->domain_pauses[at - 1].pausing : NULL;
}

const struct pausing *unit_pausing(const struct queue *q, const struct unit *u)
{
	if (!q->domain_pause_count)
		return NULL;
	for (uint32_t i = 0; i < (u->domain == DOMAIN_MIXED ? u->rcpt_count : 1); i++) {
		const struct pausing *pausing = domain_pausing(q, unit_domain(u, i));
		if (pausing)
			return pausing;
	}
	return NULL;
}

int64_t unit_wall(const struct queue *q, const struct unit *u)
{
	const struct transport_record *t = transport_of(q, destination_at(q, u->destination));
	const struct pausing *pausing = unit_pausing(q, u);
	int64_t wall = q->wall;
	if (t->blockers)
		wall = MIN(wall, queue_clock_wall(q, t->freeze));
	if (pausing)
		wall = MIN(wall, queue_clock_wall(q, pausing->clock));
	if (u->flags & UNIT_HOLD && u->extra)
		wall = MIN(wall, extra_at(q, u->extra)->hold_since);
	return wall;
}

static bool distances(const struct unit *u)
{
	return u->place == PLACE_NONE || u->place == PLACE_HELD || u->place == PLACE_PAUSED ||
	       u->place == PLACE_LIMBO;
}

int64_t unit_due_in(const struct queue *q, const struct unit *u)
{
	const struct transport_record *t = transport_of(q, destination_at(q, u->destination));
	return distances(u) ? u->due : u->due - vclock(q, t);
}

int64_t unit_age(const struct queue *q, const struct unit *u)
{
	const struct transport_record *t = transport_of(q, destination_at(q, u->destination));
	return distances(u) ? u->born : vclock(q, t) - u->born;
}

/* ---- everything, and transports ------------------------------------------------------------- */

static void update_destinations(struct queue *q, struct transport_record *t)
{
	LIST_FOR_EACH(node, &t->destinations)
	destination_update(q, CONTAINER_OF(node, struct destination, of_transport)->self);
}

/* A pause from before a restart began at its own time, not when the messages were read again; with
 * units at work it begins now. */
static int64_t begins(const struct queue *q, uint32_t units, int64_t since)
{
	return units ? q->clock : queue_clock_of(q, since);
}

static void block(struct queue *q, struct transport_record *t, int64_t from)
{
	t->freeze = t->blockers++ ? MIN(t->freeze, from) : from;
	update_destinations(q, t);
}

static void unblock(struct queue *q, struct transport_record *t)
{
	CHECK(t->blockers);
	if (!--t->blockers) {
		t->shift += q->clock - t->freeze;
		/* Whoever lets it go on wants to know now whether it does. */
		LIST_FOR_EACH(node, &t->destinations)
		destination_ask(q, CONTAINER_OF(node, struct destination, of_transport));
	}
	update_destinations(q, t);
}

/* `from`: when its clocks stop, where it begins now. */
static int pausing_set(
	struct queue *q, struct pausing *pausing, const struct pause *pause, int64_t from)
{
	uint32_t by, reason;
	if (!intern_take(&q->names, &q->mem, pause->by, &by))
		return ERR_NOMEM;
	if (!intern_take(&q->names, &q->mem, pause->reason, &reason)) {
		intern_give(&q->names, &q->mem, by);
		return ERR_NOMEM;
	}
	intern_give(&q->names, &q->mem, pausing->by);
	intern_give(&q->names, &q->mem, pausing->reason);
	if (!pausing->since) {
		pausing->clock = from;
		q->pauses_version++;
	}
	pausing->since = pause->since_ms;
	pausing->by = by;
	pausing->reason = reason;
	return 0;
}

static void pausing_clear(struct queue *q, struct pausing *pausing)
{
	intern_give(&q->names, &q->mem, pausing->by);
	intern_give(&q->names, &q->mem, pausing->reason);
	*pausing = (struct pausing){0};
}

/* It is over. Its length is that of our clock, whatever the wall clock did meanwhile. */
static void pausing_end(
	struct queue *q, enum queue_scope scope, struct span name, struct pausing *pausing)
{
	if (pausing->since) {
		past_add(q, scope, name, queue_clock_wall(q, pausing->clock), q->wall);
		q->pauses_version++;
	}
	pausing_clear(q, pausing);
}

static int pause_all(struct queue *q, const struct pause *pause)
{
	bool was = q->pausing.since != 0;
	if (!pause->since_ms) {
		pausing_end(q, QUEUE_SCOPE_ALL, SPAN_NONE, &q->pausing);
		for (uint32_t i = 0; was && i < q->transport_count; i++)
			unblock(q, q->transports[i]);
		return 0;
	}
	int err = pausing_set(q, &q->pausing, pause, begins(q, q->units.used, pause->since_ms));
	if (err || was)
		return err;
	for (uint32_t i = 0; i < q->transport_count; i++)
		block(q, q->transports[i], begins(q, q->transports[i]->units, pause->since_ms));
	return 0;
}

static int pause_transport(struct queue *q, struct span name, const struct pause *pause)
{
	struct transport_record *t = transport_find(q, name);
	if (!t && !pause->since_ms)
		return 0;
	if (!t)
		t = transport_get(q, name);
	if (!t)
		return ERR_NOMEM;
	bool was = t->pausing.since != 0;
	if (!pause->since_ms) {
		pausing_end(q, QUEUE_SCOPE_TRANSPORT, name, &t->pausing);
		if (was)
			unblock(q, t);
		return 0;
	}
	int err = pausing_set(q, &t->pausing, pause, begins(q, t->units, pause->since_ms));
	if (!err && !was)
		block(q, t, t->pausing.clock);
	return err;
}

/* ---- domains -------------------------------------------------------------------------------- */

static bool has_domain(const struct unit *u, uint32_t domain)
{
	if (u->domain != DOMAIN_MIXED)
		return u->domain == domain;
	for (uint32_t i = 0; i < u->rcpt_count; i++)
		if (unit_domain(u, i) == domain)
			return true;
	return false;
}

/* Every unit with recipients in the domain is put where it belongs now. Whoever lets them go on
 * wants to know now whether they do. */
static void replace_units(struct queue *q, uint32_t domain, bool resumed)
{
	uint32_t top = q->units.top;
	for (uint32_t at = 1; at < top; at++) {
		const struct unit *u = unit_at(q, at);
		if (!u->rcpt_count || !has_domain(u, domain) || unit_is_tried(u) ||
			u->place == PLACE_HELD)
			continue;
		uint32_t destination = u->destination;
		unit_lift(q, at);
		unit_place(q, at, false);
		if (resumed)
			destination_ask(q, destination_at(q, destination));
		destination_update(q, destination);
	}
}

static int domain_pause_new(struct queue *q, uint32_t domain, uint32_t *at)
{
	for (*at = 0; *at < q->domain_pause_room && q->domain_pauses[*at].domain;)
		++*at;
	if (*at == q->domain_pause_room) {
		uint32_t had = q->domain_pause_room, room = had ? had * 2 : 8;
		struct domain_pause *grown = mem_resize(
			&q->mem, q->domain_pauses, had * sizeof(*grown), room * sizeof(*grown));
		if (!grown)
			return ERR_NOMEM;
		memset(grown + had, 0, (room - had) * sizeof(*grown));
		q->domain_pauses = grown;
		q->domain_pause_room = room;
	}
	q->domain_pauses[*at].domain = domain;
	return 0;
}

static void resume_domain(struct queue *q, uint32_t domain)
{
	uint32_t *tag = intern_tag(&q->domains, domain);
	struct domain_pause *entry = &q->domain_pauses[*tag - 1];
	*tag = 0;
	pausing_end(q, QUEUE_SCOPE_DOMAIN, intern_text(&q->domains, domain), &entry->pausing);
	entry->domain = 0;
	q->domain_pause_count--;
	if (intern_refs(&q->domains, domain) > 1)
		replace_units(q, domain, true);
	intern_give(&q->domains, &q->mem, domain);
}

static int pause_domain(struct queue *q, struct span name, const struct pause *pause)
{
	uint32_t domain = intern_find(&q->domains, name), at;
	bool was = domain && *intern_tag(&q->domains, domain);

	if (!pause->since_ms) {
		if (was)
			resume_domain(q, domain);
		return 0;
	}
	if (was)
		return pausing_set(q,
			&q->domain_pauses[*intern_tag(&q->domains, domain) - 1].pausing, pause, 0);
	if (!name.n)
		return ERR_NOT_FOUND;
	struct pausing pausing = {0};
	if (!intern_take(&q->domains, &q->mem, name, &domain))
		return ERR_NOMEM;
	int err = pausing_set(q, &pausing, pause, begins(q, q->units.used, pause->since_ms));
	if (!err)
		err = domain_pause_new(q, domain, &at);
	if (err) {
		pausing_clear(q, &pausing);
		intern_give(&q->domains, &q->mem, domain);
		return err;
	}
	q->domain_pauses[at].pausing = pausing;
	*intern_tag(&q->domains, domain) = at + 1;
	q->domain_pause_count++;
	if (intern_refs(&q->domains, domain) > 1)
		replace_units(q, domain, false);
	return 0;
}

int queue_set_pause(struct queue *q, enum queue_scope scope, struct span name,
	const struct pause *pause, int64_t now)
{
	queue_clock_set(q, now);
	switch (scope) {
	case QUEUE_SCOPE_ALL: return pause_all(q, pause);
	case QUEUE_SCOPE_TRANSPORT: return pause_transport(q, name, pause);
	case QUEUE_SCOPE_DOMAIN: return pause_domain(q, name, pause);
	}
	return ERR_UNSUPPORTED;
}

struct span queue_paused_domain(const struct queue *q, uint32_t *at)
{
	while (*at < q->domain_pause_room) {
		uint32_t domain = q->domain_pauses[(*at)++].domain;
		if (domain)
			return intern_text(&q->domains, domain);
	}
	return SPAN_NONE;
}

struct span queue_paused_transport(const struct queue *q, uint32_t *at)
{
	while (*at < q->transport_count) {
		const struct transport_record *t = q->transports[(*at)++];
		if (t->pausing.since)
			return intern_text(&q->names, t->name);
	}
	return SPAN_NONE;
}
