#include "route/relay.h"

#include "base/err.h"
#include "codec/pin.h"
#include "directory/range.h"
#include "route/find.h"
#include "route/refuse.h"
#include "route/relay_view.h"

#define RANGE_TEXT 128 /* bytes of a range as text */

/* One question on its way through the rules. */
struct asked {
	const struct snapshot *snapshot;
	const struct route_config *config;
	const struct route_query *query;
	const struct transport *transport;
	struct route_trail *trail;
	enum route_right *right;
	struct verdict *verdict;
	struct relay relay;
};

static enum relay_answer yes(const struct asked *a, enum route_right right)
{
	*a->right = right;
	return RELAY_YES;
}

static enum relay_answer broken(const struct asked *a, int err)
{
	route_verdict(a->verdict, 451, 3, 5, "the directory cannot be read: %s", err_text(err));
	route_trail_add(a->trail, "directory", "failed", "The directory cannot be read: %s.",
		err_text(err));
	return RELAY_NO;
}

/* ---- whoever logged in, or showed a certificate --------------------------------------------- */

static enum relay_answer user_right(const struct asked *a)
{
	struct span user = a->query->user;
	size_t at = find_at(user);
	struct account account = {0};

	if (!user.n)
		return RELAY_NO;
	int err = find_account(a->snapshot, span_of(user.p, at), span_skip(user, at + 1), &account);
	if (err < 0 && err != ERR_NOT_FOUND)
		return broken(a, err);
	if (err < 0 || account.disabled) {
		route_trail_add(a->trail, "login", "no",
			"The account %.*s %s, so its login gives no right.", SHOWN(user),
			err < 0 ? "is not there any more" : "is disabled");
		return RELAY_NO;
	}
	route_trail_add(a->trail, "login", "yes",
		"%.*s has logged in, and so may send to any domain.", SHOWN(user));
	return yes(a, ROUTE_RIGHT_LOGIN);
}

/* The pins of the relay table: which right one gives, to the certificate or its key. */
static enum route_right pinned_right(struct span pins, const struct route_certificate *certificate)
{
	uint8_t pin[PIN_BYTES];

	while (pins.n) {
		size_t end = span_find(pins, '\n');

		if (pin_parse(span_of(pins.p, end), pin) == 0) {
			if (memcmp(pin, certificate->certificate_hash, PIN_BYTES) == 0)
				return ROUTE_RIGHT_CERTIFICATE;
			if (memcmp(pin, certificate->key_hash, PIN_BYTES) == 0)
				return ROUTE_RIGHT_KEY;
		}
		pins = span_skip(pins, end + 1);
	}
	return ROUTE_RIGHT_NONE;
}

static enum relay_answer certificate_right(const struct asked *a)
{
	const struct route_certificate *certificate = a->query->certificate;
	struct span pins = a->relay.certificates;

	enum route_right right = ROUTE_RIGHT_NONE;

	if (!certificate)
		return RELAY_NO;
	if (pins.n)
		right = pinned_right(pins, certificate);
	else if (certificate->verified)
		right = ROUTE_RIGHT_CERTIFICATE;
	if (right != ROUTE_RIGHT_NONE) {
		route_trail_add(a->trail, "certificate", "yes",
			pins.n ? "The client's certificate is one of those in certificates, so it "
				 "may send to any domain."
			       : "The client's certificate is verified by the listener's "
				 "client-ca, "
				 "so it may send to any domain.");
		return yes(a, right);
	}
	route_trail_add(a->trail, "certificate", "no",
		pins.n ? "Neither the client's certificate nor its key is in certificates."
		       : "The listener's client-ca does not verify the client's certificate.");
	return RELAY_NO;
}

/* ---- by addresses --------------------------------------------------------------------------- */

static enum relay_answer from_right(const struct asked *a)
{
	char memory[RANGE_TEXT], client[RANGE_TEXT];
	struct buf range = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct buf ip = {.p = client, .room = sizeof(client), .bound = sizeof(client)};
	struct address_range found;
	int err = snapshot_relay_from(a->snapshot, &a->relay, &a->query->client, &found);

	if (err < 0 && err != ERR_NOT_FOUND)
		return broken(a, err);
	if (!a->trail)
		return err == 0 ? yes(a, ROUTE_RIGHT_FROM) : RELAY_NO;
	netaddr_add_ip(&ip, &a->query->client);
	if (err == 0) {
		range_add(&range, &found);
		route_trail_add(a->trail, "from", "yes",
			"The client %.*s is in %.*s, which from lists.", SHOWN(buf_span(&ip)),
			SHOWN(buf_span(&range)));
		return yes(a, ROUTE_RIGHT_FROM);
	}
	if (a->relay.from_count == 1)
		route_trail_add(a->trail, "from", "no",
			"The client %.*s is not in the one range of from.", SHOWN(buf_span(&ip)));
	else if (a->relay.from_count)
		route_trail_add(a->trail, "from", "no",
			"The client %.*s is in none of the %u ranges of from.",
			SHOWN(buf_span(&ip)), a->relay.from_count);
	else
		route_trail_add(a->trail, "from", "no", "from lists no clients.");
	return RELAY_NO;
}

