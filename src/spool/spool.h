/*
 * The spool: where a message lies from the 250 after its body until its last recipient is done.
 * This header is the seam behind which another store can stand; the rest of the folder is the
 * embedded one, a set of logs (format: spool/format.h; rules: ARCHITECTURE.md "The spool").
 *
 * Two kinds of user:
 *   a writer    appends messages to one log of its own (each smtpd worker; delivery for its DSNs);
 *   the store   (delivery only) reads every log, keeps the state of what is queued, and forgets
 *               what is done.
 *
 * Promises: a message whose committed() said 0 survives any crash. A message whose committed() said
 * an error other than ERR_CLOSED will never be delivered, not even after a crash, so it may be
 * refused. ERR_CLOSED: nobody can know; the client must get no reply at all (RFC 1047).
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include "codec/envelope.h"
#include "io/disk.h"
#include "io/io.h"

struct spool_writer;
struct spool_draft;
struct spool_store;

/* ---- an id says where a message was first written ------------------------------------------- */

/* serial of the log file (32 bits) | owner (8) | place in the file (24) */
#define SPOOL_ID(serial, owner, ordinal) \
	((uint64_t)(serial) << 32 | (uint64_t)(owner) << 24 | (uint64_t)(ordinal))
#define SPOOL_OWNER_DELIVERY 255 /* workers are 0 … SPOOL_WORKERS_MOST - 1 */
#define SPOOL_WORKERS_MOST   64

/* How far a log is durable: what a writer tells the store, once per commit. */
struct spool_notice {
	uint8_t owner;
	uint32_t serial;
	uint64_t durable;  /* bytes of that file from its start */
	uint32_t messages; /* in the batch */
};

/* ---- serials -------------------------------------------------------------------------------- */

/*
 * The files of a log are numbered, from the wall clock's seconds on, and no number ever returns: an
 * id names its message for good. A worker that was taken over can make any name in its own folder,
 * so a name counts only if it lies no further ahead of the clock, or of the journal where the clock
 * was once wrong, than an honest writer gets (that many files more than seconds have passed). It
 * can use numbers up until there, and then gets one a second; never all of them.
 */
#define SPOOL_SERIAL_AHEAD (1u << 24)

struct spool_serials {
	uint32_t least; /* greater than that of any file of this writer, and of the journal */
	uint32_t base;	/* that the clock has reached, whatever it says now */
};

/* For a writer that is about to start: asked by who may list its folder and the journal's. */
int spool_serials(struct disk *disk, uint8_t owner, int64_t wall_ms, struct spool_serials *out);

/* ---- writing -------------------------------------------------------------------------------- */

enum spool_health {
	SPOOL_WELL,
	SPOOL_FULL, /* no space: 452 and 421 until there is */
	SPOOL_SICK, /* the device failed: 451 and 421 until a new file can be written and synced */
};

struct spool_writer_config {
	struct io *io;
	struct disk *disk; /* its root is the spool directory */
	uint8_t owner;
	struct spool_serials serials;
	uint64_t segment_bytes; /* a file is closed when it is longer */
	uint64_t inline_bytes;	/* a longer body gets a file of its own, written while it arrives */
	uint64_t memory_bytes;	/* bodies held in memory by all drafts of this writer */
	void *context;
	/* A batch became durable; comes before the committed() calls of its messages. */
	void (*notice)(void *context, const struct spool_notice *notice);
	void (*health)(void *context, enum spool_health health); /* it changed */
};

/* Touches nothing on the disk. ERR_NOMEM. */
int spool_writer_new(const struct spool_writer_config *config, struct spool_writer **out);
/* Makes the first file, blocking; to be called once, before the first commit, and not before the
 * store, where one runs, has been told of this writer: it takes files whose writer it does not know
 * for a dead one's. A disk that fails is no error: the writer begins not well
 * (spool_writer_health(); no call of health() tells it) and becomes well by itself. ERR_NOMEM,
 * ERR_DENIED. */
int spool_writer_begin(struct spool_writer *writer);
/* No message is committed any more: the last batch gets its proof, so that damage to it can be told
 * from a torn tail, whoever reads it. spool_writer_busy() until then. */
void spool_writer_close(struct spool_writer *writer);
/* Unfinished drafts must be gone. A commit that runs is waited for by the caller first
 * (spool_writer_busy()); none is started any more. */
void spool_writer_free(struct spool_writer **writer);
bool spool_writer_busy(const struct spool_writer *writer);
enum spool_health spool_writer_health(const struct spool_writer *writer);
/* What ails it, for the log: a part of a sentence; NULL: it is well. */
const char *spool_writer_trouble(const struct spool_writer *writer);
/* The current file and how far it is durable, for a store that starts anew. Where there is none
 * yet: the least serial that it can have, and 0 bytes. */
void spool_writer_position(const struct spool_writer *writer, struct spool_notice *out);

/* A message on its way in. It belongs to the session until commit or abort. */
int spool_draft_new(struct spool_writer *writer, struct spool_draft **out);
/* Where the next body bytes go, at least 1 byte; an empty iovec: memory is short or the disk slow,
 * stop reading until room() is called. */
struct iovec spool_draft_room(struct spool_draft *draft, void (*room)(void *owner), void *owner);
/* The first n bytes of what room returned are body (stored form). */
int spool_draft_wrote(struct spool_draft *draft, size_t n);
uint64_t spool_draft_bytes(const struct spool_draft *draft);
/* The id that the message will have when it is committed before anything else of this writer is:
 * ask, build the Received field, commit, in one go. */
