#include "role/prepare.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM   4096
#define CHOWN_DEPTH 8	 /* folders below a mailbox folder are three deep */
#define SPOOL_MODE  0750 /* passed through by the roles */
#define SHARED_MODE 0770 /* a worker writes, delivery removes */
#define OWN_MODE    0700
#define READ_MODE   0750  /* a trace: read by admin */
#define MAIL_MODE   02750 /* and by the administrators, with what is made in it */

static int say(struct buf *problem, const char *path, const char *what)
{
	int err = err_from_errno(errno);

	buf_printf(problem, "%s: %s: %s", path, what, strerror(errno));
	return err;
}

/* ---- folders -------------------------------------------------------------------------------- */

/* What an earlier run as another user left in it becomes the owner's too. */
static void chown_below(int dir, const char *name, uid_t uid, gid_t gid, int depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 && depth ? fdopendir(fd) : NULL;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(list));) {
		struct stat info;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			fstatat(fd, e->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* A second name of a file may lie anywhere: it stays whose it is. */
		if (S_ISREG(info.st_mode) && info.st_nlink > 1)
			continue;
		if (info.st_uid != uid || info.st_gid != gid)
			(void)!fchownat(fd, e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW);
		if (S_ISDIR(info.st_mode))
			chown_below(fd, e->d_name, uid, gid, depth - 1);
	}
	closedir(list);
}

/* Makes missing folders above it, as anybody's umask would have them. */
static int make_parents(char *path)
{
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		int bad = mkdir(path, 0755) < 0 && errno != EEXIST;
		*at = '/';
		if (bad)
			return -1;
	}
	return 0;
}

static int make_folder(const char *path, const struct users *users, uid_t uid, gid_t gid,
	mode_t mode, struct buf *problem)
{
	char copy[PATH_ROOM];
	struct stat info;

	/* Without users of their own, nobody else shares anything. */
	if (!users->root)
		mode &= 0700;
	snprintf(copy, sizeof(copy), "%s", path);
	if (make_parents(copy) < 0 || (mkdir(path, mode) < 0 && errno != EEXIST))
		return say(problem, path, "cannot be made");
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) < 0) {
		int err = say(problem, path, "cannot be opened");
		if (fd >= 0)
			close(fd);
		return err;
	}
	int bad = 0;
	if (users->root && (info.st_uid != uid || info.st_gid != gid)) {
		bad = fchown(fd, uid, gid);
		if (uid != 0)
			chown_below(AT_FDCWD, path, uid, gid, CHOWN_DEPTH);
	}
	if ((info.st_mode & 07777) != mode && (users->root || info.st_uid == geteuid()))
		bad |= fchmod(fd, mode);
	/* The names of the logs' folders count before any message does. */
	bad |= fsync(fd);
	int err = bad ? say(problem, path, "cannot be given to its user") : 0;
	close(fd);
	return err;
}

static int make_below(struct span base, const char *name, const struct users *users,
	enum role_kind owner, mode_t mode, struct buf *problem)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%.*s%s%s", (int)base.n, base.p, *name ? "/" : "", name);
	gid_t gid = mode == MAIL_MODE ? users->admins : users->gid;
	return make_folder(path, users, users->uid[owner], gid, mode, problem);
}

static void role_folder(char out[32], enum role_kind kind, uint8_t index)
{
	if (kind == ROLE_SMTPD)
		snprintf(out, 32, "smtpd-%u", index);
	else
		snprintf(out, 32, "%s", role_kind_name(kind));
}

