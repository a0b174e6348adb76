#include "route/route.h"

#include "base/err.h"
#include "route/decide.h"
#include "route/find.h"
#include "route/refuse.h"
#include "route/relay.h"

/* ---- rule 3: domains served here ------------------------------------------------------------ */

static void decide_mailbox(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = find_account(d->snapshot, d->local, out->domain, &out->account);

	if (err == ERR_NOT_FOUND) {
		out->kind = ROUTE_REFUSED;
		route_verdict(&out->verdict, 550, 1, 1, "no mailbox of this name at %.*s",
			SHOWN(out->domain));
		route_trail_add(d->trail, "account", "no", "There is no account %.*s@%.*s.",
			SHOWN(d->local), SHOWN(out->domain));
		return;
	}
	if (err < 0) {
		decide_broken(d, err);
		return;
	}
	out->kind = ROUTE_MAILBOX;
	route_trail_add(d->trail, "account", "yes", "The mailbox of account %.*s takes it.",
		SHOWN(out->account.address));
}

static void use_transport(struct decide *d, const char *why)
{
	d->out->kind = ROUTE_TRANSPORT;
	route_trail_add(d->trail, "transport", "uses", "Transport %.*s, %s.",
		SHOWN(d->out->transport.name), why);
}

static enum relay_answer may_relay(struct decide *d, const struct transport *transport)
{
	struct verdict verdict = {.kind = VERDICT_OK};

	if (d->trusted)
		return RELAY_YES;
	enum relay_answer answer = relay_right(
		d->snapshot, d->config, d->query, transport, d->trail, &d->out->right, &verdict);
	if (verdict.kind != VERDICT_OK)
		d->out->verdict = verdict;
	else if (answer == RELAY_NO)
		d->out->verdict.kind = VERDICT_OK; /* the caller's words */
	return answer;
}

/* The domain's own server might take it for an order to send it on. */
static bool refuse_routed(struct decide *d)
{
	if (d->trusted || !relay_is_routed(d->local))
		return false;
	route_trail_add(d->trail, "route", "asks",
		"%.*s could be read as a route to another host, for which the right to relay is "
		"needed.",
		SHOWN(d->local));
	if (may_relay(d, NULL) == RELAY_YES)
		return false;
	d->out->kind = ROUTE_REFUSED;
	if (d->out->verdict.kind == VERDICT_OK)
		route_verdict(&d->out->verdict, 550, 7, 1,
			"relaying denied: this address asks %.*s to send the mail on; write to the "
			"last host itself",
			SHOWN(d->out->domain));
	return true;
}

static void use_domain_transport(struct decide *d)
{
	struct route_decision *out = d->out;

	route_trail_add(d->trail, "domain", "yes",
		"%.*s is served by a transport; no right to relay is needed.", SHOWN(out->domain));
	if (refuse_routed(d))
		return;
	int err = snapshot_transport(d->snapshot, out->served_domain.transport, &out->transport);
	if (err < 0)
		decide_broken(d, err);
	else
		use_transport(d, "which the domain names");
}

/* False: the domain is not ours. */
static bool decide_served(struct decide *d)
{
	struct route_decision *out = d->out;

	out->served = d->domain_error == 0;
	if (d->domain_error == ERR_NOT_FOUND) {
		route_trail_add(d->trail, "domain", "no", "%.*s is not a domain served here.",
			SHOWN(out->domain));
		return false;
	}
	if (d->domain_error < 0) {
		decide_broken(d, d->domain_error);
		return true;
	}
	if (out->served_domain.kind != DOMAIN_MAILBOXES) {
		use_domain_transport(d);
		return true;
	}
	route_trail_add(d->trail, "domain", "yes",
		"%.*s is served by mailboxes here; no right to relay is needed.",
		SHOWN(out->domain));
	decide_mailbox(d);
	return true;
}

/* ---- rule 4: our own name -------------------------------------------------------------------- */

