#include "directory/store.h"

#include "base/check.h"
#include "store_common.h"

#include <fcntl.h>
#include <sys/stat.h>

#define VERIFIER "crypt:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC"
#define ANOTHER	 "crypt:$y$j9T$qqqqqqqqqqqqqqqqqqqqqq$another.WiB9W.zEaKlOBL35rCpbfrtnSYvahCwPBHK"
#define WITH_SASL                                                                         \
	"transports:\n"                                                                   \
	"  site-a: { server: \"127.0.0.1:2626\", tls: verify, sasl: { user: gw, secret: " \
	"s3cretword } }\n"

static void commit(struct directory *directory, struct plan *plan)
{
	struct buf why;

	buf_init(&why, 10000);
	if (directory_commit(directory, &plan, SPAN("ann"), options.now_ms, &why) < 0)
		fail_msg("%s", text_of(&why));
	buf_done(&why);
}

static void set_secret(
	struct directory *directory, enum secret_kind kind, const char *name, const char *value)
{
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 10000);
	if (objects_plan_secret(directory_objects(directory), kind, span_str(name), span_str(value),
		    &options, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	commit(directory, plan);
	buf_done(&problems);
}

static void remove_object(struct directory *directory, enum object_kind kind, const char *name)
{
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 10000);
	if (objects_plan_remove(directory_objects(directory), kind, span_str(name), &options,
		    &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	commit(directory, plan);
	buf_done(&problems);
}

/* What a role would get. */
static void assert_secret(
	struct directory *directory, enum secret_kind kind, const char *name, const char *value)
{
	struct secrets *secrets;
	struct span found;
	struct buf why;
	int fd;

	buf_init(&why, 1000);
	assert_int_equal(directory_secrets_memfd(directory, kind, &fd, &why), 0);
	assert_int_equal(secrets_open(fd, &secrets), 0);
	int err = secrets_find(secrets, span_str(name), &found);
	struct secret_source source = directory_secrets(directory);
	struct span alone = source.find(source.context, kind, span_str(name));
	assert_int_equal(directory_secrets_failed(directory, &why), 0);
	if (value) {
		assert_int_equal(err, 0);
		assert_span(found, value);
		assert_span(alone, value);
	} else {
		assert_int_equal(err, ERR_NOT_FOUND);
		assert_int_equal(alone.n, 0);
	}
	secrets_free(&secrets);
	buf_done(&why);
}

/* Neither in the database nor in its journal. */
static bool on_disk(const char *text)
{
	bool found = false;

	for (int i = 0; i < 2; i++) {
		char name[128];
		snprintf(name, sizeof(name), "%s%s", path, i ? "-journal" : "");
		int fd = open(name, O_RDONLY);
		if (fd < 0)
			continue;
		struct stat info;
		assert_int_equal(fstat(fd, &info), 0);
		assert_int_equal(info.st_mode & 07777, 0600);
		char *bytes = test_malloc((size_t)info.st_size + 1);
		assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
		found = found || memmem(bytes, (size_t)info.st_size, text, strlen(text));
		test_free(bytes);
		close(fd);
	}
	return found;
}

static bool add_words(void *context, const struct store_audit *entry)
{
	buf_add_span(context, entry->what);
	buf_add_char(context, '\n');
	return true;
}

static void read_audit(struct directory *directory, struct buf *out)
{
	struct buf why;

	buf_init(&why, 1000);
	assert_int_equal(
		store_audit(directory_store(directory), UINT64_MAX, 1000, add_words, out, &why), 0);
	buf_done(&why);
}

/* ---- kept ------------------------------------------------------------------------------------ */

static void a_password_is_kept(void **state)
{
	(void)state;
	struct directory *directory = opened();
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", NULL);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_int_equal(directory_generation(directory), 2);
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_secret(directory, SECRET_TRANSPORT, "ann@c.example", NULL);
	directory_close(&directory);

	directory = opened();
	assert_int_equal(directory_generation(directory), 2);
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	const struct object *ann =
		objects_find(directory_objects(directory), OBJECT_ACCOUNT, SPAN("ann@c.example"));
	assert_true(object_account(ann)->verifiers.n > 0); /* that it has one is known */
	assert_null(
		memmem(object_account(ann)->verifiers.p, object_account(ann)->verifiers.n, "$", 1));
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	directory_close(&directory);
}

static void a_transports_secret_is_kept(void **state)
{
	(void)state;
	struct directory *directory = opened();
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(directory, WITH_SASL, "ann");
	assert_secret(directory, SECRET_TRANSPORT, "site-a", "s3cretword");
	directory_close(&directory);
	directory = opened();
	assert_secret(directory, SECRET_TRANSPORT, "site-a", "s3cretword");
	/* Other changes leave it alone. */
	commit_file(directory, "domains: { d.example: { mailboxes: yes } }\n", "ann");
	assert_secret(directory, SECRET_TRANSPORT, "site-a", "s3cretword");
	directory_close(&directory);
}

static bool count_names(void *context, struct span name, struct span value)
{
	struct buf *names = context;

	buf_add_span(names, name);
	buf_add_char(names, ' ');
	return value.n > 0 && names->n < 40;
}

static void all_of_a_kind(void **state)
{
	(void)state;
	struct directory *directory = opened();
	struct buf names, why, value;
	buf_init(&names, 1000);
	buf_init(&why, 1000);
	buf_init(&value, SECRET_BYTES);
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(directory,
		"accounts: { joe@c.example: {}, eve@c.example: {}, dan@c.example: {} }\n", "ann");
	set_secret(directory, SECRET_ACCOUNT, "joe@c.example", VERIFIER);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	struct store *store = directory_store(directory);
	assert_int_equal(store_secrets(store, SECRET_ACCOUNT, count_names, &names, &why), 0);
	assert_text(&names, "ann@c.example joe@c.example ");
	set_secret(directory, SECRET_ACCOUNT, "eve@c.example", VERIFIER);
	set_secret(directory, SECRET_ACCOUNT, "dan@c.example", VERIFIER);
	buf_clear(&names);
	assert_int_equal(
		store_secrets(store, SECRET_ACCOUNT, count_names, &names, &why), ERR_CANCELED);
	assert_int_equal(store_secrets(store, SECRET_TRANSPORT, count_names, &names, &why), 0);
	assert_int_equal(
		store_secret(store, SECRET_ACCOUNT, SPAN("joe@c.example"), &value, &why), 0);
	assert_text(&value, VERIFIER);
	assert_int_equal(
		store_secret(store, SECRET_ACCOUNT, SPAN("joe"), &value, &why), ERR_NOT_FOUND);
	assert_int_equal(why.n, 0);
	directory_close(&directory);
	buf_done(&names);
	buf_done(&why);
	buf_done(&value);
}

/* ---- gone ------------------------------------------------------------------------------------ */

static void what_goes_leaves_no_bytes(void **state)
{
	(void)state;
	struct directory *directory = opened();
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_true(on_disk(VERIFIER));
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER); /* changed */
	assert_false(on_disk(VERIFIER));
	assert_true(on_disk(ANOTHER));
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ""); /* taken away */
	assert_false(on_disk(ANOTHER));
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", NULL);

	commit_file(directory, WITH_SASL, "ann");
	assert_true(on_disk("s3cretword"));
	commit_file(directory, "transports: { site-a: { server: \"127.0.0.1:2626\" } }\n", "ann");
	assert_false(on_disk("s3cretword"));
	assert_secret(directory, SECRET_TRANSPORT, "site-a", NULL);

	/* With its object, and long enough to have pages of its own. */
	char text[SECRET_CRYPT + 7] = "crypt:";
	memset(text + 6, 'x', SECRET_CRYPT);
	commit_file(directory, "accounts: { joe@c.example: {} }\n", "ann");
	set_secret(directory, SECRET_ACCOUNT, "joe@c.example", text);
	assert_true(on_disk(text));
	remove_object(directory, OBJECT_ACCOUNT, "joe@c.example");
	assert_false(on_disk(text + sizeof(text) - 40));
	/* Who gets the name next has no password. */
	commit_file(directory, "accounts: { joe@c.example: {} }\n", "ann");
	assert_secret(directory, SECRET_ACCOUNT, "joe@c.example", NULL);
	directory_close(&directory);
	directory = opened();
	assert_secret(directory, SECRET_ACCOUNT, "joe@c.example", NULL);
	directory_close(&directory);
}

