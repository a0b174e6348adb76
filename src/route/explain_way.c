/* What comes after the decision. */
#include "base/check.h"
#include "base/text.h"
#include "directory/retry_text.h"
#include "route/explain.h"
#include "route/loop.h"
#include "route/refuse.h"

#define EXPLAIN_PHRASE 1024 /* bytes of a part of a sentence */

static void add_field(struct buf *out, const char *name, struct span value)
{
	if (value.n)
		buf_printf(out, "%s%s=%.*s", out->n ? " " : "", name, SHOWN(value));
}

static void say_priority(struct explain *explain, const struct snapshot *snapshot)
{
	const struct route_decision *d = &explain->decision;
	const struct priority_rule *rule = &explain->priority;
	const struct priority_subject subject = {
		.client = explain->query.client,
		.sender = explain->query.sender,
		.recipient = d->recipient,
		.domain = d->domain,
		.transport = d->kind == ROUTE_TRANSPORT ? d->transport.name : SPAN_NONE,
	};
	struct buf fields;

	explain->prioritised = priority_matches(snapshot, &subject, &explain->priority);
	if (!explain->prioritised) {
		route_trail_add(&explain->trail, "priority", "no",
			"No rule puts it into the prioritised queue.");
		return;
	}
	buf_init(&fields, EXPLAIN_PHRASE);
	add_field(&fields, "sender", rule->sender);
	add_field(&fields, "recipient", rule->recipient);
	add_field(&fields, "domain", rule->domain);
	add_field(&fields, "transport", rule->transport);
	add_field(&fields, "client", rule->client);
	route_trail_add(&explain->trail, "priority", "yes",
		"The rule %.*s puts it into the prioritised queue, which is sent first.",
		SHOWN(buf_span(&fields)));
	buf_done(&fields);
}

static void say_pause(struct explain *explain, const char *what, const struct pause *pause)
{
	struct buf since;

	if (!pause->since_ms)
		return;
	CHECK(explain->pause_count < EXPLAIN_PAUSES);
	explain->pauses[explain->pause_count++] = (struct explain_pause){what, *pause};
	buf_init(&since, 64);
	text_add_time(&since, pause->since_ms);
	route_trail_add(&explain->trail, "pause", "waits",
		"%s%s is paused since %.*s by %.*s%s%.*s.", *what == 'e' ? "" : "The ",
		*what == 'e' ? "Everything" : what, SHOWN(buf_span(&since)), SHOWN(pause->by),
		pause->reason.n ? ": " : "", SHOWN(pause->reason));
	buf_done(&since);
}

static void say_lookup(struct explain *explain, const struct config *start)
{
	const struct transport *t = &explain->decision.transport;
	struct span servers = t->query.n ? t->query : start->dns_servers;

	route_trail_add(&explain->trail, "server", "lookup-mx",
		"Asks %s%.*s%s for the mail exchangers of %.*s%s%.*s, and connects to port %u.",
		servers.n ? "the DNS servers " : "the system's DNS servers", SHOWN(servers),
		servers.n && !t->query.n ? " of the start file" : "",
		SHOWN(explain->decision.domain), t->zone.n ? "." : "", SHOWN(t->zone), t->port);
}

static void say_server(
	struct explain *explain, const struct route_config *config, const struct config *start)
{
	const struct transport *t = &explain->decision.transport;
	struct netaddr address;

	if (!t->host.n) {
		say_lookup(explain, start);
		return;
	}
	route_trail_add(&explain->trail, "server", "fixed", "Connects to %.*s, port %u.",
		SHOWN(t->host), t->port);
	if (netaddr_parse_ip(t->host, &address) < 0)
		return;
	address.port = t->port;
	if (loop_fixed_server(config, t, &address, &explain->way))
		route_trail_add(&explain->trail, "loop", "bounces", "554 5.4.6 %.*s.",
			SHOWN(verdict_text(&explain->way)));
}

static void say_retry(struct explain *explain)
{
	const struct transport *t = &explain->decision.transport;
	struct buf total;

	buf_init(&total, EXPLAIN_PHRASE);
	retry_add_total(&total, t->retry, t->retry_steps, t->retry_count);
	route_trail_add(&explain->trail, "retry", t->give_up == GIVE_UP_DSN ? "dsn" : "discard",
		"While it fails for now: %u %s, %.*s, together %.*s; then %s.", t->retry_count,
		t->retry_count == 1 ? "retry" : "retries", SHOWN(t->retry_text),
		SHOWN(buf_span(&total)),
		t->give_up == GIVE_UP_DSN ? "the sender is told" : "the message is discarded");
	buf_done(&total);
}

void explain_way(struct explain *explain, const struct snapshot *snapshot,
	const struct route_config *config, const struct config *start)
{
	const struct route_decision *d = &explain->decision;
	struct pause all = {0};

	if (d->kind == ROUTE_REFUSED || d->kind == ROUTE_ASK)
		return;
	route_trail_add(&explain->trail, "scans", "none", "No scan is set up.");
	if (d->kind != ROUTE_ALIAS)
		say_priority(explain, snapshot);
	snapshot_pause(snapshot, &all);
	say_pause(explain, "everything", &all);
	if (d->served && d->kind != ROUTE_ALIAS)
		say_pause(explain, "domain", &d->served_domain.pause);
	if (d->kind != ROUTE_TRANSPORT)
		return;
	say_pause(explain, "transport", &d->transport.pause);
	say_retry(explain);
	say_server(explain, config, start);
	explain_link(explain);
}

bool explain_wants_hosts(const struct explain *explain)
{
	return explain->decision.kind == ROUTE_TRANSPORT || explain->decision.kind == ROUTE_ASK;
}
