/*
 * What a worker tells delivery of its log: its position on each new channel, and a notice for each
 * batch. What a slow delivery does not take is summed up, a notice for each file.
 *
 * A delivery that hangs gets no more mail to look after: once it has not looked at NOTICES_FILES
 * log files, the worker takes none in (pressed()), until delivery has been given all. What is on
 * its way into the log at that moment still comes, so there may be more files, and all are
 * remembered.
 */
#ifndef ROLE_NOTICES_H
#define ROLE_NOTICES_H

#include "role/ipc.h"

#define NOTICES_FILES 64  /* log files whose last notice delivery has not been given yet */
#define NOTICES_MS    100 /* between two tries to give them */

struct notices {
	struct io *io;
	struct ipc_port *port; /* to delivery */
	/* Mail is not to be taken in, or is again. */
	void (*pressed)(void *context, bool on);
	void *context;
	bool is_pressed;
	struct spool_notice *behind;
	size_t behind_count, behind_room;
	struct timer timer;
};

void notices_init(struct notices *notices, struct io *io, struct ipc_port *port,
	void (*pressed)(void *context, bool on), void *context);
/* On a new channel. What waits is forgotten: delivery reads the files up to the position. */
void notices_begin(struct notices *notices, const struct spool_notice *position);
void notices_tell(struct notices *notices, const struct spool_notice *notice);
/* Delivery is gone; it reads the files when it comes back. */
void notices_forget(struct notices *notices);

#endif
