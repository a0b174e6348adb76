/*
 * Starts a role: this same program again, as the role's user, with nothing but stderr, its channel
 * (ROLE_BOOT_FD) and the spool's lock (ROLE_LOCK_FD).
 */
#ifndef ROLE_SPAWN_H
#define ROLE_SPAWN_H

#include "role/prepare.h"

struct spawn {
	enum role_kind kind;
	uint8_t index;
	const struct users *users;
	int channel; /* the role's end; stays the caller's */
	int lock;    /* likewise */
};

/* The program may be replaced on disk meanwhile: the one that runs is started. */
int spawn_role(const struct spawn *spawn, pid_t *out);

#endif
