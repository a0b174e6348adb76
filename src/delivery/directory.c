/*
 * The directory's generations: settings, pauses, and what is routed or connected anew where mail
 * goes another way than before.
 */
#include "delivery/link.h"

#include "base/err.h"
#include "delivery/report.h"
#include "directory/secrets.h"

/* Our own destinations have settings, too: mailboxes are tried for as long as ordinary mail. */
static void own_transport(struct span name, struct transport *out)
{
	*out = (struct transport){
		.name = name,
		.retry = {{60, 1}, {300, 5}, {3600, 1}},
		.retry_steps = 3,
		.retry_count = 120,
		.give_up = GIVE_UP_DSN,
		.delay_warning_s = 4 * 3600,
		.connections = 16,
	};
}

int delivery_transport(struct delivery *d, struct span name, struct transport *out)
{
	if (name.n && name.p[0] == '(') {
		own_transport(name, out);
		return 0;
	}
	return d->snapshot ? snapshot_transport_by_name(d->snapshot, name, out) : ERR_NOT_FOUND;
}

/* Pauses of domains: those that ended and those that began. */
static int set_domain_pauses(struct delivery *d)
{
	int64_t now = delivery_now(d);
	uint32_t at = 0;

	for (;;) {
		struct span name = queue_paused_domain(d->queue, &at);
		struct domain domain;
		struct pause none = {0};

		if (!name.n)
			break;
		if (snapshot_domain(d->snapshot, name, &domain) || !domain.pause.since_ms) {
			int err = queue_set_pause(d->queue, QUEUE_SCOPE_DOMAIN, name, &none, now);

			if (err)
				return err;
			at = 0; /* the list changed under the position */
		}
	}
	for (uint32_t i = 0;; i++) {
		struct domain domain;
		int err = snapshot_paused_domain(d->snapshot, i, &domain);

		if (err)
			return err == ERR_NOT_FOUND ? 0 : err;
		err = queue_set_pause(
			d->queue, QUEUE_SCOPE_DOMAIN, domain.name, &domain.pause, now);
		if (err)
			return err;
	}
}

/* Everything is paused: by an administrator, or as deliveries whose completion cannot be recorded
 * would be repeated after a crash. */
int delivery_set_pauses(struct delivery *d)
{
	struct pause pause;

	snapshot_pause(d->snapshot, &pause);
	if (!pause.since_ms && d->journal != SPOOL_WELL)
		pause = (struct pause){
			.since_ms = d->journal_since_ms,
			.by = SPAN("postern"),
			.reason =
				SPAN("the spool's journal cannot be written: see spool in status"),
		};
	return queue_set_pause(d->queue, QUEUE_SCOPE_ALL, SPAN_NONE, &pause, delivery_now(d));
}

static bool same_security(const struct transport *a, const struct transport *b)
{
	return a->tls == b->tls && span_equal(a->tls_ca, b->tls_ca) &&
	       a->tls_pin_count == b->tls_pin_count &&
	       memcmp(a->tls_pins, b->tls_pins, a->tls_pin_count * sizeof(a->tls_pins[0])) == 0 &&
	       span_equal(a->sasl_user, b->sasl_user);
}

static bool same_way(const struct transport *a, const struct transport *b)
{
	return span_equal(a->host, b->host) && a->port == b->port && span_equal(a->zone, b->zone) &&
	       span_equal(a->query, b->query) && a->private_hosts == b->private_hosts &&
	       span_equal(a->source_v4, b->source_v4) && span_equal(a->source_v6, b->source_v6) &&
	       span_equal(a->helo, b->helo) && same_security(a, b);
}

/* A transport of both generations whose mail goes to the same place in the same manner. */
static bool stays(const struct snapshot *before, const struct snapshot *after, struct span name)
{
	struct transport old, new;

	return name.n && name.p[0] != '(' && !snapshot_transport_by_name(before, name, &old) &&
	       !snapshot_transport_by_name(after, name, &new) && same_way(&old, &new);
}

/* What is open or put off because of what a transport was before. */
static void leave_old_ways(
	struct delivery *d, const struct snapshot *before, const struct snapshot *after)
{
	struct transport transport;