/* Is a next hop listed? */
static enum relay_answer hop_right(const struct asked *a, const struct netaddr *hop)
{
	char memory[RANGE_TEXT], address[RANGE_TEXT];
	struct buf range = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct buf ip = {.p = address, .room = sizeof(address), .bound = sizeof(address)};
	struct address_range found;
	int err = snapshot_relay_to(a->snapshot, &a->relay, hop, &found);

	if (err < 0 && err != ERR_NOT_FOUND)
		return broken(a, err);
	if (a->trail) {
		netaddr_add_ip(&ip, hop);
		if (err == 0)
			range_add(&range, &found);
		route_trail_add(a->trail, "to", err == 0 ? "yes" : "no",
			err == 0 ? "Its next hop %.*s is in %.*s, which to lists."
				 : "Its next hop %.*s is not in to%.*s.",
			SHOWN(buf_span(&ip)), SHOWN(buf_span(&range)));
	}
	return err == 0 ? yes(a, ROUTE_RIGHT_TO) : RELAY_NO;
}

/* Mail may go to any of a domain's hosts: all have to be listed. */
static enum relay_answer hops_right(const struct asked *a, const struct route_hops *hops)
{
	if (!hops->known) {
		route_verdict(a->verdict, 451, 4, 3,
			"relaying depends on where this domain's mail goes, which cannot be said "
			"at the moment; try again later");
		route_trail_add(a->trail, "to", "unknown",
			"Whether to lists its next hops cannot be said now: where its mail goes is "
			"not known.");
		return RELAY_NO;
	}
	if (!hops->count)
		route_trail_add(a->trail, "to", "no", "It has no next hop that to could list.");
	for (uint32_t i = 0; i < hops->count; i++)
		if (hop_right(a, &hops->addresses[i]) != RELAY_YES)
			return RELAY_NO;
	return hops->count ? RELAY_YES : RELAY_NO;
}

static enum relay_answer to_right(const struct asked *a)
{
	struct netaddr fixed;

	if (!a->transport || !a->relay.to_count)
		return RELAY_NO;
	if (a->transport->host.n && netaddr_parse_ip(a->transport->host, &fixed) == 0)
		return hop_right(a, &fixed);
	if (a->query->hops)
		return hops_right(a, a->query->hops);
	route_trail_add(
		a->trail, "to", "asks", "Whether to lists its next hops is asked of the DNS.");
	return RELAY_MUST_ASK;
}

/* ---- by senders, who can be forged ---------------------------------------------------------- */

static enum relay_answer answer_of(const struct asked *a, int err, enum route_right right)
{
	return err == 0 ? yes(a, right) : err == ERR_NOT_FOUND ? RELAY_NO : broken(a, err);
}

static enum relay_answer host_right(const struct asked *a, struct span name)
{
	struct domain domain;
	const char *what = "a domain of the directory";
	enum route_right right = ROUTE_RIGHT_LOCAL_HOSTS;
	int err = 0;

	if (route_is_own_name(a->config, name)) {
		what = "this gateway's host name";
	} else {
		err = snapshot_domain(a->snapshot, name, &domain);
		if (err == ERR_NOT_FOUND) {
			what = "in accept.hosts";
			right = ROUTE_RIGHT_ACCEPT_HOSTS;
			err = snapshot_accept_host(a->snapshot, name);
		}
	}
	enum relay_answer answer = answer_of(a, err, right);
	if (answer == RELAY_YES)
		route_trail_add(a->trail, "local-hosts", "yes",
			"The sender's domain %.*s is %s. (Anybody can write such a sender.)",
			SHOWN(name), what);
	else if (err == ERR_NOT_FOUND)
		route_trail_add(a->trail, "local-hosts", "no",
			"The sender's domain %.*s is neither a domain of the directory nor this "
			"gateway's host name nor in accept.hosts.",
			SHOWN(name));
	return answer;
}

static enum relay_answer account_right(const struct asked *a, struct span local, struct span domain)
{
	struct account account = {0};
	const char *what = "an account";
	enum route_right right = ROUTE_RIGHT_LOCAL_USERS;
	int err = find_account(a->snapshot, local, domain, &account);
	bool disabled = err == 0 && account.disabled;

	if (disabled)
		err = ERR_NOT_FOUND;
	if (err == ERR_NOT_FOUND) {
		what = "in accept.users";
		right = ROUTE_RIGHT_ACCEPT_USERS;
		err = find_accepted(a->snapshot, local, domain);
	}
	enum relay_answer answer = answer_of(a, err, right);
	if (answer == RELAY_YES)
		route_trail_add(a->trail, "local-users", "yes",
			"The sender %.*s is %s. (Anybody can write such a sender.)",
			SHOWN(a->query->sender), what);
	else if (err == ERR_NOT_FOUND)
		route_trail_add(a->trail, "local-users", "no",
			"The sender %.*s is %s, and not in accept.users. (Aliases do not count.)",
			SHOWN(a->query->sender), disabled ? "a disabled account" : "no account");
	return answer;
}

