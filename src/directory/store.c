/* What the database holds: objects and the audit table, read. */
#include "directory/store_inner.h"

#include "base/check.h"
#include "base/err.h"

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

void store_advise(int err, struct buf *why)
{
	switch (err) {
	case ERR_CORRUPT:
		buf_add_str(why,
			"; restore it from a backup, or move it and its -journal away, start "
			"posternd, and apply your objects file or an export (posternctl "
			"apply -f); mail waits meanwhile");
		break;
	case ERR_NO_SPACE: buf_add_str(why, "; free some space"); break;
	case ERR_BUSY: buf_add_str(why, "; another process writes to it, try again"); break;
	case ERR_DENIED: buf_add_str(why, "; mind who owns the file and its folder"); break;
	default: break;
	}
}

int store_fail(struct store *store, int code, struct buf *why)
{
	int err = err_of(code);

	return store_say(store, why, err, sqlite3_errmsg(store->db));
}

int store_say(const struct store *store, struct buf *why, int err, const char *text)
{
	buf_printf(why, "directory database: %s: %s", store->path, text);
	store_advise(err, why);
	return err;
}

int store_run(struct store *store, const char *sql, struct buf *why)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : store_fail(store, code, why);
}

int store_prepare(struct store *store, const char *sql, sqlite3_stmt **out, struct buf *why)
{
	int code = sqlite3_prepare_v2(store->db, sql, -1, out, NULL);
	return code == SQLITE_OK ? 0 : store_fail(store, code, why);
}

int store_ask(struct store *store, const char *sql, int64_t *out, struct buf *why)
{
	sqlite3_stmt *query;

	int err = store_prepare(store, sql, &query, why);
	if (err < 0)
		return err;
	int code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int64(query, 0);
	else
		err = code == SQLITE_DONE ? store_say(store, why, ERR_CORRUPT, "a row is missing")
					  : store_fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

struct span store_column(sqlite3_stmt *query, int at)
{
	const void *p = sqlite3_column_text(query, at);
	return p ? span_of(p, (size_t)sqlite3_column_bytes(query, at)) : SPAN("");
}

int store_bind(sqlite3_stmt *query, int at, struct span text)
{
	return sqlite3_bind_text(query, at, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
}

static int load_row(sqlite3_stmt *query, struct objects_builder *builder, struct problems *problems)
{
	enum object_kind kind;

	if (object_kind_parse(store_column(query, 0), &kind) < 0) {
		problems->unknown++;
		problem_line(problems, (struct place){0}, NULL, "an object of an unknown kind");
		return ERR_CORRUPT;
	}
	struct span name = store_column(query, 1);
	/* Later calls of sqlite3_column_text() for other columns leave this one's bytes alone. */
	return objects_builder_add(builder, kind, name, store_column(query, 2),
		sqlite3_column_int64(query, 3), sqlite3_column_int64(query, 4), problems);
}

static int load_rows(
	struct store *store, struct objects_builder *builder, struct problems *problems)
{
	sqlite3_stmt *query;
	int code;

	int err = store_prepare(store,
		"SELECT kind, name, fields, created_ms, changed_ms FROM objects"
		" ORDER BY kind, name",
		&query, problems->out);
	if (err < 0)
		return err;
	while ((code = sqlite3_step(query)) == SQLITE_ROW && err == 0)
		err = load_row(query, builder, problems);
	if (err == 0 && code != SQLITE_DONE)
		err = store_fail(store, code, problems->out);
	sqlite3_finalize(query);
	return err;
}

#define BUILD_PROBLEMS_BYTES 4096

static int load(struct store *store, struct objects **out, int64_t *generation, struct buf *why)
{
	struct problems problems = {.out = why};
	struct objects_builder *builder;

	int err = store_ask(
		store, "SELECT value FROM meta WHERE name = 'generation'", generation, why);
	if (err == 0)
		err = objects_builder_new(&builder);
	if (err < 0)
		return err;
	err = load_rows(store, builder, &problems);
	struct objects *objects = NULL;
	/* What else is wrong without the rows that could not be read says nothing. */
	struct buf unsaid;
	buf_init(&unsaid, BUILD_PROBLEMS_BYTES);
	struct problems unheard = {.out = &unsaid};
	int finished = objects_builder_finish(&builder, err ? &unheard : &problems, &objects);
	buf_done(&unsaid);
	if (err == 0 && finished == 0) {
		objects_number(objects, (uint64_t)*generation);
		err = store_mark_secrets(store, objects, why);
		if (err == 0)
			*out = objects;
		else
			objects_free(&objects);
		return err;
	}
	objects_free(&objects);
	err = err ? err : finished;
	if (problems.unknown)
		return store_say(store, why, ERR_UNSUPPORTED,
			"it was written by a newer Postern, which has fields that this one has not;"
			" start that version");
	if (problems.count)
		store_say(store, why, err, "its contents are damaged");
	return err;
}

int store_load(struct store *store, struct objects **out, uint64_t *generation, struct buf *why)
{
	int64_t number = 0;

	/* One read transaction, so that both belong together. */
	int err = store_run(store, "BEGIN", why);
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

	int err = store_prepare(store,
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
			store_column(query, 3), store_column(query, 4)};
		if (!each(context, &entry))
			err = ERR_CANCELED;
	}
	if (err == 0 && code != SQLITE_DONE)
		err = store_fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}
