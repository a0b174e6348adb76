#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "codec/pin.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

static const uint8_t bytes[PIN_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 255};

static void every_form_is_read(void **state)
{
	(void)state;
	static const char *const forms[] = {
		"sha256:" HEX,
		"SHA256:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1EFF",
		/* as "openssl x509 -fingerprint" prints it */
		"sha256:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
		"10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:FF",
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8=",
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8",
	};
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint8_t out[PIN_BYTES] = {0};
		assert_int_equal(pin_parse(span_str(forms[i]), out), 0);
		assert_memory_equal(out, bytes, sizeof(out));
	}
}

static void what_is_no_pin_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"sha256:",
		HEX,
		"sha1:" HEX,
		"sha256 " HEX,
		"sha256:" HEX "0",
		"sha256:00" HEX,
		"sha256: " HEX,
		"sha256:g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff",
		"sha256:00-01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
		"10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:FF",
		"sha256:0001:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
		"10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:FF:",
		/* the unused bits of the last digit are set */
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv9=",
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv9",
		/* one byte less, one more */
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
		"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8A",
		/* of URLs */
		"sha256:__ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8=",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t out[PIN_BYTES] = {7};
		assert_int_equal(pin_parse(span_str(bad[i]), out), ERR_SYNTAX);
		assert_int_equal(out[0], 7);
	}
}

static void the_canonical_form_is_written(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, PIN_TEXT);
	pin_add(&out, bytes);
	assert_true(buf_ok(&out));
	assert_true(span_equal(buf_span(&out), SPAN("sha256:" HEX)));
	assert_int_equal(out.n, PIN_TEXT);
	buf_done(&out);
}

static void the_hash_of_bytes(void **state)
{
	uint8_t pin[PIN_BYTES], expected[PIN_BYTES];
	(void)state;

	/* FIPS 180-2, appendix B.1 */
	assert_int_equal(
		pin_parse(SPAN("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"
			       "f20015ad"),
			expected),
		0);
	pin_of(SPAN("abc"), pin);
	assert_memory_equal(pin, expected, PIN_BYTES);
	pin_of(SPAN_NONE, pin);
	assert_int_equal(pin[0], 0xe3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_of_bytes),
		cmocka_unit_test(every_form_is_read),
		cmocka_unit_test(what_is_no_pin_is_refused),
		cmocka_unit_test(the_canonical_form_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
