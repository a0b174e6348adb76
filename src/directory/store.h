/*
 * The directory's database (SQLite), written by the admin role alone. Rollback journal and full
 * synchronisation: a commit that returned is on stable storage, one that did not is not there.
 *
 * Secrets have a table of their own and are in nothing else that is kept. One that was changed or
 * removed is gone from the file and its journal when the commit returned: freed bytes are
 * overwritten, the journal is emptied.
 *
 * The file is treated as hostile when it is opened: damage gives ERR_CORRUPT and a sentence.
 * Calls block; the role makes them on its file lane or accepts the wait.
 */
#ifndef DIRECTORY_STORE_H
#define DIRECTORY_STORE_H

#include "base/buf.h"
#include "directory/objects.h"

#include <stdint.h>

struct store;

#define STORE_SCHEMA_VERSION 3	  /* 2: secrets; 3: since when logins by them count */
#define STORE_BUSY_MS	     5000 /* waits this long for another process's lock */

/* Creates the file (mode 0600) where there is none, takes from others what a mode of somebody else
 * gave them, and brings an older form up to date.
 * ERR_CORRUPT; ERR_UNSUPPORTED: made by a newer version (store_load() too); ERR_BUSY; ERR_DENIED;
 * ERR_NOT_FOUND: no such folder; ERR_NO_SPACE; ERR_IO. `why` gets one sentence with what to do. */
int store_open(const char *path, struct store **out, struct buf *why);
/* For reading only: nothing is created or changed. */
int store_open_read(const char *path, struct store **out, struct buf *why);
void store_close(struct store **store);

/* All objects, those that have a secret marked so, and the number of the generation. */
int store_load(struct store *store, struct objects **out, uint64_t *generation, struct buf *why);

/* All changes of a plan in one transaction, its secrets among them, with a line in the audit table
 * for each; the generation goes up by one. Without changes nothing is written and the generation
 * stays. */
int store_commit(struct store *store, const struct plan *plan, struct span actor, int64_t now_ms,
	uint64_t *generation, struct buf *why);

/* A line of the audit about something else than the directory's objects: the generation stays. */
int store_note(
	struct store *store, struct span actor, int64_t now_ms, struct span words, struct buf *why);

/* Secrets of a kind, in the order of their names; what each() gets lasts as long as the call.
 * ERR_CANCELED when it returned false. */
int store_secrets(struct store *store, enum secret_kind kind,
	bool (*each)(void *context, struct span name, struct span value), void *context,
	struct buf *why);
/* Appends one. ERR_NOT_FOUND: there is none, and `why` stays as it is. Wiping the buffer is the
 * caller's. */
int store_secret(struct store *store, enum secret_kind kind, struct span name, struct buf *value,
	struct buf *why);
/* When secrets were set, which are not told: all of a kind likewise, or one, 0 where there is none.
 */
int store_secret_times(struct store *store, enum secret_kind kind,
	bool (*each)(void *context, struct span name, int64_t changed_ms), void *context,
	struct buf *why);
int store_secret_time(struct store *store, enum secret_kind kind, struct span name,
	int64_t *changed_ms, struct buf *why);
/* All of a kind as a sealed memfd for secrets_open(); the descriptor is the caller's. */
int store_secrets_memfd(struct store *store, enum secret_kind kind, int *memfd, struct buf *why);

/* The audit table, newest first. ERR_CANCELED when each() returned false. */
struct store_audit {
	uint64_t number, generation;
	int64_t wall_ms;
	struct span actor;
	struct span what; /* as plan_add_words() says it, or store_note() was told */
};
int store_audit(struct store *store, uint64_t before_number, uint32_t most,
	bool (*each)(void *context, const struct store_audit *entry), void *context,
	struct buf *why);

#endif
