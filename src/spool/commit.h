/*
 * The blocking part of a commit: runs as a job on the commit lane and touches nothing but the disk
 * and its own structure. What it found is applied on the loop (spool/log.c).
 */
#ifndef SPOOL_COMMIT_H
#define SPOOL_COMMIT_H

#include "io/disk.h"
#include "spool/format.h"

enum commit_outcome {
	COMMIT_DURABLE, /* data, records and names are on stable storage */
	COMMIT_REFUSED, /* nothing of it can ever be found; the file goes on at the same place */
	COMMIT_SEALED,	/* nothing of it counts, as the spare file says durably; the file is closed
			 */
	COMMIT_DOUBT,	/* it failed, and neither of the two could be made durable */
};

/* A log file: made in steps, since what fails for lack of space goes on later in the same file. */
struct commit_file {
	struct io_file *io; /* NULL: none */
	struct format_file id;
	enum {
		COMMIT_FILE_NONE,
		COMMIT_FILE_OPEN,  /* the name is there */
		COMMIT_FILE_NAMED, /* header and name are on stable storage */
		COMMIT_FILE_MADE   /* … and space is set aside */
	} step;
};

struct commit {
	/* in */
	struct disk *disk;
	struct io_file *file;
	struct format_file id;
	struct format_batch batch; /* its header, as it stands in parts[0] */
	struct iovec *parts;	   /* is used up */
	size_t part_count;
	uint64_t allocate; /* bytes set aside for a new file */
	/* where the valid part of the log ends when this batch fails */
	uint32_t valid_serial;
	uint64_t valid_end;
	/* in: the spare file if there is one, what there is of one, or just the id for one; out:
	 * the file, where outcome is SEALED; on DOUBT what is left of it */
	struct commit_file spare;
	/* out */
	enum commit_outcome outcome;
	int err;	/* of the failed write or sync */
	uint32_t syncs; /* how many were asked for */
};

void commit_run(struct commit *commit);

/*
 * Makes a log file, or goes on with one. A serial that is taken already is counted up; 0 is none:
 * ERR_LIMIT. After an error the file may be there in part: with an io it is to be handed in again;
 * without one its name is not used any more (delivery's are removed; a worker may not remove logs,
 * the store does it when the worker has gone on).
 */
int commit_create(struct disk *disk, uint64_t allocate, struct commit_file *file);

/* Makes the directories of a log and its body files, and their names durable. */
int commit_make_dir(struct disk *disk, uint8_t owner);

#endif
