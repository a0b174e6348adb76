#include "codec/proxy_header.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#define V2_FIXED \
	16 /* bytes before the addresses: the signature, version and command, family, length */
#define V2_VERSION   2
#define V2_TCP4	     0x11
#define V2_TCP6	     0x21
#define V2_UNSPEC    0x00
#define V2_TLV_HEAD  3
#define V2_TLV_CRC32 0x03

enum v2_command { V2_LOCAL, V2_PROXY };

static const struct span v1_begin = {"PROXY ", 6};
static const struct span v2_begin = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* ---- version 1: a line ----------------------------------------------------------------------- */

/* The next word of the line, and the one space behind it. */
static struct span take_word(struct span *line)
{
	struct span word = span_of(line->p, span_find(*line, ' '));

	*line = span_skip(*line, word.n + 1);
	return word;
}

static int take_ip(struct span text, bool v6, struct netaddr *out)
{
	if ((span_find(text, ':') < text.n) != v6 || span_find(text, '%') < text.n)
		return ERR_SYNTAX;
	return netaddr_parse_ip(text, out);
}

static int take_port(struct span text, struct netaddr *out)
{
	uint64_t port = 0;

	if ((text.n > 1 && text.p[0] == '0') || text_parse_u64(text, UINT16_MAX, &port) != 0)
		return ERR_SYNTAX;
	out->port = (uint16_t)port;
	return 0;
}

static int parse_v1_line(struct span line, struct proxy_header *out)
{
	struct span kind = take_word(&line);

	/* Whatever follows is to be ignored. */
	if (span_equal(kind, SPAN("UNKNOWN"))) {
		out->local = true;
		return 0;
	}
	bool v6 = span_equal(kind, SPAN("TCP6"));
	if (!v6 && !span_equal(kind, SPAN("TCP4")))
		return ERR_SYNTAX;
	struct span source = take_word(&line), target = take_word(&line), port = take_word(&line);
	int err = take_ip(source, v6, &out->client);
	if (!err)
		err = take_ip(target, v6, &out->server);
	if (!err)
		err = take_port(port, &out->client);
	return err ? err : take_port(line, &out->server);
}

static int parse_v1(struct span in, struct proxy_header *out, size_t *used)
{
	struct span most = span_of(in.p, MIN(in.n, (size_t)PROXY_V1_BYTES));
	size_t end = span_find(most, '\n');

	if (end == most.n)
		return most.n == PROXY_V1_BYTES ? ERR_LIMIT : ERR_MORE;
	/* Neither of the two stands anywhere alone. */
	if (span_find(most, '\r') != end - 1)
		return ERR_SYNTAX;
	*used = end + 1;
	return parse_v1_line(span_skip(span_of(in.p, end - 1), v1_begin.n), out);
}

/* ---- version 2: bytes ------------------------------------------------------------------------ */

static unsigned byte_at(struct span in, size_t at)
{
	return (unsigned char)in.p[at];
}

static unsigned big_endian_16(struct span in, size_t at)
{
	return byte_at(in, at) << 8 | byte_at(in, at + 1);
}

/* CRC32C (RFC 3720 appendix B.4), of a header whose four bytes at `hole` count as 0. */
static uint32_t crc32c(struct span in, size_t hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < in.n; i++) {
		crc ^= i >= hole && i < hole + 4 ? 0 : (uint32_t)byte_at(in, i);
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* The extensions, which begin at `at`. */
static int check_tlvs(struct span header, size_t at)
{
	size_t crc = 0; /* where its value is */

	while (at < header.n) {
		if (header.n - at < V2_TLV_HEAD)
			return ERR_SYNTAX;
		size_t value = at + V2_TLV_HEAD, length = big_endian_16(header, at + 1);
		if (header.n - value < length)
			return ERR_SYNTAX;
		if (byte_at(header, at) == V2_TLV_CRC32) {
			if (crc || length != 4)
				return ERR_SYNTAX;
			crc = value;
		}
		at = value + length;
	}
	if (!crc)
		return 0;
	uint32_t said = (uint32_t)big_endian_16(header, crc) << 16 | big_endian_16(header, crc + 2);
	return said == crc32c(header, crc) ? 0 : ERR_CORRUPT;
}

/* The same forms as everywhere: an IPv4 address in IPv6's clothes is IPv4. */
static void set_ip(struct netaddr *a, struct span bytes, unsigned port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int err;

	if (bytes.n == sizeof(v4.sin_addr)) {
		memcpy(&v4.sin_addr, bytes.p, bytes.n);
		err = netaddr_from_sockaddr((const struct sockaddr *)&v4, sizeof(v4), a);
	} else {
		memcpy(&v6.sin6_addr, bytes.p, bytes.n);
		err = netaddr_from_sockaddr((const struct sockaddr *)&v6, sizeof(v6), a);
	}
	CHECK(!err);
	a->port = (uint16_t)port;
}

/* Source, target, their ports; `size` is an address's. */
static int parse_v2_addresses(struct span header, size_t size, struct proxy_header *out)
{
	size_t ports = V2_FIXED + 2 * size, end = ports + 4;

	if (header.n < end)
		return ERR_SYNTAX;
	set_ip(&out->client, span_of(header.p + V2_FIXED, size), big_endian_16(header, ports));
	set_ip(&out->server, span_of(header.p + V2_FIXED + size, size),
		big_endian_16(header, ports + 2));
	return check_tlvs(header, end);
}

static int parse_v2(struct span in, struct proxy_header *out, size_t *used)
{
	/* As early as it is there: what is not ours need not be waited for. */
	if (in.n > v2_begin.n && byte_at(in, 12) >> 4 != V2_VERSION)
		return ERR_UNSUPPORTED;
	if (in.n < V2_FIXED)
		return ERR_MORE;
	unsigned command = byte_at(in, 12) & 15;
	size_t whole = V2_FIXED + big_endian_16(in, 14);
	if (whole > PROXY_HEADER_MOST)
		return ERR_LIMIT;
	if (command != V2_LOCAL && command != V2_PROXY)
		return ERR_UNSUPPORTED;
	if (in.n < whole)
		return ERR_MORE;
	struct span header = span_of(in.p, whole);
	*used = whole;
	/* Family, addresses and all are to be discarded. */
	out->local = command == V2_LOCAL;
	if (out->local)
		return 0;
	switch (byte_at(in, 13)) {
	case V2_TCP4: return parse_v2_addresses(header, 4, out);
	case V2_TCP6: return parse_v2_addresses(header, 16, out);
	case V2_UNSPEC: out->local = true; return check_tlvs(header, V2_FIXED);
	default: return ERR_UNSUPPORTED;
	}
}

/* ---------------------------------------------------------------------------------------------- */

/* Do they agree as far as both go? */
static bool may_become(struct span in, struct span begin)
{
	size_t n = MIN(in.n, begin.n);

	return n == 0 || memcmp(in.p, begin.p, n) == 0;
}

int proxy_header_parse(struct span in, struct proxy_header *out, size_t *used)
{
	struct proxy_header parsed = {.local = false};
	size_t length = 0;
	int err;

	if (may_become(in, v1_begin))
		err = in.n < v1_begin.n ? ERR_MORE : parse_v1(in, &parsed, &length);
	else if (may_become(in, v2_begin))
		err = in.n < v2_begin.n ? ERR_MORE : parse_v2(in, &parsed, &length);
	else
		err = ERR_SYNTAX;
	if (!err) {
		*out = parsed;
		*used = length;
	}
	return err;
}
