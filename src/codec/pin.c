#include "codec/pin.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/fixed_buf.h"

#include <openssl/sha.h>

#define PIN_HEX	       (2 * PIN_BYTES)
#define PIN_HEX_COLONS (3 * PIN_BYTES - 1)
#define PIN_BASE64     44 /* with its padding, of one character */

static const struct span algorithm = {"sha256:", 7};

/* `step` is what a byte takes: 2 characters, or 3 with the colon behind it. */
static int parse_hex(struct span text, size_t step, uint8_t bytes[PIN_BYTES])
{
	for (size_t i = 0; i < PIN_BYTES; i++) {
		const char *at = text.p + i * step;
		int high = text_hex_digit(at[0]), low = text_hex_digit(at[1]);

		if (high < 0 || low < 0)
			return ERR_SYNTAX;
		if (step == 3 && i + 1 < PIN_BYTES && at[2] != ':')
			return ERR_SYNTAX;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int parse_base64(struct span text, uint8_t bytes[PIN_BYTES])
{
	char padded[PIN_BASE64] = {[PIN_BASE64 - 1] = '='}, back[PIN_BASE64];
	struct buf decoded = fixed_buf(bytes, PIN_BYTES);
	struct buf again = fixed_buf(back, sizeof(back));

	memcpy(padded, text.p, text.n);
	if (!base64_decode(span_of(padded, sizeof(padded)), &decoded) || decoded.n != PIN_BYTES)
		return ERR_SYNTAX;
	/* The last digit has bits that stand for nothing: where they are set, it was copied wrong.
	 */
	base64_add(&again, buf_span(&decoded));
	return memcmp(back, padded, sizeof(back)) == 0 ? 0 : ERR_SYNTAX;
}

int pin_parse(struct span text, uint8_t out[PIN_BYTES])
{
	uint8_t bytes[PIN_BYTES];
	int err = ERR_SYNTAX;

	if (!span_starts_nocase(text, algorithm))
		return ERR_SYNTAX;
	text = span_skip(text, algorithm.n);
	/* The length tells the forms apart. */
	switch (text.n) {
	case PIN_HEX: err = parse_hex(text, 2, bytes); break;
	case PIN_HEX_COLONS: err = parse_hex(text, 3, bytes); break;
	case PIN_BASE64 - 1:
	case PIN_BASE64: err = parse_base64(text, bytes); break;
	default: break;
	}
	if (!err)
		memcpy(out, bytes, sizeof(bytes));
	return err;
}

void pin_add(struct buf *out, const uint8_t pin[PIN_BYTES])
{
	static const char hex[] = "0123456789abcdef";
	char text[PIN_HEX];

	for (size_t i = 0; i < PIN_BYTES; i++) {
		text[2 * i] = hex[pin[i] >> 4];
		text[2 * i + 1] = hex[pin[i] & 15];
	}
	buf_add_span(out, algorithm);
	buf_add(out, text, sizeof(text));
}

void pin_of(struct span bytes, uint8_t out[PIN_BYTES])
{
	_Static_assert(PIN_BYTES == SHA256_DIGEST_LENGTH, "a pin is a SHA-256");
	SHA256((const unsigned char *)(bytes.n ? bytes.p : ""), bytes.n, out);
}
