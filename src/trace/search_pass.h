/* A search on its way: what its two passes share. Nobody else includes it. */
#ifndef TRACE_SEARCH_PASS_H
#define TRACE_SEARCH_PASS_H

#include "trace/search_impl.h"

/* The first event of a message that matches; or an event without a message, which is kept whole. */
struct found {
	uint64_t id; /* 0: `line` */
	char *line;
	size_t n;
};

struct pass {
	const struct search *search;
	struct disk *disk;
	struct search_files files;
	const struct search_file *file; /* the present one */
	struct found *found;
	size_t found_count, found_before; /* before: those of newer files */
	size_t found_bytes;		  /* of lines */
	uint64_t *ids;			  /* of the second pass, sorted */
	size_t id_count;
	size_t id_room; /* more than are searched for: notifications about them */
	struct buf *out, *unread;
	uint32_t unread_files;
	struct {
		bool *files;	 /* those that were told to be unread */
		uint64_t lines;	 /* of the present file, that are damaged … */
		uint64_t forged; /* … or not for its role to write */
	} bad;
	bool more;
	bool second;
	int err;
};

/* ---- search_found.c ------------------------------------------------------------------------- */

/* Of the first pass: a message, or an event without one. */
void found_add_id(struct pass *p, uint64_t id);
void found_add_line(struct pass *p, struct span line);
/* Of the second pass: an event that is shown. */
void found_put_line(struct pass *p, struct span line);
/* Between them: events without a message are shown, and the ids are those of the second pass. */
void found_sort(struct pass *p);
bool found_has_id(const struct pass *p, uint64_t id);
/* One more, of a notification; false: there is no room. */
bool found_insert_id(struct pass *p, uint64_t id);
void found_done(struct pass *p);

/* ---- search_line.c -------------------------------------------------------------------------- */

void search_take_line(struct pass *p, struct span line);

#endif
