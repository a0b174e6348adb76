#include "directory/store.h"

#include "base/check.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID	 0x5053544e  /* "PSTN", in the header of the database file */
#define VALUE_BYTES	 (1 << 20)   /* of one text in the database */
#define FIELDS_BYTES	 (64u << 10) /* of one object, and of the words for one change */
#define AUDIT_LINES_MOST 1000u	     /* of one commit; then one line says how many more */
#define AUDIT_KEPT	 200000	     /* lines; older ones go */
#define TEXT(literal)	 literal, -1

struct store {
	sqlite3 *db;
	uint64_t generation; /* what load or commit saw last */
};

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
};

static int err_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_NOMEM: return ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT: return ERR_CORRUPT;
	case SQLITE_FULL: return ERR_NO_SPACE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERR_BUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_READONLY: return ERR_DENIED;
	case SQLITE_TOOBIG: return ERR_LIMIT;
	default: return ERR_IO;
	}
}

static const char *advice(int err)
{
	switch (err) {
	case ERR_CORRUPT: return "; restore it from a backup, or move it away and apply an export";
	case ERR_NO_SPACE: return "; free some space";
	case ERR_BUSY: return "; another process writes to it, try again";
	case ERR_DENIED: return "; mind who owns the file and its folder";
	default: return "";
	}
}

/* Tells what SQLite found wrong, and returns its enum err. */
static int fail(struct store *store, int code, struct buf *why)
{
	int err = err_of(code);

	buf_printf(why, "directory database: %s", sqlite3_errmsg(store->db));
	buf_add_str(why, advice(err));
	return err;
}

static int say(struct buf *why, int err, const char *text)
{
	buf_printf(why, "directory database: %s", text);
	buf_add_str(why, advice(err));
	return err;
}

static int run(struct store *store, const char *sql, struct buf *why)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : fail(store, code, why);
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **out, struct buf *why)
{
	int code = sqlite3_prepare_v2(store->db, sql, -1, out, NULL);
	return code == SQLITE_OK ? 0 : fail(store, code, why);
}

