/* Certificates and keys on their way from the supervisor. */
#include "base/check.h"
#include "base/err.h"
#include "role/tls_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void keys_come_out_as_they_went_in(void **state)
{
	struct buf buf;
	struct span pem;
	uint32_t number;
	(void)state;

	buf_init(&buf, 4096);
	tls_set_put_key(&buf, 7, SPAN("first"));
	tls_set_put_key(&buf, 8, SPAN("second"));
	struct cursor in = cursor_of(buf_span(&buf));
	assert_int_equal(tls_set_get_key(&in, &number, &pem), 0);
	assert_int_equal(number, 7);
	assert_true(span_equal(pem, SPAN("first")));
	assert_int_equal(tls_set_get_key(&in, &number, &pem), 0);
	assert_true(span_equal(pem, SPAN("second")));
	assert_int_equal(tls_set_get_key(&in, &number, &pem), ERR_NOT_FOUND);
	for (size_t n = 1; n < buf.n; n++) {
		int err;
		in = cursor_of(span_of(buf.p, n));
		while ((err = tls_set_get_key(&in, &number, &pem)) == 0)
			;
		assert_int_equal(err, n == 13 ? ERR_NOT_FOUND : ERR_CORRUPT);
	}
	buf_clear(&buf);
	tls_set_put_key(&buf, 7, SPAN_NONE);
	in = cursor_of(buf_span(&buf));
	assert_int_equal(tls_set_get_key(&in, &number, &pem), ERR_CORRUPT);
	buf_done(&buf);
}

static void listeners_come_out_as_they_went_in(void **state)
{
	static struct tls_set_listener set, got;
	struct buf buf;
	(void)state;

	set = (struct tls_set_listener){.place = 3, .count = 2, .client_ca = SPAN("ca")};
	set.certificates[0] = (struct tls_certificate){.chain = SPAN("chain"), .key_number = 9};
	set.certificates[1] = (struct tls_certificate){
		.name = SPAN("a.example"), .chain = SPAN("other"), .key_number = 10};
	buf_init(&buf, 4096);
	tls_set_put_listener(&buf, &set);
	size_t one = buf.n;
	tls_set_put_listener(&buf, &set);
	struct cursor in = cursor_of(buf_span(&buf));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tls_set_get_listener(&in, &got), 0);
		assert_int_equal(got.place, 3);
		assert_int_equal(got.count, 2);
		assert_true(span_equal(got.client_ca, SPAN("ca")));
		assert_int_equal(got.certificates[0].name.n, 0);
		assert_int_equal(got.certificates[0].key.n, 0);
		assert_int_equal(got.certificates[0].key_number, 9);
		assert_true(span_equal(got.certificates[1].name, SPAN("a.example")));
		assert_true(span_equal(got.certificates[1].chain, SPAN("other")));
	}
	assert_int_equal(tls_set_get_listener(&in, &got), ERR_NOT_FOUND);
	for (size_t n = 1; n < one; n++) {
		in = cursor_of(span_of(buf.p, n));
		assert_int_equal(tls_set_get_listener(&in, &got), ERR_CORRUPT);
	}
	/* More than there may be, of a listener that is not. */
	buf.p[2] = TLS_SET_CERTIFICATES + 1;
	in = cursor_of(buf_span(&buf));
	assert_int_equal(tls_set_get_listener(&in, &got), ERR_CORRUPT);
	buf.p[2] = 2;
	buf.p[0] = CONFIG_LISTENERS;
	in = cursor_of(buf_span(&buf));
	assert_int_equal(tls_set_get_listener(&in, &got), ERR_CORRUPT);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_out_as_they_went_in),
		cmocka_unit_test(listeners_come_out_as_they_went_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
