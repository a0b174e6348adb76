/* The world of fake_plain.h, and what a test says about it. */
#ifndef TESTS_TRANSPORT_FAKE_IO_H
#define TESTS_TRANSPORT_FAKE_IO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_plain.h"

#define expects(f, text)                                                 \
	do {                                                             \
		passes((f), 0);                                          \
		assert_string_equal((f)->sent ? (f)->sent : "", (text)); \
		forget(f);                                               \
	} while (0)

#endif
