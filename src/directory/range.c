#include "directory/range.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define V4_BITS	      32u
#define V6_BITS	      128u
#define V4_MAPPED_AT  12u /* bytes before the IPv4 address in its IPv6 form */
#define SHOWN_MOST    64u /* bytes of a wrong text that are shown */
#define V4_MAPPED_BIT (V4_MAPPED_AT * 8)

static const uint8_t v4_mapped[V4_MAPPED_AT] = {[10] = 0xff, [11] = 0xff};

/* ---- addresses as numbers -------------------------------------------------------------------- */

static unsigned bits_of(const struct netaddr *a)
{
	return a->family == NETADDR_V4 ? V4_BITS : V6_BITS;
}

struct netaddr range_address(const struct netaddr *a)
{
	struct netaddr out = {.family = a->family};

	if (a->family == NETADDR_V6 && memcmp(a->ip, v4_mapped, sizeof(v4_mapped)) == 0) {
		out.family = NETADDR_V4;
		memcpy(out.ip, a->ip + V4_MAPPED_AT, V4_BITS / 8);
	} else if (a->family != NETADDR_NONE) {
		memcpy(out.ip, a->ip, bits_of(a) / 8);
	}
	return out;
}

int range_compare_address(const struct netaddr *a, const struct netaddr *b)
{
	int order = (a->family > b->family) - (a->family < b->family);

	return order ? order : memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool bit(const struct netaddr *a, unsigned at)
{
	return a->ip[at / 8] >> (7 - at % 8) & 1;
}

/* Sets all bits from `at` on, or clears them. */
static void fill(struct netaddr *a, unsigned at, bool set)
{
	for (unsigned bits = bits_of(a); at < bits; at++) {
		uint8_t mask = (uint8_t)(1u << (7 - at % 8));
		a->ip[at / 8] = (uint8_t)(set ? a->ip[at / 8] | mask : a->ip[at / 8] & ~mask);
	}
}

/* The address after this one; false where there is none. */
static bool next(struct netaddr *a)
{
	for (unsigned at = bits_of(a) / 8; at-- > 0;)
		if (++a->ip[at])
			return true;
	return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int wrong(struct buf *why, const char *text)
{
	if (why)
		buf_add_str(why, text);
	return ERR_SYNTAX;
}

static int parse_address(struct span text, struct netaddr *out, struct buf *why)
{
	struct netaddr a;

	if (netaddr_parse_ip(text, &a) < 0) {
		if (why) {
			buf_add_char(why, '"');
			buf_add_escaped(why, text, SHOWN_MOST);
			buf_add_str(why, "\" is no IP address");
		}
		return ERR_SYNTAX;
	}
	if (span_find(text, '%') < text.n)
		return wrong(why, "an interface (%) cannot be part of it");
	*out = range_address(&a);
	return 0;
}

static int parse_network(
	struct span address, struct span prefix, struct address_range *out, struct buf *why)
{
	struct address_range r;
	uint64_t length;

	int err = parse_address(address, &r.first, why);
	if (err < 0)
		return err;
	/* The prefix of an IPv4 network that is written in its IPv6 form counts from there. */
	bool mapped = r.first.family == NETADDR_V4 && span_find(address, ':') < address.n;
	unsigned least = mapped ? V4_MAPPED_BIT : 0;
	if (text_parse_u64(prefix, bits_of(&r.first) + least, &length) < 0 || length < least)
		return wrong(why, mapped			 ? "the prefix must be 96 to 128"
				  : r.first.family == NETADDR_V4 ? "the prefix must be 0 to 32"
								 : "the prefix must be 0 to 128");
	r.last = r.first;
	fill(&r.first, (unsigned)length - least, false);
	if (range_compare_address(&r.first, &r.last) != 0) {
		if (why) {
			buf_printf(why, "bits are set behind the prefix; the network is ");
			netaddr_add_ip(why, &r.first);
			buf_printf(why, "/%u", (unsigned)length - least);
		}
		return ERR_SYNTAX;
	}
	fill(&r.last, (unsigned)length - least, true);
	*out = r;
	return 0;
}

static int parse_two(
	struct span first, struct span last, struct address_range *out, struct buf *why)
{
	struct address_range r;

	int err = parse_address(span_trim(first), &r.first, why);
	if (err == 0)
		err = parse_address(span_trim(last), &r.last, why);
	if (err < 0)
		return err;
	if (r.first.family != r.last.family)
		return wrong(why, "both addresses must be of one IP version");
	if (range_compare_address(&r.last, &r.first) < 0)
		return wrong(why, "the last address is before the first");
	*out = r;
	return 0;
}

int range_parse(struct span text, struct address_range *out, struct buf *why)
{
	struct span in = span_trim(text);
	size_t slash = span_find(in, '/'), dash = span_find(in, '-');
	struct netaddr one;

	if (in.n == 0)
		return wrong(why, "it is empty");
	if (dash < in.n)
		return parse_two(span_of(in.p, dash), span_skip(in, dash + 1), out, why);
	if (slash < in.n)
		return parse_network(span_of(in.p, slash), span_skip(in, slash + 1), out, why);
	int err = parse_address(in, &one, why);
	if (err < 0)
		return err;
	*out = (struct address_range){one, one};
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The length of the prefix where the range is a network. */
static bool network(const struct address_range *range, unsigned *prefix)
{
	struct netaddr low = range->first, high = range->first;
	unsigned bits = bits_of(&range->first), at = 0;

	while (at < bits && bit(&range->first, at) == bit(&range->last, at))
		at++;
	fill(&low, at, false);
	fill(&high, at, true);
	*prefix = at;
	return range_compare_address(&low, &range->first) == 0 &&
	       range_compare_address(&high, &range->last) == 0;
}

void range_add(struct buf *out, const struct address_range *range)
{
	unsigned prefix;

	netaddr_add_ip(out, &range->first);
	if (range_compare_address(&range->first, &range->last) == 0)
		return;
	if (network(range, &prefix)) {
		buf_printf(out, "/%u", prefix);
		return;
	}
	buf_add_char(out, '-');
	netaddr_add_ip(out, &range->last);
}

/* ---- looking up ------------------------------------------------------------------------------ */

bool range_holds(const struct address_range *range, const struct netaddr *address)
{
	struct netaddr a = range_address(address);

	return a.family != NETADDR_NONE && a.family == range->first.family &&
	       range_compare_address(&range->first, &a) <= 0 &&
	       range_compare_address(&a, &range->last) <= 0;
}

bool range_list_holds(struct span list, const struct netaddr *address)
{
	struct address_range range;

	while (list.n) {
		struct span line = span_of(list.p, span_find(list, '\n'));
		list = span_skip(list, line.n + 1);
		if (range_parse(line, &range, NULL) == 0 && range_holds(&range, address))
			return true;
	}
	return false;
}

/* ---- merging --------------------------------------------------------------------------------- */

static int compare_first(const void *a, const void *b)
{
	const struct address_range *x = a, *y = b;

	return range_compare_address(&x->first, &y->first);
}

/* Does `b`, which does not begin before `a`, overlap it or begin right behind it? */
static bool touches(const struct address_range *a, const struct address_range *b)
{
	struct netaddr after = a->last;

	if (a->first.family != b->first.family)
		return false;
	return !next(&after) || range_compare_address(&b->first, &after) <= 0;
}

uint32_t range_merge(struct address_range *ranges, uint32_t count)
{
	uint32_t kept = 0;

	if (count)
		qsort(ranges, count, sizeof(*ranges), compare_first);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || !touches(&ranges[kept - 1], &ranges[i]))
			ranges[kept++] = ranges[i];
		else if (range_compare_address(&ranges[i].last, &ranges[kept - 1].last) > 0)
			ranges[kept - 1].last = ranges[i].last;
	}
	return kept;
}
