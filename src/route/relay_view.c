#include "route/relay_view.h"

#include "base/check.h"
#include "base/err.h"

static const char *const policies[RELAY_POLICIES] = {
	[RELAY_NONE] = "none",
	[RELAY_ADDRESSES] = "addresses",
	[RELAY_LOCAL_HOSTS] = "local-hosts",
	[RELAY_LOCAL_USERS] = "local-users",
	[RELAY_ANYONE] = "anyone",
};

const char *relay_policy_name(enum relay_policy policy)
{
	CHECK(policy < RELAY_POLICIES);
	return policies[policy];
}

static const char *const rights[ROUTE_RIGHTS] = {
	[ROUTE_RIGHT_NONE] = "",
	[ROUTE_RIGHT_LOOPBACK] = "loopback",
	[ROUTE_RIGHT_LOGIN] = "login",
	[ROUTE_RIGHT_CERTIFICATE] = "certificate",
	[ROUTE_RIGHT_KEY] = "certificate",
	[ROUTE_RIGHT_FROM] = "from",
	[ROUTE_RIGHT_TO] = "to",
	[ROUTE_RIGHT_LOCAL_HOSTS] = "local-hosts",
	[ROUTE_RIGHT_ACCEPT_HOSTS] = "accept.hosts",
	[ROUTE_RIGHT_LOCAL_USERS] = "local-users",
	[ROUTE_RIGHT_ACCEPT_USERS] = "accept.users",
	[ROUTE_RIGHT_ANYONE] = "anyone",
};

const char *route_right_name(enum route_right right)
{
	CHECK((unsigned)right < ROUTE_RIGHTS);
	return rights[right];
}

static uint64_t v4_number(const struct netaddr *a)
{
	return (uint64_t)a->ip[0] << 24 | (uint64_t)a->ip[1] << 16 | (uint64_t)a->ip[2] << 8 |
	       a->ip[3];
}

static bool is_wide(const struct snapshot *snapshot, const struct relay *relay)
{
	struct address_range range;
	uint64_t v4 = 0;
	unsigned v6 = 0;

	for (uint32_t i = 0; snapshot_relay_range(snapshot, relay, false, i, &range) == 0; i++) {
		if (range.first.family == NETADDR_V4)
			v4 += v4_number(&range.last) - v4_number(&range.first) + 1;
		else
			v6 += range.last.ip[0] - range.first.ip[0] +
			      (range.last.ip[1] == 0xff && range.first.ip[1] == 0 ? 1u : 0u);
	}
	return v4 >= RELAY_WIDE_V4 || v6 >= RELAY_WIDE_V6;
}

void relay_view(const struct snapshot *snapshot, const struct config_listener *listener,
	struct relay_view *out)
{
	int err = snapshot_relay(snapshot, listener->name, &out->relay);

	out->listener = listener;
	out->in_directory = err == 0;
	out->err = err == ERR_NOT_FOUND ? 0 : err;
	out->inside = netaddr_is_loopback(&listener->address) && !listener->proxy.n &&
		      !listener->xclient.n;
	out->tls = listener->tls.certificate.n > 0;
	out->login = out->tls || listener->auth_without_tls;
	out->certificate = out->tls && listener->tls.client_ca.n;
	out->wide =
		!out->err && out->relay.policy == RELAY_ADDRESSES && is_wide(snapshot, &out->relay);
	out->open = !out->err && !out->inside &&
		    (out->wide || (out->relay.policy == RELAY_ANYONE && listener->open_relay));
}

const char *relay_mechanism(const struct relay_view *view, uint32_t at)
{
	/* The last one needs TLS (RFC 5802 section 6). */
	static const char *const names[] = {
		"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
	uint32_t count = ARRAY_SIZE(names) - (view->tls ? 0 : 1);

	return view->login && at < count ? names[at] : NULL;
}