/* One number from a query of one row. */
static int ask(struct store *store, const char *sql, int64_t *out, struct buf *why)
{
	sqlite3_stmt *query;

	int err = prepare(store, sql, &query, why);
	if (err < 0)
		return err;
	int code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(query, 0);
	else
		err = code == SQLITE_DONE ? say(why, ERR_CORRUPT, "a row is missing")
					  : fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

static struct span column(sqlite3_stmt *query, int at)
{
	const void *p = sqlite3_column_text(query, at);
	return p ? span_of(p, (size_t)sqlite3_column_bytes(query, at)) : SPAN("");
}

static int bind_span(sqlite3_stmt *query, int at, struct span text)
{
	return sqlite3_bind_text(query, at, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int migrate(struct store *store, int64_t version, struct buf *why)
{
	char sql[80];

	int err = run(store, "BEGIN IMMEDIATE", why);
	for (int64_t at = version; at < STORE_SCHEMA_VERSION && err == 0; at++)
		err = run(store, migrations[at], why);
	if (err == 0) {
		sqlite3_snprintf(sizeof(sql), sql,
			"PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID,
			STORE_SCHEMA_VERSION);
		err = run(store, sql, why);
	}
	if (err == 0)
		err = run(store, "COMMIT", why);
	if (err < 0)
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int check_pages(struct store *store, struct buf *why)
{
	sqlite3_stmt *query;

	int err = prepare(store, "PRAGMA quick_check(1)", &query, why);
	if (err < 0)
		return err;
	int code = sqlite3_step(query);
	if (code != SQLITE_ROW)
		err = fail(store, code, why);
	else if (!span_equal(column(query, 0), SPAN("ok")))
		err = say(why, ERR_CORRUPT, "the file is damaged");
	sqlite3_finalize(query);
	return err;
}

/* What the file is, before anything in it is believed. */
static int check_form(struct store *store, bool may_write, struct buf *why)
{
	int64_t id = 0, version = 0, things = 0;

	int err = ask(store, "PRAGMA application_id", &id, why);
	if (err == 0)
		err = ask(store, "PRAGMA user_version", &version, why);
	if (err == 0)
		err = ask(store, "SELECT count(*) FROM sqlite_master", &things, why);
	if (err < 0)
		return err;
	bool fresh = id == 0 && version == 0 && things == 0;
	if (!fresh && (id != APPLICATION_ID || version < 1))
		return say(why, ERR_CORRUPT, "the file is not a Postern directory");
	if (version > STORE_SCHEMA_VERSION)
		return say(why, ERR_UNSUPPORTED,
			"the file was made by a newer Postern; use that version");
	if (version == STORE_SCHEMA_VERSION)
		return check_pages(store, why);
	if (!may_write)
		return say(why, ERR_UNSUPPORTED,
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

	buf_printf(why, "directory database: %s cannot be opened: %s%s", path, err_text(err),
		advice(err));
	return err;
}

/* SQLite would make the file readable for all. */
static int make_file(const char *path, struct buf *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return open_error(path, why, errno);
	close(fd);
	return 0;
}

static int open_with(const char *path, bool may_write, struct store **out, struct buf *why)
{
	int flags =
		SQLITE_OPEN_NOMUTEX | (may_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return say(why, ERR_NOMEM, "out of memory");
	int code = sqlite3_open_v2(path, &store->db, flags, NULL);
	int err = code == SQLITE_OK ? 0 : fail(store, code, why);
	if (err == 0) {
		distrust(store->db);
		sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
		/* EXTRA: the folder is synced too once the journal is gone, so that a commit stays.
		 */
		err = run(store,
			"PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA synchronous=EXTRA",
			why);
	}
	if (err == 0 && may_write)
		err = run(store, "PRAGMA journal_mode=DELETE", why);
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
	free(*store);
	*store = NULL;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int load_row(sqlite3_stmt *query, struct objects_builder *builder, struct problems *problems)
{
	enum object_kind kind;

	if (object_kind_parse(column(query, 0), &kind) < 0) {
		problem_line(problems, (struct place){0}, NULL, "an object of an unknown kind");
		return ERR_CORRUPT;
	}
	struct span name = column(query, 1);
	/* Later calls of sqlite3_column_text() for other columns leave this one's bytes alone. */
	return objects_builder_add(builder, kind, name, column(query, 2),
		sqlite3_column_int64(query, 3), sqlite3_column_int64(query, 4), problems);
}

static int load_rows(
	struct store *store, struct objects_builder *builder, struct problems *problems)
{
	sqlite3_stmt *query;
	int code;

	int err = prepare(store,
		"SELECT kind, name, fields, created_ms, changed_ms FROM objects"
		" ORDER BY kind, name",
		&query, problems->out);
	if (err < 0)
		return err;
	while ((code = sqlite3_step(query)) == SQLITE_ROW && err == 0)
		err = load_row(query, builder, problems);
	if (err == 0 && code != SQLITE_DONE)
		err = fail(store, code, problems->out);
	sqlite3_finalize(query);
	return err;
}

static int load(struct store *store, struct objects **out, int64_t *generation, struct buf *why)
{
	struct problems problems = {.out = why};
	struct objects_builder *builder;

	int err = ask(store, "SELECT value FROM meta WHERE name = 'generation'", generation, why);
	if (err == 0)
		err = objects_builder_new(&builder);
	if (err < 0)
		return err;
	err = load_rows(store, builder, &problems);
	struct objects *objects = NULL;
	int finished = objects_builder_finish(&builder, &problems, &objects);
	if (err == 0 && finished == 0) {
		*out = objects;
		return 0;
	}
	objects_free(&objects);
	err = err ? err : finished;
	if (problems.count)
		say(why, err, "its contents are damaged");
	return err;
}

int store_load(struct store *store, struct objects **out, uint64_t *generation, struct buf *why)
{
	int64_t number = 0;

	/* One read transaction, so that both belong together. */
	int err = run(store, "BEGIN", why);
	if (err < 0)
		return err;
	err = load(store, out, &number, why);
	sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
	if (err < 0)
		return err;
	store->generation = (uint64_t)number;
	*generation = store->generation;
	return 0;
}

int store_audit(struct store *store, uint64_t before_number, uint32_t most,
	bool (*each)(void *context, const struct store_audit *entry), void *context,
	struct buf *why)
{
	sqlite3_stmt *query;
	int code;

	int err = prepare(store,
		"SELECT number, generation, at_ms, actor, what FROM audit"
		" WHERE number < ? ORDER BY number DESC LIMIT ?",
		&query, why);
	if (err < 0)
		return err;
	sqlite3_bind_int64(query, 1, (int64_t)MIN(before_number, (uint64_t)INT64_MAX));
	sqlite3_bind_int64(query, 2, most);
	while ((code = sqlite3_step(query)) == SQLITE_ROW && err == 0) {
		struct store_audit entry = {(uint64_t)sqlite3_column_int64(query, 0),
			(uint64_t)sqlite3_column_int64(query, 1), sqlite3_column_int64(query, 2),
			column(query, 3), column(query, 4)};
		if (!each(context, &entry))
			err = ERR_CANCELED;
	}
	if (err == 0 && code != SQLITE_DONE)
		err = fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

/* ---- writing -------------------------------------------------------------------------------- */

struct writer {
	struct store *store;
	sqlite3_stmt *put, *drop, *audit;
	struct buf text;
	struct buf *why;
	struct span actor;
	int64_t now_ms;
	int64_t generation;
};

static int step(struct writer *w, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE ? 0 : fail(w->store, code, w->why);
}

static int write_object(struct writer *w, const struct change *change)
{
	const struct object *object = change->after;
	const char *kind = object_kind_name(change->kind);
	struct json_write json;

	if (!object) {
		sqlite3_bind_text(w->drop, 1, TEXT(kind), SQLITE_STATIC);
		bind_span(w->drop, 2, change->before->name);
		return step(w, w->drop);
	}
	buf_clear(&w->text);
	json_write_init(&json, &w->text);
	json_open_object(&json, NULL);
	schema_add_json(&json, object_schema(change->kind), object->fields, false);
	json_close_object(&json);
	if (!buf_ok(&w->text))
		return say(w->why, ERR_LIMIT, "an object is too large");
	sqlite3_bind_text(w->put, 1, TEXT(kind), SQLITE_STATIC);
	bind_span(w->put, 2, object->name);
	bind_span(w->put, 3, buf_span(&w->text));
	sqlite3_bind_int64(w->put, 4, object->created_ms);
	sqlite3_bind_int64(w->put, 5, object->changed_ms);
	return step(w, w->put);
}

static int write_audit(struct writer *w, struct span words)
{
	sqlite3_bind_int64(w->audit, 1, w->generation);
	sqlite3_bind_int64(w->audit, 2, w->now_ms);
	bind_span(w->audit, 3, w->actor);
	bind_span(w->audit, 4, words);
	return step(w, w->audit);
}

static int write_words(struct writer *w, const struct plan *plan)
{
	size_t count = plan_count(plan);

	for (size_t i = 0; i < MIN(count, (size_t)AUDIT_LINES_MOST); i++) {
		buf_clear(&w->text);
		change_add_words(plan_change(plan, i), &w->text);
		int err = write_audit(w, buf_span(&w->text));
		if (err < 0)
			return err;
	}
	if (count <= AUDIT_LINES_MOST)
		return 0;
	buf_clear(&w->text);
	buf_printf(&w->text, "and %zu more changes", count - AUDIT_LINES_MOST);
	return write_audit(w, buf_span(&w->text));
}

static int prepare_writer(struct writer *w)
{
	int err = prepare(w->store,
		"INSERT INTO objects VALUES (?, ?, ?, ?, ?)"
		" ON CONFLICT DO UPDATE SET fields = excluded.fields,"
		" created_ms = excluded.created_ms, changed_ms = excluded.changed_ms",
		&w->put, w->why);
	if (err == 0)
		err = prepare(w->store, "DELETE FROM objects WHERE kind = ? AND name = ?", &w->drop,
			w->why);
	if (err == 0)
		err = prepare(w->store,
			"INSERT INTO audit (generation, at_ms, actor, what)"
			" VALUES (?, ?, ?, ?)",
			&w->audit, w->why);
	return err;
}

static int write_changes(struct writer *w, const struct plan *plan)
{
	char sql[160];

	int err = prepare_writer(w);
	for (size_t i = 0; i < plan_count(plan) && err == 0; i++)
		err = write_object(w, plan_change(plan, i));
	if (err == 0)
		err = write_words(w, plan);
	if (err < 0)
		return err;
	sqlite3_snprintf(sizeof(sql), sql,
		"UPDATE meta SET value = %lld WHERE name = 'generation';"
		"DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - %d",
		(long long)w->generation, AUDIT_KEPT);
	return run(w->store, sql, w->why);
}

static int transaction(struct writer *w, const struct plan *plan)
{
	int64_t present = 0;

	int err = run(w->store, "BEGIN IMMEDIATE", w->why);
	if (err < 0)
		return err;
	err = ask(w->store, "SELECT value FROM meta WHERE name = 'generation'", &present, w->why);
	if (err == 0 && (uint64_t)present != w->store->generation)
		err = say(w->why, ERR_BUSY, "it was changed by somebody else since it was read");
	if (err == 0) {
		w->generation = present + 1;
		err = write_changes(w, plan);
	}
	sqlite3_finalize(w->put);
	sqlite3_finalize(w->drop);
	sqlite3_finalize(w->audit);
	if (err == 0)
		err = run(w->store, "COMMIT", w->why);
	if (err < 0)
		sqlite3_exec(w->store->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

int store_commit(struct store *store, const struct plan *plan, struct span actor, int64_t now_ms,
	uint64_t *generation, struct buf *why)
{
	struct writer w = {.store = store, .why = why, .actor = actor, .now_ms = now_ms};

	if (plan_count(plan) == 0) {
		*generation = store->generation;
		return 0;
	}
	buf_init(&w.text, FIELDS_BYTES);
	int err = transaction(&w, plan);
	buf_done(&w.text);
	if (err < 0)
		return err;
	store->generation = (uint64_t)w.generation;
	*generation = store->generation;
	return 0;
}
