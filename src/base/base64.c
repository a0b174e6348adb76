#include "base/base64.h"

#include "base/check.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_group(const unsigned char bytes[3], unsigned n, char out[4])
{
	CHECK(n >= 1 && n <= 3);
	uint32_t group = (uint32_t)bytes[0] << 16;

	if (n > 1)
		group |= (uint32_t)bytes[1] << 8;
	if (n > 2)
		group |= bytes[2];
	for (unsigned i = 0; i < 4; i++)
		out[i] = i <= n ? digits[group >> (18 - 6 * i) & 63] : '=';
}

void base64_add(struct buf *out, struct span in)
{
	char group[4];

	for (size_t i = 0; i < in.n; i += 3) {
		base64_group(
			(const unsigned char *)in.p + i, (unsigned)MIN(in.n - i, (size_t)3), group);
		buf_add(out, group, sizeof(group));
	}
}

static int digit_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct span in, struct buf *out)
{
	if (in.n % 4)
		return false;
	for (size_t i = 0; i < in.n; i += 4) {
		const char *text = in.p + i;
		unsigned pad = (text[3] == '=') + (unsigned)(text[3] == '=' && text[2] == '=');
		uint32_t group = 0;

		if (pad && i + 4 != in.n)
			return false;
		for (unsigned k = 0; k < 4; k++) {
			int digit = k >= 4 - pad ? 0 : digit_of(text[k]);

			if (digit < 0)
				return false;
			group = group << 6 | (uint32_t)digit;
		}
		for (unsigned k = 0; k < 3 - pad; k++)
			buf_add_char(out, (char)(group >> (16 - 8 * k)));
	}
	return buf_ok(out);
}
