/* Opening the database: is it ours, is it whole, is it of this form? */
#include "directory/store_inner.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE      0600
#define OTHERS_MODE    0077
#define APPLICATION_ID 0x5053544e /* "PSTN", in the header of the database file */
#define VALUE_BYTES    (8 << 20)  /* of one row of the database */
_Static_assert(VALUE_BYTES > OBJECT_FIELDS_BYTES, "an object must fit");

/* migrations[n] brings form n to form n + 1. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
	"CREATE TABLE objects ("
	" kind TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"
	" PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE audit ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT, generation INTEGER NOT NULL,"
	" at_ms INTEGER NOT NULL, actor TEXT NOT NULL, what TEXT NOT NULL) STRICT;"
	"INSERT INTO meta VALUES ('generation', 0);",
	"CREATE TABLE secrets ("
	" kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" changed_ms INTEGER NOT NULL,"
	" PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;",
	("ALTER TABLE secrets ADD COLUMN since INTEGER NOT NULL DEFAULT 1;"
	 "UPDATE secrets SET since = max(1, (SELECT value FROM meta WHERE name = 'generation'));"),
};

static int migrate(struct store *store, int64_t version, struct buf *why)
{
	char sql[80];

	int err = store_run(store, "BEGIN IMMEDIATE", why);
	for (int64_t at = version; at < STORE_SCHEMA_VERSION && err == 0; at++)
		err = store_run(store, migrations[at], why);
	if (err == 0) {
		sqlite3_snprintf(sizeof(sql), sql,
			"PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
			STORE_SCHEMA_VERSION);
		err = store_run(store, sql, why);
	}
	if (err == 0)
		err = store_run(store, "COMMIT", why);
	if (err < 0)
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int check_pages(struct store *store, struct buf *why)
{
	sqlite3_stmt *query;

	int err = store_prepare(store, "PRAGMA quick_check(1)", &query, why);
	if (err < 0)
		return err;
	int code = sqlite3_step(query);
	if (code != SQLITE_ROW)
		err = store_fail(store, code, why);
	else if (!span_equal(store_column(query, 0), SPAN("ok")))
		err = store_say(store, why, ERR_CORRUPT, "the file is damaged");
	sqlite3_finalize(query);
	return err;
}

/* What the file is, before anything in it is believed. */
static int check_form(struct store *store, bool may_write, struct buf *why)
{
	int64_t id = 0, version = 0, things = 0;

	int err = store_ask(store, "PRAGMA application_id", &id, why);
	if (err == 0)
		err = store_ask(store, "PRAGMA user_version", &version, why);
	if (err == 0)
		err = store_ask(store, "SELECT count(*) FROM sqlite_master", &things, why);
	if (err < 0)
		return err;
	bool fresh = id == 0 && version == 0 && things == 0;
	if (!fresh && (id != APPLICATION_ID || version < 1))
		return store_say(store, why, ERR_CORRUPT, "the file is not a Postern directory");
	if (version > STORE_SCHEMA_VERSION)
		return store_say(store, why, ERR_UNSUPPORTED,
			"the file was made by a newer Postern; use that version");
	if (version == STORE_SCHEMA_VERSION)
		return check_pages(store, why);
	if (!may_write)
		return store_say(store, why, ERR_UNSUPPORTED,
			"the file is empty or of an older form; start posternd once");
	if (!fresh)
		err = check_pages(store, why);
	return err ? err : migrate(store, version, why);
}

/* Triggers and views in a file are somebody else's code. */
static void distrust(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_BYTES);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

static int open_error(const char *path, struct buf *why, int system_errno)
{
	int err = err_from_errno(system_errno);

	buf_printf(why, "directory database: %s cannot be opened: %s", path, err_text(err));
	store_advise(err, why);
	return err;
}

/* SQLite would make the file readable for all. It makes the journal as it finds the file. */
static int make_file(const char *path, struct buf *why)
{
	struct stat info;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

	if (fd < 0)
		return open_error(path, why, errno);
	/* A copy that was put back may be open for all; secrets are in it. Who does not own it
	 * cannot mend that, which is no reason to serve no mail. */
	if (fstat(fd, &info) == 0 && (info.st_mode & OTHERS_MODE))
		(void)!fchmod(fd, FILE_MODE);
	close(fd);
	return 0;
}

static int open_with(const char *path, bool may_write, struct store **out, struct buf *why)
{
	int flags =
		SQLITE_OPEN_NOMUTEX | (may_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
	struct store *store = calloc(1, sizeof(*store));

	if (!store || !(store->path = strdup(path))) {
		free(store);
		buf_add_str(why, "directory database: out of memory");
		return ERR_NOMEM;
	}
	int code = sqlite3_open_v2(path, &store->db, flags, NULL);
	int err = code == SQLITE_OK ? 0 : store_fail(store, code, why);
	if (err == 0) {
		distrust(store->db);
		sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
		err = store_run(store,
			"PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA synchronous=FULL;"
			" PRAGMA temp_store=MEMORY",
			why);
	}
	/* The journal stays, which ends a transaction as surely as removing it: so the role needs
	 * no right to make or remove names in the folder. What is freed in the file itself is
	 * overwritten; of old secrets see store_commit(). */
	if (err == 0 && may_write)
		err = store_run(store, "PRAGMA journal_mode=PERSIST; PRAGMA secure_delete=ON", why);
	if (err == 0)
		err = check_form(store, may_write, why);
	if (err < 0) {
		store_close(&store);
		return err;
	}
	*out = store;
	return 0;
}

int store_open(const char *path, struct store **out, struct buf *why)
{
	int err = make_file(path, why);
	return err ? err : open_with(path, true, out, why);
}

int store_open_read(const char *path, struct store **out, struct buf *why)
{
	if (access(path, R_OK) < 0)
		return open_error(path, why, errno);
	return open_with(path, false, out, why);
}

void store_close(struct store **store)
{
	if (!*store)
		return;
	sqlite3_close((*store)->db);
	free((*store)->path);
	free(*store);
	*store = NULL;
}
