/*
 * The writer's and its drafts' own structures: for the files of this folder alone.
 *
 * A draft goes through: open (being filled) → queued (committed, its id is given) → in flight
 * (in the batch that is being written) → answered. A long body leaves for a file of its own
 * (spool/body_file.c) while the draft is open, and is durable before the draft can be in a batch.
 */
#ifndef SPOOL_WRITER_H
#define SPOOL_WRITER_H

#include "base/list.h"
#include "spool/chunk.h"
#include "spool/log.h"
#include "spool/pace.h"
#include "spool/spool.h"

#include <xxhash.h>

#define WRITER_MAGIC	     0x57535450u
#define DRAFT_MAGIC	     0x44535450u
#define WRITER_BATCH_BYTES   (16u << 20) /* a batch takes no further message beyond */
#define WRITER_BATCH_RECORDS (16u << 20) /* likewise, of records */
#define WRITER_SPARE_DRAFTS  256	 /* drafts kept for use again */
#define WRITER_HEAD_KEEP     (1u << 20)	 /* bytes of the record buffer kept between batches */
#define WRITER_BODY_CHUNKS   4		 /* chunks of a long body in memory */
#define WRITER_ENVELOPE_KEEP 4096	 /* bytes of a draft's record kept for use again */

struct spool_writer {
	uint32_t magic;
	struct spool_writer_config config;
	struct spool_log log;
	struct chunk_pool pool;
	struct list queue;   /* committed, oldest first */
	struct list flight;  /* in the batch that is being written */
	struct list waiting; /* for memory, first come first served */
	struct list spare;
	uint32_t spare_count;
	bool roll; /* new ids are of the next file; the current one takes what is queued for it */
	struct io_turn turn; /* starts a batch … */
	struct pace pace;    /* … when it is time to */
	struct timer pace_timer;
	struct io_turn room_turn; /* wakes who waits for memory */
	struct buf head;
	struct iovec *parts;
	size_t part_room;
	uint32_t body_jobs;   /* jobs of body files under way */
	uint32_t body_number; /* of the last body file */
	uint64_t messages;    /* in the batch */
	bool unproven;	      /* nothing vouches for the last batch yet */
	bool closing;	      /* … and nothing else will come that does */
};

enum draft_state { DRAFT_OPEN, DRAFT_QUEUED, DRAFT_FLIGHT, DRAFT_GONE };

struct body_file {
	struct io_job job;
	struct disk *disk;
	struct io_file *io;
	uint8_t owner;
	uint32_t serial, number;
	uint64_t written;      /* bytes in the file */
	struct chunk *writing; /* chain lent to the job */
	bool busy;	       /* the job is under way */
	bool last;	       /* it writes the end, and makes all durable */
	bool remove;	       /* it removes the file */
	bool made;	       /* the file is there, and ours */
	bool durable;
	int err;
};

struct spool_draft {
	uint32_t magic;
	enum draft_state state;
	struct spool_writer *writer;
	struct list node;
	struct chunk *first, *last; /* body bytes not given to a file yet */
	uint32_t chunks;	    /* with those that a job writes */
	uint64_t bytes;
	XXH3_state_t *hash;
	uint64_t body_hash;
	uint64_t id;
	int err; /* sticky: the body cannot be kept */
	struct buf envelope;
	struct body_file *file; /* NULL: the body stays in memory until it is in the log */
	void (*room)(void *owner);
	void *room_owner;
	void (*committed)(void *owner, int err);
	void *committed_owner;
};

/* draft.c */
void draft_answer(struct spool_draft *draft, int err); /* frees it and calls committed() */
void draft_free(struct spool_draft *draft);
void draft_wake(struct spool_draft *draft); /* room(), where it waits */
void draft_spares_done(struct spool_writer *writer);

/* body_file.c */
int body_file_start(struct spool_draft *draft);
/* Gives full chunks to the job, where it is idle. */
void body_file_push(struct spool_draft *draft);
/* The body is whole. */
void body_file_finish(struct spool_draft *draft);
/* The draft is gone or refused: removes the file, then frees the draft. */
void body_file_drop(struct spool_draft *draft);
/* Forgets the structure, not the file. */
void body_file_free(struct spool_draft *draft);

/* writer_batch.c */
struct writer_batch {
	uint64_t records; /* bytes */
	uint64_t bodies;  /* likewise, in the batch */
	size_t parts;
	uint32_t messages;
};
/* Its id is of this file. */
bool writer_is_of(const struct spool_draft *draft, const struct log_file *file);
/* Takes from the queue what goes into the next batch. */
void writer_gather(struct spool_writer *writer, struct writer_batch *out);
/* Head and parts of what was taken. ERR_NOMEM. */
int writer_build(struct spool_writer *writer, const struct writer_batch *batch, size_t *out_parts);

/* writer.c */
void writer_memory_freed(struct spool_writer *writer);
/* The file that a message committed now goes to; NULL: the writer is not well. */
struct log_file *writer_tail(struct spool_writer *writer);

#endif
