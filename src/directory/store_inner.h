/* Inner header of directory/store*: the database handle, and SQLite's calls with our errors. */
#ifndef DIRECTORY_STORE_INNER_H
#define DIRECTORY_STORE_INNER_H

#include "directory/store.h"

#include <sqlite3.h>

struct store {
	sqlite3 *db;
	char *path;	     /* for people */
	uint64_t generation; /* what load or commit saw last */
};

/* Tells what SQLite found wrong, or what we did, and what to do; returns the enum err. */
int store_fail(struct store *store, int code, struct buf *why);
int store_say(const struct store *store, struct buf *why, int err, const char *text);
void store_advise(int err, struct buf *why);

int store_run(struct store *store, const char *sql, struct buf *why);
int store_prepare(struct store *store, const char *sql, sqlite3_stmt **out, struct buf *why);
/* One number from a query of one row. */
int store_ask(struct store *store, const char *sql, int64_t *out, struct buf *why);
/* Never NULL; valid until the next step. */
struct span store_column(sqlite3_stmt *query, int at);
/* The bytes must last until the statement is reset. */
int store_bind(sqlite3_stmt *query, int at, struct span text);

/* What the table calls it. */
const char *store_secret_kind(enum secret_kind kind);
/* Marks the objects that have a secret. */
int store_mark_secrets(struct store *store, struct objects *objects, struct buf *why);

#endif