uint64_t spool_draft_id(const struct spool_draft *draft);
/* The body is whole: ".\r\n" is added by the spool. The envelope is copied; id, body_bytes and
 * body_hash are filled in here. committed() comes later, from the loop, and not after abort. The
 * draft is freed after committed(). ERR_NO_SPACE, ERR_IO: the writer is not well; the draft is the
 * caller's to abort. */
int spool_draft_commit(struct spool_draft *draft, struct envelope *envelope,
	void (*committed)(void *owner, int err), void *owner);
/* Before commit: forgets the body. After: the outcome will not be reported, the message stays in.
 */
void spool_draft_abort(struct spool_draft **draft);

/* ---- the store ------------------------------------------------------------------------------ */

/* A message as it is read from a log. `state` is what the queue kept last, empty if nothing yet. */
struct spool_store_handler {
	void (*message)(void *context, const struct envelope *envelope, struct span state);
	/* Something is damaged; the rest goes on. id 0: not one message but a part of a file. */
	void (*damaged)(
		void *context, uint64_t id, const char *path, uint64_t offset, const char *what);
	/* All changes up to this mark (spool_store_mark()) are durable. */
	void (*durable)(void *context, uint64_t mark);
	void (*health)(void *context, enum spool_health health);
	/* A body that was not given (ERR_AGAIN) may be asked for again. */
	void (*checked)(void *context, uint64_t id);
};

struct spool_store_config {
	struct io *io;
	struct disk *disk;
	uint64_t segment_bytes;
	uint64_t sync_ms; /* changes are gathered at least this long between two syncs */
	const struct spool_store_handler *handler;
	void *context;
};

int spool_store_new(const struct spool_store_config *config, struct spool_store **out);
void spool_store_free(struct spool_store **store);
/* Something is not durable yet, or the end of the logs is not on record: that is done when no
 * change came for a moment (half a second), so whoever ends in good order waits for it. */
bool spool_store_busy(const struct spool_store *store);

/*
 * Reads everything that a previous life left: small records only, bodies just where the last batch
 * of a file is not proven durable. `live` names the writers that are running right now and how far
 * each is; beyond that point the files are theirs. Calls message() for each message that is not
 * done. A writer of whom only that it runs is known has serial 0: nothing of it is read before it
 * is heard of, or gone. Large queues take several calls: returns ERR_AGAIN until all is read (at
 * most about SPOOL_LOAD_STEP messages a call), 0 at the end. ERR_IO: delivery's own log cannot be
 * read; asked again a little later, it goes on where it was. What fails again and again counts as
 * damage, so it comes to an end. A writer's log that cannot be read comes later, by itself. Another
 * error: the spool cannot be used.
 */
#define SPOOL_LOAD_STEP 20000
int spool_store_load(struct spool_store *store, const struct spool_notice *live, size_t live_count);
/* `live` was looked at and is not asked for again, also where loading failed since and is tried
 * again: until then the caller keeps it up to date. */
bool spool_store_scanned(const struct spool_store *store);

/* A writer's notice came in: reads the new batches, calls message() for each. */
int spool_store_notice(struct spool_store *store, const struct spool_notice *notice);
/* A writer died: what it wrote beyond its last notice is taken in where it is whole. All its
 * notices must have been handed in before. Its successor may have begun already. */
int spool_store_writer_gone(struct spool_store *store, uint8_t owner);

/* ---- what becomes of a message; all changes of one turn of the loop are one atomic record ---- */

/* Keeps the queue's state of a message (at most SPOOL_STATE_BYTES); the last one wins. */
#define SPOOL_STATE_BYTES (4u << 20)
int spool_store_state(struct spool_store *store, uint64_t id, struct span state);
/* All its recipients are done: it may be forgotten once that is durable. */
int spool_store_done(struct spool_store *store, uint64_t id);
/* A message made here (a DSN): envelope and body (CRLF, not dot-stuffed). message() comes when it
 * is durable. */
int spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body);
/* The mark of the changes made so far. */
uint64_t spool_store_mark(const struct spool_store *store);

/* ---- reading a message ---------------------------------------------------------------------- */

/* Where its body lies: the file stays open until spool_store_body_done(). */
struct spool_body {
	struct io_file *file;
	uint64_t offset;
	uint64_t bytes; /* without the closing ".\r\n", which follows it in the file */
	void *segment;	/* the store's own */
};
/* ERR_AGAIN: it is long and lay for a while, so it is checked first, beside the loop; the handler's
 * checked() comes. ERR_CORRUPT: damaged, which was reported; asked again, it is looked at anew. */
int spool_store_body(struct spool_store *store, uint64_t id, struct spool_body *out);
/* The first bytes of a body, unchecked: for who shows them and does not wait. A count, or an error.
 */
int64_t spool_store_peek(struct spool_store *store, uint64_t id, char *to, size_t n);
void spool_store_body_done(struct spool_store *store, struct spool_body *body);
/* The envelope anew from the disk, into `buf` and `arena`. */
int spool_store_envelope(struct spool_store *store, uint64_t id, struct buf *buf,
	struct arena *arena, struct envelope *out);

/* Figures for status and metrics. */
struct spool_figures {
	uint64_t files, file_bytes, live_bytes, live_messages;
	uint64_t syncs, sync_ns, bytes_written, batches;
};
void spool_store_figures(const struct spool_store *store, struct spool_figures *out);
void spool_writer_figures(const struct spool_writer *writer, struct spool_figures *out);

/* ---- reading only, for posternctl spool verify; needs no running server --------------------- */

struct spool_verify_result {
	uint64_t files, messages, live, done, damaged, torn_tails;
};
/* Reads and checks every record and every body; changes nothing. report() gets one line each. */
int spool_verify(struct disk *disk, void (*report)(void *arg, const char *line), void *arg,
	struct spool_verify_result *out);

#endif
