/* What is dangerous about who may relay, or locks everybody out. */
#include "base/err.h"
#include "directory/range.h"
#include "route/refuse.h"
#include "route/relay_view.h"

/* A range over so many borders of /8 is not one owner's, as 10.0.0.0/8 and fc00::/7 are. */
#define PEERS_WIDE 2

static void warn(struct buf *out, struct span listener, const char *text)
{
	buf_add_str(out, "listener ");
	buf_add_span(out, listener);
	buf_add_str(out, ": ");
	buf_add_str(out, text);
	buf_add_char(out, '\n');
}

static void warn_policy(const struct relay_view *view, struct buf *out)
{
	struct span name = view->listener->name;
	bool open = view->listener->open_relay;

	if (view->relay.policy == RELAY_LOCAL_HOSTS || view->relay.policy == RELAY_LOCAL_USERS)
		warn(out, name,
			view->relay.policy == RELAY_LOCAL_HOSTS
				? "the policy local-hosts relays for whoever writes a local domain "
				  "into MAIL FROM, which anybody can forge; use addresses, or "
				  "none and logins"
				: "the policy local-users relays for whoever writes a user's "
				  "address into MAIL FROM, which anybody can forge; use addresses, "
				  "or none and logins");
	if (view->relay.policy == RELAY_ANYONE && open && view->open)
		warn(out, name,
			"THIS IS AN OPEN RELAY: the policy anyone relays for everybody, and "
			"strangers will send spam through it; use addresses, or none and logins");
	if (view->relay.policy == RELAY_ANYONE && !open && !view->inside)
		warn(out, name,
			"the policy anyone counts as none here, as the listener does not say "
			"open-relay: yes in the start file; set another policy");
	if (open && view->relay.policy != RELAY_ANYONE)
		warn(out, name,
			"open-relay: yes in the start file is for the policy anyone, which this "
			"listener does not have; leave it out");
	if (view->wide && !view->inside)
		warn(out, name,
			"THIS IS AN OPEN RELAY by another name: from holds most of the Internet; "
			"list your own networks only");
	/* Where nobody can log in either, that is what is said (warn_login()). */
	if (view->relay.policy == RELAY_ADDRESSES && !view->relay.from_count &&
		!view->relay.to_count && view->login && view->relay.advertise_auth)
		warn(out, name,
			"the policy addresses without from and to relays for no address; give "
			"them, or set none");
}

/* Of private networks (RFC 4193). */
static bool is_local(const struct netaddr *a)
{
	return a->family == NETADDR_V6 && (a->ip[0] & 0xfe) == 0xfc;
}

/* More than 16 million addresses, or more than a provider has of version 6. */
static bool is_great_part(const struct address_range *range)
{
	if (is_local(&range->first) && is_local(&range->last))
		return false;
	return range->first.ip[0] != range->last.ip[0] ||
	       (range->first.family == NETADDR_V6 && range->first.ip[1] != range->last.ip[1]);
}

static void warn_ranges(
	const struct snapshot *snapshot, const struct relay_view *view, bool to, struct buf *out)
{
	struct address_range range;

	if (view->relay.policy != RELAY_ADDRESSES || view->inside)
		return;
	for (uint32_t i = 0; snapshot_relay_range(snapshot, &view->relay, to, i, &range) == 0;
		i++) {
		if (!is_great_part(&range))
			continue;
		buf_add_str(out, "listener ");
		buf_add_span(out, view->listener->name);
		buf_add_str(out, to ? ": to " : ": from ");
		range_add(out, &range);
		buf_add_str(out, " is a great part of the Internet: for it, this is an open "
				 "relay; name only networks that you know\n");
	}
}

static bool is_wide_list(struct span list)
{
	struct address_range range;

	while (list.n) {
		size_t end = span_find(list, '\n');

		if (range_parse(span_of(list.p, end), &range, NULL) == 0 &&
			range.last.ip[0] - range.first.ip[0] >= PEERS_WIDE)
			return true;
		list = span_skip(list, end + 1);
	}
	return false;
}

/* Who may say that a client is on this machine may relay. */
static void warn_peers(const struct config_listener *listener, struct buf *out)
{
	if (netaddr_is_loopback(&listener->address))
		return;
	if (is_wide_list(listener->proxy))
		warn(out, listener->name,
			"THIS IS AN OPEN RELAY by another name: proxy believes a large part of "
			"the Internet, and anybody can claim an address that may relay; list your "
			"proxies only");
	if (is_wide_list(listener->xclient))
		warn(out, listener->name,
			"THIS IS AN OPEN RELAY by another name: xclient believes a large part of "
			"the Internet, and anybody can claim an address that may relay; list your "
			"own peers only");
}

/* Is there a way to relay from elsewhere, besides logging in? */
static bool has_other_way(const struct relay_view *view)
{
	if (view->certificate)
		return true;
	switch (view->relay.policy) {
	case RELAY_ADDRESSES: return view->relay.from_count || view->relay.to_count;
	case RELAY_LOCAL_HOSTS:
	case RELAY_LOCAL_USERS: return true;
	case RELAY_ANYONE: return view->listener->open_relay || view->inside;
	case RELAY_NONE:
	case RELAY_POLICIES: break;
	}
	return false;
}

static void warn_login(const struct relay_view *view, struct buf *out)
{
	const struct config_listener *listener = view->listener;

	if (listener->auth_without_tls && !netaddr_is_loopback(&listener->address))
		warn(out, listener->name,
			"auth-without-tls takes passwords in clear, which whoever is on the way "
			"can read; give it a certificate and leave that out");
	if (!view->in_directory)
		return;
	bool shut = !has_other_way(view);
	if (shut && !view->login)
		warn(out, listener->name,
			"nobody but this machine can relay here: AUTH needs TLS, for which the "
			"listener has no certificate; give it one in the start file, or leave it "
			"so where it only takes mail for the domains served here");
	else if (shut && !view->relay.advertise_auth)
		warn(out, listener->name,
			"advertise-auth: no hides AUTH, the one way to relay here, so clients that "
			"look for it are locked out; set advertise-auth=yes, or leave it so where "
			"the listener only takes mail for the domains served here");
	if (view->relay.certificates.n && !view->certificate)
		warn(out, listener->name,
			"certificates has no effect: the listener asks clients for none; set its "
			"tls: client-ca in the start file");
}

static void warn_gone(const struct config *start, struct span name, struct buf *out)
{
	for (uint32_t i = 0; i < start->listener_count; i++)
		if (span_equal(start->listeners[i].name, name))
			return;
	warn(out, name,
		"the directory has a relay policy for it, but the start file no such listener; "
		"remove the policy, or mend the name");
}

void relay_add_warnings(
	const struct snapshot *snapshot, const struct config *start, struct buf *out)
{
	struct relay_view view;
	struct relay relay;

	for (uint32_t i = 0; i < start->listener_count; i++) {
		relay_view(snapshot, &start->listeners[i], &view);
		warn_peers(view.listener, out);
		if (view.err) {
			warn(out, view.listener->name,
				"its relay policy cannot be read: the directory is damaged");
			continue;
		}
		warn_policy(&view, out);
		/* One danger is told once. */
		if (!view.wide)
			warn_ranges(snapshot, &view, false, out);
		warn_ranges(snapshot, &view, true, out);
		warn_login(&view, out);
	}
	for (uint32_t i = 0; snapshot_relay_at(snapshot, i, &relay) == 0; i++)
		warn_gone(start, relay.listener, out);
}
