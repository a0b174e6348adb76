/* How much room a folder's disk has, and what is said where that is too little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "io/room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB	 (1ull << 20)
#define NO_LIMIT (UINT64_MAX / 2)

static char folder[] = "/tmp/postern-room-XXXXXX";

static void path_in(char out[256], const char *name)
{
	snprintf(out, 256, "%s/%s", folder, name);
}

static void make_file(const char *name, size_t bytes)
{
	static const char data[4096];
	char path[256];

	path_in(path, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (; bytes >= sizeof(data); bytes -= sizeof(data))
		assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	fsync(fd);
	close(fd);
}

static int set_up(void **state)
{
	char path[256];
	(void)state;

	assert_non_null(mkdtemp(folder));
	path_in(path, "w0");
	assert_int_equal(mkdir(path, 0700), 0);
	make_file("lock", 4096);
	make_file("w0/a.log", 2 * MIB);
	make_file("w0/b.log", 1 * MIB);
	return 0;
}

static int tear_down(void **state)
{
	char command[300];
	(void)state;

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void what_a_spool_has_taken_is_its_own(void **state)
{
	struct room room;
	(void)state;

	assert_int_equal(room_look(folder, NO_LIMIT, &room), 0);
	assert_in_range(room.taken_bytes, 3 * MIB, 4 * MIB);
	assert_true(room.free_bytes > 0);
}

/* There may be a million files: where enough is free none of them is looked at. */
static void where_enough_is_free_nothing_is_added_up(void **state)
{
	struct room room;
	(void)state;

	assert_int_equal(room_look(folder, 1, &room), 0);
	assert_int_equal(room.taken_bytes, 0);
}

static void a_folder_that_is_still_to_be_made(void **state)
{
	struct room room, above;
	char path[256];
	(void)state;

	path_in(path, "not/there/yet");
	assert_int_equal(room_look(path, NO_LIMIT, &room), 0);
	assert_int_equal(room_look(folder, 1, &above), 0);
	assert_int_equal(room.taken_bytes, 0);
	/* Others write to this disk as well. */
	assert_true(room.free_bytes / 2 < above.free_bytes);
	path_in(path, "lock/below-a-file");
	assert_int_not_equal(room_look(path, NO_LIMIT, &room), 0);
}

static void assert_says(const struct room *room, uint64_t files, uint64_t bytes, const char *words)
{
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(room_lacks(room, files, bytes, &out), words != NULL);
	buf_add_char(&out, '\0');
	assert_string_equal(out.p, words ? words : "");
	buf_done(&out);
}

static void the_sentence_has_figures_and_what_would_do(void **state)
{
	(void)state;

	assert_says(&(struct room){.free_bytes = 25060966}, 4, 64 * MIB,
		"the spool needs 256.0 MiB for its reserve, 4 files of 64.0 MiB, and 23.8 MiB are "
		"free: mail may be refused as if the disk were full; give it more room, or lower "
		"storage.segment-size to 2M");
	/* None is small enough. */
	assert_says(&(struct room){.free_bytes = 4 * MIB}, 4, 2 * MIB,
		"the spool needs 8.0 MiB for its reserve, 4 files of 2.0 MiB, and 4.0 MiB are "
		"free: mail may be refused as if the disk were full; give it more room, or lower "
		"storage.segment-size");
	assert_says(&(struct room){.free_bytes = 256 * MIB}, 4, 64 * MIB, NULL);
	assert_says(&(struct room){.free_bytes = 0, .taken_bytes = 256 * MIB}, 4, 64 * MIB, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_spool_has_taken_is_its_own),
		cmocka_unit_test(where_enough_is_free_nothing_is_added_up),
		cmocka_unit_test(a_folder_that_is_still_to_be_made),
		cmocka_unit_test(the_sentence_has_figures_and_what_would_do),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
