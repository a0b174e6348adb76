#include "route/mx.h"

#include "base/check.h"
#include "base/err.h"
#include "route/mx_state.h"
#include "route/public.h"
#include "route/refuse.h"
#include "route/route.h"

#include <stdlib.h>

#define LABEL 63 /* RFC 1035 section 2.3.4 */

/* Could the DNS be asked about it at all? An underscore never hurt. */
bool mx_is_name(struct span name)
{
	size_t label = 0;

	if (!name.n || name.n > DNS_NAME)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if (c == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
		if (++label > LABEL)
			return false;
	}
	return label > 0;
}

struct span mx_without_dot(struct span name)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

static void copy_lower(char *to, struct span from)
{
	for (size_t i = 0; i < from.n; i++)
		to[i] = ascii_lower(from.p[i]);
	to[from.n] = '\0';
}

/* 0.0.0.0/8, 224.0.0.0/3 (multicast, reserved, broadcast), "::" and ff00::/8 are nobody's mail
 * server; fe80::/10 means another host on every link, which only a scope tells. */
bool mx_is_usable(const struct netaddr *a)
{
	if (a->family == NETADDR_V4)
		return a->ip[0] != 0 && a->ip[0] < 224;
	if (a->family != NETADDR_V6 || a->ip[0] == 0xff)
		return false;
	if (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80)
		return a->scope != 0;
	for (size_t i = 0; i < sizeof(a->ip); i++)
		if (a->ip[i])
			return true;
	return false;
}

/* ---- the start -------------------------------------------------------------------------- */

static void start_direct(struct mx *mx, const struct netaddr *address, bool fixed)
{
	struct netaddr direct = *address;
	bool usable = mx_is_usable(address);

	direct.port = mx->port;
	mx->ask = MX_ASK_DONE;
	mx->ttl_s = DNS_TTL_MOST;
	if (!usable && fixed)
		route_verdict(&mx->verdict, 451, 4, 4,
			"the transport's server %.*s is no address that mail can be sent to",
			SHOWN(mx->domain));
	else if (!usable)
		route_verdict(&mx->verdict, 550, 4, 4,
			"%.*s is no address that mail can be sent to", SHOWN(mx->domain));
	else if (!fixed && route_is_own_exchanger(mx->self, &direct))
		route_verdict(&mx->verdict, 554, 4, 6,
			"mail for %.*s loops back to me: it is an address of this gateway",
			SHOWN(mx->domain));
	else if (!fixed && !mx->private_hosts && !route_is_public(address))
		route_verdict(&mx->verdict, 550, 4, 4,
			"%.*s is not a public address; set private-hosts of the transport where "
			"that is meant",
			SHOWN(mx->domain));
	else
		mx->direct = direct;
}

void mx_start_candidate(struct mx *mx, struct mx_candidate *c, struct span name)
{
	copy_lower(c->name, name);
	c->name_length = (uint16_t)name.n;
	for (int f = 0; f < MX_FAMILIES; f++)
		c->sides[f].ask = mx->use[f] ? MX_ASK_WANTED : MX_ASK_NO;
}

/* The name itself is the one host: a fixed server, or a domain without MX. */
int mx_start_single(struct mx *mx)
{
	mx->candidates = calloc(1, sizeof(*mx->candidates));
	if (!mx->candidates)
		return ERR_NOMEM;
	mx->count = 1;
	mx_start_candidate(mx, mx->candidates, span_of(mx->name, mx->name_length));
	return 0;
}

static int start_server(struct mx *mx, struct span host)
{
	struct netaddr address;
	struct span name = mx_without_dot(host);

	mx->kind = MX_OF_SERVER;
	mx->ask = MX_ASK_DONE;
	if (netaddr_parse_ip(host, &address) == 0) {
		start_direct(mx, &address, true);
		return 0;
	}
	if (!mx_is_name(name)) {
		route_verdict(&mx->verdict, 451, 4, 4,
			"the transport's server %.*s is no valid host name", SHOWN(mx->domain));
		return 0;
	}
	copy_lower(mx->name, name);
	mx->name_length = (uint16_t)name.n;
	return mx_start_single(mx);
}

