/* What the files of the walk share: for walk*.c alone. */
#ifndef SPOOL_WALK_INNER_H
#define SPOOL_WALK_INNER_H

#include "spool/walk.h"

#define WALK_GUESS_LEAST FORMAT_ALIGN
#define WALK_SCAN_BYTES	 (1u << 20) /* read at a time in search of a header */

/* walk_read.c */
/* Is it time to pause? */
bool walk_pauses(struct walk *walk);
/* Something up to `end` cannot be read. An error: it is tried again later; 0: it is given up, and
 * what may have been there is unknown for good. */
int walk_unreadable(struct walk *walk, uint64_t end, int err);
/* The bytes at [offset, offset + n), as far as the file goes; `ahead` bytes are read where any are.
 */
int walk_bytes(struct walk *walk, uint64_t offset, uint64_t n, uint64_t ahead, struct span *out);
/* Where the search for anything ends. */
uint64_t walk_reach(const struct walk *walk);
/* A header of this file at this offset that can follow what came before. ERR_NOT_FOUND. */
int walk_header(struct walk *walk, uint64_t offset, uint64_t ahead, int64_t after,
	struct format_batch *out);
/* Behind the hole that `at` may lie in. */
uint64_t walk_skip_hole(struct walk *walk, uint64_t at);
/* The first such header in [from, to). ERR_NOT_FOUND; ERR_AGAIN: the same call goes on. */
int walk_find_header(
	struct walk *walk, uint64_t from, uint64_t to, int64_t after, struct format_batch *out);

/* walk_last.c */
/* Of a batch that nothing vouches for: makes what is there durable, and looks at it. ERR_NOT_FOUND:
 * there is no batch. */
int walk_settle(struct walk *walk, struct format_batch *header);
/* 0: all of it is whole; ERR_CORRUPT; ERR_AGAIN. */
int walk_whole(struct walk *walk, const struct walk_batch *batch);
/* It is settled what the last batch is. */
void walk_last_done(struct walk *walk);
/* The tail does not count: a torn one, or one that cannot be read. */
void walk_end_tail(struct walk *walk);
/* Something at or behind the place where the walk stands could not be read. */
bool walk_is_hidden(const struct walk *walk);

/* walk_damage.c */
void walk_damage(struct walk *walk, uint64_t offset, const char *what);
/* So many bytes were hashed, and were no record. True: that was too often in this file. */
bool walk_in_vain(struct walk *walk, uint64_t bytes);
/* No header where one should be: the end, a torn tail (ERR_NOT_FOUND), or damage (0). ERR_AGAIN. */
int walk_no_header(struct walk *walk);
/* In a stretch whose headers are lost: the next records that can be found where a batch may begin.
 * ERR_NOT_FOUND: the stretch is over. ERR_AGAIN. */
int walk_blind(struct walk *walk, struct walk_batch *out);

#endif
