#include "directory/directory.h"

#include "store_common.h"

#include <fcntl.h>
#include <sys/stat.h>

static void kept_over_a_restart(void **state)
{
	(void)state;
	struct stat info;
	struct buf before, after;
	struct directory *directory = opened();
	assert_int_equal(directory_generation(directory), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	commit_file(
		directory, SAMPLE_OBJECTS "priorities: [ { sender: \"@a.example\" } ]\n", "ann");
	assert_int_equal(directory_generation(directory), 1);
	struct plan *plan;
	buf_init(&before, 100000);
	assert_int_equal(
		objects_plan_pause(directory_objects(directory), PAUSE_TRANSPORT, SPAN("site-a"),
			SPAN("ann"), SPAN("they asked"), &options, &before, &plan),
		0);
	assert_int_equal(
		directory_commit(directory, &plan, SPAN("ann"), options.now_ms, &before), 0);
	objects_export(directory_objects(directory), &before);
	directory_close(&directory);

	directory = opened();
	assert_int_equal(directory_generation(directory), 2);
	buf_init(&after, 100000);
	objects_export(directory_objects(directory), &after);
	assert_string_equal(text_of(&after), text_of(&before));
	const struct object *pause =
		objects_pause(directory_objects(directory), PAUSE_TRANSPORT, SPAN("site-a"));
	assert_non_null(pause);
	assert_true(object_pause(pause)->since_ms == options.now_ms);
	assert_span(object_pause(pause)->reason, "they asked");
	const struct object *object =
		objects_find(directory_objects(directory), OBJECT_DOMAIN, SPAN("a.example"));
	assert_true(object->created_ms == options.now_ms);
	directory_close(&directory);
	buf_done(&before);
	buf_done(&after);
}

static void removing_is_kept_too(void **state)
{
	(void)state;
	struct directory *directory = opened();
	struct buf why;
	struct plan *plan;
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	buf_init(&why, 1000);
	assert_int_equal(objects_plan_remove(directory_objects(directory), OBJECT_DOMAIN,
				 SPAN("b.example"), &options, &why, &plan),
		0);
	assert_int_equal(directory_commit(directory, &plan, SPAN("ann"), options.now_ms, &why), 0);
	directory_close(&directory);
	directory = opened();
	assert_int_equal(objects_count(directory_objects(directory), OBJECT_DOMAIN), 2);
	directory_close(&directory);
	buf_done(&why);
}

static void no_change_is_no_generation(void **state)
{
	(void)state;
	struct directory *directory = opened();
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	assert_int_equal(directory_generation(directory), 1);
	directory_close(&directory);
}

struct audit {
	struct buf text;
	unsigned count;
};

static bool note(void *context, const struct store_audit *entry)
{
	struct audit *audit = context;
	audit->count++;
	buf_printf(&audit->text, "%u %.*s: %.*s\n", (unsigned)entry->generation,
		(int)entry->actor.n, entry->actor.p, (int)entry->what.n, entry->what.p);
	return true;
}

static void who_changed_what(void **state)
{
	(void)state;
	struct audit audit = {0};
	struct buf why;
	struct directory *directory = opened();
	buf_init(&audit.text, 100000);
	buf_init(&why, 1000);
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(directory,
		"transports: { site-a: { server: \"127.0.0.1:2626\", retry-delay: \"60,120,180\" } "
		"}\n",
		"bob");
	assert_int_equal(
		store_audit(directory_store(directory), UINT64_MAX, 1, note, &audit, &why), 0);
	assert_text(&audit.text, "2 bob: transport site-a: retry-count 30 → 41\n");
	assert_int_equal(
		store_audit(directory_store(directory), UINT64_MAX, 100, note, &audit, &why), 0);
	assert_int_equal(audit.count, 1 + 9);
	assert_has(&audit.text, "1 ann: default-transport none → outbound, "
				"postmaster none → ann@c.example\n");
	directory_close(&directory);
	buf_done(&audit.text);
	buf_done(&why);
}

static void a_failed_commit_changes_nothing(void **state)
{
	(void)state;
	struct directory *directory = opened();
	struct buf why;
	struct plan *plan;
	buf_init(&why, 1000);
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	/* Somebody else wrote in between: the plan is made from what is no longer so. */
	sql("UPDATE meta SET value = 7 WHERE name = 'generation'");
	assert_int_equal(objects_plan_remove(directory_objects(directory), OBJECT_DOMAIN,
				 SPAN("b.example"), &options, &why, &plan),
		0);
	assert_int_equal(
		directory_commit(directory, &plan, SPAN("ann"), options.now_ms, &why), ERR_BUSY);
	assert_has(&why, "changed by somebody else");
	assert_int_equal(objects_count(directory_objects(directory), OBJECT_DOMAIN), 3);
	directory_close(&directory);
	directory = opened();
	assert_int_equal(objects_count(directory_objects(directory), OBJECT_DOMAIN), 3);
	directory_close(&directory);
	buf_done(&why);
}

static void write_bytes(const void *bytes, size_t n, off_t at)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

static void assert_not_opened(int err, const char *part)
{
	struct directory *directory = NULL;
	struct buf why;
	buf_init(&why, 100000);
	int got = directory_open(path, &directory, &why);
	if (got != err)
		fail_msg("%d: %s", got, text_of(&why));
	assert_null(directory);
	assert_has(&why, part);
	/* Which file, and what to do with it. */
	assert_has(&why, path);
	if (err == ERR_CORRUPT)
		assert_has(&why, "posternctl apply -f");
	buf_done(&why);
}

static void not_a_database(void **state)
{
	(void)state;
	write_bytes("this is a letter to my aunt, and rather a long one, as you can see "
		    "here.............",
		80, 0);
	assert_not_opened(ERR_CORRUPT, "directory database: ");
}

static void another_programs_database(void **state)
{
	(void)state;
	sql("CREATE TABLE aunts (name TEXT)");
	assert_not_opened(ERR_CORRUPT, "not a Postern directory");
}

static void a_newer_form(void **state)
{
	(void)state;
	struct directory *directory = opened();
	directory_close(&directory);
	sql("PRAGMA user_version = 99");
	assert_not_opened(ERR_UNSUPPORTED, "newer Postern");
}

static void rows_that_are_no_objects(void **state)
{
	static const char *const rows[] = {
		"INSERT INTO objects VALUES ('domain', 'x.example', 'no json', 0, 0)",
		"INSERT INTO objects VALUES ('domain', 'x.example', '{}', 0, 0)",
		"INSERT INTO objects VALUES ('domain', 'X.example', '{\"mailboxes\":true}', 0, 0)",
		"INSERT INTO objects VALUES ('domain', 'x.example', '{\"transport\":\"n\"}', 0, 0)",
		"INSERT INTO objects VALUES ('settings', 'x', '{}', 0, 0)",
		"INSERT INTO objects VALUES ('account', '../x', '{}', 0, 0)",
		"DELETE FROM meta",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct directory *directory = opened();
		directory_close(&directory);
		sql(rows[i]);
		assert_not_opened(ERR_CORRUPT, "directory database: ");
		unlink(path);
	}
	struct directory *directory = opened();
	directory_close(&directory);
}

/* A version that went back finds what it does not know; nothing is damaged, and it must not say so.
 */
static void rows_of_a_newer_version(void **state)
{
	static const char *const rows[] = {
		"INSERT INTO objects VALUES ('domain', 'box.example', "
		"'{\"mailboxes\":true,\"daily\":5}', 0, 0);"
		"INSERT INTO objects VALUES ('account', 'ann@box.example', '{}', 0, 0)",
		"INSERT INTO objects VALUES ('planet', 'x', '{}', 0, 0)",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct directory *directory = opened();
		directory_close(&directory);
		sql(rows[i]);
		struct buf why;
		buf_init(&why, 100000);
		assert_int_equal(directory_open(path, &directory, &why), ERR_UNSUPPORTED);
		assert_true(memmem(why.p, why.n, "newer Postern", 13));
		assert_true(!memmem(why.p, why.n, "damaged", 7));
		assert_true(!memmem(why.p, why.n, "still needs", 11));
		buf_done(&why);
		unlink(path);
	}
}

/* Every page of the file overwritten in turn: an error or the old contents, never a crash. */
static void damaged_pages(void **state)
{
	(void)state;
	unsigned char noise[64];
	struct stat info;
	unsigned refused = 0;

	for (off_t at = 0;; at += 512) {
		struct directory *directory = opened();
		commit_file(directory, SAMPLE_OBJECTS, "ann");
		directory_close(&directory);
		assert_int_equal(stat(path, &info), 0);
		if (at >= info.st_size)
			break;
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)(i * 151 + (size_t)at / 512 * 7 + 3);
		write_bytes(noise, sizeof(noise), at);
		struct buf why;
		buf_init(&why, 100000);
		int err = directory_open(path, &directory, &why);
		assert_true(err == 0 || why.n > 0);
		refused += err < 0;
		if (err == 0)
			directory_close(&directory);
		buf_done(&why);
		unlink(path);
	}
	assert_true(refused > 3);
}

