#include "base/check.h"
#include "base/prng.h"
#include "route/mx.h"
#include "route/mx_state.h"
#include "route/refuse.h"

#include <stdlib.h>

/* Names that differ in case alone are one. */
static void note_alias(struct mx_alias *alias, struct span name, const struct dns_answer *answer)
{
	struct span to = mx_without_dot(answer->canonical);

	if (!mx_is_name(to) || span_equal_nocase(to, name))
		return;
	alias->length = (uint16_t)to.n;
	for (size_t i = 0; i < to.n; i++)
		alias->name[i] = ascii_lower(to.p[i]);
}

/* ---- answers: MX ------------------------------------------------------------------------ */

static void note_ttl(struct mx *mx, const struct dns_answer *answer)
{
	mx->ttl_s = MAX(DNS_TTL_LEAST, MIN(mx->ttl_s, answer->ttl_s));
}

static int by_preference(const void *a, const void *b)
{
	const struct mx_candidate *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static struct mx_candidate *find_candidate(struct mx *mx, struct span name)
{
	for (uint32_t i = 0; i < mx->count; i++)
		if (span_equal_nocase(
			    span_of(mx->candidates[i].name, mx->candidates[i].name_length), name))
			return &mx->candidates[i];
	return NULL;
}

/* The least preference at which we are named ourselves, or one above all. */
static uint32_t own_preference(const struct mx *mx, const struct dns_answer *answer)
{
	uint32_t own = UINT16_MAX + 1u;

	for (uint32_t i = 0; i < answer->count; i++)
		if (route_is_own_exchanger_name(mx->self, answer->mx[i].name, mx->port))
			own = MIN(own, (uint32_t)answer->mx[i].preference);
	return own;
}

static void add_exchanger(struct mx *mx, const struct dns_mx *record, struct prng *prng)
{
	struct netaddr address;
	struct span name = mx_without_dot(record->name);
	struct mx_candidate *c;
	uint64_t order = prng_u64(prng);

	/* RFC 7505 section 3: a null MX beside others has no meaning. */
	if (!name.n || span_equal(name, SPAN(".")) || name.n > DNS_NAME)
		return;
	c = find_candidate(mx, name);
	if (c) {
		c->preference = MIN(c->preference, record->preference);
		return;
	}
	c = &mx->candidates[mx->count++];
	c->preference = record->preference;
	c->order = order;
	mx_start_candidate(mx, c, name);
	/* RFC 5321 section 5.1 and RFC 2181 section 10.3: an exchanger is a name. */
	if (mx_is_name(name) && netaddr_parse_ip(name, &address) < 0)
		return;
	c->unfit = true;
	for (int f = 0; f < MX_FAMILIES; f++)
		c->sides[f].ask = MX_ASK_NO;
}

static bool is_null_mx(const struct dns_answer *answer)
{
	for (uint32_t i = 0; i < answer->count; i++)
		if (answer->mx[i].name.n && !span_equal(answer->mx[i].name, SPAN(".")))
			return false;
	return answer->count > 0;
}

static void cannot_ask(struct mx *mx, struct span name, const struct dns_answer *answer)
{
	struct span reason = answer->reason.n ? answer->reason : SPAN("no usable answer");

	route_verdict(&mx->verdict, 451, 4, 3,
		"the DNS cannot say where mail for %.*s goes: %.*s: %.*s", SHOWN(mx->domain),
		SHOWN(name), SHOWN(reason));
}

static void take_exchangers(struct mx *mx, const struct dns_answer *answer)
{
	uint32_t own = own_preference(mx, answer);
	struct prng prng;
	uint32_t keep = 0;

	if (is_null_mx(answer)) {
		route_verdict(&mx->verdict, 556, 1, 10, "%.*s takes no mail (null MX)",
			SHOWN(mx->domain));
		return;
	}
	mx->candidates = calloc(answer->count, sizeof(*mx->candidates));
	if (!mx->candidates) {
		route_verdict(
			&mx->verdict, 451, 3, 0, "no memory to look up %.*s", SHOWN(mx->domain));
		return;
	}
	mx->mx_secure = answer->secure;
	note_alias(&mx->alias, span_of(mx->name, mx->name_length), answer);
	prng_seed(&prng, mx->random);
	for (uint32_t i = 0; i < answer->count; i++)
		add_exchanger(mx, &answer->mx[i], &prng);
	qsort(mx->candidates, mx->count, sizeof(*mx->candidates), by_preference);
	while (keep < mx->count && keep < MX_HOSTS && mx->candidates[keep].preference < own)
		keep++;
	mx->own_seen = own <= UINT16_MAX;
	mx->count = keep;
}

static void answer_mx(struct mx *mx, const struct dns_answer *answer)
{
	struct span name = span_of(mx->name, mx->name_length);

	mx->ask = MX_ASK_DONE;
	switch (answer->status) {
	case DNS_OK:
		if (answer->count && answer->mx)
			take_exchangers(mx, answer);
		else
			cannot_ask(mx, name, answer);
		return;
	case DNS_NODATA:
		if (answer->dropped) {
			route_verdict(&mx->verdict, 550, 4, 4,
				"the mail exchangers of %.*s are no valid host names",
				SHOWN(mx->domain));
			return;
		}
		mx->implicit = true;
		mx->mx_secure = answer->secure;
		if (mx_start_single(mx) < 0)
			route_verdict(&mx->verdict, 451, 3, 0, "no memory to look up %.*s",
				SHOWN(mx->domain));
		return;
	case DNS_NXDOMAIN:
		if (span_equal_nocase(name, mx->domain))
			route_verdict(&mx->verdict, 550, 1, 2, "the domain %.*s does not exist",
				SHOWN(mx->domain));
		else
			route_verdict(&mx->verdict, 550, 1, 2,
				"the domain %.*s does not exist (looked up as %.*s)",
				SHOWN(mx->domain), SHOWN(name));
		return;
	default: cannot_ask(mx, name, answer);
	}
}

/* ---- answers: addresses ----------------------------------------------------------------- */

static void answer_side(
	struct mx *mx, struct mx_side *side, enum mx_family family, const struct dns_answer *answer)
{
	side->ask = MX_ASK_DONE;
	side->status = answer->status;
	side->secure = answer->secure;
	if (answer->status != DNS_OK || !answer->addresses)
		return;
	for (uint32_t i = 0; i < answer->count && side->count < MX_ADDRESSES_PER_HOST; i++) {
		struct netaddr a = answer->addresses[i];

		/* An IPv4-mapped AAAA comes as IPv4; it is no address of that family. */
		if (!mx_is_usable(&a) || (a.family == NETADDR_V6) != (family == MX_V6))
			continue;
		a.port = mx->port;
		side->addresses[side->count++] = a;
	}
}

void mx_answer(struct mx *mx, uint32_t id, const struct dns_answer *answer)
{
	uint32_t host, family;

	if (id == MX_ID) {
		if (mx->ask != MX_ASK_OPEN)
			return;
		note_ttl(mx, answer);
		answer_mx(mx, answer);
		return;
	}
	host = (id - 1) / MX_FAMILIES;
	family = (id - 1) % MX_FAMILIES;
	if (host >= mx->count || mx->candidates[host].sides[family].ask != MX_ASK_OPEN)
		return;
	note_ttl(mx, answer);
	struct mx_candidate *c = &mx->candidates[host];

	answer_side(mx, &c->sides[family], (enum mx_family)family, answer);
	if (c->sides[family].count)
		note_alias(&c->alias, span_of(c->name, c->name_length), answer);
}
