#include "base/text.h"

#include "base/check.h"
#include "base/err.h"

#define MS_SECOND	 UINT64_C(1000)
#define MS_MINUTE	 (60 * MS_SECOND)
#define MS_HOUR		 (60 * MS_MINUTE)
#define MS_DAY		 (24 * MS_HOUR)
#define MS_WEEK		 (7 * MS_DAY)
#define MS_DURATION_MOST (3652 * (uint64_t)MS_DAY) /* ten years */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int text_hex_digit(char c)
{
	c = ascii_lower(c);
	if (is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digits at the front; *used is their count. ERR_LIMIT leaves *used right. */
static int take_u64(struct span in, uint64_t most, uint64_t *out, size_t *used)
{
	uint64_t value = 0;
	bool over = false;
	size_t n = 0;

	for (; n < in.n && is_digit(in.p[n]); n++) {
		uint64_t digit = (uint64_t)(in.p[n] - '0');
		if (digit > most || value > (most - digit) / 10)
			over = true;
		else if (!over)
			value = value * 10 + digit;
	}
	*used = n;
	if (!n)
		return ERR_SYNTAX;
	if (over)
		return ERR_LIMIT;
	*out = value;
	return 0;
}

int text_parse_u64(struct span in, uint64_t most, uint64_t *out)
{
	uint64_t value = 0;
	size_t used;
	int err = take_u64(in, most, &value, &used);

	if (used < in.n)
		return ERR_SYNTAX;
	if (!err)
		*out = value;
	return err;
}

static const struct unit {
	struct span name;
	uint32_t ms;
} units[] = {
	{{"w", 1}, MS_WEEK},
	{{"d", 1}, MS_DAY},
	{{"h", 1}, MS_HOUR},
	{{"m", 1}, MS_MINUTE},
	{{"s", 1}, MS_SECOND},
	{{"ms", 2}, 1},
};

static const struct unit *find_unit(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (span_equal(units[i].name, name))
			return &units[i];
	return NULL;
}

int text_parse_duration(struct span in, uint64_t unit_ms, uint64_t *out_ms)
{
	uint64_t sum = 0, last_ms = UINT64_MAX;
	bool over = false;

	if (!in.n)
		return ERR_SYNTAX;
	for (struct span left = in; left.n;) {
		uint64_t count = 0, each = unit_ms;
		size_t used, letters = 0;
		int err = take_u64(left, MS_DURATION_MOST, &count, &used);
		if (err == ERR_SYNTAX)
			return err;
		over |= err != 0;
		left = span_skip(left, used);
		while (letters < left.n && !is_digit(left.p[letters]))
			letters++;
		if (letters) {
			const struct unit *unit = find_unit(span_of(left.p, letters));
			if (!unit)
				return ERR_SYNTAX;
			each = unit->ms;
		} else if (last_ms != UINT64_MAX) {
			return ERR_SYNTAX; /* "1h30": thirty what? */
		}
		if (each >= last_ms)
			return ERR_SYNTAX; /* "5m1h" and "1h1h" are slips of the pen */
		last_ms = each;
		left = span_skip(left, letters);
		if (each && count > (MS_DURATION_MOST - sum) / each)
			over = true;
		else if (!over)
			sum += count * each;
	}
	if (over)
		return ERR_LIMIT;
	*out_ms = sum;
	return 0;
}

void text_add_duration(struct buf *buf, uint64_t ms)
{
	if (!ms) {
		buf_add_str(buf, "0s");
		return;
	}
	/* Weeks only where there is nothing else: "10d", not "1w3d". */
	for (size_t i = ms % MS_WEEK ? 1 : 0; i < ARRAY_SIZE(units) && ms; i++) {
		uint64_t count = ms / units[i].ms;
		if (!count)
			continue;
		buf_add_u64(buf, count);
		buf_add_span(buf, units[i].name);
		ms %= units[i].ms;
	}
}

/* With one digit after the point, rounded. */
static void add_tenths(struct buf *buf, uint64_t tenths, const char *unit)
{
	buf_add_u64(buf, tenths / 10);
	buf_add_char(buf, '.');
	buf_add_u64(buf, tenths % 10);
	buf_add_str(buf, unit);
}

void text_add_us(struct buf *buf, uint64_t us)
{
	if (us < 1000) {
		buf_add_u64(buf, us);
		buf_add_str(buf, "us");
	} else if (us < 999950) {
		add_tenths(buf, (us + 50) / 100, "ms");
	} else if (us < 59950000) {
		add_tenths(buf, (us + 50000) / 100000, "s");
	} else {
		text_add_duration(buf, (us + 500000) / 1000000 * 1000);
	}
}

static const char size_units[] = "KMGT";

int text_parse_size(struct span in, uint64_t *out_bytes)
{
	uint64_t value = 0;
	size_t used;
	unsigned shift = 0;
	int err = take_u64(in, UINT64_MAX, &value, &used);

	if (err == ERR_SYNTAX || in.n - used > 1)
		return ERR_SYNTAX;
	if (used < in.n) {
		char letter = in.p[used];
		size_t at = 0;
		while (size_units[at] && ascii_lower(size_units[at]) != ascii_lower(letter))
			at++;
		if (!size_units[at])
			return ERR_SYNTAX;
		shift = 10 * ((unsigned)at + 1);
	}
	if (err)
		return err;
	if (value > UINT64_MAX >> shift)
		return ERR_LIMIT;
	*out_bytes = value << shift;
	return 0;
}

void text_add_size(struct buf *buf, uint64_t bytes)
{
	size_t at = 0;

	while (bytes && bytes % 1024 == 0 && size_units[at]) {
		bytes /= 1024;
		at++;
	}
	buf_add_u64(buf, bytes);
	if (at)
		buf_add_char(buf, size_units[at - 1]);
}

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void text_add_id(struct buf *buf, uint64_t id)
{
	char out[TEXT_ID_LENGTH];

	for (size_t i = TEXT_ID_LENGTH; i--; id >>= 5)
		out[i] = id_digits[id & 31];
	buf_add(buf, out, sizeof(out));
}

static int id_digit(char c)
{
	switch (c = ascii_lower(c)) {
	case 'o': return 0;
	case 'i':
	case 'l': return 1;
	case '\0': return ERR_SYNTAX;
	}
	const char *at = strchr(id_digits, c);
	return at ? (int)(at - id_digits) : ERR_SYNTAX;
}

int text_parse_id(struct span in, uint64_t *out_id)
{
	uint64_t id = 0;

	if (in.n != TEXT_ID_LENGTH)
		return ERR_SYNTAX;
	for (size_t i = 0; i < in.n; i++) {
		int digit = id_digit(in.p[i]);
		/* 13 digits have 65 bits: the first one has a bit too many. */
		if (digit < 0 || (i == 0 && digit > 15))
			return ERR_SYNTAX;
		id = id << 5 | (uint64_t)digit;
	}
	*out_id = id;
	return 0;
}

size_t text_utf8_length(struct span in)
{
	const unsigned char *p = (const unsigned char *)in.p;

	if (!in.n)
		return 0;
	if (p[0] < 0x80)
		return 1;
	/* RFC 3629 section 4: the second byte's range depends on the first one. */
	unsigned char least = 0x80, most = 0xbf;
	size_t n;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		n = 3;
		if (p[0] == 0xe0)
			least = 0xa0;
		if (p[0] == 0xed)
			most = 0x9f; /* surrogates */
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		if (p[0] == 0xf0)
			least = 0x90;
		if (p[0] == 0xf4)
			most = 0x8f;
	} else {
		return 0;
	}
	if (in.n < n || p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool text_is_utf8(struct span in)
{
	while (in.n) {
		uint64_t eight;
		if (in.n >= sizeof(eight)) {
			memcpy(&eight, in.p, sizeof(eight));
			if (!(eight & 0x8080808080808080u)) {
				in = span_skip(in, sizeof(eight));
				continue;
			}
		}
		size_t n = text_utf8_length(in);
		if (!n)
			return false;
		in = span_skip(in, n);
	}
	return true;
}
