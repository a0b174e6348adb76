#include "route/route.h"

#include "base/err.h"
#include "route/decide.h"
#include "route/find.h"
#include "route/refuse.h"
#include "route/relay.h"

struct span route_domain(const struct route_config *config, struct span recipient)
{
	size_t at = find_at(recipient);

	if (at == recipient.n)
		return config && span_equal_nocase(recipient, SPAN("postmaster")) ? config->hostname
										  : SPAN_NONE;
	return span_skip(recipient, at + 1);
}

static void broken_directory(struct decide *d, int err)
{
	d->out->kind = ROUTE_REFUSED;
	route_verdict(
		&d->out->verdict, 451, 3, 5, "the directory cannot be read: %s", err_text(err));
	route_trail_add(d->trail, "directory", "failed", "The directory cannot be read: %s.",
		err_text(err));
}

/* ---- rules 1 and 2: who is meant ------------------------------------------------------------ */

static void find_domain(struct decide *d)
{
	struct span domain = route_domain(d->config, d->recipient);
	struct netaddr literal;

	d->local = span_of(d->recipient.p, find_at(d->recipient));
	d->out->recipient = d->recipient;
	d->out->domain = domain;
	if (d->local.n == d->recipient.n && domain.n) {
		route_trail_add(d->trail, "postmaster", "means",
			"An address without a domain is that of our postmaster: postmaster@%.*s.",
			SHOWN(domain));
		return;
	}
	if (!d->config || route_literal(domain, &literal) < 0 ||
		!route_is_own_address(d->config, &literal))
		return;
	d->out->domain = d->config->hostname;
	route_trail_add(d->trail, "literal", "means",
		"%.*s is an address of this gateway, so the domain is its host name %.*s.",
		SHOWN(domain), SHOWN(d->config->hostname));
}

static bool refuse_long(struct decide *d)
{
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 550, 1, 3, "the recipient's address is too long at %.*s",
		SHOWN(d->out->domain));
	route_trail_add(d->trail, "domain", "refused",
		"At %.*s the address is longer than an address may be.", SHOWN(d->out->domain));
	return false;
}

/* The domain is looked up, and is another one's name: the address becomes that one's. False: it was
 * refused. */
static bool follow_domain_alias(struct decide *d)
{
	struct route_decision *out = d->out;
	struct span main;

	d->domain_error = snapshot_domain(d->snapshot, out->domain, &out->served_domain);
	main = d->domain_error ? SPAN_NONE : out->served_domain.alias_of;
	if (!main.n)
		return true;
	route_trail_add(d->trail, "domain", "means", "%.*s is another name of the domain %.*s.",
		SHOWN(out->domain), SHOWN(main));
	out->domain = out->served_domain.name = main;
	out->served_domain.alias_of = SPAN_NONE;
	if (d->local.n + 1 + main.n > sizeof(out->rewritten))
		return refuse_long(d);
	if (d->local.n)
		memcpy(out->rewritten, d->local.p, d->local.n);
	out->rewritten[d->local.n] = '@';
	memcpy(out->rewritten + d->local.n + 1, main.p, main.n);
	out->recipient = span_of(out->rewritten, d->local.n + 1 + main.n);
	return true;
}

static bool refuse_no_domain(struct decide *d)
{
	if (d->out->domain.n)
		return false;
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 550, 1, 3, "the recipient's address has no domain");
	route_trail_add(d->trail, "address", "refused", "The recipient's address has no domain.");
	return true;
}

/* Nothing was ever applied. Where a message is queued all the same, the database was lost; and
 * whoever sends now is better told to come again than refused for good. */
static bool refuse_never_filled(struct decide *d)
{
	if (snapshot_generation(d->snapshot))
		return false;
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 451, 3, 5,
		"the directory is empty; its administrator has to fill it");
	route_trail_add(d->trail, "directory", "empty",
		"Nothing was ever put into the directory: apply an export, or add domains and "
		"transports. Until then all mail is deferred.");
	return true;
}

/* False: it was refused. */
static bool find_recipient(struct decide *d)
{
	find_domain(d);
	return !refuse_no_domain(d) && !refuse_never_filled(d) && follow_domain_alias(d);
}

/* True: it is one, or cannot be told. */
static bool is_alias(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = find_alias(d->snapshot, d->local, out->domain, &out->alias, &out->alias_count);

	if (err == ERR_NOT_FOUND)
		return false;
	out->served = d->domain_error == 0;
	if (err < 0) {
		broken_directory(d, err);
		return true;
	}
	out->kind = ROUTE_ALIAS;
	route_trail_add(d->trail, "alias", "means", "%.*s@%.*s is an alias of %u %s.",
		SHOWN(d->local), SHOWN(out->domain), out->alias_count,
		out->alias_count == 1 ? "address" : "addresses");
	return true;
}

static bool is_own_name(const struct decide *d)
{
	return d->config && route_is_own_name(d->config, d->out->domain);
}

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
		broken_directory(d, err);
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
	enum relay_answer answer =
		relay_right(d->snapshot, d->config, d->query, transport, d->trail, &verdict);
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
		broken_directory(d, err);
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
		broken_directory(d, d->domain_error);
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

/* The postmaster of our own name, or of a domain with mailboxes, who has no account there. */
static bool is_absent_postmaster(struct decide *d)
{
	struct account account;

	if (!span_equal_nocase(d->local, SPAN("postmaster")))
		return false;
	switch (d->domain_error) {
	case 0:
		return d->out->served_domain.kind == DOMAIN_MAILBOXES &&
		       find_account(d->snapshot, d->local, d->out->domain, &account) ==
			       ERR_NOT_FOUND;
	case ERR_NOT_FOUND: return is_own_name(d);
	default: return false; /* the next rule meets it, too, and says so */
	}
}

/* RFC 5321 section 4.5.1 wants his mail taken: from here on it is about whoever gets it, which
 * needs no right to relay. That may be another absent postmaster, so this happens once. False: it
 * was refused. */
static bool follow_postmaster(struct decide *d, bool *followed)
{
	struct span domain = d->out->domain;

	*followed = false;
	if (!is_absent_postmaster(d))
		return true;
	int err = snapshot_postmaster(d->snapshot, &d->recipient);
	if (err == ERR_NOT_FOUND) {
		route_trail_add(d->trail, "postmaster", "nobody",
			"The directory's setting postmaster, which would get this, is not set.");
		return true;
	}
	if (err < 0) {
		broken_directory(d, err);
		return false;
	}
	*followed = d->trusted = true;
	route_trail_add(d->trail, "postmaster", "means",
		"The directory's setting postmaster gets the mail of the one of %.*s: %.*s.",
		SHOWN(domain), SHOWN(d->recipient));
	return find_recipient(d);
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
		broken_directory(d, err);
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
	if (is_own_name(d))
		refuse_own_name(d);
	else
		decide_relaying(d);
}

void decide_recipient(struct decide *d)
{
	bool postmaster;

	d->out->served = false;
	if (!find_recipient(d) || is_alias(d) || !follow_postmaster(d, &postmaster) ||
		(postmaster && is_alias(d)))
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
		broken_directory(d, err);
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
	if (!find_recipient(&d) || (override.n && use_override(&d, override)))
		return;
	decide_rest(&d);
	if (out->kind == ROUTE_REFUSED && out->verdict.kind == VERDICT_PERMANENT)
		expand_to_mailbox(&d);
}
