/*
 * A role's own part of the trace: a directory of files of JSON lines, bounded in bytes and in age.
 * Lines gather in memory and are written by the file lane every WRITER_DELAY_MS or WRITER_BATCH
 * bytes, without a sync: the trace tells stories, the spool keeps promises. What a kill takes away
 * is the last moment's lines.
 *
 * The files and their bounds are trace/ring.h's; old ones go whether or not there are events.
 * Refusals have files of their own, a quarter of the bytes, and are summed up (trace/flood.h): who
 * is refused a million times pushes no mail's story out.
 *
 * Is an event sink: give &writer->sink to who makes events.
 */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

#include "base/log.h"
#include "io/disk.h"
#include "io/io.h"
#include "trace/event.h"
#include "trace/gaps.h"

#define WRITER_DELAY_MS 100
#define WRITER_BATCH	(64u << 10) /* bytes that are written at once, without waiting */
#define WRITER_PENDING	(8u << 20)  /* bytes that wait at most; more lines are dropped */
#define WRITER_TELL_MS	60000	    /* between two words in the log about lines that are lost */

struct trace_writer;

struct trace_writer_config {
	struct io *io;
	struct disk *disk; /* its root is the role's trace directory */
	uint64_t bytes;	   /* of all its files */
	bool refusals;	   /* this role refuses clients: a part of the bytes is for that */
	uint64_t age_ms;
	struct log *log; /* may be NULL */
	/* A copy of each event for the log; may be NULL. */
	void (*line)(void *context, struct span json, struct span text);
	void *context;
	bool text; /* the log wants the line for people, not the JSON */
};

int trace_writer_new(const struct trace_writer_config *config, struct trace_writer **out);
struct event_sink *trace_writer_sink(struct trace_writer *writer);
/* Writes what waits; ask trace_writer_busy() until it is done, or, where more events come all the
 * time, trace_writer_wrote() with the mark that it returns. */
uint64_t trace_writer_flush(struct trace_writer *writer);
bool trace_writer_wrote(const struct trace_writer *writer, uint64_t mark);
bool trace_writer_busy(const struct trace_writer *writer);
/* Lines that were dropped, as the disk was slow or full. */
uint64_t trace_writer_dropped(const struct trace_writer *writer);

/* When, since this role began, as far as it is not too long ago to be looked for. */
struct trace_gaps trace_writer_gaps(const struct trace_writer *writer);
/* Not while it is busy. */
void trace_writer_free(struct trace_writer **writer);

#endif
