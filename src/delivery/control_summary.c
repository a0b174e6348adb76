/* Requests that add up. */
#include "delivery/control.h"

#define CONTROL_GROUPS 500 /* in one summary */

static void put_counts(struct json_write *json, const struct queue_counts *counts)
{
	for (int state = 0; state < QUEUE_STATES; state++)
		json_put_u64(json, queue_state_name((enum queue_state)state), counts->units[state]);
}

static void put_transport(struct control *c, const struct queue_transport_info *info)
{
	json_open_object(&c->json, NULL);
	json_put_string(&c->json, "transport", info->name);
	json_put_u64(&c->json, "destinations", info->destinations);
	json_put_u64(&c->json, "destinations_down", info->down);
	put_counts(&c->json, &info->counts);
	json_close_object(&c->json);
}

/* Where it is that has no domain of its own. */
static void put_where(struct control *c, struct span name)
{
	struct transport transport;
	struct buf text;

	if (name.n && name.p[0] == '(') {
		json_put_string(&c->json, "kind",
			span_equal(name, SPAN(DELIVERY_MAILBOXES)) ? SPAN("mailboxes")
								   : SPAN("none"));
		return;
	}
	if (delivery_transport(c->d, name, &transport) || !transport.host.n) {
		json_put_str(&c->json, "kind", "lookup-mx");
		return;
	}
	buf_init(&text, 1024);
	buf_add_span(&text, transport.host);
	buf_printf(&text, ":%u", transport.port);
	json_put_str(&c->json, "kind", "server");
	json_put_string(&c->json, "server", buf_span(&text));
	buf_done(&text);
}

static void put_destination(struct control *c, const struct queue_destination_info *info)
{
	json_open_object(&c->json, NULL);
	json_put_string(&c->json, "transport", info->transport);
	if (info->next_hop.n)
		json_put_string(&c->json, "next_hop", info->next_hop);
	put_where(c, info->transport);
	put_counts(&c->json, &info->counts);
	json_put_bool(&c->json, "is_down", info->down);
	if (info->down_since_ms)
		json_put_time(&c->json, "down_since", info->down_since_ms);
	if (info->down && info->next_probe_ms)
		json_put_time(&c->json, "next_probe", info->next_probe_ms);
	/* Of one that has worked since, the failure is history: the trace has it. */
	if (info->has_verdict) {
		control_put_verdict(&c->json, "last_failure", &info->verdict);
		json_put_time(&c->json, "last_failure_at", info->failed_ms);
	}
	json_put_u64(&c->json, "concurrency", info->limit);
	json_close_object(&c->json);
}

void control_summary(struct control *c)
{
	struct delivery *d = c->d;
	bool by_transport = span_equal(control_text(c, "by"), SPAN("transport"));
	uint32_t at = (uint32_t)json_integer_value(json_object_get(c->request, "after"));
	uint32_t left = CONTROL_GROUPS;
	struct queue_transport_info transport;
	struct queue_destination_info destination;
	bool more = false;

	json_open_object(&c->json, NULL);
	json_open_array(&c->json, "groups");
	while (by_transport && !(more = left-- == 0) &&
		!queue_transport_info(d->queue, at, &transport)) {
		put_transport(c, &transport);
		at++;
	}
	while (!by_transport && !(more = left-- == 0) &&
		!queue_destination_next(d->queue, at, &destination)) {
		put_destination(c, &destination);
		at = destination.destination;
	}
	json_close_array(&c->json);
	if (more)
		json_put_u64(&c->json, "after", at);
	json_close_object(&c->json);
}

