#include "route/priority.h"

#include "base/text.h"

#include <string.h>

bool priority_pattern_matches(struct span pattern, struct span text)
{
	size_t p = 0, t = 0;
	size_t star = SIZE_MAX, resume = 0; /* after the last "*", and where it was tried last */

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = ++p;
			resume = t;
		} else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool priority_network_matches(struct span network, const struct netaddr *client)
{
	struct netaddr base;
	size_t slash = span_find(network, '/');

	if (client->family == NETADDR_NONE ||
		netaddr_parse_ip(span_of(network.p, slash), &base) != 0 ||
		base.family != client->family)
		return false;
	uint64_t width = base.family == NETADDR_V4 ? 32 : 128;
	uint64_t bits = width;
	if (slash < network.n && text_parse_u64(span_skip(network, slash + 1), width, &bits) != 0)
		return false;
	if (memcmp(base.ip, client->ip, bits / 8) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));
	return ((base.ip[bits / 8] ^ client->ip[bits / 8]) & mask) == 0;
}

/* An address, "@domain", or a pattern with "*". */
static bool address_matches(struct span pattern, struct span address)
{
	if (!pattern.n)
		return true;
	if (pattern.p[0] == '@' && span_find(pattern, '*') == pattern.n)
		return span_ends_nocase(address, pattern);
	return priority_pattern_matches(pattern, address);
}

static bool name_matches(struct span pattern, struct span name)
{
	return !pattern.n || priority_pattern_matches(pattern, name);
}

bool priority_rule_matches(const struct priority_rule *rule, const struct priority_subject *subject)
{
	return address_matches(rule->sender, subject->sender) &&
	       address_matches(rule->recipient, subject->recipient) &&
	       name_matches(rule->domain, subject->domain) &&
	       name_matches(rule->transport, subject->transport) &&
	       (!rule->client.n || priority_network_matches(rule->client, &subject->client));
}

bool priority_matches(const struct snapshot *snapshot, const struct priority_subject *subject,
	struct priority_rule *out)
{
	uint32_t count = snapshot_priority_count(snapshot);

	for (uint32_t i = 0; i < count; i++) {
		struct priority_rule rule;

		if (snapshot_priority(snapshot, i, &rule) != 0 ||
			!priority_rule_matches(&rule, subject))
			continue;
		if (out)
			*out = rule;
		return true;
	}
	return false;
}
