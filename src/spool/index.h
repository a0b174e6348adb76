/*
 * What the store knows of the logs: for every file the places of its messages, which are free,
 * where their last state lies. 24 bytes a message. Built by applying records, in the order in which
 * they became durable: the same code at recovery and while running.
 *
 * A place is where a message lies: SPOOL_ID(serial, owner, number). Its id is the place it was
 * first written to; after a move (spool/move.c) the two differ, and `moved` finds the place.
 *
 * Owner: the store, or verify. Pointers to places are valid until the next place is added.
 */
#ifndef SPOOL_INDEX_H
#define SPOOL_INDEX_H

#include "base/arena.h"
#include "io/disk.h"
#include "spool/idmap.h"
#include "spool/spool.h"
#include "spool/walk.h"

#define INDEX_FILES_OPEN 64	/* log files kept open when nobody reads from them */
#define INDEX_FILES_MOST 16384u /* files of one owner: others wait until some are gone */
/* Places given and not used in all files of an owner: each of them costs memory, too. */
#define INDEX_OWNER_HOLES (1u << 22)
#define INDEX_REPORTS	  1000u	       /* of damage in one file: what follows is one remark */
#define INDEX_ARENA	  (256u << 20) /* bytes of one decoded envelope */
#define INDEX_UNIT	  FORMAT_RECORD_ALIGN

enum place_flags {
	PLACE_USED = 1 << 0,   /* the record was read */
	PLACE_FREE = 1 << 1,   /* done, or moved away, durably */
	PLACE_DONE = 1 << 2,   /* done, not durable yet */
	PLACE_FILE = 1 << 3,   /* the body is a file of its own */
	PLACE_CHECK = 1 << 4,  /* the body lay for a while: it is checked before it is sent */
	PLACE_BAD = 1 << 5,    /* damaged, and reported; with no size: its record is lost */
	PLACE_MOVED = 1 << 6,  /* its id is that of another place */
	PLACE_MOVING = 1 << 7, /* a copy is being made */
};

struct place {
	uint32_t at;		       /* of the record, in INDEX_UNIT */
	uint32_t size : 24;	       /* of the record, in INDEX_UNIT */
	uint32_t flags : 8;	       /* enum place_flags */
	uint32_t body;		       /* bytes of the body in this file */
	uint32_t state_serial;	       /* journal file of the last state; 0: none */
	uint32_t state_at, state_size; /* of that record, in INDEX_UNIT */
};

struct segment {
	struct format_file id;
	struct io_file *io; /* NULL: not open now */
	uint32_t refs;	    /* readers */
	uint64_t used;	    /* when it was opened last */
	uint64_t end;	    /* read up to here */
	uint64_t next;	    /* where the next batch is expected */
	int64_t sequence;
	uint64_t proven, limit; /* as of struct walk, by what other files say */
	uint64_t wanted;	/* durable by notice, but not read yet */
	bool behind;		/* reading it was put off in the middle */
	uint64_t again_ns;	/* it could not be read: not before then */
	uint32_t patience;	/* how often reading it may still be put off: ERR_IO */
	bool headless;		/* its header could not be read yet: the salt is not known */
	bool seal_waits;	/* its seal is looked for later, since it could not be read */
	bool seal_tried;	/* its seal was looked for while running */
	bool closed;		/* nobody writes to it any more */
	bool loaded;
	bool damaged; /* something in it may have been missed: it is never removed */
	bool hidden;  /* … because its end cannot be read */
	bool orphan;  /* its writer is gone, and it could not be read to its end yet */
	bool removing;
	bool extent_news;   /* `end` or `cut` is not in the journal yet */
	bool cut;	    /* a torn tail was found: what lies beyond cut_at does not count … */
	uint64_t cut_at;    /* … and the journal shall say so */
	bool cut_kept;	    /* it says so, durably */
	bool marks_asked;   /* a checkpoint is under way */
	uint64_t sparse_ns; /* almost empty since; 0: it is not */
	/* of its messages being moved away */
	uint32_t move_at;    /* the place to begin with next */
	uint32_t move_fails; /* how often nothing came of it, one time after the other … */
	uint64_t move_ns;    /* … so not before then */
	/* what the file's first header says of the log before it */
	bool seal_known;
	uint32_t before_serial;
	uint64_t before_end;
	uint64_t told;	  /* damage before this offset was reported */
	uint32_t reports; /* so far */
	struct place *places;
	uint32_t place_count, place_room;
	uint32_t holes; /* places that are neither used nor free */
	uint32_t lost;	/* live ones whose record is lost */
	uint32_t live;
	uint64_t live_bytes;
	uint32_t marks; /* the oldest journal file with marks about this one that no checkpoint
			   repeats */
	/* of a journal file */
	uint32_t states; /* last states that lie here */
	uint64_t state_bytes;
};