static void where_it_cannot_be(void **state)
{
	char saved[96];
	(void)state;
	memcpy(saved, path, sizeof(saved));
	snprintf(path, sizeof(path), "%s/no/such/folder/d.db", folder);
	assert_not_opened(ERR_NOT_FOUND, "cannot be opened");
	memcpy(path, saved, sizeof(saved));
	struct store *store;
	struct buf why;
	buf_init(&why, 1000);
	assert_int_equal(store_open_read(path, &store, &why), ERR_NOT_FOUND);
	assert_int_equal(access(path, F_OK), -1); /* reading made nothing */
	struct directory *directory = opened();
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	struct objects *objects;
	uint64_t generation;
	assert_int_equal(store_open_read(path, &store, &why), 0);
	assert_int_equal(store_load(store, &objects, &generation, &why), 0);
	assert_int_equal(generation, 1);
	objects_free(&objects);
	store_close(&store);
	directory_close(&directory);
	buf_done(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_over_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(removing_is_kept_too, setup, teardown),
		cmocka_unit_test_setup_teardown(no_change_is_no_generation, setup, teardown),
		cmocka_unit_test_setup_teardown(who_changed_what, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_commit_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(not_a_database, setup, teardown),
		cmocka_unit_test_setup_teardown(another_programs_database, setup, teardown),
		cmocka_unit_test_setup_teardown(a_newer_form, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_that_are_no_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_of_a_newer_version, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(where_it_cannot_be, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
