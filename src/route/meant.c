/* Who is meant: rules 1 and 2 of route.h, and the postmaster's mail. */
#include "base/err.h"
#include "route/decide.h"
#include "route/find.h"
#include "route/refuse.h"

struct span route_domain(const struct route_config *config, struct span recipient)
{
	size_t at = find_at(recipient);

	if (at == recipient.n)
		return config && span_equal_nocase(recipient, SPAN("postmaster")) ? config->hostname
										  : SPAN_NONE;
	return span_skip(recipient, at + 1);
}

void decide_broken(struct decide *d, int err)
{
	d->out->kind = ROUTE_REFUSED;
	route_verdict(
		&d->out->verdict, 451, 3, 5, "the directory cannot be read: %s", err_text(err));
	route_trail_add(d->trail, "directory", "failed", "The directory cannot be read: %s.",
		err_text(err));
}

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

bool meant_find(struct decide *d)
{
	find_domain(d);
	return !refuse_no_domain(d) && !refuse_never_filled(d) && follow_domain_alias(d);
}

bool meant_alias(struct decide *d)
{
	struct route_decision *out = d->out;
	int err = find_alias(d->snapshot, d->local, out->domain, &out->alias, &out->alias_count);

	if (err == ERR_NOT_FOUND)
		return false;
	out->served = d->domain_error == 0;
	if (err < 0) {
		decide_broken(d, err);
		return true;
	}
	out->kind = ROUTE_ALIAS;
	route_trail_add(d->trail, "alias", "means", "%.*s@%.*s is an alias of %u %s.",
		SHOWN(d->local), SHOWN(out->domain), out->alias_count,
		out->alias_count == 1 ? "address" : "addresses");
	return true;
}

bool decide_is_own_name(const struct decide *d)
{
	return d->config && route_is_own_name(d->config, d->out->domain);
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
	case ERR_NOT_FOUND: return decide_is_own_name(d);
	default: return false; /* the next rule meets it, too, and says so */
	}
}

/* RFC 5321 section 4.5.1 wants his mail taken. */
bool meant_postmaster(struct decide *d, bool *followed)
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
		decide_broken(d, err);
		return false;
	}
	*followed = d->trusted = true;
	route_trail_add(d->trail, "postmaster", "means",
		"The directory's setting postmaster gets the mail of the one of %.*s: %.*s.",
		SHOWN(domain), SHOWN(d->recipient));
	return meant_find(d);
}
