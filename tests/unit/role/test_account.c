/* Who it is, from a file as /etc/passwd is one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "role/account.h"

static void expect(const char *text, uint32_t uid, const char *says)
{
	int fd = text ? memfd_create("passwd", MFD_CLOEXEC) : -1;
	struct buf out;

	if (text)
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	buf_init(&out, 100);
	account_add(&out, fd, uid);
	buf_add_char(&out, 0);
	assert_string_equal(out.p, says);
	buf_done(&out);
	if (fd >= 0)
		close(fd);
}

static const char usual[] = "root:x:0:0:root:/root:/bin/bash\n"
			    "toor:x:0:0:::\n"
			    "ann:x:1000:1000:Ann Example:/home/ann:/bin/bash\n"
			    "ann2:x:1000:1000::/home/ann:/bin/bash\n"
			    "x100:x:100:1:::\n";

static void a_number_has_its_first_name(void **state)
{
	(void)state;
	expect(usual, 1000, "ann (uid 1000)");
	expect(usual, 100, "x100 (uid 100)");
	expect(usual, 0, "root");
}

static void a_number_without_a_name_stays_one(void **state)
{
	(void)state;
	expect(usual, 1, "uid 1");
	expect(usual, 10, "uid 10");
	expect(usual, UINT32_MAX, "uid 4294967295");
	expect("", 7, "uid 7");
	expect(NULL, 7, "uid 7");
	expect(NULL, 0, "root");
}

static void strange_lines_are_passed_over(void **state)
{
	char longest[20000];

	(void)state;
	expect("\n:\n::\n:::\nann\nann:x\nann:x:\nann:x:7 :\nbob:x:7:\n", 7, "bob (uid 7)");
	expect(":x:7:7\n", 7, "uid 7");
	expect("a\x1b[2J:x:7:7\n", 7, "uid 7");
	expect("ann) root (:x:7:7\n", 7, "uid 7");
	expect("-ann:x:7:7\n", 7, "uid 7");
	expect("a23456789012345678901234567890123:x:7:7\n", 7, "uid 7");
	/* Without a line end it may be half of one. */
	expect("ann:x:7:7", 7, "uid 7");
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + sizeof(longest) - 40, ":x:7:7\nbob:x:7:7\n");
	expect(longest, 7, "bob (uid 7)");
}

static void a_long_file_is_read_to_its_end(void **state)
{
	static char many[300000];
	size_t n = 0;

	(void)state;
	for (unsigned uid = 2000; uid < 8000; uid++)
		n += (size_t)snprintf(
			many + n, sizeof(many) - n, "user%u:x:%u:100::/home/u:/bin/sh\n", uid, uid);
	for (unsigned uid = 2000; uid < 8000; uid += 371) {
		char says[40];

		snprintf(says, sizeof(says), "user%u (uid %u)", uid, uid);
		expect(many, uid, says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_has_its_first_name),
		cmocka_unit_test(a_number_without_a_name_stays_one),
		cmocka_unit_test(strange_lines_are_passed_over),
		cmocka_unit_test(a_long_file_is_read_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
