#include "route/loop.h"

#include "route/refuse.h"

#define LOOP_ADDRESS_TEXT 64 /* bytes of "[address]:port" */

bool loop_hops(uint32_t received, uint32_t most, struct verdict *out)
{
	if (received <= most)
		return false;
	route_verdict(out, 554, 4, 6,
		"mail loop: the message has %u Received fields, and %u are allowed", received,
		most);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim_folding(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s = span_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool loop_delivered_to(struct span field, struct span account, struct verdict *out)
{
	static const struct span name = SPAN("Delivered-To");
	struct span value;

	if (!span_starts_nocase(field, name))
		return false;
	/* RFC 5322 section 4.5.3 lets white space stand before the colon in old messages. */
	value = trim_folding(span_skip(field, name.n));
	if (!value.n || value.p[0] != ':')
		return false;
	value = trim_folding(span_skip(value, 1));
	if (value.n > 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
		value = span_of(value.p + 1, value.n - 2);
	if (!account.n || !span_equal_nocase(value, account))
		return false;
	route_verdict(out, 554, 4, 6,
		"mail loop: the message was delivered to %.*s before and came back",
		SHOWN(account));
	return true;
}

/* The field at the start of the header with its folded lines (RFC 5322 section 2.2.3). */
static struct span first_field(struct span header)
{
	size_t n = 0;

	while (n < header.n) {
		n += span_find(span_skip(header, n), '\n') + 1;
		if (n >= header.n)
			return header;
		if (header.p[n] != ' ' && header.p[n] != '\t')
			break;
	}
	return span_of(header.p, n);
}

bool loop_delivered_to_header(struct span header, struct span account, struct verdict *out)
{
	while (header.n && header.p[0] != '\r' && header.p[0] != '\n') {
		struct span field = first_field(header);

		if (loop_delivered_to(field, account, out))
			return true;
		header = span_skip(header, field.n);
	}
	return false;
}

bool loop_fixed_server(const struct route_config *config, const struct transport *transport,
	const struct netaddr *address, struct verdict *out)
{
	struct buf where;

	if (!route_is_self(config, address))
		return false;
	buf_init(&where, LOOP_ADDRESS_TEXT);
	netaddr_add(&where, address);
	route_verdict(out, 554, 4, 6,
		"mail loop: server %.*s of transport %.*s leads to our own listener at %.*s",
		SHOWN(transport->host), SHOWN(transport->name), SHOWN(buf_span(&where)));
	buf_done(&where);
	return true;
}
