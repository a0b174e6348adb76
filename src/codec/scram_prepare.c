/* SASLprep (RFC 4013), a profile of RFC 3454. Code points that were assigned after Unicode 3.2 are
 * allowed, as in a query (RFC 3454 section 7); they are normalized as today's Unicode has it. */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/scram.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

struct range {
	uint32_t first, last;
};

/* All tables are in order. Table C.1.2; U+200B is in B.1, too: this goes first. */
static const struct range to_space[] = {{0x00a0, 0x00a0}, {0x1680, 0x1680}, {0x2000, 0x200b},
	{0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

/* Table B.1. */
static const struct range to_nothing[] = {{0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x1806, 0x1806},
	{0x180b, 0x180d}, {0x200b, 0x200d}, {0x2060, 0x2060}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};

/* Tables C.1.2, C.2.1, C.2.2, C.3, C.4, C.6, C.7, C.8 and C.9; UTF-8 has no surrogates (C.5). The
 * last two code points of each plane (C.4) are looked at by themselves. */
static const struct range prohibited[] = {
	{0x0000, 0x001f},
	{0x007f, 0x00a0},
	{0x0340, 0x0341},
	{0x06dd, 0x06dd},
	{0x070f, 0x070f},
	{0x1680, 0x1680},
	{0x180e, 0x180e},
	{0x2000, 0x200f},
	{0x2028, 0x202f},
	{0x205f, 0x2063},
	{0x206a, 0x206f},
	{0x2ff0, 0x2ffb},
	{0x3000, 0x3000},
	{0xe000, 0xf8ff},
	{0xfdd0, 0xfdef},
	{0xfeff, 0xfeff},
	{0xfff9, 0xffff},
	{0x1d173, 0x1d17a},
	{0xe0001, 0xe0001},
	{0xe0020, 0xe007f},
	{0xf0000, 0x10ffff},
};

/* Table D.1: written from the right to the left. */
static const struct range right_to_left[] = {{0x05be, 0x05be}, {0x05c0, 0x05c0}, {0x05c3, 0x05c3},
	{0x05d0, 0x05ea}, {0x05f0, 0x05f4}, {0x061b, 0x061b}, {0x061f, 0x061f}, {0x0621, 0x063a},
	{0x0640, 0x064a}, {0x066d, 0x066f}, {0x0671, 0x06d5}, {0x06dd, 0x06dd}, {0x06e5, 0x06e6},
	{0x06fa, 0x06fe}, {0x0700, 0x070d}, {0x0710, 0x0710}, {0x0712, 0x072c}, {0x0780, 0x07a5},
	{0x07b1, 0x07b1}, {0x200f, 0x200f}, {0xfb1d, 0xfb1d}, {0xfb1f, 0xfb28}, {0xfb2a, 0xfb36},
	{0xfb38, 0xfb3c}, {0xfb3e, 0xfb3e}, {0xfb40, 0xfb41}, {0xfb43, 0xfb44}, {0xfb46, 0xfbb1},
	{0xfbd3, 0xfd3d}, {0xfd50, 0xfd8f}, {0xfd92, 0xfdc7}, {0xfdf0, 0xfdfc}, {0xfe70, 0xfe74},
	{0xfe76, 0xfefc}};

static bool within(const struct range *table, size_t count, uint32_t c)
{
	for (size_t i = 0; i < count && c >= table[i].first; i++)
		if (c <= table[i].last)
			return true;
	return false;
}
#define WITHIN(table, c) within(table, ARRAY_SIZE(table), c)

static bool is_prohibited(uint32_t c)
{
	return (c & 0xfffe) == 0xfffe || WITHIN(prohibited, c);
}

static bool is_plain_ascii(struct span in)
{
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] < ' ' || in.p[i] > '~')
			return false;
	return true;
}

static size_t map(uint32_t *c, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (WITHIN(to_space, c[i]))
			c[kept++] = ' ';
		else if (!WITHIN(to_nothing, c[i]))
			c[kept++] = c[i];
	}
	return kept;
}

/* RFC 3454 section 6: text from the right to the left begins and ends so, and has no letters of
 * the other direction (table D.2) in it. */
static bool direction_is_clear(const uint32_t *c, size_t n)
{
	bool right = false, left = false;

	for (size_t i = 0; i < n; i++) {
		right |= WITHIN(right_to_left, c[i]);
		left |= uc_bidi_category(c[i]) == UC_BIDI_L;
	}
	return !right || (!left && WITHIN(right_to_left, c[0]) && WITHIN(right_to_left, c[n - 1]));
}

static int add_checked(const uint32_t *c, size_t n, struct buf *out)
{
	size_t before = out->n;

	if (!n || !direction_is_clear(c, n))
		return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++)
		if (is_prohibited(c[i]))
			return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		uint8_t bytes[4];
		int length = u8_uctomb(bytes, c[i], sizeof(bytes));

		if (length > 0)
			buf_add(out, bytes, (size_t)length);
	}
	if (buf_ok(out))
		return 0;
	out->n = before;
	return ERR_NOMEM;
}

int scram_prepare(struct span in, struct buf *out)
{
	uint32_t points[SCRAM_PREPARE];
	size_t n = ARRAY_SIZE(points), length = 0;
	int err;

	if (in.n > SCRAM_PREPARE)
		return ERR_LIMIT;
	if (!in.n || !text_is_utf8(in))
		return ERR_SYNTAX;
	if (is_plain_ascii(in)) {
		buf_add_span(out, in);
		return buf_ok(out) ? 0 : ERR_NOMEM;
	}
	/* Never more code points than bytes: they fit. */
	if (!u8_to_u32((const uint8_t *)in.p, in.n, points, &n))
		return ERR_SYNTAX;
	n = map(points, n);
	/* Without a buffer of ours it takes one of the size that it needs. */
	uint32_t *normal = n ? u32_normalize(UNINORM_NFKC, points, n, NULL, &length) : NULL;
	if (n && !normal)
		err = ERR_NOMEM;
	else
		err = add_checked(normal, length, out);
	OPENSSL_cleanse(points, sizeof(points));
	if (normal)
		OPENSSL_cleanse(normal, length * sizeof(*normal));
	free(normal);
	return err;
}
