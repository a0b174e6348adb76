/*
 * A role's channel to admin: the generations of the directory, and admin's questions. When admin is
 * gone the last generation stays; it comes back, and sends the present one.
 */
#ifndef ROLE_ADMIN_LINK_H
#define ROLE_ADMIN_LINK_H

#include "directory/snapshot.h"
#include "role/role.h"

struct admin_link {
	struct ipc_port port;
	struct role *role;
	/* Both get role->core. The snapshot is the link's: who keeps it takes a reference. After an
	 * error the generation before stays, which is logged. */
	int (*directory)(void *core, struct snapshot *snapshot);
	void (*asked)(void *core, const struct ipc_message *message);
};

void admin_link_init(struct admin_link *link, struct role *role,
	int (*directory)(void *core, struct snapshot *snapshot),
	void (*asked)(void *core, const struct ipc_message *message));
/* The (new) channel; takes the descriptor. */
void admin_link_open(struct admin_link *link, int fd);
/* An answer to the question of that number; what cannot be sent is logged. */
void admin_link_answer(
	struct admin_link *link, uint16_t type, uint32_t request, struct span answer);

#endif
