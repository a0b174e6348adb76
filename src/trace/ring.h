/*
 * The files of one role's trace: a directory of files of lines, bounded in bytes and in age.
 * Blocking: all of it runs on the file lane, or before there is one.
 *
 * Files are named by the wall clock (milliseconds, 16 hex digits) at their beginning and a suffix,
 * so that two rings can share a directory. A new one is begun when the one in use has its share of
 * `bytes` or of `age_ms` (a RING_FILES-th of either), so a file goes when all together are longer
 * than `bytes`, or when the last line that it can have is older than `age_ms`, the one in use too.
 */
#ifndef TRACE_RING_H
#define TRACE_RING_H

#include "base/span.h"
#include "io/disk.h"

#include <stddef.h>
#include <stdint.h>

#define RING_FILES	16   /* that the bytes, and the time, are spread over */
#define RING_FILES_MOST 4096 /* that are kept, and looked at in the directory */

#define RING_EVENTS   ".jsonl"
#define RING_REFUSALS ".refused.jsonl"

struct trace_ring {
	struct disk *disk;
	const char *suffix;
	uint64_t bytes;
	uint64_t age_ms;
	struct io_file *file; /* in use: the last of the list; NULL: none is */
	uint64_t file_bytes;
	int64_t *begins; /* oldest first */
	uint64_t *sizes;
	size_t files;
};

/* Finds what is there. A directory that cannot be listed is an empty one. ERR_NOMEM. */
int trace_ring_init(struct trace_ring *ring, struct disk *disk, const char *suffix, uint64_t bytes,
	uint64_t age_ms);
void trace_ring_done(struct trace_ring *ring);
/* Whole lines. After an error the next call begins a new file. */
int trace_ring_write(struct trace_ring *ring, int64_t wall_ms, struct span lines);
/* Removes what is too old by now. */
void trace_ring_age(struct trace_ring *ring, int64_t wall_ms);

#endif
