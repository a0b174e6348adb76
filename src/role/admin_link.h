/*
 * A role's channel to admin: the generations of the directory, and admin's questions. When admin is
 * gone the last generation stays; it comes back, and sends the present one. That the trace be
 * written is asked before each search, and seen to here.
 */
#ifndef ROLE_ADMIN_LINK_H
#define ROLE_ADMIN_LINK_H

#include "directory/snapshot.h"
#include "role/world.h"

#define ADMIN_LINK_FLUSHES  64 /* that wait at once; more are answered unwritten */
#define ADMIN_LINK_FLUSH_MS 2  /* between two looks whether the trace is written */

struct admin_link {
	struct ipc_port port;
	struct role *role;
	struct world *world;
	struct {
		uint32_t request;
		uint64_t mark;
	} flushes[ADMIN_LINK_FLUSHES];
	size_t flush_count;
	struct timer flush_timer;
	/* Both get role->core. The snapshot is the link's: who keeps it takes a reference. After an
	 * error the generation before stays, which is logged. */
	int (*directory)(void *core, struct snapshot *snapshot);
	void (*asked)(void *core, const struct ipc_message *message);
	/* Takes the descriptor; NULL: secrets are none of this role's business. */
	void (*secrets)(void *core, int memfd);
};

void admin_link_init(struct admin_link *link, struct role *role, struct world *world,
	int (*directory)(void *core, struct snapshot *snapshot),
	void (*asked)(void *core, const struct ipc_message *message));
/* The (new) channel; takes the descriptor. */
void admin_link_open(struct admin_link *link, int fd);
/* An answer to the question of that number; what cannot be sent is logged. */
void admin_link_answer(
	struct admin_link *link, uint16_t type, uint32_t request, struct span answer);

#endif
