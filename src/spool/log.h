/*
 * One log being written, as the loop sees it: the current file, the next one made in advance, one
 * job at a time on the commit lane, health and probing. What goes into a batch is its user's
 * business: the writer's (messages) or the journal's (all else).
 */
#ifndef SPOOL_LOG_H
#define SPOOL_LOG_H

#include "base/buf.h"
#include "io/io.h"
#include "spool/commit.h"
#include "spool/spool.h"

#define LOG_PROBE_MS 3000 /* between two tries at making a file while the log is not well … */
#define LOG_PROBES   20	  /* … and so many times longer after so many, as each may leave a name */
/* A clock beyond this is not believed: serials must not run out. */
#define LOG_SERIAL_CLOCK 0xf0000000u
/* No file gets a greater one: from here on the log is sick, well before numbers begin anew. */
#define LOG_SERIAL_LAST 0xffff0000u

struct log_file {
	struct commit_file made;
	uint64_t end;	   /* where the next batch goes */
	uint32_t sequence; /* of the next batch */
	uint32_t place;	   /* of the next message */
	uint32_t written;  /* messages in it */
	uint32_t before_serial;
	uint64_t before_end;
};

struct spool_log;

struct log_handler {
	/* The batch given to log_write() is settled; the log is idle and may be written to, unless
	 * it is not well. err is that of the failure, also where the outcome is not DURABLE. */
	void (*settled)(struct spool_log *log, enum commit_outcome outcome, int err);
	/* The log is idle again after anything else, or has become well. */
	void (*ready)(struct spool_log *log);
	void (*health)(struct spool_log *log);
};

struct spool_log {
	struct io *io;
	struct disk *disk;
	const struct log_handler *handler;
	uint8_t owner;
	uint64_t segment_bytes;
	uint32_t serial;	  /* the last one given to a file */
	uint32_t least_serial;	  /* that any of its files can have */
	uint32_t base_serial;	  /* that the clock has reached once */
	struct log_file file;	  /* made.io NULL: there is none, the log is not well */
	struct log_file next;	  /* made.io NULL: none yet */
	struct commit_file begun; /* one that space was lacking for; io NULL: none */
	uint32_t failures;	  /* at making a file, one after the other, not for lack of space */
	/* The valid part of the log ends here; serial 0: unknown */
	uint32_t valid_serial;
	uint64_t valid_end;
	bool dir_made; /* the directory is there, and its name durable */
	enum spool_health health;
	int ails; /* the error that made it unwell */
	enum { LOG_IDLE, LOG_BATCH, LOG_CREATE, LOG_PROBE } task;
	struct io_job job;
	struct commit commit;
	struct timer probe;
	uint64_t started_ns;	      /* of the task */
	struct spool_figures figures; /* the part about writing */
};

void log_init(struct spool_log *log, struct io *io, struct disk *disk, uint8_t owner,
	uint64_t segment_bytes, const struct log_handler *handler);
/* The files that it makes get greater serials than `serials` and the clock say. */
void log_number(struct spool_log *log, const struct spool_serials *serials);
/* Makes or takes over (`adopt`: an empty file of an earlier life, may hold no io) the first file,
 * at once, in the caller. A disk that fails leaves the log not well and probing; that is no error.
 * ERR_NOMEM, ERR_DENIED are. */
int log_open(struct spool_log *log, struct commit_file *adopt);
void log_done(struct spool_log *log);
/* What ails it; NULL: it is well. */
const char *log_trouble(const struct spool_log *log);

/* serial.c: the greatest serial that a file may have now. */
uint32_t serial_most(int64_t wall_ms, uint32_t base);

static inline bool log_busy(const struct spool_log *log)
{
	return log->task != LOG_IDLE;
}

/* No further message may get a place in this file: who reads it would not believe more (format.h).
 */
static inline bool log_file_is_full(const struct log_file *file)
{
	return file->place == FORMAT_PLACES || file->place - file->written >= FORMAT_HOLES / 2 ||
	       file->end > FORMAT_FILE_BYTES - FORMAT_BATCH_BYTES;
}

/* The log can take a batch now. */
static inline bool log_can_write(const struct spool_log *log)
{
	return log->task == LOG_IDLE && log->health == SPOOL_WELL && log->file.made.io;
}

/*
 * Writes a batch at file.end. `head`, which is parts[0] and begins with FORMAT_BATCH_HEADER free
 * bytes, holds its records; the header is filled in here. All memory must stay until settled().
 */
void log_write_batch(struct spool_log *log, struct buf *head, uint32_t record_count,
	uint32_t message_count, struct iovec *parts, size_t part_count);

/* Makes the next file in advance where there is none and the log is idle. */
void log_make_next(struct spool_log *log);
/* Goes on in the next file, which must be there; the log must be idle. */
void log_roll(struct spool_log *log);

#endif
