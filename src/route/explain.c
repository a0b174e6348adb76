#include "route/explain.h"

#include "base/err.h"
#include "codec/address.h"
#include "route/decide.h"
#include "route/refuse.h"

#define EXPLAIN_ARENA 8192 /* two addresses while they are parsed */

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

static int find_listener(const struct config *start, struct span name, struct buf *why,
	const struct config_listener **out)
{
	if (!name.n && start->listener_count) {
		*out = &start->listeners[0];
		return 0;
	}
	for (uint32_t i = 0; i < start->listener_count; i++)
		if (span_equal(start->listeners[i].name, name)) {
			*out = &start->listeners[i];
			return 0;
		}
	buf_add_str(why, "there is no listener \"");
	buf_add_escaped(why, name, REFUSE_SHOWN);
	buf_add_str(why, "\"; the start file has: ");
	for (uint32_t i = 0; i < start->listener_count; i++) {
		buf_add_str(why, i ? ", " : "");
		buf_add_span(why, start->listeners[i].name);
	}
	return ERR_NOT_FOUND;
}

/* ---- the decision --------------------------------------------------------------------------- */

static bool is_paused(const struct snapshot *snapshot, const struct route_decision *d)
{
	struct pause all = {0};

	snapshot_pause(snapshot, &all);
	return all.since_ms || (d->served && d->served_domain.pause.since_ms) ||
	       (d->kind == ROUTE_TRANSPORT && d->transport.pause.since_ms);
}

struct targets {
	struct explain *explain;
	const struct snapshot *snapshot;
};

static bool each_target(void *context, const struct route_decision *d)
{
	struct targets *targets = context;
	struct explain *explain = targets->explain;
	struct explain_target *target = &explain->targets[explain->target_count];

	if (explain->target_count++ >= EXPLAIN_TARGETS || d->recipient.n > ROUTE_ADDRESS)
		return true;
	memcpy(target->recipient, d->recipient.p, d->recipient.n);
	target->length = (uint32_t)d->recipient.n;
	target->kind = d->kind;
	target->transport = d->kind == ROUTE_TRANSPORT ? d->transport.name : SPAN_NONE;
	target->paused = is_paused(targets->snapshot, d);
	return true;
}

static void say_targets(struct explain *explain)
{
	for (uint32_t i = 0; i < explain->target_count && i < EXPLAIN_TARGETS; i++) {
		const struct explain_target *t = &explain->targets[i];

		route_trail_add(&explain->trail, "means",
			t->kind == ROUTE_MAILBOX ? "mailbox" : "transport", "%.*s%s%.*s%s.",
			(int)t->length, t->recipient,
			t->kind == ROUTE_MAILBOX ? ", into its mailbox" : ", by transport ",
			SHOWN(t->transport), t->paused ? ", which is paused" : "");
	}
	if (explain->target_count > EXPLAIN_TARGETS)
		route_trail_add(&explain->trail, "means", "more", "and %u more addresses.",
			explain->target_count - EXPLAIN_TARGETS);
}

static void decide(
	struct explain *explain, const struct snapshot *snapshot, const struct route_config *config)
{
	struct targets targets = {explain, snapshot};

	route_expand(snapshot, config, &explain->query, &explain->trail, each_target, &targets,
		&explain->decision);
	explain->alias = explain->decision.kind == ROUTE_ALIAS;
	if (!explain->alias)
		explain->target_count = 0;
	say_targets(explain);
	if (!explain->alias || explain->target_count != 1)
		return;
	/* One address alone: all that there is to say about its way can be said. */
	struct decide again = {.snapshot = snapshot,
		.config = config,
		.recipient = span_of(explain->targets[0].recipient, explain->targets[0].length),
		.trusted = true,
		.out = &explain->decision};
	decide_recipient(&again);
}

int explain_run(const struct snapshot *snapshot, const struct route_config *config,
	const struct config *start, const struct explain_query *query, struct explain *out,
	struct buf *why)
{
	const struct config_listener *listener = NULL;
	struct netaddr client;
	int err = netaddr_parse_ip(span_trim(query->client), &client);

	if (err < 0) {
		buf_add_str(why, "client: an IP address is needed");
		return ERR_SYNTAX;
	}
	err = find_listener(start, query->listener, why, &listener);
	if (err < 0)
		return err;
	memset(out, 0, sizeof(*out));
	route_trail_init(&out->trail);
	out->listener = listener;
	out->query.client = client;
	out->query.listener = listener->name;
	err = explain_who(out, snapshot, query, why);
	if (err < 0)
		return err;
	if (out->decision.kind == ROUTE_REFUSED)
		return 0;
	out->parsed = parse_addresses(out, query);
	if (!out->parsed)
		return 0;
	if (!route_sender_allowed(snapshot, &out->query, &out->trail, &out->decision.verdict)) {
		out->decision.kind = ROUTE_REFUSED;
		return 0;
	}
	if (query->hosts.n)
		explain_read_hops(out, query->hosts);
	decide(out, snapshot, config);
	explain_way(out, snapshot, config, start);
	return 0;
}
