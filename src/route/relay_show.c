/* Who can relay now, and why. */
#include "base/err.h"
#include "directory/range.h"
#include "route/relay_view.h"

#define SHOW_RANGES   20	  /* in a line for people; JSON has all */
#define SHOW_WARNINGS (64u << 10) /* bytes */

/* ---- for people ----------------------------------------------------------------------------- */

static void add_ranges(
	const struct snapshot *snapshot, const struct relay *relay, bool to, struct buf *out)
{
	uint32_t count = to ? relay->to_count : relay->from_count;
	struct address_range range;

	for (uint32_t i = 0; i < count && i < SHOW_RANGES; i++) {
		if (snapshot_relay_range(snapshot, relay, to, i, &range) != 0)
			break;
		buf_add_str(out, i ? ", " : "");
		range_add(out, &range);
	}
	if (count > SHOW_RANGES)
		buf_printf(out, " and %u more", count - SHOW_RANGES);
}

static void add_policy(const struct snapshot *snapshot, const struct config *start,
	const struct relay_view *view, struct buf *out)
{
	const struct relay *relay = &view->relay;

	switch (relay->policy) {
	case RELAY_ADDRESSES:
		if (relay->from_count) {
			buf_add_str(out, view->wide ? "  ANYBODY, as most of the Internet is in "
						    : "  clients with an address in ");
			add_ranges(snapshot, relay, false, out);
			buf_add_char(out, '\n');
		}
		if (relay->to_count) {
			buf_add_str(out, "  anybody, to domains whose next hops are all in ");
			add_ranges(snapshot, relay, true, out);
			buf_add_char(out, '\n');
		}
		break;
	case RELAY_LOCAL_HOSTS:
		buf_add_str(out,
			"  WHOEVER WRITES such a sender: one at a domain of the directory, "
			"at ");
		buf_add_span(out, start->hostname);
		buf_add_str(out, ", or at one of accept.hosts\n");
		break;
	case RELAY_LOCAL_USERS:
		buf_add_str(out,
			"  WHOEVER WRITES such a sender: the address of an account that is "
			"not disabled, or one of accept.users\n");
		break;
	case RELAY_ANYONE:
		if (view->open)
			buf_add_str(out, "  EVERYBODY\n");
		break;
	case RELAY_NONE:
	case RELAY_POLICIES: break;
	}
}

/* What they say of a client counts as if it were so: also that he is on this machine. */
static void add_believed(const char *how, struct span peers, const char *what, struct buf *out)
{
	if (!peers.n)
		return;
	buf_printf(out, "  whomever %s from ", how);
	while (peers.n) {
		size_t end = span_find(peers, '\n');

		buf_add_span(out, span_of(peers.p, end));
		peers = span_skip(peers, end + 1);
		buf_add_str(out, peers.n ? ", " : " ");
	}
	buf_add_str(out, what);
}

static void add_login(const struct relay_view *view, struct buf *out)
{
	const struct config_listener *listener = view->listener;

	if (!view->login) {
		buf_add_str(out, "  nobody by logging in: AUTH needs TLS, and the listener has no "
				 "certificate\n");
		return;
	}
	buf_add_str(out, "  whoever logs in, ");
	if (view->tls && listener->tls.mode == CONFIG_TLS_IMPLICIT)
		buf_add_str(out, "over TLS");
	else if (listener->auth_without_tls)
		buf_add_str(out, view->tls ? "in clear or after STARTTLS" : "in clear");
	else
		buf_add_str(out, "after STARTTLS");
	buf_add_str(out, view->relay.senders == RELAY_SENDERS_OWN ? ", as his own addresses"
								  : ", as any sender");
	buf_add_str(out, view->relay.advertise_auth ? "; AUTH is offered: "
						    : "; AUTH is hidden, but understood: ");
	for (uint32_t i = 0; relay_mechanism(view, i); i++)
		buf_printf(out, "%s%s", i ? ", " : "", relay_mechanism(view, i));
	buf_add_char(out, '\n');
}

static void add_listener(const struct snapshot *snapshot, const struct config *start,
	const struct relay_view *view, struct buf *out)
{
	buf_add_str(out, "listener ");
	buf_add_span(out, view->listener->name);
	buf_add_str(out, ", ");
	netaddr_add(out, &view->listener->address);
	if (view->err) {
		buf_printf(out, ": the directory cannot be read: %s\n", err_text(view->err));
		return;
	}
	buf_printf(out, ": policy %s%s%s\n", relay_policy_name(view->relay.policy),
		view->in_directory ? "" : " (the default)", view->open ? ", AN OPEN RELAY" : "");
	buf_add_str(out, "  clients on this machine (loopback addresses)\n");
	add_policy(snapshot, start, view, out);
	if (view->certificate)
		buf_add_str(
			out, view->relay.certificates.n
				     ? "  clients with one of the certificates that the policy "
				       "lists\n"
				     : "  clients with a certificate that client-ca verifies\n");
	add_login(view, out);
	add_believed("a PROXY header", view->listener->proxy, "gives such an address\n", out);
	add_believed(
		"XCLIENT", view->listener->xclient, "gives such an address, or a login\n", out);
}

