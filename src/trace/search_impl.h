/* What the files of the search share. Nobody else includes it. */
#ifndef TRACE_SEARCH_IMPL_H
#define TRACE_SEARCH_IMPL_H

#include "trace/search.h"

#include <jansson.h>

/* ---- search_match.c ------------------------------------------------------------------------- */

/* Bytes that a matching line must hold, to sift before parsing. */
bool search_may_match(const struct search *search, struct span line);
bool search_matches(const struct search *search, const json_t *object, struct span line);
/* A flat object, as events are: who reads the answer must not choke on it. */
bool search_is_event(const json_t *value);
/* A string member, or an empty span. */
struct span json_text(const json_t *object, const char *key);

/* ---- search_files.c ------------------------------------------------------------------------- */

#define SEARCH_PATH	  48 /* bytes of a file's path: "smtpd-63/", 16 digits, ".refused.jsonl" */
#define SEARCH_FILES_EACH 8192 /* files of one role, the newest: two rings' */

/* What a role may tell of. It is believed no more than that: who took over a worker cannot make it
 * say that delivery, or an administrator, did something. */
struct search_role {
	uint32_t kinds; /* a bit for each enum event_kind */
	int owner;	/* only messages of this worker's log; -1: of all */
};

struct search_file {
	char path[SEARCH_PATH];
	struct search_role role;
};

struct search_files {
	struct search_file *list; /* oldest first */
	size_t count, room;
	uint32_t cut; /* roles with more than SEARCH_FILES_EACH */
};

/* ERR_NOMEM, or an error of the folder. */
int search_files_find(struct search_files *files, struct disk *root);
bool search_role_may_tell(const struct search_role *role, const json_t *event);

/* ---- search_sort.c -------------------------------------------------------------------------- */

/* Lines of events by time. ERR_NOMEM. */
int search_sort(struct buf *lines);

#endif