#define MANY 400

static void many_that_go_leave_no_bytes(void **state)
{
	(void)state;
	struct directory *directory = opened();
	struct buf text;
	char name[64], value[200];
	buf_init(&text, 100000);
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	buf_add_str(&text, "accounts:\n");
	for (int i = 0; i < MANY; i++)
		buf_printf(&text, "  user%d@c.example: {}\n", i);
	commit_file(directory, text_of(&text), "ann");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user%d@c.example", i);
		snprintf(value, sizeof(value), "crypt:hash-of-%d-%d%0100d", i % 3, i, 0);
		set_secret(directory, SECRET_ACCOUNT, name, value);
	}
	assert_true(on_disk("hash-of-0-"));
	assert_true(on_disk("hash-of-1-"));
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user%d@c.example", i);
		if (i % 3 == 0)
			set_secret(directory, SECRET_ACCOUNT, name, "");
		if (i % 3 == 1)
			set_secret(directory, SECRET_ACCOUNT, name, "crypt:new");
	}
	assert_false(on_disk("hash-of-0-"));
	assert_false(on_disk("hash-of-1-"));
	assert_true(on_disk("hash-of-2-"));
	for (int i = 2; i < MANY; i += 3) {
		snprintf(name, sizeof(name), "user%d@c.example", i);
		snprintf(value, sizeof(value), "crypt:hash-of-2-%d%0100d", i, 0);
		assert_secret(directory, SECRET_ACCOUNT, name, value);
	}
	directory_close(&directory);
	buf_done(&text);
}

