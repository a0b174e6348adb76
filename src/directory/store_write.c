/* A plan into the database, as one transaction. */
#include "directory/store_inner.h"

#include "base/check.h"
#include "base/err.h"

#define AUDIT_LINES_MOST 1000u	/* of one commit; then one line says how many more */
#define AUDIT_KEPT	 200000 /* lines; older ones go */

struct writer {
	struct store *store;
	sqlite3_stmt *put, *drop, *put_secret, *drop_secret, *end_logins, *audit;
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
	return code == SQLITE_DONE ? 0 : store_fail(w->store, code, w->why);
}

static int write_object(struct writer *w, const struct change *change)
{
	const struct object *object = change->after;
	const char *kind = object_kind_name(change->kind);
	struct json_write json;

	if (!object) {
		store_bind(w->drop, 1, span_str(kind));
		store_bind(w->drop, 2, change->before->name);
		return step(w, w->drop);
	}
	buf_clear(&w->text);
	json_write_init(&json, &w->text);
	json_open_object(&json, NULL);
	schema_add_json(&json, object_schema(change->kind), object->fields, false);
	json_close_object(&json);
	if (!buf_ok(&w->text))
		return store_say(w->store, w->why, ERR_LIMIT, "an object is too large");
	store_bind(w->put, 1, span_str(kind));
	store_bind(w->put, 2, object->name);
	store_bind(w->put, 3, buf_span(&w->text));
	sqlite3_bind_int64(w->put, 4, object->created_ms);
	sqlite3_bind_int64(w->put, 5, object->changed_ms);
	return step(w, w->put);
}

/* Whoever logged in before an account was disabled, or enabled again, has to do so anew. */
static int write_logins(struct writer *w, const struct change *change)
{
	const struct object *before = change->before, *after = change->after;

	if (change->kind != OBJECT_ACCOUNT || !before || !after ||
		object_account(before)->disabled == object_account(after)->disabled)
		return 0;
	sqlite3_bind_int64(w->end_logins, 1, w->generation);
	store_bind(w->end_logins, 2, span_str(store_secret_kind(SECRET_ACCOUNT)));
	store_bind(w->end_logins, 3, after->name);
	return step(w, w->end_logins);
}

static int write_audit(struct writer *w, struct span words)
{
	sqlite3_bind_int64(w->audit, 1, w->generation);
	sqlite3_bind_int64(w->audit, 2, w->now_ms);
	store_bind(w->audit, 3, w->actor);
	store_bind(w->audit, 4, words);
	return step(w, w->audit);
}

static int write_secret(struct writer *w, const struct secret_change *change)
{
	bool gone = change->value.n == 0;
	sqlite3_stmt *statement = gone ? w->drop_secret : w->put_secret;

	store_bind(statement, 1, span_str(store_secret_kind(change->kind)));
	store_bind(statement, 2, change->name);
	if (!gone) {
		store_bind(statement, 3, change->value);
		sqlite3_bind_int64(statement, 4, w->now_ms);
		sqlite3_bind_int64(statement, 5, w->generation);
	}
	return step(w, statement);
}

/* The words of one change, objects before secrets; none where another change's tell of it. */
static struct span words_of(struct writer *w, const struct plan *plan, size_t at)
{
	size_t objects = plan_count(plan);

	buf_clear(&w->text);
	if (at < objects)
		change_add_words(plan_change(plan, at), &w->text);
	else
		secret_change_add_words(plan_secret(plan, at - objects), &w->text);
	return buf_span(&w->text);
}

static int write_words(struct writer *w, const struct plan *plan)
{
	size_t count = plan_count(plan) + plan_secret_count(plan), lines = 0, more = 0;

	for (size_t i = 0; i < count; i++) {
		struct span words = words_of(w, plan, i);
		if (words.n == 0)
			continue;
		if (lines == AUDIT_LINES_MOST) {
			more++;
			continue;
		}
		int err = write_audit(w, words);
		if (err < 0)
			return err;
		lines++;
	}
	if (more == 0)
		return 0;
	buf_clear(&w->text);
	buf_printf(&w->text, "and %zu more changes", more);
	return write_audit(w, buf_span(&w->text));
}

static int prepare_audit(struct writer *w)
{
	return store_prepare(w->store,
		"INSERT INTO audit (generation, at_ms, actor, what)"
		" VALUES (?, ?, ?, ?)",
		&w->audit, w->why);
}

