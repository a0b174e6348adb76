#include "route/public.h"

#include "base/check.h"

#include <string.h>

struct prefix {
	uint8_t ip[4];
	uint8_t bits;
};

static const struct prefix not_public[] = {
	{{0, 0, 0, 0}, 8},				 /* this network, RFC 791 */
	{{10, 0, 0, 0}, 8},				 /* private, RFC 1918 */
	{{100, 64, 0, 0}, 10},				 /* shared, RFC 6598 */
	{{127, 0, 0, 0}, 8},				 /* loopback */
	{{169, 254, 0, 0}, 16},				 /* link-local, RFC 3927 */
	{{172, 16, 0, 0}, 12},				 /* private */
	{{192, 0, 0, 0}, 24},				 /* protocol assignments, RFC 6890 */
	{{192, 0, 2, 0}, 24},				 /* documentation, RFC 5737 */
	{{192, 88, 99, 0}, 24},				 /* 6to4 relays, RFC 7526 */
	{{192, 168, 0, 0}, 16},				 /* private */
	{{198, 18, 0, 0}, 15},				 /* benchmarks, RFC 2544 */
	{{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}, /* documentation */
	{{224, 0, 0, 0}, 3},				 /* multicast, reserved, broadcast */
};

static uint32_t number_of(const uint8_t ip[4])
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

static bool is_public_v4(const uint8_t ip[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(not_public); i++) {
		uint32_t differ = number_of(ip) ^ number_of(not_public[i].ip);

		if (!(differ >> (32 - not_public[i].bits)))
			return false;
	}
	return true;
}

static bool begins(const uint8_t ip[16], const uint8_t *prefix, size_t n)
{
	return memcmp(ip, prefix, n) == 0;
}

static bool is_public_v6(const uint8_t ip[16])
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}; /* RFC 6052 */
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t documentation[4] = {0x20, 0x01, 0x0d, 0xb8}; /* RFC 3849 */

	if (begins(ip, nat64, sizeof(nat64)) || begins(ip, mapped, sizeof(mapped)))
		return is_public_v4(ip + 12);
	/* Global unicast is 2000::/3 and nothing else: loopback, fc00::/7, fe80::/10, fec0::/10,
	 * multicast, IPv4-compatible and local NAT64 (RFC 8215) addresses lie outside. */
	if ((ip[0] & 0xe0) != 0x20)
		return false;
	if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4, RFC 3056 */
		return is_public_v4(ip + 2);
	/* 2001::/23, protocol assignments: Teredo, benchmarks, ORCHID (RFC 2928). */
	if (ip[0] == 0x20 && ip[1] == 0x01 && ip[2] < 2)
		return false;
	/* 3fff::/20, documentation too (RFC 9637). */
	if (ip[0] == 0x3f && ip[1] == 0xff && !(ip[2] & 0xf0))
		return false;
	return !begins(ip, documentation, sizeof(documentation));
}

bool route_is_public(const struct netaddr *a)
{
	if (a->family == NETADDR_V4)
		return is_public_v4(a->ip);
	return a->family == NETADDR_V6 && is_public_v6(a->ip);
}
