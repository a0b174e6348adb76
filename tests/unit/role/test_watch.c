/* A file of the system changes as such files do: in place, by a new one of its name, by a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "role/watch.h"

static char folder[64], path[100], other[100];

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void expect(struct watched *w, const char *text)
{
	char got[100] = "";
	int fd;

	assert_true(watch_look(w, &fd));
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
	close(fd);
	assert_false(watch_look(w, &fd));
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/postern-watch-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/resolv.conf", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	put(path, "one");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	rmdir(folder);
	return 0;
}

static void only_changes_are_told(void **state)
{
	struct watched w;
	int fd;

	(void)state;
	watch_begin(&w, path);
	assert_false(watch_look(&w, &fd));
	put(path, "other");
	expect(&w, "other");
	put(other, "three");
	assert_int_equal(rename(other, path), 0);
	expect(&w, "three");
}

static void a_link_is_followed(void **state)
{
	struct watched w;

	(void)state;
	put(other, "there");
	watch_begin(&w, path);
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
	expect(&w, "there");
	put(other, "there, too");
	expect(&w, "there, too");
}

/* While it is being replaced, or for good: what was known of it stays. */
static void what_is_gone_changes_nothing(void **state)
{
	struct watched w;
	int fd;

	(void)state;
	watch_begin(&w, path);
	unlink(path);
	assert_false(watch_look(&w, &fd));
	put(path, "again");
	expect(&w, "again");
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(watch_look(&w, &fd));
	watch_begin(&w, other);
	put(other, "new");
	expect(&w, "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_changes_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_is_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_gone_changes_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
