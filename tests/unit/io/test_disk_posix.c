#include "base/err.h"
#include "io/disk_posix.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct box {
	char root[64];
	struct disk *disk;
};

static int setup(void **state)
{
	struct box *box = calloc(1, sizeof(*box));

	strcpy(box->root, "/tmp/postern-disk-XXXXXX");
	if (!mkdtemp(box->root) || disk_posix_new(box->root, &box->disk) != 0)
		return -1;
	*state = box;
	return 0;
}

static int remove_one(void *arg, const char *name)
{
	struct disk *disk = ((struct box *)arg)->disk;

	if (disk_unlink(disk, name) != 0) {
		char path[PATH_MAX];
		snprintf(path, sizeof(path), "%s/%s", ((struct box *)arg)->root, name);
		rmdir(path);
	}
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	disk_list(box->disk, "", remove_one, box);
	disk_posix_free(&box->disk);
	rmdir(box->root);
	free(box);
	return 0;
}

static struct io_file *make(struct disk *disk, const char *path)
{
	struct io_file *file = NULL;

	assert_int_equal(disk_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE, &file), 0);
	return file;
}

static void test_what_was_written_is_read_back(void **state)
{
	struct disk *disk = ((struct box *)*state)->disk;
	struct io_file *file = make(disk, "a");
	char bytes[16] = {0};
	struct iovec parts[] = {{(char[]){"one "}, 4}, {NULL, 0}, {(char[]){"two"}, 3}};

	assert_int_equal(disk_write_all(file, parts, 3, 5), 0);
	assert_int_equal(disk_size(file), 12);
	assert_int_equal(disk_read(file, bytes, sizeof(bytes), 5), 7);
	assert_memory_equal(bytes, "one two", 7);
	assert_int_equal(disk_read(file, bytes, sizeof(bytes), 12), 0);
	assert_int_equal(disk_read(file, bytes, 5, 0), 5);
	assert_memory_equal(bytes, "\0\0\0\0\0", 5);
	assert_int_equal(disk_sync(file), 0);
	disk_close(&file);
	assert_null(file);
}

static void test_more_parts_than_one_call_takes(void **state)
{
	struct disk *disk = ((struct box *)*state)->disk;
	struct io_file *file = make(disk, "a");
	enum { COUNT = 3 * IOV_MAX + 7 };
	struct iovec *parts = calloc(COUNT, sizeof(*parts));
	char *bytes = calloc(COUNT, 2);

	for (int i = 0; i < COUNT; i++)
		parts[i] = (struct iovec){(char *)(i % 2 ? "xy" : "z"), i % 2 ? 2 : 1};
	assert_int_equal(disk_write_all(file, parts, COUNT, 0), 0);
	int64_t length = disk_size(file);
	assert_int_equal(length, COUNT + COUNT / 2);
	assert_int_equal(disk_read(file, bytes, (size_t)length, 0), length);
	for (int64_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], "zxy"[i % 3]);
	free(parts);
	free(bytes);
	disk_close(&file);
}

