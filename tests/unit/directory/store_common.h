/* A directory in a folder of its own, for the tests of the database. */
#ifndef TESTS_DIRECTORY_STORE_COMMON_H
#define TESTS_DIRECTORY_STORE_COMMON_H

#include "common.h"
#include "directory/directory.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct plan_options options = {.now_ms = 1700000000000};

static char folder[64], path[96];

static inline int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/postern-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/directory.db", folder);
	return 0;
}

static inline int teardown(void **state)
{
	char journal[128];
	(void)state;
	snprintf(journal, sizeof(journal), "%s-journal", path);
	unlink(journal);
	unlink(path);
	return rmdir(folder);
}

static inline struct directory *opened(void)
{
	struct directory *directory;
	struct buf why;
	buf_init(&why, 10000);
	if (directory_open(path, &directory, &why) < 0)
		fail_msg("%s", text_of(&why));
	buf_done(&why);
	return directory;
}

static inline void commit_file(struct directory *directory, const char *text, const char *actor)
{
	struct buf why;
	struct plan *plan;
	buf_init(&why, 10000);
	if (objects_plan_apply(
		    directory_objects(directory), "f", span_str(text), &options, &why, &plan) < 0 ||
		directory_commit(directory, &plan, span_str(actor), options.now_ms, &why) < 0)
		fail_msg("%s", text_of(&why));
	assert_null(plan);
	buf_done(&why);
}

static inline void sql(const char *text)
{
	sqlite3 *db;
	char *error = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s", error);
	sqlite3_close(db);
}

#endif
