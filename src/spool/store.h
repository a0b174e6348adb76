/*
 * The store's own structure: for the files of this folder alone.
 *
 *   store.c    beginning and end, reading messages
 *   scan.c, load.c, read.c  recovery; intake.c: what writers add while running; slow.c: what of it
 *              takes long; check.c: bodies that lay for long
 *   changes.c, journal.c, batch.c  changes: gathered, written as one batch, applied when durable
 *   clean.c    removing files; keeping the journal short
 *   move.c     the last messages of an almost empty file
 */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H

#include "base/list.h"
#include "spool/index.h"
#include "spool/log.h"
#include "spool/spool.h"

#define STORE_MAGIC 0x53535450u

#define STORE_READ_TRIES    20	/* reads of a file that are put off before they count as damage */
#define STORE_REST_MS	    500 /* the end of all logs is put on record when they come to rest */
#define STORE_PENDING_BYTES (256u << 20) /* changes that wait for the journal */
#define STORE_DONE_IDS	    512		 /* ids in one record: what damage to it can cost */
#define STORE_CLEAN_MS	    2000	 /* between two looks for something to clean */
#define STORE_SPARSE	    20		 /* a file is almost empty when under 1/20 of it is live */
#define STORE_JOURNALS	    2		 /* closed journal files that are left alone */
#define STORE_RELOCATE_MS   50 /* between two pieces of copying the journal's oldest file forward */
#define STORE_RELOCATE_STEP 2000    /* states in such a piece */
#define STORE_CHECKPOINTS   32	    /* bitmaps in such a piece */
#define STORE_SCAN_STEP	    50000   /* places looked at for them */
#define STORE_TRUST_MS	    3600000 /* a body that lay longer is checked before it is sent */
#define STORE_MOVES	    16	    /* messages being copied at a time */
#define STORE_MOVE_FAILS    10	    /* after so many vain tries the wait does not double any more */
#define STORE_MOVE_BYTES    (4u << 20)	 /* in one copy job, after the first message */
#define STORE_LOAD_EFFORT   (1ull << 30) /* bytes of a worker's logs looked through at load … */
#define STORE_AT_ONCE	    4096u	 /* records taken in on the word of one notice … */
#define STORE_SLICES	    4u		 /* slices of what a dead writer left … */
#define STORE_FILES_AT_ONCE 64u		 /* … and files of it, at once; else slowly */
#define STORE_LOOKUPS	    16u	       /* files that a writer may name and that are not there … */
#define STORE_LOOKUP_MS	    2000       /* … in this time */
#define STORE_FILE_REPORTS  100u       /* of a worker's files that cannot be read */
#define STORE_REFERENCES    (1u << 16) /* records read in search of bodies without any */
#define STORE_CHECK_NOW	    (1u << 20) /* bytes of a body that are checked on the loop */
#define STORE_CHECK_STEP    (8u << 20) /* … of a longer one, in one job on the file lane */
#define STORE_CHECKS	    64	       /* such bodies at a time */

enum change_kind { CHANGE_ADD, CHANGE_MOVE, CHANGE_STATE, CHANGE_DONE, CHANGE_CHECKPOINT };

struct change {
	struct list node;
	enum change_kind kind;
	uint64_t id;	   /* of the message; of a checkpoint: the segment's */
	uint64_t to;	   /* ADD, MOVE: the place given when it was written */
	struct span bytes; /* state, or envelope; follows this structure in memory */
	/* ADD, MOVE */
	struct format_message message;
	char *body; /* with FORMAT_END; NULL: in a file of its own */
	size_t body_bytes;
	/* DONE */
	struct format_message body_file; /* body_serial 0: the body is in the log */
};

struct journal {
	struct spool_log log;
	bool open;	     /* loading is over */
	struct list gather;  /* changes for the next batch */
	struct list flight;  /* in the batch being written, or to be written again */
	struct idmap states; /* message id → its CHANGE_STATE in gather */
	uint64_t pending;    /* bytes of changes, both lists */
	uint64_t mark;	     /* of gather */
	uint64_t flight_mark;
	uint64_t next_ns; /* no sync starts before */
	struct timer timer;
	struct io_turn turn;
	struct buf head, scratch;
	struct iovec *parts;
	size_t part_room;
	uint32_t records, messages; /* in the batch */
	bool extents;		    /* a segment has extent_news */
	/* at rest: a small batch proves the one before it, and says how far all logs are durable */
	bool unproven;	     /* nothing vouches for the last batch yet */
	bool rest_due;	     /* it is time for that */
	uint64_t stirred_ns; /* when something was last written that needs a proof */
	struct timer rest;
};