static int make_workers(const struct config *config, const struct users *users, struct buf *problem)
{
	for (uint32_t i = 0; i < config->workers; i++) {
		char name[32];
		snprintf(name, sizeof(name), "w%u", i);
		int err = make_below(config->spool, name, users, ROLE_SMTPD, SHARED_MODE, problem);
		snprintf(name, sizeof(name), "b%u", i);
		if (err == 0)
			err = make_below(
				config->spool, name, users, ROLE_SMTPD, SHARED_MODE, problem);
		role_folder(name, ROLE_SMTPD, (uint8_t)i);
		if (err == 0)
			err = make_below(
				config->trace, name, users, ROLE_SMTPD, READ_MODE, problem);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Folders of ours change hands, with all that is in them. Those that the whole machine uses must
 * not: a spool at /var/spool/postern would, where nothing else is said, put the mailboxes into
 * /var/spool/mail.
 */
static int refuse_system_folder(struct span base, const char *field, struct buf *problem)
{
	static const char *const system[] = {"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib",
		"/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp",
		"/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/spool",
		"/var/spool/mail", "/var/tmp"};
	char path[PATH_ROOM], real[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s", (int)base.n, base.p);
	/* Where it is not there yet it is nobody's, but /var/spool/mail may be made later. */
	if (!realpath(path, real))
		snprintf(real, sizeof(real), "%s", path);
	for (size_t i = 0; i < ARRAY_SIZE(system); i++) {
		if (strcmp(path, system[i]) != 0 && strcmp(real, system[i]) != 0)
			continue;
		buf_printf(problem,
			"%s: a folder of the system, which others use too, cannot be used; name "
			"one of Postern's own in the start file, at \"%s\"",
			path, field);
		return ERR_REFUSED;
	}
	return 0;
}

/* What delivery writes there is never gone from a spool that was in use. */
static bool is_new_spool(const struct config *config)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%.*s/d", (int)config->spool.n, config->spool.p);
	return access(path, F_OK) < 0 && errno == ENOENT;
}

int prepare_folders(const struct config *config, const struct users *users, struct log *log,
	struct buf *problem)
{
	bool fresh = is_new_spool(config);
	int refused = refuse_system_folder(config->spool, "spool", problem);

	if (refused == 0)
		refused = refuse_system_folder(config->mailboxes, "mailboxes", problem);
	if (refused == 0)
		refused = refuse_system_folder(config->trace, "trace.path", problem);
	if (refused)
		return refused;
	const struct {
		struct span base;
		const char *name;
		enum role_kind owner;
		mode_t mode;
	} folders[] = {
		{config->spool, "", ROLE_SUPERVISOR, SPOOL_MODE},
		{config->spool, "d", ROLE_DELIVERY, OWN_MODE},
		{config->mailboxes, "", ROLE_DELIVERY, MAIL_MODE},
		{config->trace, "", ROLE_SUPERVISOR, READ_MODE},
		{config->trace, "delivery", ROLE_DELIVERY, READ_MODE},
		{config->trace, "admin", ROLE_ADMIN, READ_MODE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int err = make_below(folders[i].base, folders[i].name, users, folders[i].owner,
			folders[i].mode, problem);
		if (err)
			return err;
	}
	int err = make_workers(config, users, problem);
	/* And the names in the spool itself. */
	if (err == 0)
		err = make_below(config->spool, "", users, ROLE_SUPERVISOR, SPOOL_MODE, problem);
	if (err == 0 && fresh)
		log_write(log, LOG_WARN,
			"a new, empty spool was made: if this gateway had one before, the start "
			"file names another path now, or its disk is not there",
			LOG_SPAN("spool", config->spool));
	return err;
}

int prepare_open(const struct config *config, enum ipc_directory which, enum role_kind kind,
	uint8_t index, char *path, size_t room, int *out_fd)
{
	struct span base = which == IPC_DIRECTORY_SPOOL	      ? config->spool
			   : which == IPC_DIRECTORY_MAILBOXES ? config->mailboxes
							      : config->trace;
	char name[32] = "";

	if (which == IPC_DIRECTORY_TRACE)
		role_folder(name, kind, index);
	snprintf(path, room, "%.*s%s%s", (int)base.n, base.p, *name ? "/" : "", name);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno);
	*out_fd = fd;
	return 0;
}

/* ---- the database --------------------------------------------------------------------------- */

/* May the role's user pass all folders on the way? */
static bool can_reach(
	const char *path, const struct users *users, enum role_kind kind, char *closed)
{
	snprintf(closed, PATH_ROOM, "%s", path);
	for (char *at = closed; (at = strchr(at + 1, '/'));) {
		struct stat info;
		*at = 0;
		if (stat(closed, &info) < 0)
			return false;
		mode_t bit = info.st_uid == users->uid[kind] ? S_IXUSR
			     : info.st_gid == users->gid     ? S_IXGRP
							     : S_IXOTH;
		if (!(info.st_mode & bit))
			return false;
		*at = '/';
	}
	return true;
}

static int make_file(const char *path, const struct users *users, struct buf *problem)
{
	struct stat info;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fstat(fd, &info) < 0) {
		int err = say(problem, path, "cannot be made or opened");
		if (fd >= 0)
			close(fd);
		return err;
	}
	bool wrong =
		users->root && (info.st_uid != users->uid[ROLE_ADMIN] || info.st_gid != users->gid);
	int err = wrong && fchown(fd, users->uid[ROLE_ADMIN], users->gid) < 0
			  ? say(problem, path, "cannot be given to its user")
			  : 0;
	close(fd);
	return err;
}

int prepare_database(const struct config *config, const struct users *users, struct log *log,
	struct buf *problem)
{
	char path[PATH_ROOM], journal[PATH_ROOM + 16], closed[PATH_ROOM];

	snprintf(path, sizeof(path), "%.*s", (int)config->directory.n, config->directory.p);
	snprintf(journal, sizeof(journal), "%s-journal", path);
	snprintf(closed, sizeof(closed), "%s", path);
	if (make_parents(closed) < 0)
		return say(problem, path, "its folder cannot be made");
	bool fresh = access(path, F_OK) < 0 && errno == ENOENT;
	int err = make_file(path, users, problem);
	if (err == 0)
		err = make_file(journal, users, problem);
	if (err == 0 && users->root && !can_reach(path, users, ROLE_ADMIN, closed)) {
		buf_printf(problem,
			"%s: the admin role's user (%u) cannot pass %s: chmod o+x %s, or put the "
			"directory elsewhere",
			path, users->uid[ROLE_ADMIN], closed, closed);
		err = ERR_DENIED;
	}
	if (err == 0 && fresh)
		log_write(log, LOG_WARN,
			"a new, empty directory was made: all mail is deferred until objects are "
			"applied; if this gateway had one before, the start file names another "
			"path now",
			LOG_STR("directory", path));
	return err;
}

/* ---- the gateway's secret ------------------------------------------------------------------- */

static int make_secret(const char *path, uint8_t secret[IPC_SECRET_BYTES], struct buf *problem)
{
	if (getrandom(secret, IPC_SECRET_BYTES, 0) != IPC_SECRET_BYTES)
		return say(problem, path, "no random numbers");
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return say(problem, path, "cannot be made");
	bool good = write(fd, secret, IPC_SECRET_BYTES) == IPC_SECRET_BYTES && fsync(fd) == 0;
	int err = good ? 0 : say(problem, path, "cannot be written");
	close(fd);
	return err;
}

int prepare_secret(
	const struct config *config, uint8_t secret[IPC_SECRET_BYTES], struct buf *problem)
{
	char path[PATH_ROOM + 16];

	snprintf(path, sizeof(path), "%.*s-salt", (int)config->directory.n, config->directory.p);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return say(problem, path, "cannot be opened");
	bool whole = fd >= 0 && pread(fd, secret, IPC_SECRET_BYTES, 0) == IPC_SECRET_BYTES;
	if (fd >= 0)
		close(fd);
	return whole ? 0 : make_secret(path, secret, problem);
}