static void refuse_own_name(struct decide *d)
{
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 550, 1, 2,
		"%.*s is the name of this mail gateway, which has no mailboxes of its own",
		SHOWN(d->out->domain));
	route_trail_add(d->trail, "own name", "refused",
		"%.*s is this gateway's own name and no domain of the directory: add it as a "
		"domain to "
		"receive mail for it.",
		SHOWN(d->out->domain));
}

/* ---- rule 5: relaying ----------------------------------------------------------------------- */

static void refuse_relaying(struct decide *d)
{
	const struct netaddr *address = &d->query->client;
	struct buf client;

	d->out->kind = ROUTE_REFUSED;
	if (d->out->verdict.kind != VERDICT_OK)
		return;
	buf_init(&client, 64);
	if (address->family != NETADDR_NONE)
		netaddr_add_ip(&client, address);
	else
		buf_add_str(&client, "this client");
	route_verdict(&d->out->verdict, 550, 7, 1,
		"relaying denied: %.*s is not served here, and %.*s may not send to other domains; "
		"log in, or use your own provider's outgoing server",
		SHOWN(d->out->domain), SHOWN(buf_span(&client)));
	buf_done(&client);
}

static void decide_relaying(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = snapshot_default_transport(d->snapshot, &out->transport);

	if (err < 0 && err != ERR_NOT_FOUND) {
		decide_broken(d, err);
		return;
	}
	/* Who may not relay is not told how we are set up. */
	switch (may_relay(d, err == 0 ? &out->transport : NULL)) {
	case RELAY_NO: refuse_relaying(d); return;
	case RELAY_MUST_ASK: out->kind = ROUTE_ASK; return;
	case RELAY_YES: break;
	}
	if (err == 0) {
		use_transport(d, "the default-transport");
		return;
	}
	out->kind = ROUTE_REFUSED;
	route_verdict(&out->verdict, 550, 4, 4,
		"no route to %.*s: it is not served here, and no default transport is set",
		SHOWN(out->domain));
	route_trail_add(d->trail, "transport", "refused",
		"No default-transport is set, so mail for other domains cannot leave.");
}

static void decide_rest(struct decide *d)
{
	if (decide_served(d))
		return;
	if (decide_is_own_name(d))
		refuse_own_name(d);
	else
		decide_relaying(d);
}

void decide_recipient(struct decide *d)
{
	bool postmaster;

	d->out->served = false;
	d->out->right = ROUTE_RIGHT_NONE;
	if (!meant_find(d) || meant_alias(d) || !meant_postmaster(d, &postmaster) ||
		(postmaster && meant_alias(d)))
		return;
	decide_rest(d);
}

void route_decide(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail, struct route_decision *out)
{
	struct decide d = {.snapshot = snapshot,
		.config = config,
		.query = query,
		.trail = trail,
		.recipient = query->recipient,
		.out = out};

	decide_recipient(&d);
}

/* ---- in the queue --------------------------------------------------------------------------- */

static bool use_override(struct decide *d, struct span override)
{
	struct route_decision *out = d->out;
	int err = snapshot_transport_by_name(d->snapshot, override, &out->transport);

	if (err == ERR_NOT_FOUND)
		return false;
	if (err < 0) {
		decide_broken(d, err);
		return true;
	}
	out->kind = ROUTE_TRANSPORT;
	out->served = d->domain_error == 0;
	return true;
}

void route_for_delivery(const struct snapshot *snapshot, const struct route_config *config,
	struct span recipient, struct span override, struct route_decision *out)
{
	struct decide d = {.snapshot = snapshot,
		.config = config,
		.recipient = recipient,
		.trusted = true,
		.out = out};

	out->served = false;
	out->right = ROUTE_RIGHT_NONE;
	if (!meant_find(&d) || (override.n && use_override(&d, override)))
		return;
	decide_rest(&d);
	if (out->kind == ROUTE_REFUSED && out->verdict.kind == VERDICT_PERMANENT)
		expand_to_mailbox(&d);
}
