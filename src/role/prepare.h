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

/* How long the lock of another posternd is waited for: where it works on, as the roles of a killed
 * supervisor die with it, but not at once; and where it is ending, which takes a while. */
#define PREPARE_LOCK_MS	    3000
#define PREPARE_LOCK_END_MS (STOP_MOST_MS + 2000)

/* How long an end in good order may take: the workers', delivery's, admin's, one after the other.
 */
#define STOP_SMTPD_MS	 8000
#define STOP_DELIVERY_MS 8000
#define STOP_ADMIN_MS	 2000
#define STOP_KILL_MS	 2000 /* beyond each of these */
#define STOP_MOST_MS	 (STOP_SMTPD_MS + STOP_DELIVERY_MS + STOP_ADMIN_MS + 3 * STOP_KILL_MS)

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

/* All folders. `problem` says in a sentence what to do. A spool that was not there before is told:
 * it may be a mistake. */
int prepare_folders(const struct config *config, const struct users *users, struct log *log,
	struct buf *problem);

/* The database and its journal exist and are admin's, so that admin needs no right to their folder.
 */
int prepare_database(const struct config *config, const struct users *users, struct log *log,
	struct buf *problem);
/* A random number that stays: made where it is not there, beside the database. Role keys makes the
 * salts from it that are shown for names that nobody has. */
int prepare_secret(
	const struct config *config, uint8_t secret[IPC_SECRET_BYTES], struct buf *problem);
/* An ordinary user was denied what is there: adds which of it belongs to somebody else, as after a
 * start by root, and how to get all of it back. */
void prepare_say_whose(const struct config *config, struct buf *problem);

/* Held while the descriptor, or a copy in a role, is open. ERR_BUSY; ERR_CANCELED: SIGTERM or
 * SIGINT came while another one's end was waited for. */
int prepare_lock(const struct config *config, struct log *log, int *out_fd, struct buf *problem);
/* From now on its holder is ending: who wants it waits for that. */
void prepare_lock_ends(int fd);

/* A folder as a role gets it. */
int prepare_open(const struct config *config, enum ipc_directory which, enum role_kind kind,
	uint8_t index, char *path, size_t room, int *out_fd);

/* Whether the spool's disk has room for what its logs set aside; false with a sentence in `out`. */
bool prepare_room(const struct config *config, struct buf *out);

/* The numbers that a worker may give its spool files. */
int prepare_serials(const struct config *config, uint8_t worker, struct spool_serials *out);

#endif
