#include "route/explain.h"

#include "base/err.h"
#include "codec/address.h"
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

static int find_listener(const struct config *start, struct span name, struct buf *why)
{
	if (!name.n)
		return 0;
	for (uint32_t i = 0; i < start->listener_count; i++)
		if (span_equal(start->listeners[i].name, name))
			return 0;
	buf_add_str(why, "there is no listener \"");
	buf_add_escaped(why, name, REFUSE_SHOWN);
	buf_add_str(why, "\"; the start file has: ");
	for (uint32_t i = 0; i < start->listener_count; i++) {
		buf_add_str(why, i ? ", " : "");
		buf_add_span(why, start->listeners[i].name);
	}
	return ERR_NOT_FOUND;
}

int explain_run(const struct snapshot *snapshot, const struct route_config *config,
	const struct config *start, const struct explain_query *query, struct explain *out,
	struct buf *why)
{
	struct netaddr client;
	int err = netaddr_parse_ip(span_trim(query->client), &client);

	if (err < 0) {
		buf_add_str(why, "client: an IP address is needed");
		return ERR_SYNTAX;
	}
	err = find_listener(start, query->listener, why);
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
	explain_way(out, snapshot, config, start);
	return 0;
}
