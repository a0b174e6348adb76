/* What an administrator names by mistake costs no wait and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "role/plain_file.h"

#define MOST 10000

static char folder[] = "/tmp/postern-test-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, size_t bytes)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	for (size_t i = 0; i < bytes; i++)
		fputc('x', file);
	assert_int_equal(fclose(file), 0);
}

static int length(const char *name)
{
	struct buf out;

	buf_init(&out, MOST + PLAIN_FILE_PIECE);
	int err = plain_file_read(span_str(path_of(name)), MOST, &out);
	int n = (int)out.n;
	buf_done(&out);
	return err ? err : n;
}

static void test_a_file_is_read_whole_up_to_its_bound(void **state)
{
	static const size_t sizes[] = {0, 1, PLAIN_FILE_PIECE, PLAIN_FILE_PIECE + 1, MOST};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put("file", sizes[i]);
		assert_int_equal(length("file"), sizes[i]);
	}
	put("file", MOST + 1);
	assert_int_equal(length("file"), ERR_LIMIT);
	unlink(path_of("file"));
}

static void test_what_is_no_file_is_refused_at_once(void **state)
{
	(void)state;
	assert_int_equal(length("nothing"), ERR_NOT_FOUND);
	assert_int_equal(length("."), ERR_UNSUPPORTED);
	/* Nobody writes into it. */
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	assert_int_equal(length("pipe"), ERR_UNSUPPORTED);
	unlink(path_of("pipe"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_read_whole_up_to_its_bound),
		cmocka_unit_test(test_what_is_no_file_is_refused_at_once),
	};

	if (!mkdtemp(folder))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