void relay_show_text(const struct snapshot *snapshot, const struct config *start, struct buf *out)
{
	struct relay_view view;
	size_t before;

	buf_add_str(out, "Mail for the domains served here is taken from anybody. To other domains "
			 "may send:\n\n");
	for (uint32_t i = 0; i < start->listener_count; i++) {
		relay_view(snapshot, &start->listeners[i], &view);
		add_listener(snapshot, start, &view, out);
		buf_add_char(out, '\n');
	}
	before = out->n;
	relay_add_warnings(snapshot, start, out);
	if (out->n == before)
		buf_add_str(out, "Nothing about this is dangerous.\n");
}

/* ---- for programs --------------------------------------------------------------------------- */

static void put_ranges(const char *key, const struct snapshot *snapshot, const struct relay *relay,
	bool to, struct json_write *out)
{
	struct address_range range;
	struct buf text;

	buf_init(&text, 128);
	json_open_array(out, key);
	for (uint32_t i = 0; snapshot_relay_range(snapshot, relay, to, i, &range) == 0; i++) {
		buf_clear(&text);
		range_add(&text, &range);
		json_put_string(out, NULL, buf_span(&text));
	}
	json_close_array(out);
	buf_done(&text);
}

static void put_lines(const char *key, struct span lines, struct json_write *out)
{
	json_open_array(out, key);
	while (lines.n) {
		size_t end = span_find(lines, '\n');

		if (end)
			json_put_string(out, NULL, span_of(lines.p, end));
		lines = span_skip(lines, end + 1);
	}
	json_close_array(out);
}

static void put_login(const struct relay_view *view, struct json_write *out)
{
	json_open_object(out, "auth");
	json_put_bool(out, "possible", view->login);
	json_put_bool(out, "advertised", view->login && view->relay.advertise_auth);
	json_put_bool(out, "needs_tls", !view->listener->auth_without_tls);
	json_put_str(out, "senders", view->relay.senders == RELAY_SENDERS_OWN ? "own" : "any");
	json_open_array(out, "mechanisms");
	for (uint32_t i = 0; relay_mechanism(view, i); i++)
		json_put_str(out, NULL, relay_mechanism(view, i));
	json_close_array(out);
	json_close_object(out);
}

static void put_listener(
	const struct snapshot *snapshot, const struct relay_view *view, struct json_write *out)
{
	const struct config_listener *listener = view->listener;
	struct buf address;

	buf_init(&address, 128);
	netaddr_add(&address, &listener->address);
	json_open_object(out, NULL);
	json_put_string(out, "name", listener->name);
	json_put_string(out, "address", buf_span(&address));
	put_lines("proxy", listener->proxy, out);
	put_lines("xclient", listener->xclient, out);
	if (view->err) {
		json_put_str(out, "error", err_text(view->err));
	} else {
		json_put_str(out, "policy", relay_policy_name(view->relay.policy));
		json_put_bool(out, "default", !view->in_directory);
		json_put_bool(out, "open_relay", view->open);
		put_ranges("from", snapshot, &view->relay, false, out);
		put_ranges("to", snapshot, &view->relay, true, out);
		put_lines("certificates", view->relay.certificates, out);
		json_put_bool(out, "asks_for_certificate", view->certificate);
		json_put_str(out, "tls",
			!view->tls				    ? "none"
			: listener->tls.mode == CONFIG_TLS_IMPLICIT ? "implicit"
								    : "starttls");
		put_login(view, out);
	}
	json_close_object(out);
	buf_done(&address);
}

void relay_show_json(
	const struct snapshot *snapshot, const struct config *start, struct json_write *out)
{
	struct relay_view view;
	struct buf warnings;

	json_open_array(out, "listeners");
	for (uint32_t i = 0; i < start->listener_count; i++) {
		relay_view(snapshot, &start->listeners[i], &view);
		put_listener(snapshot, &view, out);
	}
	json_close_array(out);
	buf_init(&warnings, SHOW_WARNINGS);
	relay_add_warnings(snapshot, start, &warnings);
	put_lines("warnings", buf_span(&warnings), out);
	buf_done(&warnings);
}