struct spool_index {
	struct disk *disk;
	struct segment **segments; /* sorted by owner and serial */
	size_t count, room;
	size_t last;	    /* found last */
	struct idmap moved; /* message id → place */
	uint32_t holes[SPOOL_OWNER_DELIVERY + 1];
	struct walk walk;   /* for what is read at once; verify's */
	bool fresh;	    /* what the walk holds was read in this turn of the loop */
	uint64_t read_last; /* the place whose record was read in this turn; 0: none */
	uint32_t patience;  /* … of the journal, all files of it; and as each other begins */
	struct buf record, state; /* one record each */
	struct arena arena;
	uint64_t clock; /* counts openings */
	uint32_t open;
	void (*damage)(void *arg, uint64_t id, const char *path, uint64_t offset, const char *what);
	void *arg;
	/* the read-ahead of states at load, while nobody writes to the journal */
	bool loading;
	uint32_t ahead_serial;
	uint64_t ahead_at;
	struct buf ahead;
};

void index_init(struct spool_index *index, struct disk *disk,
	void (*damage)(void *arg, uint64_t id, const char *path, uint64_t offset, const char *what),
	void *arg);
void index_done(struct spool_index *index);
void index_report(struct spool_index *index, struct segment *segment, uint64_t id, uint64_t offset,
	const char *what);

/* ---- files ---------------------------------------------------------------------------------- */

struct segment *index_find(struct spool_index *index, uint8_t owner, uint32_t serial);
/* ERR_EXISTS; ERR_LIMIT: the owner has too many; ERR_NOMEM. */
int index_add_segment(
	struct spool_index *index, const struct format_file *id, struct segment **out);
/* Forgets it; nobody may read from it. */
void index_drop_segment(struct spool_index *index, struct segment *segment);
/* The first segment of this owner, or where it would be; owners follow each other. */
size_t index_first(const struct spool_index *index, uint8_t owner);
/* Behind its last one. */
size_t index_last(const struct spool_index *index, uint8_t owner);
/* The one of the same owner before it; NULL: it is the first. */
struct segment *index_before(const struct spool_index *index, const struct segment *segment);
/* Opens it where it is not. */
int index_open(struct spool_index *index, struct segment *segment);
/* A reader's hold on the open file. */
int index_hold(struct spool_index *index, struct segment *segment);
void index_release(struct spool_index *index, struct segment *segment);
/* The walk, set to what of the segment was not read yet; holds its file until index_walk_end().
 * `known`: where the file ends as far as the walk is concerned; 0: it is asked. ERR_IO: it cannot
 * be read now, try again later; ERR_CORRUPT: that was done often enough. ERR_NOT_FOUND, ERR_NOMEM.
 */
int index_walk(
	struct spool_index *index, struct walk *walk, struct segment *segment, uint64_t known);
void index_walk_end(struct spool_index *index, struct walk *walk, struct segment *segment);
/* Something in it cannot be read: is it to be tried again later? */
bool index_waits(struct spool_index *index, struct segment *segment);
/* A later file, which cannot be read yet, may say where this one ends. */
bool index_awaits_seal(const struct spool_index *index, const struct segment *segment);
/* How far a first header is looked for: behind a damaged one the next comes after one batch. */
static inline uint64_t index_seal_reach(uint8_t owner)
{
	return owner == SPOOL_OWNER_DELIVERY ? FORMAT_FILE_BYTES : FORMAT_BATCH_BYTES;
}
/* What a file says about the files before it; looked for within so many bytes, by a walk that has
 * begun in it, unless it is known. ERR_NOMEM; ERR_IO: try again later; ERR_AGAIN: it paused. */
int index_find_seal(
	struct spool_index *index, struct walk *walk, struct segment *segment, uint64_t reach);
/* Likewise at once; adds to *effort how much was looked at. */
int index_take_seal(
	struct spool_index *index, struct segment *segment, uint64_t reach, uint64_t *effort);
/* Likewise of the files [from, to), where it is not known yet. */
int index_take_seals(struct spool_index *index, size_t from, size_t to);

/* ---- places --------------------------------------------------------------------------------- */

/* NULL: no such place. */
struct place *index_place(struct spool_index *index, uint64_t place_id, struct segment **out);
/* By a message's id; *out_place_id says where it lies. NULL: unknown, done, or free. */
struct place *index_message(
	struct spool_index *index, uint64_t id, uint64_t *out_place_id, struct segment **out);

/* The record of a place, valid until something else is read. ERR_CORRUPT, ERR_IO, ERR_NOMEM. */
int index_read(struct spool_index *index, struct segment *segment, const struct place *place,
	struct format_record *record, struct format_message *message);
/* The last state of a place, into index->state; the empty span where there is none. */
int index_read_state(
	struct spool_index *index, const struct place *place, uint64_t place_id, struct span *out);
/* The envelope of a message record, with what the record knows better. */
int index_envelope(const struct format_message *message, struct arena *arena, struct envelope *out);

/* ---- records -------------------------------------------------------------------------------- */

/* Takes in one record of a file that the caller knows to be durable; once more where it is the
 * same. *out is the place of a message that is new and not done, else NULL. ERR_NOMEM: nothing of
 * it. */
int index_apply(struct spool_index *index, struct segment *segment,
	const struct format_record *record, uint64_t offset, struct place **out);
/* Of a message only the place is known, since its record is damaged. False: it has none, or has no
 * need of one; *told: nor is it news, or that comes when all of the journal is read. */
bool index_lose(struct spool_index *index, struct segment *segment, uint64_t place_id,
	uint64_t offset, bool *told);
/* The bitmap of a segment's free places. */
void index_put_checkpoint(const struct segment *segment, struct buf *buf);

#endif