void control_probe(struct control *c)
{
	struct delivery *d = c->d;
	struct span name = control_text(c, "destination");
	struct queue_destination_info info = {0};
	uint64_t found = 0, probed = 0;
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.wall_ms = delivery_now(d),
		.action = SPAN("probe"),
		.actor = control_text(c, "by"),
		.destination = name,
	};

	if (!name.n) {
		control_refuse(c, "destination: a domain, or the name of a transport, is needed");
		return;
	}
	while (!queue_destination_next(d->queue, info.destination, &info)) {
		if (!span_equal_nocase(info.next_hop.n ? info.next_hop : info.transport, name) &&
			!span_equal_nocase(info.transport, name))
			continue;
		found++;
		probed += !queue_probe(d->queue, info.destination, delivery_now(d));
	}
	if (!found) {
		control_refuse(c, "nothing is queued for a destination or a transport of that "
				  "name; see posternctl queue summary");
		return;
	}
	if (probed)
		event_emit(d->config.events, &event);
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "destinations", found);
	json_put_u64(&c->json, "probed", probed);
	json_close_object(&c->json);
	delivery_wake(d);
}

void control_count(struct control *c)
{
	struct delivery *d = c->d;
	struct filter *filter = control_filter(c);
	uint64_t cursor, messages = 0;

	if (!filter)
		return;
	struct filter_hits found;
	if (filter_hits_init(&found, CONTROL_HITS, CONTROL_PICKS)) {
		control_refuse(c, "out of memory");
		filter_free(&filter);
		return;
	}
	if (!control_after(c, &cursor)) {
		filter_hits_done(&found);
		filter_free(&filter);
		return;
	}
	filter_select(filter, d->queue, delivery_now(d), &cursor, DELIVERY_CONTROL_STEP,
		control_load_subject, c, &found);
	for (size_t i = 0; i < found.count; i++)
		messages += !i || found.hits[i].id != found.hits[i - 1].id;
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "messages", messages);
	control_put_after(c, cursor);
	json_close_object(&c->json);
	filter_hits_done(&found);
	filter_free(&filter);
}

void control_status(struct control *c)
{
	struct delivery *d = c->d;
	static const char *const health[] = {"well", "full", "sick"};
	static const char *const dnssec[] = {"unknown", "validated", "not-validated"};
	struct delivery_figures figures;
	struct spool_figures spool;
	struct queue_counts counts;

	delivery_figures(d, &figures);
	spool_store_figures(d->store, &spool);
	queue_totals(d->queue, &counts);
	json_open_object(&c->json, NULL);
	json_put_bool(&c->json, "loaded", d->loaded);
	json_put_str(&c->json, "journal", health[d->journal]);
	json_open_object(&c->json, "queue");
	json_put_u64(&c->json, "messages", counts.messages);
	put_counts(&c->json, &counts);
	json_put_u64(&c->json, "damaged", d->damaged_count);
	json_put_u64(&c->json, "memory_bytes", figures.queue_bytes);
	json_put_u64(&c->json, "mended", figures.mended);
	json_close_object(&c->json);
	json_open_object(&c->json, "delivery");
	json_put_u64(&c->json, "attempts", figures.attempts);
	json_put_u64(&c->json, "delivered", figures.delivered);
	json_put_u64(&c->json, "deferred", figures.deferred);
	json_put_u64(&c->json, "failed", figures.failed);
	json_put_u64(&c->json, "expired", figures.expired);
	json_put_u64(&c->json, "discarded", figures.discarded);
	json_put_u64(&c->json, "notifications", figures.notifications);
	json_put_u64(&c->json, "connections", figures.connections);
	json_put_u64(&c->json, "sessions_now", figures.sessions_now);
	json_close_object(&c->json);
	json_put_str(&c->json, "dnssec", dnssec[dnssec_state(d)]);
	json_open_object(&c->json, "spool");
	json_put_u64(&c->json, "files", spool.files);
	json_put_u64(&c->json, "file_bytes", spool.file_bytes);
	json_put_u64(&c->json, "live_bytes", spool.live_bytes);
	json_put_u64(&c->json, "journal_syncs", spool.syncs);
	json_put_u64(&c->json, "journal_bytes", spool.bytes_written);
	json_close_object(&c->json);
	json_close_object(&c->json);
}
