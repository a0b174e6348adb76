#include "route/explain.h"

#include "base/err.h"
#include "codec/address.h"
#include "directory/retry_text.h"
#include "route/loop.h"
#include "route/refuse.h"

#define EXPLAIN_ARENA  8192 /* two addresses while they are parsed */
#define EXPLAIN_PHRASE 1024 /* bytes of a part of a sentence */

/* ---- what is asked ---------------------------------------------------------------------- */

static void refuse_address(
	struct explain *explain, const char *which, uint16_t detail, struct span given, int err)
{
	explain->decision.kind = ROUTE_REFUSED;
	route_verdict(&explain->decision.verdict, 501, 1, detail,
		"the %s's address is not valid: %s", which, err_text(err));
	route_trail_add(&explain->trail, which, "refused", "%.*s is no valid address: %s.",
		SHOWN(given), err_text(err));
}

static int parse_address(struct span in, unsigned flags, struct arena *arena, char *to,
	struct address *address, struct span *out)
{
	size_t used;
	int err = address_parse_path(in, flags | ADDRESS_LENIENT, arena, address, &used);

	if (err < 0)
		return err;
	if (used != in.n)
		return ERR_SYNTAX;
	if (address->mailbox.n > EXPLAIN_ADDRESS)
		return ERR_LIMIT;
	if (address->mailbox.n)
		memcpy(to, address->mailbox.p, address->mailbox.n);
	*out = span_of(to, address->mailbox.n);
	return 0;
}

static void say_parsed(struct explain *explain, const char *which, struct span given,
	const struct address *address, struct span canonical)
{
	if (address->null)
		route_trail_add(&explain->trail, which, "valid",
			"The null sender: a notification, never answered with another.");
	else if (span_equal(given, canonical))
		route_trail_add(&explain->trail, which, "valid", "%.*s%s.", SHOWN(canonical),
			address->utf8 ? " (needs SMTPUTF8 on every hop)" : "");
	else
		route_trail_add(&explain->trail, which, "valid", "%.*s means %.*s%s.", SHOWN(given),
			SHOWN(canonical), address->utf8 ? " (needs SMTPUTF8 on every hop)" : "");
}

static bool parse_addresses(struct explain *explain, const struct explain_query *query)
{
	struct span sender = span_trim(query->sender), recipient = span_trim(query->recipient);
	struct address address;
	struct arena arena;
	bool ok = false;
	int err;

	arena_init(&arena, EXPLAIN_ARENA);
	if (!sender.n)
		sender = SPAN("<>");
	err = parse_address(sender, ADDRESS_NULL_ALLOWED, &arena, explain->sender, &address,
		&explain->query.sender);
	if (err < 0) {
		refuse_address(explain, "sender", 7, sender, err);
		goto out;
	}
	say_parsed(explain, "sender", sender, &address, explain->query.sender);
	err = parse_address(recipient, ADDRESS_POSTMASTER_ALLOWED, &arena, explain->recipient,
		&address, &explain->query.recipient);
	if (err < 0) {
		refuse_address(explain, "recipient", 3, recipient, err);
		goto out;
	}
	say_parsed(explain, "recipient", recipient, &address, explain->query.recipient);
	ok = true;
out:
	arena_reset(&arena);
	return ok;
}

static void say_client(struct explain *explain, const struct explain_query *query)
{
	struct route_trail *trail = &explain->trail;

	route_trail_add(trail, "client",
		netaddr_is_loopback(&explain->query.client) ? "local" : "remote", "%.*s%s%.*s.",
		SHOWN(query->client), query->listener.n ? " on listener " : "",
		SHOWN(query->listener));
	if (query->user.n)
		route_trail_add(trail, "user", "ignored",
			"AUTH is not offered, so user %.*s gives no further right.",
			SHOWN(query->user));
	if (query->tls)
		route_trail_add(trail, "tls", "ignored",
			"STARTTLS is not offered, and no rule asks for it.");
}

/* ---- what comes after the decision ------------------------------------------------------ */

static void say_pause(struct explain *explain, const char *what, const struct pause *pause)
{
	if (pause->since_ms)
		route_trail_add(&explain->trail, "pause", "waits", "%s is paused by %.*s: %.*s",
			what, SHOWN(pause->by), SHOWN(pause->reason));
}

static void say_server(struct explain *explain, const struct route_config *config)
{
	const struct transport *t = &explain->decision.transport;
	struct verdict verdict;
	struct netaddr address;

	if (!t->host.n) {
		route_trail_add(&explain->trail, "server", "lookup-mx",
			"Asks %s%.*s for the mail exchangers of %.*s%s%.*s, and connects to "
			"port %u.",
			t->query.n ? "the DNS servers " : "the system's DNS servers",
			SHOWN(t->query), SHOWN(explain->decision.domain), t->zone.n ? "." : "",
			SHOWN(t->zone), t->port);
		return;
	}
	route_trail_add(&explain->trail, "server", "fixed", "Connects to %.*s, port %u.",
		SHOWN(t->host), t->port);
	if (netaddr_parse_ip(t->host, &address) < 0)
		return;
	address.port = t->port;
	if (loop_fixed_server(config, t, &address, &verdict))
		route_trail_add(&explain->trail, "loop", "bounces", "554 5.4.6 %.*s.",
			SHOWN(verdict_text(&verdict)));
}

static void say_retry(struct explain *explain)
{
	const struct transport *t = &explain->decision.transport;
	struct buf delays, total;

	buf_init(&delays, EXPLAIN_PHRASE);
	buf_init(&total, EXPLAIN_PHRASE);
	retry_add(&delays, t->retry, t->retry_steps);
	retry_add_total(&total, t->retry, t->retry_steps, t->retry_count);
	route_trail_add(&explain->trail, "retry", t->give_up == GIVE_UP_DSN ? "dsn" : "discard",
		"While it fails for now: %u retries, %.*s, together %.*s; then %s.", t->retry_count,
		SHOWN(buf_span(&delays)), SHOWN(buf_span(&total)),
		t->give_up == GIVE_UP_DSN ? "the sender is told" : "the message is discarded");
	buf_done(&delays);
	buf_done(&total);
}

static void say_way(
	struct explain *explain, const struct snapshot *snapshot, const struct route_config *config)
{
	const struct route_decision *d = &explain->decision;
	struct pause all = {0};

	if (d->kind == ROUTE_REFUSED)
		return;
	route_trail_add(&explain->trail, "scans", "none", "No scan is set up.");
	snapshot_pause(snapshot, &all);
	say_pause(explain, "Everything", &all);
	if (d->served)
		say_pause(explain, "The domain", &d->served_domain.pause);
	if (d->kind != ROUTE_TRANSPORT)
		return;
	say_pause(explain, "The transport", &d->transport.pause);
	say_server(explain, config);
	say_retry(explain);
}

int explain_run(const struct snapshot *snapshot, const struct route_config *config,
	const struct explain_query *query, struct explain *out)
{
	struct netaddr client;
	int err = netaddr_parse_ip(span_trim(query->client), &client);

	if (err < 0)
		return err;
	memset(out, 0, sizeof(*out));
	route_trail_init(&out->trail);
	out->query.client = client;
	out->query.listener = query->listener;
	out->query.user = query->user;
	out->query.tls = query->tls;
	say_client(out, query);
	out->parsed = parse_addresses(out, query);
	if (!out->parsed)
		return 0;
	route_decide(snapshot, config, &out->query, &out->trail, &out->decision);
	say_way(out, snapshot, config);
	return 0;
}
