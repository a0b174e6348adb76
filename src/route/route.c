#include "route/route.h"

#include "base/err.h"
#include "route/refuse.h"

#define ACCOUNT_ADDRESS 512 /* bytes of local@domain; no account is longer */

/* One question on its way through the rules. */
struct decide {
	const struct snapshot *snapshot;
	const struct route_config *config;
	struct route_trail *trail;
	struct span recipient;
	struct span local;
	struct route_decision *out;
};

static size_t at_sign(struct span address)
{
	/* The last one: a quoted local part may hold others, a domain or a literal none. */
	for (size_t i = address.n; i > 0; i--)
		if (address.p[i - 1] == '@')
			return i - 1;
	return address.n;
}

struct span route_domain(const struct route_config *config, struct span recipient)
{
	size_t at = at_sign(recipient);

	if (at == recipient.n)
		return span_equal_nocase(recipient, SPAN("postmaster")) ? config->hostname
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

/* Rule 1: who is meant. */
static void find_domain(struct decide *d)
{
	struct span domain = route_domain(d->config, d->recipient);
	struct netaddr literal;

	d->local = span_of(d->recipient.p, at_sign(d->recipient));
	d->out->recipient = d->recipient;
	d->out->domain = domain;
	if (d->local.n == d->recipient.n && domain.n) {
		route_trail_add(d->trail, "postmaster", "means",
			"An address without a domain is that of our postmaster: postmaster@%.*s.",
			SHOWN(domain));
		return;
	}
	if (route_literal(domain, &literal) < 0 || !route_is_own_address(d->config, &literal))
		return;
	d->out->domain = d->config->hostname;
	route_trail_add(d->trail, "literal", "means",
		"%.*s is an address of this gateway, so the domain is its host name %.*s.",
		SHOWN(domain), SHOWN(d->config->hostname));
}

static int find_account(struct decide *d, struct account *out)
{
	char address[ACCOUNT_ADDRESS];
	struct span domain = d->out->domain;
	size_t n = d->local.n + 1 + domain.n;
	bool changed = false;
	int err;

	if (n > sizeof(address) || !domain.n)
		return ERR_NOT_FOUND;
	if (d->local.n)
		memcpy(address, d->local.p, d->local.n);
	address[d->local.n] = '@';
	memcpy(address + d->local.n + 1, domain.p, domain.n);
	err = snapshot_account(d->snapshot, span_of(address, n), out);
	if (err != ERR_NOT_FOUND)
		return err;
	for (size_t i = 0; i < d->local.n; i++) {
		char lower = ascii_lower(address[i]);
		changed |= lower != address[i];
		address[i] = lower;
	}
	return changed ? snapshot_account(d->snapshot, span_of(address, n), out) : err;
}

static void decide_mailbox(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = find_account(d, &out->account);

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

/* Rule 2. False: the domain is not ours. */
static bool decide_served(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = snapshot_domain(d->snapshot, out->domain, &out->served_domain);

	out->served = err == 0;
	if (err == ERR_NOT_FOUND) {
		route_trail_add(d->trail, "domain", "no", "%.*s is not a domain served here.",
			SHOWN(out->domain));
		return false;
	}
	if (err < 0) {
		broken_directory(d, err);
		return true;
	}
	if (out->served_domain.kind == DOMAIN_MAILBOXES) {
		route_trail_add(d->trail, "domain", "yes",
			"%.*s is served by mailboxes here; no right to relay is needed.",
			SHOWN(out->domain));
		decide_mailbox(d);
		return true;
	}
	route_trail_add(d->trail, "domain", "yes",
		"%.*s is served by a transport; no right to relay is needed.", SHOWN(out->domain));
	err = snapshot_transport(d->snapshot, out->served_domain.transport, &out->transport);
	if (err < 0)
		broken_directory(d, err);
	else
		use_transport(d, "which the domain names");
	return true;
}

/* Rule 3. */
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

static void use_default_transport(struct decide *d)
{
	int err = snapshot_default_transport(d->snapshot, &d->out->transport);

	if (err == ERR_NOT_FOUND) {
		d->out->kind = ROUTE_REFUSED;
		route_verdict(&d->out->verdict, 550, 4, 4,
			"no route to %.*s: it is not served here, and no default transport is set",
			SHOWN(d->out->domain));
		route_trail_add(d->trail, "transport", "refused",
			"No default-transport is set, so mail for other domains cannot leave.");
		return;
	}
	if (err < 0)
		broken_directory(d, err);
	else
		use_transport(d, "the default-transport");
}

/* Rule 4: the right to relay. */
static bool may_relay(struct decide *d, const struct route_query *query)
{
	struct buf client;

	if (netaddr_is_loopback(&query->client)) {
		route_trail_add(d->trail, "relay", "yes",
			"The client's address is loopback: it may send to any domain.");
		return true;
	}
	buf_init(&client, 64);
	if (query->client.family != NETADDR_NONE)
		netaddr_add_ip(&client, &query->client);
	else
		buf_add_str(&client, "this client");
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 550, 7, 1,
		"relaying denied: %.*s is not served here, and %.*s may not send to other domains; "
		"use "
		"your own provider's outgoing server",
		SHOWN(d->out->domain), SHOWN(buf_span(&client)));
	route_trail_add(d->trail, "relay", "refused",
		"%.*s is no loopback address, and only such clients may send to domains that are "
		"not "
		"served here. Add the domain, or send from this machine.",
		SHOWN(buf_span(&client)));
	buf_done(&client);
	return false;
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

static bool refuse_no_domain(struct decide *d)
{
	if (d->out->domain.n)
		return false;
	d->out->kind = ROUTE_REFUSED;
	route_verdict(&d->out->verdict, 550, 1, 3, "the recipient's address has no domain");
	route_trail_add(d->trail, "address", "refused", "The recipient's address has no domain.");
	return true;
}

/* The postmaster of our own name, or of a domain with mailboxes, who has no account there. */
static bool is_absent_postmaster(struct decide *d)
{
	struct domain domain;
	struct account account;

	if (!span_equal_nocase(d->local, SPAN("postmaster")))
		return false;
	switch (snapshot_domain(d->snapshot, d->out->domain, &domain)) {
	case 0:
		return domain.kind == DOMAIN_MAILBOXES &&
		       find_account(d, &account) == ERR_NOT_FOUND;
	case ERR_NOT_FOUND: return route_is_own_name(d->config, d->out->domain);
	default: return false; /* the next rule meets it, too, and says so */
	}
}

/* RFC 5321 section 4.5.1 wants his mail taken: from here on it is about whoever gets it. That may
 * be another absent postmaster, so this happens once. */
static int follow_postmaster(struct decide *d, bool *followed)
{
	struct span domain = d->out->domain;

	*followed = false;
	if (!is_absent_postmaster(d))
		return 0;
	int err = snapshot_postmaster(d->snapshot, &d->recipient);
	if (err == ERR_NOT_FOUND) {
		route_trail_add(d->trail, "postmaster", "nobody",
			"The directory's setting postmaster, which would get this, is not set.");
		return 0;
	}
	if (err < 0) {
		broken_directory(d, err);
		return err;
	}
	*followed = true;
	route_trail_add(d->trail, "postmaster", "means",
		"The directory's setting postmaster gets the mail of the one of %.*s: %.*s.",
		SHOWN(domain), SHOWN(d->recipient));
	find_domain(d);
	return 0;
}

void route_decide(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail, struct route_decision *out)
{
	struct decide d = {snapshot, config, trail, query->recipient, SPAN_NONE, out};
	bool our_own; /* the postmaster's mail, which needs no right to relay */

	out->served = false;
	find_domain(&d);
	if (refuse_no_domain(&d) || refuse_never_filled(&d) ||
		follow_postmaster(&d, &our_own) < 0 || decide_served(&d))
		return;
	if (route_is_own_name(config, out->domain))
		refuse_own_name(&d);
	else if (our_own || may_relay(&d, query))
		use_default_transport(&d);
}

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
	out->served = snapshot_domain(d->snapshot, out->domain, &out->served_domain) == 0;
	return true;
}

void route_for_delivery(const struct snapshot *snapshot, const struct route_config *config,
	struct span recipient, struct span override, struct route_decision *out)
{
	struct decide d = {snapshot, config, NULL, recipient, SPAN_NONE, out};

	out->served = false;
	find_domain(&d);
	if (refuse_no_domain(&d) || refuse_never_filled(&d))
		return;
	if (override.n && use_override(&d, override))
		return;
	if (decide_served(&d))
		return;
	if (route_is_own_name(config, out->domain))
		refuse_own_name(&d);
	else
		use_default_transport(&d);
}