static enum relay_answer sender_right(const struct asked *a)
{
	struct span sender = a->query->sender;
	size_t at = find_at(sender);
	const char *rule = a->relay.policy == RELAY_LOCAL_HOSTS ? "local-hosts" : "local-users";

	if (!sender.n || at == sender.n) {
		route_trail_add(a->trail, rule, "no",
			"The null sender is nobody's: it gives no right to relay.");
		return RELAY_NO;
	}
	struct span local = span_of(sender.p, at), domain = span_skip(sender, at + 1);
	return a->relay.policy == RELAY_LOCAL_HOSTS ? host_right(a, domain)
						    : account_right(a, local, domain);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum relay_answer anyone_right(const struct asked *a)
{
	const struct config *start = a->config->start;

	for (uint32_t i = 0; start && i < start->listener_count; i++) {
		if (!span_equal(start->listeners[i].name, a->query->listener) ||
			!start->listeners[i].open_relay)
			continue;
		route_trail_add(a->trail, "anyone", "yes", "Anybody may send to any domain.");
		return yes(a, ROUTE_RIGHT_ANYONE);
	}
	route_trail_add(a->trail, "anyone", "no",
		"The policy anyone counts as none: the listener does not say open-relay: yes in "
		"the "
		"start file.");
	return RELAY_NO;
}

static enum relay_answer policy_right(const struct asked *a)
{
	enum relay_answer answer;

	switch (a->relay.policy) {
	case RELAY_ADDRESSES:
		answer = from_right(a);
		return answer == RELAY_YES || a->verdict->kind != VERDICT_OK ? answer : to_right(a);
	case RELAY_LOCAL_HOSTS:
	case RELAY_LOCAL_USERS: return sender_right(a);
	case RELAY_ANYONE: return anyone_right(a);
	case RELAY_NONE:
	case RELAY_POLICIES: break;
	}
	return RELAY_NO;
}

static const char *also_needed(enum relay_policy policy)
{
	switch (policy) {
	case RELAY_ADDRESSES: return "an address in its from, ";
	case RELAY_LOCAL_HOSTS: return "a sender of a local host, ";
	case RELAY_LOCAL_USERS: return "a sender with an account, ";
	case RELAY_ANYONE: return "open-relay: yes in the start file, ";
	case RELAY_NONE:
	case RELAY_POLICIES: break;
	}
	return "";
}

/* What would help on this listener; where nothing is known of it, anything might. */
static void say_refused(const struct asked *a)
{
	const struct config *start = a->config->start;
	const struct config_listener *listener =
		start ? config_find_listener(start, a->query->listener) : NULL;
	struct relay_view view = {.login = true, .certificate = true};

	if (!a->trail)
		return;
	if (listener)
		relay_view(a->snapshot, listener, &view);
	const char *also = also_needed(a->relay.policy);
	bool some = view.login || view.certificate || *also;
	route_trail_add(a->trail, "relay", "refused",
		"By the policy %s%s%.*s this client may not send to domains that are not served "
		"here. It would need %s%s%s%sto be on this machine.",
		relay_policy_name(a->relay.policy), a->query->listener.n ? " of listener " : "",
		SHOWN(a->query->listener), view.login ? "a login, " : "",
		view.certificate ? "a client certificate, " : "", also, some ? "or " : "");
}

enum relay_answer relay_right(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, const struct transport *transport,
	struct route_trail *trail, enum route_right *right, struct verdict *verdict)
{
	struct verdict unknown = {.kind = VERDICT_OK};
	struct asked a = {.snapshot = snapshot,
		.config = config,
		.query = query,
		.transport = transport,
		.trail = trail,
		.right = right,
		.verdict = &unknown};
	enum relay_answer answer = RELAY_YES;

	if (netaddr_is_loopback(&query->client)) {
		route_trail_add(trail, "relay", "yes",
			"The client's address is loopback: it may send to any domain.");
		return yes(&a, ROUTE_RIGHT_LOOPBACK);
	}
	int err = snapshot_relay(snapshot, query->listener, &a.relay);
	if (err < 0 && err != ERR_NOT_FOUND)
		answer = broken(&a, err);
	else
		answer = user_right(&a);
	if (answer == RELAY_NO && unknown.kind == VERDICT_OK)
		answer = certificate_right(&a);
	if (answer == RELAY_NO && unknown.kind == VERDICT_OK)
		answer = policy_right(&a);
	if (unknown.kind != VERDICT_OK)
		*verdict = unknown;
	else if (answer == RELAY_NO)
		say_refused(&a);
	return answer;
}