static int prepare_writer(struct writer *w)
{
	int err = store_prepare(w->store,
		"INSERT INTO objects VALUES (?, ?, ?, ?, ?)"
		" ON CONFLICT DO UPDATE SET fields = excluded.fields,"
		" created_ms = excluded.created_ms, changed_ms = excluded.changed_ms",
		&w->put, w->why);
	if (err == 0)
		err = store_prepare(w->store, "DELETE FROM objects WHERE kind = ? AND name = ?",
			&w->drop, w->why);
	if (err == 0)
		err = store_prepare(w->store,
			"INSERT INTO secrets VALUES (?, ?, ?, ?, ?)"
			" ON CONFLICT DO UPDATE SET value = excluded.value,"
			" changed_ms = excluded.changed_ms, since = excluded.since",
			&w->put_secret, w->why);
	if (err == 0)
		err = store_prepare(w->store, "DELETE FROM secrets WHERE kind = ? AND name = ?",
			&w->drop_secret, w->why);
	if (err == 0)
		err = store_prepare(w->store,
			"UPDATE secrets SET since = ? WHERE kind = ? AND name = ?", &w->end_logins,
			w->why);
	return err ? err : prepare_audit(w);
}

static int trim_audit(struct writer *w)
{
	char sql[120];

	sqlite3_snprintf(sizeof(sql), sql,
		"DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - %d",
		AUDIT_KEPT);
	return store_run(w->store, sql, w->why);
}

static int write_changes(struct writer *w, const struct plan *plan)
{
	char sql[80];

	int err = prepare_writer(w);
	for (size_t i = 0; i < plan_count(plan) && err == 0; i++)
		err = write_object(w, plan_change(plan, i));
	for (size_t i = 0; i < plan_count(plan) && err == 0; i++)
		err = write_logins(w, plan_change(plan, i));
	for (size_t i = 0; i < plan_secret_count(plan) && err == 0; i++)
		err = write_secret(w, plan_secret(plan, i));
	if (err == 0)
		err = write_words(w, plan);
	if (err < 0)
		return err;
	sqlite3_snprintf(sizeof(sql), sql, "UPDATE meta SET value = %lld WHERE name = 'generation'",
		(long long)w->generation);
	err = store_run(w->store, sql, w->why);
	return err ? err : trim_audit(w);
}

static int end(struct writer *w, int err)
{
	sqlite3_finalize(w->put);
	sqlite3_finalize(w->drop);
	sqlite3_finalize(w->put_secret);
	sqlite3_finalize(w->drop_secret);
	sqlite3_finalize(w->end_logins);
	sqlite3_finalize(w->audit);
	if (err == 0)
		err = store_run(w->store, "COMMIT", w->why);
	if (err < 0)
		sqlite3_exec(w->store->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int transaction(struct writer *w, const struct plan *plan)
{
	int64_t present = 0;

	int err = store_run(w->store, "BEGIN IMMEDIATE", w->why);
	if (err < 0)
		return err;
	err = store_ask(
		w->store, "SELECT value FROM meta WHERE name = 'generation'", &present, w->why);
	if (err == 0 && (uint64_t)present != w->store->generation)
		err = store_say(w->store, w->why, ERR_BUSY,
			"it was changed by somebody else since it was read");
	if (err == 0) {
		w->generation = present + 1;
		err = write_changes(w, plan);
	}
	return end(w, err);
}

int store_note(
	struct store *store, struct span actor, int64_t now_ms, struct span words, struct buf *why)
{
	struct writer w = {.store = store,
		.why = why,
		.actor = actor,
		.now_ms = now_ms,
		.generation = (int64_t)store->generation};

	int err = store_run(store, "BEGIN IMMEDIATE", why);
	if (err < 0)
		return err;
	err = prepare_audit(&w);
	if (err == 0)
		err = write_audit(&w, words);
	return end(&w, err ? err : trim_audit(&w));
}

/* The journal stays between changes, so that the little that lets mail flow again can be changed on
 * a full disk, too. But no old secret is left in it: it is emptied after a change of one, and made
 * anew. */
static int begin_secret(struct writer *w)
{
	return store_run(w->store, "PRAGMA journal_mode=TRUNCATE", w->why);
}

static void end_secret(struct writer *w)
{
	/* Where there is no room for it now, there may be later. */
	sqlite3_exec(w->store->db,
		"PRAGMA journal_mode=PERSIST; BEGIN IMMEDIATE;"
		" UPDATE meta SET value = value WHERE name = 'generation'; COMMIT",
		NULL, NULL, NULL);
}

int store_commit(struct store *store, const struct plan *plan, struct span actor, int64_t now_ms,
	uint64_t *generation, struct buf *why)
{
	struct writer w = {.store = store, .why = why, .actor = actor, .now_ms = now_ms};

	if (plan_count(plan) == 0 && plan_secret_count(plan) == 0) {
		*generation = store->generation;
		return 0;
	}
	bool secret = plan_secret_count(plan) > 0;
	int err = secret ? begin_secret(&w) : 0;

	if (err < 0)
		return err;
	buf_init(&w.text, OBJECT_FIELDS_BYTES);
	err = transaction(&w, plan);
	buf_done(&w.text);
	if (secret)
		end_secret(&w);
	if (err < 0)
		return err;
	store->generation = (uint64_t)w.generation;
	*generation = store->generation;
	return 0;
}
