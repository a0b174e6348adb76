#include "base/netaddr.h"

#include "base/err.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define IP_TEXT INET6_ADDRSTRLEN /* the longest text of an address, with its NUL */

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct netaddr from_v4(const void *ip)
{
	struct netaddr a = {.family = NETADDR_V4};

	memcpy(a.ip, ip, 4);
	return a;
}

static struct netaddr from_v6(const uint8_t ip[16])
{
	if (memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0)
		return from_v4(ip + sizeof(v4_mapped));
	struct netaddr a = {.family = NETADDR_V6};
	memcpy(a.ip, ip, 16);
	return a;
}

static bool is_link_local(const struct netaddr *a)
{
	return a->family == NETADDR_V6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

int netaddr_parse_ip(struct span in, struct netaddr *out)
{
	char text[IP_TEXT];
	uint8_t ip[16];
	size_t length = span_find(in, '%');
	uint64_t scope = 0;
	struct netaddr a;

	/* A NUL inside would end the text early for inet_pton. */
	if (length >= sizeof(text) || span_find(in, '\0') < in.n)
		return ERR_SYNTAX;
	if (length)
		memcpy(text, in.p, length);
	text[length] = '\0';
	if (inet_pton(AF_INET, text, ip) == 1)
		a = from_v4(ip);
	else if (inet_pton(AF_INET6, text, ip) == 1)
		a = from_v6(ip);
	else
		return ERR_SYNTAX;
	if (length < in.n) {
		if (!is_link_local(&a) ||
			text_parse_u64(span_skip(in, length + 1), UINT32_MAX, &scope) != 0)
			return ERR_SYNTAX;
		a.scope = (uint32_t)scope;
	}
	*out = a;
	return 0;
}

int netaddr_parse(struct span in, uint16_t default_port, struct netaddr *out)
{
	struct span host = in, port = SPAN_NONE;
	uint64_t number = default_port;
	struct netaddr a;
	bool has_port = false;

	if (in.n && in.p[0] == '[') {
		size_t end = span_find(in, ']');
		if (end == in.n)
			return ERR_SYNTAX;
		host = span_of(in.p + 1, end - 1);
		port = span_skip(in, end + 1);
		has_port = port.n > 0;
		if (has_port && port.p[0] != ':')
			return ERR_SYNTAX;
		port = span_skip(port, 1);
	} else {
		/* One colon parts address and port; more of them make an IPv6 address. */
		size_t colon = span_find(in, ':');
		struct span rest = span_skip(in, colon + 1);
		if (colon < in.n && span_find(rest, ':') == rest.n) {
			host = span_of(in.p, colon);
			port = rest;
			has_port = true;
		}
	}
	if (has_port && (text_parse_u64(port, UINT16_MAX, &number) != 0 || number == 0))
		return ERR_SYNTAX;
	int err = netaddr_parse_ip(host, &a);
	if (err)
		return err;
	a.port = (uint16_t)number;
	*out = a;
	return 0;
}

static void add_v4(struct buf *buf, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			buf_add_char(buf, '.');
		buf_add_u64(buf, ip[i]);
	}
}

static void add_hex(struct buf *buf, unsigned group)
{
	static const char hex[] = "0123456789abcdef";
	bool leading = true;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = group >> shift & 15;
		if (digit || !leading || !shift)
			buf_add_char(buf, hex[digit]);
		leading = leading && !digit;
	}
}

/* RFC 5952 section 4: lower case, no leading zeros, "::" for the longest run of at least two zero
 * groups, the first one of equals. */
static void add_v6(struct buf *buf, const uint8_t *ip)
{
	unsigned group[8], best = 8, best_length = 1;

	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)ip[i + i] << 8 | ip[i + i + 1];
	for (unsigned i = 0, length; i < 8; i += length + 1) {
		for (length = 0; i + length < 8 && !group[i + length]; length++)
			;
		if (length > best_length) {
			best = i;
			best_length = length;
		}
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			buf_add(buf, "::", 2);
			i += best_length - 1;
			continue;
		}
		if (i && (best == 8 || i != best + best_length))
			buf_add_char(buf, ':');
		add_hex(buf, group[i]);
	}
}

void netaddr_add_ip(struct buf *buf, const struct netaddr *a)
{
	if (a->family == NETADDR_V4)
		add_v4(buf, a->ip);
	if (a->family == NETADDR_V6)
		add_v6(buf, a->ip);
	if (a->scope) {
		buf_add_char(buf, '%');
		buf_add_u64(buf, a->scope);
	}
}

void netaddr_add(struct buf *buf, const struct netaddr *a)
{
	bool bracket = a->family == NETADDR_V6 && a->port;

	if (bracket)
		buf_add_char(buf, '[');
	netaddr_add_ip(buf, a);
	if (bracket)
		buf_add_char(buf, ']');
	if (a->port) {
		buf_add_char(buf, ':');
		buf_add_u64(buf, a->port);
	}
}

void netaddr_add_literal(struct buf *buf, const struct netaddr *a)
{
	if (a->family == NETADDR_NONE)
		return;
	buf_add_str(buf, a->family == NETADDR_V6 ? "[IPv6:" : "[");
	/* A scope means nothing on another host. */
	if (a->family == NETADDR_V4)
		add_v4(buf, a->ip);
	else
		add_v6(buf, a->ip);
	buf_add_char(buf, ']');
}

bool netaddr_same_ip(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
	       a->scope == b->scope;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};

	if (a->family == NETADDR_V4)
		return a->ip[0] == 127;
	return a->family == NETADDR_V6 && memcmp(a->ip, v6_loopback, sizeof(v6_loopback)) == 0;
}

socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == NETADDR_V4) {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
		memcpy(&v4.sin_addr, a->ip, 4);
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	if (a->family == NETADDR_V6) {
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
			.sin6_port = htons(a->port),
			.sin6_scope_id = a->scope};
		memcpy(&v6.sin6_addr, a->ip, 16);
		memcpy(out, &v6, sizeof(v6));
		return sizeof(v6);
	}
	return 0;
}

int netaddr_from_sockaddr(const struct sockaddr *in, socklen_t length, struct netaddr *out)
{
	if (length >= sizeof(struct sockaddr_in) && in->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, in, sizeof(v4));
		*out = from_v4(&v4.sin_addr);
		out->port = ntohs(v4.sin_port);
		return 0;
	}
	if (length >= sizeof(struct sockaddr_in6) && in->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, in, sizeof(v6));
		*out = from_v6(v6.sin6_addr.s6_addr);
		out->port = ntohs(v6.sin6_port);
		/* The kernel gives the interface for link-local addresses only. */
		if (is_link_local(out))
			out->scope = v6.sin6_scope_id;
		return 0;
	}
	return ERR_UNSUPPORTED;
}