	for (uint32_t i = 0; i < snapshot_transport_count(before); i++)
		if (!snapshot_transport(before, i, &transport) &&
			!stays(before, after, transport.name))
			queue_transport_moved(d->queue, transport.name, delivery_now(d));
	LIST_FOR_EACH(node, &d->links)
	{
		struct link *link = CONTAINER_OF(node, struct link, node);

		if (!stays(before, after, link->name))
			link_refresh(link);
	}
}

/* Transports that are paused, and are not in the directory any more. */
static int resume_forgotten(struct delivery *d)
{
	const struct pause none = {0};
	struct transport transport;
	uint32_t at = 0;
	int err = 0;

	for (struct span name; !err && (name = queue_paused_transport(d->queue, &at)).n;)
		if (delivery_transport(d, name, &transport))
			err = queue_set_pause(
				d->queue, QUEUE_SCOPE_TRANSPORT, name, &none, delivery_now(d));
	return err;
}

int delivery_set_snapshot(struct delivery *d, struct snapshot *snapshot)
{
	static const struct span own[] = {
		{DELIVERY_MAILBOXES, sizeof(DELIVERY_MAILBOXES) - 1},
		{DELIVERY_NOWHERE, sizeof(DELIVERY_NOWHERE) - 1},
	};
	struct transport transport;
	bool first = !d->snapshot;
	int err = 0;

	CHECK_MAGIC(d, DELIVERY_MAGIC);
	struct snapshot *before = d->snapshot;
	if (first) {
		kept_load(&d->pauses);
		kept_load(&d->dnssec);
		sts_load(d->sts);
		report_load(d->report);
	}
	bool moved = first || snapshot_routes_hash(before) != snapshot_routes_hash(snapshot);
	d->snapshot = snapshot_hold(snapshot);
	for (uint32_t i = 0; !err && i < snapshot_transport_count(snapshot); i++) {
		err = snapshot_transport(snapshot, i, &transport);
		if (!err)
			err = queue_set_transport(d->queue, &transport, delivery_now(d));
	}
	for (size_t i = 0; !err && first && i < ARRAY_SIZE(own); i++) {
		own_transport(own[i], &transport);
		err = queue_set_transport(d->queue, &transport, delivery_now(d));
	}
	if (!err)
		err = delivery_set_pauses(d);
	if (!err)
		err = resume_forgotten(d);
	if (!err)
		err = set_domain_pauses(d);
	kept_keep(&d->pauses);
	LIST_FOR_EACH(node, &d->links)
	link_set_limits(CONTAINER_OF(node, struct link, node));
	if (!first)
		leave_old_ways(d, before, snapshot);
	snapshot_release(&before);
	if (moved && !first) {
		d->rerouting = true;
		d->reroute_after = 0;
	}
	intake_settle(d);
	delivery_wake(d);
	return err;
}

void delivery_set_secrets(struct delivery *d, struct secrets *secrets)
{
	CHECK_MAGIC(d, DELIVERY_MAGIC);
	secrets_free(&d->secrets);
	d->secrets = secrets;
}

void directory_reroute_some(struct delivery *d)
{
	uint64_t ids[DELIVERY_REROUTE_STEP];
	size_t count = queue_page(d->queue, d->reroute_after, ids, ARRAY_SIZE(ids));
	struct buf bytes;
	struct arena arena;

	buf_init(&bytes, DELIVERY_ENVELOPE);
	arena_init(&arena, DELIVERY_ARENA);
	for (size_t i = 0; i < count; i++) {
		struct envelope envelope;

		buf_clear(&bytes);
		arena_reset(&arena);
		if (!delivery_envelope(d, ids[i], &bytes, &arena, &envelope))
			queue_reroute_again(d->queue, &envelope, delivery_now(d));
	}
	arena_reset(&arena);
	buf_done(&bytes);
	intake_settle(d);
	if (count)
		d->reroute_after = ids[count - 1];
	d->rerouting = count == ARRAY_SIZE(ids);
}