static void start_domain(struct mx *mx, const struct mx_query *query)
{
	struct span domain = mx_without_dot(query->domain);
	struct span zone = mx_without_dot(query->zone);
	struct netaddr address;
	size_t n = domain.n + (zone.n ? 1 + zone.n : 0);

	mx->kind = MX_OF_DOMAIN;
	if (route_literal(query->domain, &address) == 0) {
		start_direct(mx, &address, false);
		return;
	}
	mx->ask = MX_ASK_DONE;
	if (!mx_is_name(domain)) {
		route_verdict(
			&mx->verdict, 550, 1, 2, "%.*s is no valid domain name", SHOWN(mx->domain));
		return;
	}
	if (zone.n && (!mx_is_name(zone) || n > DNS_NAME)) {
		route_verdict(&mx->verdict, 550, 1, 2,
			"%.*s with the zone %.*s is no valid domain name", SHOWN(mx->domain),
			SHOWN(zone));
		return;
	}
	copy_lower(mx->name, domain);
	if (zone.n) {
		mx->name[domain.n] = '.';
		copy_lower(mx->name + domain.n + 1, zone);
	}
	mx->name_length = (uint16_t)n;
	mx->ask = MX_ASK_WANTED;
}

int mx_new(const struct mx_query *query, struct mx **out)
{
	struct mx *mx = calloc(1, sizeof(*mx));
	struct span shown = query->host.n ? query->host : query->domain;
	int err = 0;

	if (!mx)
		return ERR_NOMEM;
	mx->self = query->self;
	mx->use[MX_V6] = query->v6;
	mx->use[MX_V4] = query->v4;
	mx->port = query->port;
	mx->private_hosts = query->private_hosts;
	mx->own_dns = query->own_dns || query->zone.n;
	mx->random = query->random;
	mx->ttl_s = DNS_TTL_MOST;
	mx->verdict.kind = VERDICT_OK;
	mx->domain = span_of(mx->text, MIN(shown.n, (size_t)DNS_NAME));
	if (mx->domain.n)
		memcpy(mx->text, shown.p, mx->domain.n);
	if (query->host.n)
		err = start_server(mx, query->host);
	else
		start_domain(mx, query);
	if (err < 0) {
		mx_free(&mx);
		return err;
	}
	*out = mx;
	return 0;
}

void mx_free(struct mx **mx)
{
	if (!*mx)
		return;
	free((*mx)->candidates);
	free(*mx);
	*mx = NULL;
}

/* ---- questions -------------------------------------------------------------------------- */

static bool decided(const struct mx *mx)
{
	return mx->verdict.kind != VERDICT_OK;
}

bool mx_next(struct mx *mx, struct mx_question *out)
{
	static const enum dns_type types[MX_FAMILIES] = {DNS_AAAA, DNS_A};

	if (decided(mx))
		return false;
	if (mx->ask == MX_ASK_WANTED) {
		mx->ask = MX_ASK_OPEN;
		*out = (struct mx_question){MX_ID, span_of(mx->name, mx->name_length), DNS_MX};
		return true;
	}
	for (uint32_t i = 0; i < mx->count; i++) {
		struct mx_candidate *c = &mx->candidates[i];

		for (uint32_t f = 0; f < MX_FAMILIES; f++) {
			if (c->sides[f].ask != MX_ASK_WANTED)
				continue;
			c->sides[f].ask = MX_ASK_OPEN;
			*out = (struct mx_question){1 + i * MX_FAMILIES + f,
				span_of(c->name, c->name_length), types[f]};
			return true;
		}
	}
	return false;
}

bool mx_finished(const struct mx *mx)
{
	if (decided(mx))
		return true;
	if (mx->ask != MX_ASK_DONE)
		return false;
	for (uint32_t i = 0; i < mx->count; i++)
		for (uint32_t f = 0; f < MX_FAMILIES; f++) {
			enum mx_ask ask = mx->candidates[i].sides[f].ask;

			if (ask == MX_ASK_WANTED || ask == MX_ASK_OPEN)
				return false;
		}
	return true;
}
