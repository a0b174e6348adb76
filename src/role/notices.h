/*
 * What a worker tells delivery of its log: its position on each new channel, and a notice for each
 * batch. What a slow delivery does not take is summed up, a notice for each file.
 */
#ifndef ROLE_NOTICES_H
#define ROLE_NOTICES_H

#include "role/role.h"

#define NOTICES_FILES 64  /* log files whose last notice delivery has not been given yet */
#define NOTICES_MS    100 /* between two tries to give them */

struct notices {
	struct role *role;
	struct ipc_port *port; /* to delivery */
	struct spool_notice behind[NOTICES_FILES];
	size_t behind_count;
	struct timer timer;
};

void notices_init(struct notices *notices, struct role *role, struct ipc_port *port);
/* On a new channel. What waits is forgotten: delivery reads the files up to the position. */
void notices_begin(struct notices *notices, const struct spool_notice *position);
void notices_tell(struct notices *notices, const struct spool_notice *notice);
/* Delivery is gone; it reads the files when it comes back. */
void notices_forget(struct notices *notices);

#endif
