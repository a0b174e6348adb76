#include "base/err.h"
#include "route/route.h"

/* RFC 5321 section 4.1.3. The tag has to be there for IPv6, and nothing else may stand for IPv4. */
int route_literal(struct span domain, struct netaddr *out)
{
	struct netaddr parsed;
	enum netaddr_family family = NETADDR_V4;

	if (domain.n < 2 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']')
		return ERR_SYNTAX;
	domain = span_of(domain.p + 1, domain.n - 2);
	if (span_starts_nocase(domain, SPAN("IPv6:"))) {
		domain = span_skip(domain, 5);
		family = NETADDR_V6;
	}
	if (span_find(domain, '%') != domain.n)
		return ERR_SYNTAX; /* a scope means something on one machine only */
	if (netaddr_parse_ip(domain, &parsed) < 0)
		return ERR_SYNTAX;
	/* An IPv4-mapped IPv6 address is written with the tag and comes out as IPv4. */
	if (family == NETADDR_V4 && span_find(domain, ':') != domain.n)
		return ERR_SYNTAX;
	if (family == NETADDR_V6 && span_find(domain, ':') == domain.n)
		return ERR_SYNTAX;
	*out = parsed;
	out->port = 0;
	return 0;
}