/* Files to be removed, one after the other, on the file lane. */
struct removal {
	struct list node;
	char path[FORMAT_PATH];
	char dir[FORMAT_PATH]; /* synced after it; "" for body files */
	uint8_t owner;
	uint32_t serial;  /* of the segment; 0: a body file */
	uint64_t batches; /* that the journal had then: the last one is to be vouched for */
};

struct cleaner {
	struct timer timer;
	struct list removals;
	struct removal *removing;
	struct io_job job;
	int err;
	bool gone; /* the name is; err may be that of the sync after it */
	/* copying forward what the oldest journal file still holds */
	uint32_t journal; /* that file; 0: none */
	size_t segment;	  /* cursor */
	uint32_t place;
};

struct copy_job;

enum load_phase {
	LOAD_SCAN,
	LOAD_SEALS,
	LOAD_JOURNAL,
	LOAD_EMIT,
	LOAD_WORKERS,
	LOAD_OPEN,
	LOAD_DONE
};

/* A body file, or a log file that was never finished: removed unless a message refers to it. */
struct store_orphan {
	uint8_t owner;
	uint32_t serial, number;
	bool log;
};

struct loader {
	enum load_phase phase;
	size_t at; /* LOAD_SEALS, LOAD_EMIT: cursor */
	uint32_t place;
	uint64_t effort[SPOOL_OWNER_DELIVERY + 1]; /* bytes looked through so far */
	struct store_orphan *orphans;		   /* what may turn out to be some */
	size_t orphan_count, orphan_room;
	bool live[SPOOL_OWNER_DELIVERY + 1];
	bool unheard[SPOOL_OWNER_DELIVERY + 1]; /* live, and nothing is known of its files */
	bool damaged[SPOOL_OWNER_DELIVERY + 1]; /* a log that could not even be opened */
};

struct intake {
	uint32_t record_bytes;		 /* of a message, lately; 0: none was seen */
	bool gone[SPOOL_WORKERS_MOST];	 /* … and what it left could not even be listed */
	bool anew[SPOOL_WORKERS_MOST];	 /* the next notice is a successor's, whatever its serial */
	bool strays[SPOOL_WORKERS_MOST]; /* there may be files that no notice named … */
	uint64_t listed_ns[SPOOL_WORKERS_MOST]; /* … which were looked for last then; 0: never */
	uint32_t lookups[SPOOL_WORKERS_MOST];	/* that found nothing … */
	uint64_t lookups_ns;			/* … since then */
	struct io_turn turn;			/* ends what the index may take from memory */
	bool passed;
};

/* A log that is being read, and where the last piece of it ended. */
struct reading {
	struct walk *walk;
	struct segment *segment; /* NULL: none is */
	bool rest;		 /* to its end; else as far as its writer's notices went */
	bool in_batch;		 /* which is being taken in */
	struct walk_batch batch;
	struct walk_cursor at;
	struct format_record record; /* the last one … */
	uint64_t record_at;
	bool unapplied;	   /* … of which the index does not know yet */
	uint64_t untold;   /* … nor the queue: its place; 0: it does */
	uint64_t again_ns; /* what the journal has of it cannot be read: not before then */
};

/* What is read in pieces, beside the deliveries. */
struct slow {
	struct reading reading;
	struct walk walk;
	struct timer timer;
	uint8_t owner; /* of the last file: each gets its turn */
	int err;       /* of the last failure, since it was asked for */
};

struct body_check;

struct spool_store {
	uint32_t magic;
	struct spool_store_config config;
	struct io *io;
	struct spool_index index;
	struct journal journal;
	struct cleaner cleaner;
	struct loader loader;
	struct reading fast; /* what a notice announced: done in one go, where it is little */
	struct slow slow;
	struct intake intake;
	struct body_check *checks[STORE_CHECKS]; /* NULL: none */
	uint32_t file_reports[SPOOL_OWNER_DELIVERY + 1];
	uint64_t trusted_ns;   /* bodies older than this are checked before they are sent */
	struct copy_job *copy; /* messages being moved; NULL: none */
	uint32_t newest[SPOOL_OWNER_DELIVERY + 1]; /* serial of each writer's current file */
};

/* May a running writer be at this file? One that lies too far ahead is none of its own. */
static inline bool store_is_ahead(const struct spool_store *store, uint8_t owner, uint32_t serial)
{
	uint32_t newest = store->newest[owner];

	return newest && serial > newest && serial - newest <= SPOOL_SERIAL_AHEAD;
}

/* read.c */
/* Tells the queue of a message. ERR_IO: it does not know yet, since the state cannot be read now.
 */
int store_emit(struct spool_store *store, struct segment *segment, struct place *place,
	const struct format_record *record);
/* Begins with what of a segment was not read yet: to its end, or as far as its notices went. Errors
 * of index_walk(). */
int reading_begin(
	struct spool_store *store, struct reading *reading, struct segment *segment, bool rest);
