#include "route/self.h"

#define SMTP_PORT 25

static bool is_unspecified(const struct netaddr *a)
{
	for (size_t i = 0; i < sizeof(a->ip); i++)
		if (a->ip[i])
			return false;
	return a->family != NETADDR_NONE;
}

/* "::" takes IPv4 as well, unless the system says otherwise: better one loop too many seen. */
static bool is_wildcard_for(const struct netaddr *listener, const struct netaddr *a)
{
	return is_unspecified(listener) &&
	       (listener->family == a->family || listener->family == NETADDR_V6);
}

static bool is_interface(const struct route_config *config, const struct netaddr *a)
{
	for (uint32_t i = 0; i < config->address_count; i++)
		if (netaddr_same_ip(&config->addresses[i], a))
			return true;
	return false;
}

/* The system takes a connection to "0.0.0.0" or "::" to its loopback address. */
static struct netaddr where_it_ends(const struct netaddr *a)
{
	struct netaddr end = *a;

	if (!is_unspecified(a))
		return end;
	if (a->family == NETADDR_V4) {
		end.ip[0] = 127;
		end.ip[3] = 1;
	} else {
		end.ip[15] = 1;
	}
	return end;
}

bool route_is_self(const struct route_config *config, const struct netaddr *a)
{
	struct netaddr end = where_it_ends(a);
	uint16_t port = a->port ? a->port : SMTP_PORT;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct netaddr *listener = &config->listeners[i];

		if (listener->port != port)
			continue;
		if (netaddr_same_ip(listener, &end))
			return true;
		if (is_wildcard_for(listener, &end) &&
			(netaddr_is_loopback(&end) || is_interface(config, &end)))
			return true;
	}
	return false;
}

bool route_is_own_address(const struct route_config *config, const struct netaddr *a)
{
	if (route_is_self(config, a))
		return true;
	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct netaddr *listener = &config->listeners[i];

		if (netaddr_same_ip(listener, a))
			return true;
		if (is_wildcard_for(listener, a) && !netaddr_is_loopback(a) &&
			is_interface(config, a))
			return true;
	}
	return false;
}

bool route_is_own_name(const struct route_config *config, struct span name)
{
	struct span own = config->hostname;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (own.n && own.p[own.n - 1] == '.')
		own.n--;
	return own.n && span_equal_nocase(own, name);
}

static bool may_reach_us(const struct route_config *config, uint16_t port)
{
	if (!port || port == SMTP_PORT)
		return true;
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].port == port)
			return true;
	return false;
}

bool route_is_own_exchanger(const struct route_config *config, const struct netaddr *a)
{
	return !a->port || a->port == SMTP_PORT ? route_is_own_address(config, a)
						: route_is_self(config, a);
}

bool route_is_own_exchanger_name(const struct route_config *config, struct span name, uint16_t port)
{
	return may_reach_us(config, port) && route_is_own_name(config, name);
}
