#include "base/check.h"
#include "base/err.h"
#include "route/mx.h"
#include "route/mx_state.h"
#include "route/public.h"
#include "route/refuse.h"

#include <stdlib.h>

#define MX_ADDRESS_TEXT 64 /* bytes of an address */

static uint32_t addresses_of(const struct mx_candidate *c)
{
	return (uint32_t)c->sides[MX_V6].count + c->sides[MX_V4].count;
}

static bool is_us(const struct mx *mx, const struct mx_candidate *c)
{
	if (route_is_own_exchanger_name(mx->self, span_of(c->name, c->name_length), mx->port))
		return true;
	for (int f = 0; f < MX_FAMILIES; f++)
		for (uint8_t i = 0; i < c->sides[f].count; i++)
			if (route_is_own_exchanger(mx->self, &c->sides[f].addresses[i]))
				return true;
	return false;
}

/* RFC 5321 section 5.1: exchangers at or behind our own preference are not for us to try. */
static void drop_behind_us(struct mx *mx)
{
	uint32_t own = UINT16_MAX + 1u;
	uint32_t keep = 0;

	for (uint32_t i = 0; i < mx->count; i++)
		if (is_us(mx, &mx->candidates[i]))
			own = MIN(own, (uint32_t)mx->candidates[i].preference);
	if (own > UINT16_MAX)
		return;
	mx->own_seen = true;
	while (keep < mx->count && mx->candidates[keep].preference < own)
		keep++;
	mx->count = keep;
}

/* What was left out because it is not public: the first of it, for the text. */
struct left_out {
	const struct mx_candidate *host; /* NULL: nothing */
	struct netaddr address;
};

/* After the own-preference rule, which asks who a host is, wherever it may be. */
static void drop_private(struct mx *mx, struct left_out *out)
{
	for (uint32_t i = 0; i < mx->count; i++)
		for (int f = 0; f < MX_FAMILIES; f++) {
			struct mx_side *side = &mx->candidates[i].sides[f];
			uint8_t keep = 0;

			for (uint8_t k = 0; k < side->count; k++) {
				if (route_is_public(&side->addresses[k]))
					side->addresses[keep++] = side->addresses[k];
				else if (!out->host)
					*out = (struct left_out){
						&mx->candidates[i], side->addresses[k]};
			}
			side->count = keep;
		}
}

/* In a DNS of the administrator's own it is his setting that is missing: nothing to bounce for. */
static void judge_private(struct mx *mx, const struct left_out *out)
{
	struct buf address;

	buf_init(&address, MX_ADDRESS_TEXT);
	netaddr_add_ip(&address, &out->address);
	route_verdict(&mx->verdict, mx->own_dns ? 451 : 550, 4, 4,
		"the mail host %.*s of %.*s has the address %.*s, which is not a public one; set "
		"private-hosts of the transport where that is meant",
		(int)out->host->name_length, out->host->name, SHOWN(mx->domain),
		SHOWN(buf_span(&address)));
	buf_done(&address);
}

/* A host without an address, of which a question could not be answered, may turn out usable later.
 */
static const struct mx_candidate *unanswered(const struct mx *mx)
{
	for (uint32_t i = 0; i < mx->count; i++)
		for (int f = 0; f < MX_FAMILIES; f++) {
			const struct mx_side *side = &mx->candidates[i].sides[f];

			if (!addresses_of(&mx->candidates[i]) && side->ask == MX_ASK_DONE &&
				(side->status == DNS_TEMPORARY || side->status == DNS_BOGUS))
				return &mx->candidates[i];
		}
	return NULL;
}

static bool all_missing(const struct mx *mx)
{
	for (uint32_t i = 0; i < mx->count; i++)
		for (int f = 0; f < MX_FAMILIES; f++) {
			const struct mx_side *side = &mx->candidates[i].sides[f];

			if (side->ask == MX_ASK_DONE && side->status != DNS_NXDOMAIN)
				return false;
		}
	return true;
}

static void judge_server(struct mx *mx, const struct mx_candidate *silent)
{
	if (silent)
		route_verdict(&mx->verdict, 451, 4, 3,
			"the DNS cannot say the address of the transport's server %.*s",
			SHOWN(mx->domain));
	else if (all_missing(mx))
		route_verdict(&mx->verdict, 451, 4, 4, "the transport's server %.*s does not exist",
			SHOWN(mx->domain));
	else
		route_verdict(&mx->verdict, 451, 4, 4,
			"the transport's server %.*s has no usable address", SHOWN(mx->domain));
}

/* No host has an address: why. */
static void judge_empty(struct mx *mx, const struct left_out *left_out)
{
	const struct mx_candidate *silent = unanswered(mx);

	if (mx->kind == MX_OF_SERVER) {
		judge_server(mx, silent);
		return;
	}
	if (silent) {
		route_verdict(&mx->verdict, 451, 4, 3,
			"the DNS cannot say the address of %.*s, a mail exchanger of %.*s",
			(int)silent->name_length, silent->name, SHOWN(mx->domain));
		return;
	}
	/* With better exchangers named but none usable, and us behind them: no loop, but no way
	 * either. */
	if (mx->own_seen && !mx->count) {
		route_verdict(&mx->verdict, 554, 4, 6,
			"mail for %.*s loops back to me: this gateway is its best mail exchanger",
			SHOWN(mx->domain));
		return;
	}
	if (left_out->host) {
		judge_private(mx, left_out);
		return;
	}
	if (!mx->implicit) {
		route_verdict(&mx->verdict, 550, 4, 4,
			"no mail exchanger of %.*s has a usable address", SHOWN(mx->domain));
		return;
	}
	route_verdict(&mx->verdict, 550, 4, 4,
		"%.*s has neither a mail exchanger nor a usable address", SHOWN(mx->domain));
}

