/*
 * What the supervisor makes ready before the roles start: users, folders and who owns them, the
 * lock, the database's files, sockets. All of it can be done again, and repairs what it finds.
 */
#ifndef ROLE_PREPARE_H
#define ROLE_PREPARE_H

#include "base/log.h"
#include "directory/config.h"
#include "role/ipc.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <sys/types.h>

#define PREPARE_LOCK_MS 3000 /* the roles of a killed supervisor die with it, but not at once */

struct users {
	bool root; /* started as root: each role gets its own user */
	uid_t uid[ROLE_KINDS];
	gid_t gid;    /* of the roles: what they share on disk */
	gid_t admins; /* who may use the control socket and read mailboxes; no role is in it */
};

/* Where the start file names no users and the usual ones do not exist, numbers without an account
 * take their place, and a warning says how to make them. ERR_NOT_FOUND with `problem`. */
int prepare_users(
	const struct config *config, struct log *log, struct users *out, struct buf *problem);

/* All folders. `problem` says in a sentence what to do. */
int prepare_folders(const struct config *config, const struct users *users, struct buf *problem);

/* The database and its journal exist and are admin's, so that admin needs no right to their folder.
 */
int prepare_database(const struct config *config, const struct users *users, struct buf *problem);

/* Held while the descriptor, or a copy in a role, is open. ERR_BUSY. */
int prepare_lock(const struct config *config, struct log *log, int *out_fd, struct buf *problem);

/* A folder as a role gets it. */
int prepare_open(const struct config *config, enum ipc_directory which, enum role_kind kind,
	uint8_t index, char *path, size_t room, int *out_fd);

/* The numbers that a worker may give its spool files. */
int prepare_serials(const struct config *config, uint8_t worker, struct spool_serials *out);

#endif