/* ---- not shown ------------------------------------------------------------------------------- */

static void nothing_else_says_a_secret(void **state)
{
	(void)state;
	struct directory *directory = opened();
	struct buf text;
	buf_init(&text, 1000000);
	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(directory, WITH_SASL, "ann");
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	read_audit(directory, &text);
	assert_has(&text, "ann@c.example"); /* it is told that something changed */
	objects_export(directory_objects(directory), &text);
	assert_null(memmem(text.p, text.n, "s3cretword", 10));
	assert_null(memmem(text.p, text.n, "$y$", 3));
	/* Nor the snapshot that all roles have. */
	int fd;
	assert_int_equal(directory_snapshot(directory, &fd), 0);
	struct stat info;
	assert_int_equal(fstat(fd, &info), 0);
	char *bytes = test_malloc((size_t)info.st_size);
	assert_int_equal(pread(fd, bytes, (size_t)info.st_size, 0), info.st_size);
	assert_null(memmem(bytes, (size_t)info.st_size, "s3cretword", 10));
	assert_null(memmem(bytes, (size_t)info.st_size, "$y$", 3));
	test_free(bytes);
	close(fd);
	/* Asked for, they are there. */
	buf_clear(&text);
	struct secret_source source = directory_secrets(directory);
	objects_export_secrets(directory_objects(directory), &source, &text);
	assert_has(&text, "s3cretword");
	assert_has(&text, ANOTHER);
	directory_close(&directory);
	/* In the database they are in their table alone. */
	sql("CREATE TEMP TABLE t AS SELECT fields FROM objects"
	    " WHERE fields LIKE '%s3cretword%' OR fields LIKE '%$y$%' OR fields LIKE '%(set)%';"
	    "INSERT INTO t SELECT what FROM audit WHERE what LIKE '%s3cretword%'"
	    " OR what LIKE '%$y$%';"
	    "CREATE TEMP TABLE none (x CHECK (x = 0)); INSERT INTO none SELECT count(*) FROM t");
	buf_done(&text);
}

/* ---- since when logins count ----------------------------------------------------------------- */

static uint64_t since_of(const struct directory *directory, const char *name)
{
	struct snapshot *snapshot;
	struct account account;
	int fd;

	assert_int_equal(directory_snapshot(directory, &fd), 0);
	assert_int_equal(snapshot_open(fd, &snapshot), 0);
	assert_int_equal(snapshot_account(snapshot, span_str(name), &account), 0);
	snapshot_release(&snapshot);
	return account.logins_since;
}