/* ---- the result ------------------------------------------------------------------------- */

struct layout {
	struct mx_result result;
	struct mx_host hosts[];
};

/* Room for what is sure to fit; addresses and names follow the hosts. */
static struct mx_result *new_result(uint32_t hosts, uint32_t addresses, size_t names,
	struct mx_host **host, struct mx_address **address, char **name)
{
	size_t head = sizeof(struct layout) + hosts * sizeof(struct mx_host);
	struct layout *block;

	_Static_assert(_Alignof(struct mx_host) >= _Alignof(struct mx_address), "order of arrays");
	block = calloc(1, head + addresses * sizeof(struct mx_address) + names);
	if (!block)
		return NULL;
	*host = block->hosts;
	*address = (struct mx_address *)(void *)((char *)block + head);
	*name = (char *)(*address + addresses);
	block->result.hosts = *host;
	block->result.addresses = *address;
	return &block->result;
}

void mx_result_free(struct mx_result **result)
{
	free(*result);
	*result = NULL;
}

/* IPv6, IPv4, IPv6, …: a broken family costs one attempt, not all of them. */
static uint32_t interleave(
	const struct mx_candidate *c, uint16_t host, struct mx_address *to, uint32_t room)
{
	uint32_t n = 0;

	for (uint8_t i = 0; i < MX_ADDRESSES_PER_HOST; i++)
		for (int f = 0; f < MX_FAMILIES; f++)
			if (i < c->sides[f].count && n < room)
				to[n++] = (struct mx_address){c->sides[f].addresses[i], host};
	return n;
}

static bool is_secure(const struct mx *mx, const struct mx_candidate *c)
{
	bool secure = mx->kind == MX_OF_SERVER || mx->mx_secure;

	for (int f = 0; f < MX_FAMILIES; f++)
		if (c->sides[f].count)
			secure = secure && c->sides[f].secure;
	return secure;
}

static struct span put_name(char **to, const char *name, size_t n)
{
	struct span put = span_of(*to, n);

	memcpy(*to, name, n);
	*to += n;
	return put;
}

static int make_list(const struct mx *mx, struct mx_result **out)
{
	uint32_t hosts = 0, addresses = 0;
	size_t names = 0;
	struct mx_host *host;
	struct mx_address *address;
	struct mx_result *result;
	char *name;

	for (uint32_t i = 0; i < mx->count; i++) {
		uint32_t n = addresses_of(&mx->candidates[i]);

		hosts += n > 0;
		addresses += n;
		names += mx->candidates[i].name_length + mx->candidates[i].alias.length;
	}
	names += mx->alias.length;
	addresses = MIN(addresses, (uint32_t)MX_ADDRESSES);
	result = new_result(hosts, addresses, names, &host, &address, &name);
	if (!result)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < mx->count && result->address_count < addresses; i++) {
		const struct mx_candidate *c = &mx->candidates[i];

		if (!addresses_of(c))
			continue;
		host[result->host_count] = (struct mx_host){
			.name = put_name(&name, c->name, c->name_length),
			.preference = c->preference,
			.secure = is_secure(mx, c),
			.named = mx->kind == MX_OF_SERVER || mx->mx_secure,
			.canonical = put_name(&name, c->alias.name, c->alias.length),
		};
		result->address_count += interleave(c, (uint16_t)result->host_count,
			address + result->address_count, addresses - result->address_count);
		result->host_count++;
	}
	result->canonical = put_name(&name, mx->alias.name, mx->alias.length);
	result->incomplete = unanswered(mx) != NULL;
	*out = result;
	return 0;
}

static int make_direct(const struct mx *mx, struct mx_result **out)
{
	struct mx_host *host;
	struct mx_address *address;
	char *name;
	struct mx_result *result = new_result(1, 1, mx->domain.n, &host, &address, &name);

	if (!result)
		return ERR_NOMEM;
	memcpy(name, mx->domain.p, mx->domain.n);
	*host = (struct mx_host){.name = span_of(name, mx->domain.n)};
	*address = (struct mx_address){mx->direct, 0};
	result->host_count = result->address_count = 1;
	*out = result;
	return 0;
}

static int make_verdict(const struct mx *mx, struct mx_result **out)
{
	struct mx_host *host;
	struct mx_address *address;
	char *name;
	struct mx_result *result = new_result(0, 0, 0, &host, &address, &name);

	if (!result)
		return ERR_NOMEM;
	result->verdict = mx->verdict;
	*out = result;
	return 0;
}

int mx_finish(struct mx *mx, struct mx_result **out)
{
	struct left_out left_out = {0};
	struct mx_result *result;
	uint32_t addresses = 0;
	int err;

	CHECK(mx_finished(mx));
	if (mx->verdict.kind == VERDICT_OK && mx->direct.family == NETADDR_NONE) {
		if (mx->kind == MX_OF_DOMAIN)
			drop_behind_us(mx);
		if (mx->kind == MX_OF_DOMAIN && !mx->private_hosts)
			drop_private(mx, &left_out);
		for (uint32_t i = 0; i < mx->count; i++)
			addresses += addresses_of(&mx->candidates[i]);
		if (!addresses)
			judge_empty(mx, &left_out);
	}
	if (mx->verdict.kind != VERDICT_OK)
		err = make_verdict(mx, &result);
	else if (mx->direct.family != NETADDR_NONE)
		err = make_direct(mx, &result);
	else
		err = make_list(mx, &result);
	if (err < 0)
		return err;
	result->ttl_s = mx->ttl_s;
	*out = result;
	return 0;
}
