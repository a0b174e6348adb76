#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void every_error_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (int err = 0; err >= ERR_LAST; err--) {
		assert_string_not_equal(err_text(err), "unknown error");
		for (int other = 0; other > err; other--)
			assert_string_not_equal(err_text(err), err_text(other));
	}
	assert_string_equal(err_text(ERR_LAST - 1), "unknown error");
	assert_string_equal(err_text(7), "unknown error");
}

static void a_full_disk_is_told_from_a_broken_one(void **state)
{
	(void)state;
	assert_int_equal(err_from_errno(ENOSPC), ERR_NO_SPACE);
	assert_int_equal(err_from_errno(EDQUOT), ERR_NO_SPACE);
	assert_int_equal(err_from_errno(EIO), ERR_IO);
	assert_int_equal(err_from_errno(ECONNRESET), ERR_CLOSED);
	assert_int_equal(err_from_errno(ECONNREFUSED), ERR_REFUSED);
	assert_int_equal(err_from_errno(EHOSTUNREACH), ERR_UNREACHABLE);
	assert_int_equal(err_from_errno(EAGAIN), ERR_AGAIN);
	assert_int_equal(err_from_errno(0), 0);
	assert_int_equal(err_from_errno(9999), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_text_of_its_own),
		cmocka_unit_test(a_full_disk_is_told_from_a_broken_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