/* The number now, which the database has, too; a change must have made it another one than ever
 * before, and anything else must have left it. */
static void assert_since(struct directory **directory, const char *name, uint64_t *seen, bool ends)
{
	uint64_t now = since_of(*directory, name);

	assert_true(ends ? now > *seen : now == *seen);
	directory_close(directory);
	*directory = opened();
	assert_int_equal(since_of(*directory, name), now);
	*seen = now;
}

static void set_field(struct directory *directory, const char *name, const char *setting)
{
	struct span settings[] = {span_str(setting)};
	struct buf problems;
	struct plan *plan;

	buf_init(&problems, 10000);
	if (objects_plan_set(directory_objects(directory), OBJECT_ACCOUNT, span_str(name), settings,
		    1, &options, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	commit(directory, plan);
	buf_done(&problems);
}

/* All in the same millisecond. */
static void logins_count_as_long_as_the_password(void **state)
{
	(void)state;
	struct directory *directory = opened();
	uint64_t seen = 0, other = 0;

	commit_file(directory, SAMPLE_OBJECTS, "ann");
	commit_file(
		directory, "accounts: { joe@c.example: { verifiers: \"" VERIFIER "\" } }", "ann");
	assert_since(&directory, "ann@c.example", &seen, false); /* 0: it has no password */
	assert_since(&directory, "joe@c.example", &other, true);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_since(&directory, "ann@c.example", &seen, true);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	assert_since(&directory, "ann@c.example", &seen, true);
	set_field(directory, "ann@c.example", "send-as=sales@c.example");
	assert_since(&directory, "ann@c.example", &seen, false);
	set_field(directory, "ann@c.example", "disabled=yes");
	assert_since(&directory, "ann@c.example", &seen, true);
	set_field(directory, "ann@c.example", "disabled=no");
	assert_since(&directory, "ann@c.example", &seen, true);
	/* As it is imported, and from an objects file without: which leaves it. */
	commit_file(
		directory, "accounts: { ann@c.example: { verifiers: \"" VERIFIER "\" } }", "ann");
	assert_since(&directory, "ann@c.example", &seen, true);
	commit_file(directory, "accounts: { ann@c.example: { send-as: [ x@c.example ] } }", "ann");
	assert_since(&directory, "ann@c.example", &seen, false);
	commit_file(directory,
		"accounts: { ann@c.example: { disabled: true, verifiers: \"" ANOTHER "\" } }",
		"ann");
	assert_since(&directory, "ann@c.example", &seen, true);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", "");
	assert_int_equal(since_of(directory, "ann@c.example"), 0);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	assert_since(&directory, "ann@c.example", &seen, true);
	remove_object(directory, OBJECT_ACCOUNT, "ann@c.example");
	commit_file(
		directory, "accounts: { ann@c.example: { verifiers: \"" ANOTHER "\" } }", "ann");
	assert_since(&directory, "ann@c.example", &seen, true);
	/* Nobody else's. */
	assert_since(&directory, "joe@c.example", &other, false);
	directory_close(&directory);
}

/* ---- a database of before -------------------------------------------------------------------- */

/* As version 0.1 made it. */
#define VERSION_1                                                                           \
	"CREATE TABLE objects ("                                                            \
	" kind TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL,"                    \
	" created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"                        \
	" PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;"                                 \
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, "        \
	"WITHOUT ROWID;"                                                                    \
	"CREATE TABLE audit ("                                                              \
	" number INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER NOT NULL,"           \
	" at_ms INTEGER NOT NULL, actor TEXT NOT NULL, what TEXT NOT NULL) STRICT;"         \
	"INSERT INTO meta VALUES ('generation', 7);"                                        \
	"INSERT INTO objects VALUES ('domain', 'c.example', '{\"mailboxes\":true}', 1, 2);" \
	"INSERT INTO objects VALUES ('account', 'ann@c.example', '{}', 1, 2);"              \
	"INSERT INTO audit VALUES (1, 7, 5, 'bob', 'account ann@c.example: added');"        \
	"PRAGMA application_id=1347638350; PRAGMA user_version=1"

static void a_database_of_version_1_is_brought_up(void **state)
{
	(void)state;
	struct buf text;
	buf_init(&text, 10000);
	sql(VERSION_1);
	assert_int_equal(chmod(path, 0644), 0);
	struct directory *directory = opened();
	assert_int_equal(directory_generation(directory), 7);
	assert_int_equal(objects_count(directory_objects(directory), OBJECT_ACCOUNT), 1);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_true(on_disk(VERIFIER)); /* which looks at the mode, too */
	read_audit(directory, &text);
	assert_has(&text, "account ann@c.example: added\n");
	directory_close(&directory);
	directory = opened();
	assert_int_equal(directory_generation(directory), 8);
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	directory_close(&directory);
	buf_done(&text);
}

static void logins_with_a_password_of_version_2(void **state)
{
	(void)state;
	uint64_t seen = 0;
	sql(VERSION_1);
	sql("CREATE TABLE secrets ("
	    " kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	    " changed_ms INTEGER NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;"
	    "INSERT INTO secrets VALUES ('account', 'ann@c.example', '" VERIFIER "', 3);"
	    "PRAGMA user_version=2");
	struct directory *directory = opened();
	assert_secret(directory, SECRET_ACCOUNT, "ann@c.example", VERIFIER);
	assert_since(&directory, "ann@c.example", &seen, true);
	set_secret(directory, SECRET_ACCOUNT, "ann@c.example", ANOTHER);
	assert_since(&directory, "ann@c.example", &seen, true);
	directory_close(&directory);
}

static void version_1_is_not_changed_by_reading(void **state)
{
	(void)state;
	struct store *store;
	struct buf why;
	buf_init(&why, 1000);
	sql(VERSION_1);
	assert_int_equal(store_open_read(path, &store, &why), ERR_UNSUPPORTED);
	assert_has(&why, "older form");
	sql("CREATE TABLE secrets (x)"); /* which would be there */
	buf_done(&why);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void assert_damaged(const char *statement, int expected, const char *part)
{
	struct directory *directory = opened();
	struct buf why;

	commit_file(directory, SAMPLE_OBJECTS, "ann");
	directory_close(&directory);
	sql(statement);
	buf_init(&why, 10000);
	assert_int_equal(directory_open(path, &directory, &why), expected);
	assert_has(&why, part);
	buf_done(&why);
	unlink(path);
}

static void secrets_of_nobody(void **state)
{
	(void)state;
	/* Somebody who gets that name later would have its password. */
	assert_damaged("INSERT INTO secrets VALUES ('account', 'joe@c.example', 'crypt:x', 0, 1)",
		ERR_CORRUPT, "table of secrets is damaged");
	assert_damaged("INSERT INTO secrets VALUES ('transport', 'site-x', 'x', 0, 1)", ERR_CORRUPT,
		"table of secrets is damaged");
	assert_damaged("INSERT INTO secrets VALUES ('account', 'ann@c.example', '', 0, 1)",
		ERR_CORRUPT, "table of secrets is damaged");
	assert_damaged(
		"INSERT INTO secrets VALUES ('account', 'ann@c.example', hex(zeroblob(600)), 0, 1)",
		ERR_CORRUPT, "table of secrets is damaged");
	/* A login is never as old as a password. */
	assert_damaged("INSERT INTO secrets VALUES ('account', 'ann@c.example', 'crypt:x', 0, 0)",
		ERR_CORRUPT, "table of secrets is damaged");
	assert_damaged("INSERT INTO secrets VALUES ('planet', 'ann@c.example', 'x', 0, 1)",
		ERR_UNSUPPORTED, "newer Postern");
	assert_damaged("DROP TABLE secrets", ERR_IO, "no such table");
	struct directory *directory = opened();
	directory_close(&directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_password_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_transports_secret_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_a_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(what_goes_leaves_no_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(many_that_go_leave_no_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_else_says_a_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(
			logins_count_as_long_as_the_password, setup, teardown),
		cmocka_unit_test_setup_teardown(
			logins_with_a_password_of_version_2, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_database_of_version_1_is_brought_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			version_1_is_not_changed_by_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_of_nobody, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
