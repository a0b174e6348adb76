/* As whom somebody who logged in may send. */
#include "base/err.h"
#include "route/decide.h"
#include "route/find.h"
#include "route/refuse.h"

static bool broken(int err, struct route_trail *trail, struct verdict *out)
{
	route_verdict(out, 451, 3, 5, "the directory cannot be read: %s", err_text(err));
	route_trail_add(
		trail, "directory", "failed", "The directory cannot be read: %s.", err_text(err));
	return false;
}

static bool is_same(struct span entry, struct span local, struct span domain)
{
	size_t at = find_at(entry);

	if (at == entry.n || !span_equal(span_skip(entry, at + 1), domain))
		return false;
	return at == 0 || span_equal_nocase(span_of(entry.p, at), local);
}

/* Is it in the account's list, by its own domain's name or by that of which it is another one? */
static bool is_listed(const struct snapshot *snapshot, struct span list, struct span sender)
{
	size_t at = find_at(sender);
	struct span local = span_of(sender.p, at), domain = span_skip(sender, at + 1);
	struct domain served;
	struct span main = SPAN_NONE;

	if (!list.n || at == sender.n)
		return false;
	if (snapshot_domain(snapshot, domain, &served) == 0)
		main = served.alias_of;
	while (list.n) {
		size_t end = span_find(list, '\n');
		struct span entry = span_of(list.p, end);

		if (is_same(entry, local, domain) || (main.n && is_same(entry, local, main)))
			return true;
		list = span_skip(list, end + 1);
	}
	return false;
}

static bool refuse(const struct route_query *query, const struct account *account,
	struct route_trail *trail, struct verdict *out)
{
	route_verdict(out, 553, 7, 1,
		"%.*s may not send as %.*s; allowed are the account's own address%s",
		SHOWN(query->user), SHOWN(query->sender),
		account->send_as.n ? ", its aliases, and what its send-as lists"
				   : " and its aliases");
	route_trail_add(trail, "send as", "refused",
		"%.*s is neither the address of %.*s nor an alias that leads there alone nor in "
		"its "
		"send-as; the listener's relay table allows it with senders: any.",
		SHOWN(query->sender), SHOWN(query->user));
	return false;
}

static bool may_send(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out)
{
	struct account own = {0}, leads_to;
	size_t at = find_at(query->user);
	int err = find_account(
		snapshot, span_of(query->user.p, at), span_skip(query->user, at + 1), &own);

	if (err == ERR_NOT_FOUND) {
		route_verdict(out, 553, 7, 1, "the account %.*s is not there any more",
			SHOWN(query->user));
		route_trail_add(trail, "send as", "refused", "There is no account %.*s.",
			SHOWN(query->user));
		return false;
	}
	if (err < 0)
		return broken(err, trail, out);
	err = expand_account(snapshot, query->sender, &leads_to);
	if (err == 0 && span_equal(own.address, leads_to.address)) {
		route_trail_add(trail, "send as", "yes",
			"%.*s is the account %.*s, or leads there alone.", SHOWN(query->sender),
			SHOWN(query->user));
		return true;
	}
	if (is_listed(snapshot, own.send_as, query->sender)) {
		route_trail_add(trail, "send as", "yes", "send-as of %.*s lists %.*s.",
			SHOWN(query->user), SHOWN(query->sender));
		return true;
	}
	return err < 0 && err != ERR_NOT_FOUND ? broken(err, trail, out)
					       : refuse(query, &own, trail, out);
}

bool route_sender_allowed(const struct snapshot *snapshot, const struct route_query *query,
	struct route_trail *trail, struct verdict *out)
{
	struct relay relay;

	if (!query->user.n)
		return true;
	if (!query->sender.n) {
		route_trail_add(trail, "send as", "yes", "The null sender is anybody's to use.");
		return true;
	}
	int err = snapshot_relay(snapshot, query->listener, &relay);
	if (err < 0 && err != ERR_NOT_FOUND)
		return broken(err, trail, out);
	if (relay.senders == RELAY_SENDERS_ANY) {
		route_trail_add(trail, "send as", "yes",
			"The listener lets whoever has logged in send as anybody.");
		return true;
	}
	return may_send(snapshot, query, trail, out);
}
