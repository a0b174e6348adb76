#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/tlsa.h"

static void a_record_is_read(void **state)
{
	(void)state;
	struct tlsa t;
	assert_int_equal(tlsa_parse(SPAN("\x03\x01\x01"
					 "0123456789abcdef0123456789abcdef"),
				 &t),
		0);
	assert_int_equal(t.usage, TLSA_DANE_EE);
	assert_int_equal(t.selector, TLSA_KEY);
	assert_int_equal(t.type, TLSA_SHA256);
	assert_true(span_equal(t.data, SPAN("0123456789abcdef0123456789abcdef")));
	assert_true(tlsa_usable(&t));
	assert_int_equal(tlsa_parse(SPAN("\xff\xfe\xfdx"), &t), 0);
	assert_int_equal(t.usage, 255);
	assert_false(tlsa_usable(&t));
}

static void a_record_without_data_is_none(void **state)
{
	(void)state;
	struct tlsa t = {.usage = 9};
	assert_int_equal(tlsa_parse(SPAN_NONE, &t), ERR_SYNTAX);
	assert_int_equal(tlsa_parse(SPAN("\x03\x01"), &t), ERR_SYNTAX);
	assert_int_equal(tlsa_parse(SPAN("\x03\x01\x01"), &t), ERR_SYNTAX);
	assert_int_equal(t.usage, 9);
}

static bool usable(uint8_t usage, uint8_t selector, uint8_t type, size_t bytes)
{
	static const char data[65];
	return tlsa_usable(&(struct tlsa){usage, selector, type, span_of(data, bytes)});
}

static void smtp_uses_two_usages(void **state)
{
	(void)state;
	assert_true(usable(TLSA_DANE_TA, TLSA_CERTIFICATE, TLSA_SHA256, 32));
	assert_true(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_SHA512, 64));
	assert_true(usable(TLSA_DANE_EE, TLSA_CERTIFICATE, TLSA_FULL, 1));
	/* RFC 7672 section 3.1.3 */
	assert_false(usable(TLSA_PKIX_TA, TLSA_KEY, TLSA_SHA256, 32));
	assert_false(usable(TLSA_PKIX_EE, TLSA_KEY, TLSA_SHA256, 32));
	assert_false(usable(4, TLSA_KEY, TLSA_SHA256, 32));
	assert_false(usable(255, TLSA_KEY, TLSA_SHA256, 32));
	assert_false(usable(TLSA_DANE_EE, 2, TLSA_SHA256, 32));
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, 3, 32));
}

static void a_digest_has_its_length(void **state)
{
	(void)state;
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_SHA256, 31));
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_SHA256, 33));
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_SHA512, 32));
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_SHA512, 65));
	assert_false(usable(TLSA_DANE_EE, TLSA_KEY, TLSA_FULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_read),
		cmocka_unit_test(a_record_without_data_is_none),
		cmocka_unit_test(smtp_uses_two_usages),
		cmocka_unit_test(a_digest_has_its_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