void reading_end(struct spool_store *store, struct reading *reading);
/* It ends although the state of a message could not be read: the queue hears of it without. */
void reading_give_up_state(struct spool_store *store, struct reading *reading);
/* Goes on; at most about `most` records. ERR_AGAIN: there is more. ERR_IO, ERR_NOMEM: the same call
 * goes on later, or a new reading begins with the last batch. */
int store_read(struct spool_store *store, struct reading *reading, uint32_t most);
/* A segment is read to its end for good: what its tail was like is remembered. */
void store_end_segment(struct spool_store *store, const struct reading *reading);

/* scan.c */
/* Makes everything known that is there. */
int store_scan(struct spool_store *store, const struct spool_notice *live, size_t live_count);
/* Makes all logs of an owner known, and puts its body files among what may be orphans. */
int store_list_logs(struct spool_store *store, uint8_t owner);
int store_list_bodies(struct spool_store *store, uint8_t owner);
/* Makes a log file known, also where it cannot be read now; one whose header is damaged is reported
 * and left alone. */
int store_add_log(struct spool_store *store, uint8_t owner, uint32_t serial);
void store_report_file(struct spool_store *store, uint8_t owner, uint32_t serial, const char *what);

/* intake.c */
void intake_init(struct spool_store *store);
void intake_done(struct spool_store *store);
/* Tries again what failed, and looks for files that no notice named; true: there is more to do. */
bool intake_again(struct spool_store *store);

/* slow.c */
void slow_init(struct spool_store *store);
void slow_done(struct spool_store *store);
/* There may be something to do. */
void slow_wake(struct spool_store *store);
/* Some of it at once. An error: of a file that is tried again. */
int slow_now(struct spool_store *store);
/* Some file is not read as far as it should be. */
bool slow_pending(const struct spool_store *store);

/* check.c */
/* 0: the body is whole, as far as anybody knows. ERR_AGAIN: it is being checked, and the handler's
 * checked() comes. ERR_CORRUPT (which is reported) and others. */
int check_body(struct spool_store *store, uint64_t place_id, const struct format_message *message);
/* A message's data is damaged; reported once. */
void check_report(struct spool_store *store, struct segment *segment, struct place *place,
	uint64_t id, const char *what);
bool check_busy(const struct spool_store *store);
void check_done(struct spool_store *store);

/* orphans.c */
/* Removes what was listed and no message refers to, where its writer is gone. */
void store_orphans(struct spool_store *store);

/* changes.c */
struct change *change_new(enum change_kind kind, uint64_t id, size_t bytes);
void change_free(struct change *change);
int journal_add(struct spool_store *store, struct change *change);
/* It is written, or not wanted any more. */
void journal_forget(struct journal *journal, struct change *change);
/* The state of a message that waits for the next batch; NULL: none does. */
struct change *journal_gathered_state(const struct journal *journal, uint64_t id);

/* journal_open.c */
int journal_open(struct spool_store *store);

/* journal.c */
void journal_init(struct spool_store *store);
void journal_done(struct spool_store *store);
void journal_wake(struct spool_store *store);
/* All is written that was asked for. */
bool journal_idle(const struct spool_store *store);
/* … and nothing waits for its proof. */
bool journal_rests(const struct spool_store *store);
/* Nothing vouches for the last batch, or for the end of a worker's log. */
bool journal_lacks_proof(const struct journal *journal);
/* Something became durable that nothing vouches for yet. */
void journal_stir(struct spool_store *store);

/* batch.c */
int batch_build(struct spool_store *store, size_t *out_parts);

/* batch_apply.c */
void batch_apply(struct spool_store *store);
/* Where a message lies, also one that is being forgotten. */
uint64_t batch_place_of(struct spool_store *store, uint64_t id);

/* clean.c */
void clean_init(struct spool_store *store);
void clean_done(struct spool_store *store);
void clean_wake(struct spool_store *store);
/* The journal's last batch is vouched for, or will not be: what waited for that may go. */
void clean_go_on(struct spool_store *store);
/* It may be free of messages now. */
void clean_segment(struct spool_store *store, struct segment *segment);
void clean_body_file(struct spool_store *store, uint8_t owner, uint32_t serial, uint32_t number);
void clean_log_file(struct spool_store *store, uint8_t owner, uint32_t serial);

/* relocate.c */
/* Copies forward what keeps the oldest journal file; a bounded piece of work. */
/* True: it is not finished. */
bool relocate_step(struct spool_store *store);
bool relocate_oldest_is_free(struct spool_store *store, const struct segment *journal);

/* move.c */
/* Begins to copy messages out of a segment. False: there is none that can be copied now. */
bool move_start(struct spool_store *store, struct segment *segment);

#endif
