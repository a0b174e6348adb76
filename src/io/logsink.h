/*
 * Where log records go: stderr (or any descriptor), as lines of text or JSON. Lines are gathered
 * and written in a helper lane, so a slow reader never stalls mail; when LOGSINK_PENDING bytes
 * wait, further lines are dropped, counted, and the count is logged as soon as there is room.
 * Without an io (the supervisor, before a loop runs) each line is written at once.
 *
 * Several roles share one pipe: a write never splits a line, and is at most PIPE_BUF bytes unless a
 * single line is longer, so that lines of different roles do not mix.
 */
#ifndef IO_LOGSINK_H
#define IO_LOGSINK_H

#include "base/log.h"
#include "base/span.h"
#include "io/io.h"

#include <stdint.h>

#define LOGSINK_PENDING	 (1u << 20) /* bytes that wait at most */
#define LOGSINK_DELAY_MS 50 /* how long lines are gathered; warnings and errors go at once */

enum logsink_format { LOGSINK_TEXT, LOGSINK_JSON };

struct logsink;

struct logsink_config {
	struct io *io; /* NULL: write at once */
	int fd;	       /* stays the caller's */
	enum logsink_format format;
	enum log_level least;
	const char *role; /* "smtpd 0"; copied */
};

int logsink_new(const struct logsink_config *config, struct logsink **out);
struct log *logsink_log(struct logsink *s);
void logsink_set_level(struct logsink *s, enum log_level least);

/* What its maker formatted already (an event, as much as an info record): one of the two is
 * written, the text behind the usual time and role. Neither has a line end of its own. */
void logsink_line(struct logsink *s, struct span json, struct span text);

uint64_t logsink_dropped(const struct logsink *s);

/* The lane still writes. */
bool logsink_busy(const struct logsink *s);

/* The last lines of a process that ends now, without its loop: waits LOGSINK_EXIT_MS at most for a
 * reader that takes nothing. */
#define LOGSINK_EXIT_MS 1000
void logsink_last(struct logsink *s);

/* Not while it is busy; writes what waits. */
void logsink_free(struct logsink **at);

#endif
