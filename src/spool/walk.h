/*
 * Walks one log file from batch to batch: the only reader of batches, for recovery, for what a
 * writer just made durable, and for verify. It decides what counts:
 *
 *   - A batch is proven when something vouches that it was durable: a later batch header of the
 *     same file, a later file's word, the journal's, or a running writer's notice (`proven`).
 *   - The last batch, if not proven, counts when everything in it is whole, bodies included; else
 *     all of it is a torn tail, which is no damage (why: walk_last.c).
 *   - Damage before proven bytes costs what it hit: records are found by their own checksums, the
 *     next batch by scanning.
 *   - Nothing counts from `limit` on.
 *   - A device that fails is asked again: at once, and then later, as long as there is `patience`:
 *     ERR_IO says so, and the same call goes on where it was. What cannot be read for good is
 *     damage, never a torn tail.
 *   - A worker's file is hostile: it may be as long as the disk, and lie with right checksums. The
 *     work is linear in the bytes that really are there: holes are passed over, no byte is hashed
 *     twice but for WALK_VAIN_BYTES, and what is longer than a log can be is not looked at.
 *   - Where that may take long (`slice`), it pauses: ERR_AGAIN, and the same call goes on.
 *
 * Memory is bounded by FORMAT_WORKER_RECORDS (the journal's: FORMAT_BATCH_RECORDS). Owner: one
 * caller; the file is the caller's.
 */
#ifndef SPOOL_WALK_H
#define SPOOL_WALK_H

#include "base/buf.h"
#include "io/disk.h"
#include "spool/format.h"

#define WALK_ALL	UINT64_MAX     /* no limit */
#define WALK_SLICE	(4ull << 20)   /* bytes: a few milliseconds */
#define WALK_VAIN_BYTES (256ull << 20) /* of one file, hashed for records that were none */

/* A body being checked, in steps. */
struct walk_body {
	struct io_file *io;
	struct io_file *own; /* NULL: io is the caller's */
	void *hash, *piece;  /* NULL: nothing is going on */
	uint64_t at, left, expected;
};

/* Something that cannot be read as what it was. */
struct walk_loss {
	const struct format_file *file;
	uint64_t offset;
	const char *what;
	/* what the head of a record says, as far as it can be believed */
	uint64_t id;	 /* the place of the message that is lost; 0: nobody knows what is */
	bool no_message; /* a record of the journal that was none */
};

struct walk {
	struct disk *disk;
	struct io_file *io;
	struct format_file id;
	uint64_t size;	  /* of the file as it was when the walk began */
	uint64_t at;	  /* where the next batch is expected */
	int64_t sequence; /* of the last batch; -1: none yet */
	uint64_t proven;  /* all bytes before were durable */
	uint64_t limit;
	uint64_t end;  /* of the last batch that counts */
	bool settle;   /* what nothing vouches for is synced, and looked at on the device */
	bool torn;     /* a tail was found that does not count */
	bool hidden;   /* the tail cannot be read: nobody knows what it was */
	bool unproven; /* the last batch counts by being whole, nothing vouches for it */
	bool damaged;
	bool too_long;	    /* the file is longer than a log can be */
	uint32_t *patience; /* how often "try again" may still be said; NULL: never */
	void (*damage)(void *arg, const struct walk_loss *loss);
	void *arg;
	uint64_t slice;	 /* bytes of work before it pauses; 0: it does not */
	uint64_t effort; /* bytes looked at beyond headers and records, since the walk began */
	/* its own */
	uint64_t paused_at;  /* the effort at the last pause */
	uint64_t vain;	     /* bytes hashed for nothing */
	uint64_t unread_end; /* behind the last bytes that were given up */
	struct buf window;
	uint64_t window_at;
	uint64_t guess; /* bytes worth reading at a batch's start */
	struct {
		uint64_t from, at; /* from 0: none is going on */
		int64_t after;
	} search;		/* for a header */
	uint64_t asked_at;	/* where data was last asked for, or found */
	uint64_t blind_end;	/* a stretch without headers is searched up to here */
	int64_t blind_sequence; /* records in it are older than this */
	struct {
		uint64_t offset; /* of the batch; 0: none is going on */
		bool settled, hashed;
		uint64_t record_at;  /* of the next record to be looked at, in the records */
		uint64_t bodies_end; /* of those that were looked at */
		uint32_t records;
		struct walk_body body;
	} last;
};

struct walk_batch {
	struct format_batch header; /* kind 0: it is lost, and records were found without it */
	uint64_t records_at;	    /* offset of `records` in the file */
	struct span records;	    /* valid until the next call */
};

void walk_init(struct walk *walk, struct disk *disk);
void walk_done(struct walk *walk);

/* Begins behind the header page, with nothing proven, no limit and no slice. `size` of the file:
 * what lies beyond is not looked at. */
void walk_begin(struct walk *walk, struct io_file *io, const struct format_file *id, uint64_t size);
/* What is going on in it is given up; the file may be closed. */
void walk_end(struct walk *walk);
/* As disk_read(), with a few tries where the device fails. */
int64_t walk_read(struct io_file *io, void *to, uint64_t n, uint64_t offset);
/* The file's own header; where the page is lost, by its first batch. ERR_CORRUPT; ERR_IO where it
 * cannot be read. */
int walk_page(struct io_file *io, uint8_t owner, uint32_t serial, struct format_file *out);
/* The first batch header that can be found within `reach` bytes, for what it says of earlier files.
 * ERR_NOT_FOUND; ERR_IO: try again later. */
int walk_any_header(struct walk *walk, uint64_t reach, struct format_batch *out);

/* The next batch that counts. ERR_NOT_FOUND: there is none. ERR_NOMEM. ERR_IO: try again later.
 * ERR_AGAIN: it paused. */
int walk_next(struct walk *walk, struct walk_batch *out);

/* Bytes of a file that the walk has seen last, until it goes on or begins again. */
bool walk_seen(const struct walk *walk, const struct format_file *id, uint64_t offset, uint64_t n,
	struct span *out);

/* The next record of a batch, damaged ones left out (and reported). */
struct walk_cursor {
	struct span left;
	uint64_t offset;
	bool in_damage;
};
struct walk_cursor walk_records(const struct walk_batch *batch);
bool walk_record(struct walk *walk, const struct walk_batch *batch, struct walk_cursor *at,
	struct format_record *out, uint64_t *out_offset);

/* ---- bodies --------------------------------------------------------------------------------- */

/* Is a body whole, with its end? `io`: of the log, where it lies there, to be kept open meanwhile.
 * `settle` as above, for a file of its own. ERR_CORRUPT, ERR_NOT_FOUND: its file is missing;
 * ERR_IO, ERR_NOMEM. */
int walk_body_begin(struct walk_body *body, struct disk *disk, struct io_file *io,
	const struct format_message *message, bool settle);
/* Looks at `most` bytes more. ERR_AGAIN: there is more; 0: it is whole; the errors above, after
 * which it may be asked again. */
int walk_body_step(struct walk_body *body, uint64_t most);
/* What memory holds of its file is forgotten, and it begins anew. */
void walk_body_again(struct walk_body *body, const struct format_message *message);
void walk_body_end(struct walk_body *body);
/* All of that at once. */
int walk_check_body(
	struct disk *disk, struct io_file *io, const struct format_message *message, bool settle);

#endif
