/* Secrets in the database, read. Buffers of ours that held one are wiped. */
#include "directory/store_inner.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/secrets.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[SECRET_KINDS] = {
	[SECRET_ACCOUNT] = "account",
	[SECRET_TRANSPORT] = "transport",
};

const char *store_secret_kind(enum secret_kind kind)
{
	return kinds[kind];
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The rows of `sql` for one kind; `each` returns false to end it (ERR_CANCELED). */
static int each_row(struct store *store, const char *sql, enum secret_kind kind,
	bool (*each)(void *row, sqlite3_stmt *query), void *row, struct buf *why)
{
	sqlite3_stmt *query;
	int code;

	int err = store_prepare(store, sql, &query, why);
	if (err < 0)
		return err;
	store_bind(query, 1, span_str(kinds[kind]));
	while ((code = sqlite3_step(query)) == SQLITE_ROW && err == 0)
		if (!each(row, query))
			err = ERR_CANCELED;
	if (err == 0 && code != SQLITE_DONE)
		err = store_fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

struct value_row {
	bool (*each)(void *context, struct span name, struct span value);
	void *context;
};

static bool take_value(void *owner, sqlite3_stmt *query)
{
	struct value_row *row = owner;

	return row->each(row->context, store_column(query, 0), store_column(query, 1));
}

int store_secrets(struct store *store, enum secret_kind kind,
	bool (*each)(void *context, struct span name, struct span value), void *context,
	struct buf *why)
{
	struct value_row row = {each, context};

	return each_row(store, "SELECT name, value FROM secrets WHERE kind = ? ORDER BY name", kind,
		take_value, &row, why);
}

int store_secret(struct store *store, enum secret_kind kind, struct span name, struct buf *value,
	struct buf *why)
{
	sqlite3_stmt *query;

	int err = store_prepare(
		store, "SELECT value FROM secrets WHERE kind = ? AND name = ?", &query, why);
	if (err < 0)
		return err;
	store_bind(query, 1, span_str(kinds[kind]));
	store_bind(query, 2, name);
	int code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		buf_add_span(value, store_column(query, 0));
	else
		err = code == SQLITE_DONE ? ERR_NOT_FOUND : store_fail(store, code, why);
	sqlite3_finalize(query);
	if (err == 0 && !buf_ok(value))
		return store_say(store, why, ERR_LIMIT, "a secret is too long");
	return err;
}

/* ---- since when ----------------------------------------------------------------------------- */

struct time_row {
	bool (*each)(void *context, struct span name, int64_t changed_ms);
	void *context;
};

static bool take_time(void *owner, sqlite3_stmt *query)
{
	struct time_row *row = owner;

	return row->each(row->context, store_column(query, 0), sqlite3_column_int64(query, 1));
}

int store_secret_times(struct store *store, enum secret_kind kind,
	bool (*each)(void *context, struct span name, int64_t changed_ms), void *context,
	struct buf *why)
{
	struct time_row row = {each, context};

	return each_row(store, "SELECT name, changed_ms FROM secrets WHERE kind = ? ORDER BY name",
		kind, take_time, &row, why);
}

int store_secret_time(struct store *store, enum secret_kind kind, struct span name,
	int64_t *changed_ms, struct buf *why)
{
	sqlite3_stmt *query;

	int err = store_prepare(
		store, "SELECT changed_ms FROM secrets WHERE kind = ? AND name = ?", &query, why);
	if (err < 0)
		return err;
	store_bind(query, 1, span_str(kinds[kind]));
	store_bind(query, 2, name);
	int code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		*changed_ms = sqlite3_column_int64(query, 0);
	else if (code == SQLITE_DONE)
		*changed_ms = 0;
	else
		err = store_fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

/* ---- who has one ----------------------------------------------------------------------------- */

static int mark(struct store *store, sqlite3_stmt *query, struct objects *objects, struct buf *why)
{
	struct span name = store_column(query, 1), word = store_column(query, 0);
	int64_t bytes = sqlite3_column_int64(query, 2), since = sqlite3_column_int64(query, 3);
	int kind = 0;

	while (kind < SECRET_KINDS && !span_equal(word, span_str(kinds[kind])))
		kind++;
	if (kind == SECRET_KINDS)
		return store_say(store, why, ERR_UNSUPPORTED,
			"it was written by a newer Postern, which has secrets that this one has "
			"not; start that version");
	/* One that belongs to nobody would be the secret of whoever gets the name next. */
	if (bytes < 1 || bytes > SECRET_BYTES || since < 1 ||
		!objects_mark_secret(objects, (enum secret_kind)kind, name, (uint64_t)since))
		return store_say(store, why, ERR_CORRUPT, "its table of secrets is damaged");
	return 0;
}

int store_mark_secrets(struct store *store, struct objects *objects, struct buf *why)
{
	sqlite3_stmt *query;
	int code;

	int err = store_prepare(store,
		"SELECT kind, name, length(CAST(value AS BLOB)), since FROM secrets", &query, why);
	if (err < 0)
		return err;
	while ((code = sqlite3_step(query)) == SQLITE_ROW && err == 0)
		err = mark(store, query, objects, why);
	if (err == 0 && code != SQLITE_DONE)
		err = store_fail(store, code, why);
	sqlite3_finalize(query);
	return err;
}

/* ---- all of a kind, for a role --------------------------------------------------------------- */

struct gather {
	struct secret *list;
	uint32_t count, room;
	struct buf texts; /* has its room from the start: what grows leaves copies behind */
};

static bool add(void *context, struct span name, struct span value)
{
	struct gather *g = context;

	if (g->count == g->room || g->texts.room - g->texts.n < name.n + value.n)
		return false;
	const char *at = g->texts.p + g->texts.n;
	buf_add_span(&g->texts, name);
	buf_add_span(&g->texts, value);
	g->list[g->count++] = (struct secret){{at, name.n}, {at + name.n, value.n}};
	return true;
}

static int make_room(struct store *store, enum secret_kind kind, struct gather *g, struct buf *why)
{
	sqlite3_stmt *query;

	int err = store_prepare(store,
		"SELECT count(*), coalesce(sum(length(CAST(name AS BLOB))"
		" + length(CAST(value AS BLOB))), 0) FROM secrets WHERE kind = ?",
		&query, why);
	if (err < 0)
		return err;
	store_bind(query, 1, span_str(kinds[kind]));
	int code = sqlite3_step(query);
	int64_t count = code == SQLITE_ROW ? sqlite3_column_int64(query, 0) : 0;
	int64_t bytes = code == SQLITE_ROW ? sqlite3_column_int64(query, 1) : 0;
	if (code != SQLITE_ROW)
		err = store_fail(store, code, why);
	sqlite3_finalize(query);
	if (err < 0)
		return err;
	if (count > OBJECTS_ACCOUNTS)
		return store_say(store, why, ERR_LIMIT, "it has too many secrets");
	g->room = (uint32_t)count;
	g->list = calloc((size_t)count + 1, sizeof(*g->list));
	buf_init(&g->texts, (size_t)bytes + 1);
	if (!g->list || !buf_reserve(&g->texts, (size_t)bytes + 1))
		return store_say(store, why, ERR_NOMEM, "out of memory");
	return 0;
}

static int gather(struct store *store, enum secret_kind kind, struct gather *g, struct buf *why)
{
	/* One read transaction, so that the sizes are right. */
	int err = store_run(store, "BEGIN", why);

	if (err < 0)
		return err;
	err = make_room(store, kind, g, why);
	if (err == 0)
		err = store_secrets(store, kind, add, g, why);
	if (err == ERR_CANCELED)
		err = store_say(store, why, ERR_CORRUPT, "its table of secrets is damaged");
	sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
	return err;
}

int store_secrets_memfd(struct store *store, enum secret_kind kind, int *memfd, struct buf *why)
{
	struct gather g = {.list = NULL};

	int err = gather(store, kind, &g, why);
	if (err == 0) {
		err = secrets_make_memfd(g.list, g.count, memfd);
		if (err < 0)
			store_say(store, why, err, "the secrets cannot be handed over");
	}
	if (g.texts.p)
		explicit_bzero(g.texts.p, g.texts.room);
	buf_done(&g.texts);
	free(g.list);
	return err;
}
