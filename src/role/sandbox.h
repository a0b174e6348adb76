/*
 * What a role may still do once it has started: Landlock leaves it its paths and TCP rights,
 * seccomp its system calls; no_new_privs for good. Two steps, since Landlock binds only the calling
 * thread and its later ones, while seccomp can bind all threads that run:
 *
 *   sandbox_paths()   before helper threads start
 *   sandbox_calls()   after
 *
 * With CONFIG_SANDBOX_REQUIRED a kernel that lacks a part is an error (ERR_UNSUPPORTED) and
 * `problem` says what to do; OPTIONAL warns and goes on; OFF warns once.
 */
#ifndef ROLE_SANDBOX_H
#define ROLE_SANDBOX_H

#include "base/log.h"
#include "directory/config.h"
#include "role/ipc.h"

#include <stdbool.h>

#define SANDBOX_PATHS 32

enum sandbox_access {
	SANDBOX_READ = 1,   /* files may be read, folders listed */
	SANDBOX_WRITE = 2,  /* files may be made and written; folders made */
	SANDBOX_REMOVE = 4, /* files and folders may be removed and renamed */
	/* For who must not read what it wrote, nor take it back. */
	SANDBOX_LIST = 8,    /* folders may be listed, and synced */
	SANDBOX_FILL = 16,   /* files may be made and written; neither read nor cut short */
	SANDBOX_UNLINK = 32, /* files may be removed */
};

struct sandbox_path {
	const char *path; /* NULL: fd */
	int fd;
	unsigned access; /* enum sandbox_access */
};

struct sandbox {
	enum role_kind kind;
	enum config_sandbox mode;
	struct sandbox_path paths[SANDBOX_PATHS];
	size_t path_count;
	bool tcp_connect; /* only delivery and fetch */
};

void sandbox_init(struct sandbox *sandbox, enum role_kind kind, enum config_sandbox mode);
/* A path that does not exist is left out: it cannot be reached either. */
void sandbox_add_path(struct sandbox *sandbox, const char *path, unsigned access);
void sandbox_add_fd(struct sandbox *sandbox, int fd, unsigned access);

int sandbox_paths(const struct sandbox *sandbox, struct log *log, struct buf *problem);
int sandbox_calls(const struct sandbox *sandbox, struct log *log, struct buf *problem);

/* 0: this kernel has no Landlock. */
int sandbox_landlock_abi(void);

#endif