static void test_setting_space_aside_keeps_the_length(void **state)
{
	struct box *box = *state;
	struct io_file *file = make(box->disk, "a");
	struct stat st;

	int err = disk_allocate(file, 1 << 20);
	if (err == ERR_UNSUPPORTED) {
		disk_close(&file);
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(disk_size(file), 0);
	assert_int_equal(fstat(disk_posix_fd(file), &st), 0);
	assert_true(st.st_blocks * 512 >= 1 << 20);
	assert_int_equal(disk_truncate(file, 100), 0);
	assert_int_equal(disk_size(file), 100);
	disk_close(&file);
}

static void test_holes_are_passed_over(void **state)
{
	struct box *box = *state;
	struct io_file *file = make(box->disk, "a");
	char byte = 'x';
	struct iovec part = {&byte, 1};
	const uint64_t far = 1ull << 40;

	assert_int_equal(disk_data(file, 0), 0);
	assert_int_equal(disk_truncate(file, 2 * far), 0);
	/* A file system without holes may say that all of it is data. */
	int64_t none = disk_data(file, 4096);
	assert_true(none == 4096 || none == (int64_t)(2 * far));
	assert_int_equal(disk_write_all(file, &part, 1, far), 0);
	int64_t at = disk_data(file, 4096);
	assert_true(at == 4096 || (at > 4096 && at <= (int64_t)far && at > (int64_t)far - 65536));
	assert_int_equal(disk_data(file, far), far);
	assert_int_equal(disk_data(file, 2 * far), 2 * far);
	assert_int_equal(disk_data(file, 3 * far), 2 * far);
	disk_close(&file);
}

static void test_open_says_why_not(void **state)
{
	struct box *box = *state;
	struct io_file *file = NULL;
	char path[PATH_MAX];

	assert_int_equal(disk_open(box->disk, "none", DISK_READ, &file), ERR_NOT_FOUND);
	assert_int_equal(
		disk_open(box->disk, "none/x", DISK_WRITE | DISK_CREATE, &file), ERR_NOT_FOUND);
	file = make(box->disk, "a");
	disk_close(&file);
	assert_int_equal(
		disk_open(box->disk, "a", DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file),
		ERR_EXISTS);
	/* A link planted in the spool leads nowhere. */
	snprintf(path, sizeof(path), "%s/link", box->root);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(disk_open(box->disk, "link", DISK_READ, &file) < 0);
	assert_null(file);
}

static void test_modes_keep_others_out(void **state)
{
	struct box *box = *state;
	struct io_file *file;
	struct stat st;
	char path[PATH_MAX];
	mode_t old = umask(0);

	file = make(box->disk, "a");
	assert_int_equal(fstat(disk_posix_fd(file), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	disk_close(&file);
	assert_int_equal(disk_make_dir(box->disk, "dir"), 0);
	snprintf(path, sizeof(path), "%s/dir", box->root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	umask(old);
}

static int count_names(void *arg, const char *name)
{
	assert_string_not_equal(name, ".");
	assert_string_not_equal(name, "..");
	++*(int *)arg;
	return 0;
}

static int stop_at_once(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return 42;
}

static void test_names(void **state)
{
	struct disk *disk = ((struct box *)*state)->disk;
	struct io_file *file;
	int count = 0;

	assert_int_equal(disk_make_dir(disk, "dir"), 0);
	assert_int_equal(disk_make_dir(disk, "dir"), ERR_EXISTS);
	file = make(disk, "dir/a");
	disk_close(&file);
	file = make(disk, "b");
	disk_close(&file);
	assert_int_equal(disk_sync_dir(disk, ""), 0);
	assert_int_equal(disk_sync_dir(disk, "dir"), 0);
	assert_int_equal(disk_sync_dir(disk, "other"), ERR_NOT_FOUND);
	assert_int_equal(disk_list(disk, "", count_names, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(disk_list(disk, "", stop_at_once, &count), 42);
	assert_int_equal(count, 3);
	assert_int_equal(disk_rename(disk, "b", "dir/b"), 0);
	assert_int_equal(disk_unlink(disk, "b"), ERR_NOT_FOUND);
	assert_int_equal(disk_unlink(disk, "dir/b"), 0);
	assert_int_equal(disk_unlink(disk, "dir/a"), 0);
}

static void test_an_open_file_outlives_its_name(void **state)
{
	struct disk *disk = ((struct box *)*state)->disk;
	struct io_file *file = make(disk, "a");
	struct iovec part = {(char[]){"kept"}, 4};
	char bytes[4];

	assert_int_equal(disk_write_all(file, &part, 1, 0), 0);
	assert_int_equal(disk_unlink(disk, "a"), 0);
	assert_int_equal(disk_read(file, bytes, 4, 0), 4);
	assert_memory_equal(bytes, "kept", 4);
	disk_close(&file);
}

static void test_a_full_device_is_told_from_a_broken_one(void **state)
{
	struct disk *dev;
	struct io_file *file;
	struct iovec part = {(char[]){"x"}, 1};
	uint64_t free_bytes = 0;

	(void)state;
	assert_int_equal(disk_posix_new("/dev", &dev), 0);
	assert_int_equal(disk_open(dev, "full", DISK_WRITE, &file), 0);
	assert_int_equal(disk_write(file, &part, 1, 0), ERR_NO_SPACE);
	disk_close(&file);
	disk_posix_free(&dev);
	assert_int_equal(disk_free_bytes(((struct box *)*state)->disk, &free_bytes), 0);
	assert_true(free_bytes > 0);
	assert_int_equal(disk_posix_new("/nowhere/at/all", &dev), ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_written_is_read_back),
		TEST(test_more_parts_than_one_call_takes),
		TEST(test_setting_space_aside_keeps_the_length),
		TEST(test_holes_are_passed_over),
		TEST(test_open_says_why_not),
		TEST(test_modes_keep_others_out),
		TEST(test_names),
		TEST(test_an_open_file_outlives_its_name),
		TEST(test_a_full_device_is_told_from_a_broken_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
