/*
 * What the mains of all roles share: from the descriptor that the supervisor left (ROLE_BOOT_FD) to
 * a running loop with log, start file, directories, listeners and channels; then the sandbox.
 *
 * Order in a main:
 *   role_start()    receives everything up to IPC_START (blocking), makes loop and log
 *   …               the role opens what it needs, adds sandbox paths
 *   role_enter()    sandbox, helper threads
 *   role_ready()    tells the supervisor
 *   loop_run()
 *   role_end()
 */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "base/log.h"
#include "directory/config.h"
#include "io/logsink.h"
#include "io/loop.h"
#include "role/ipc.h"
#include "role/sandbox.h"

#define ROLE_BOOT_FD 3 /* the channel to the supervisor */
#define ROLE_LOCK_FD \
	4 /* the lock on the spool: held until the last process that may write is gone */

/* Exit codes that the supervisor tells apart. */
enum role_exit {
	ROLE_EXIT_DONE = 0,
	ROLE_EXIT_FAILED = 1, /* start it again, later and later */
	ROLE_EXIT_FATAL =
		78, /* starting again will not help: the supervisor gives up while starting */
};

struct role_listener {
	int fd;
	uint16_t place; /* in config->listeners, or IPC_LISTENER_CONTROL */
};

struct role_channel {
	int fd;
	enum role_kind peer;
	uint8_t index;
};

#define ROLE_CHANNELS (CONFIG_WORKERS + 4)

struct role {
	enum role_kind kind;
	uint8_t index;
	struct ipc_boot boot;
	struct config *config;
	struct loop *loop;
	struct io *io;
	struct logsink *sink;
	struct log *log;
	struct sandbox sandbox;
	int directories[IPC_DIRECTORIES]; /* descriptors, -1: not given */
	char *directory_paths[IPC_DIRECTORIES];
	struct role_listener listeners[CONFIG_LISTENERS + 1];
	size_t listener_count;
	struct role_channel
		channels[ROLE_CHANNELS]; /* as given at the start; taken by role_take_channels() */
	size_t channel_count;
	struct ipc_port supervisor;
	/* The role's own part. */
	void *core;
	void (*channel)(struct role *role, enum role_kind peer, uint8_t index,
		int fd);			 /* a new one, later */
	void (*file)(struct role *role, int fd); /* IPC_FILE; may be NULL */
	/* What else the supervisor says; false: it should not. Descriptors stay the caller's. May
	 * be NULL. */
	bool (*told)(struct role *role, const struct ipc_message *message);
	void (*stop)(struct role *role, uint32_t ms); /* IPC_STOP came, or the supervisor is gone */
	bool stopping;
	bool deaf;
	bool (*written)(void *core);
	struct timer end_timer;
	uint64_t end_ns; /* nothing is waited for any longer */
};

int role_start(struct role *role, enum role_kind kind, uint8_t index);
/* Its first part: takes all up to IPC_START. */
int role_receive(struct role *role);
/* Gives role->channel() those that came with the start. */
void role_take_channels(struct role *role);
/* Asks now and then whether all is written, and ends the loop when it is. */
void role_end_when(struct role *role, bool (*written)(void *core));
/* Opens a port on a channel's descriptor. */
int role_open_port(struct role *role, int fd, struct ipc_port *port);
int role_enter(struct role *role);
int role_ready(struct role *role);
/* A listening socket is broken: the role ends with ROLE_EXIT_FAILED, and starts again with one that
 * the supervisor has mended. */
void role_deaf(struct role *role);
/* Says why starting again is pointless, to log and supervisor; returns ROLE_EXIT_FATAL. */
int role_fatal(struct role *role, const char *what, struct span detail);
/* The last lines of the log. The process ends right after: nothing is freed, since a million queued
 * messages would take their time. */
void role_end(struct role *role);

int role_smtpd_main(uint8_t index);
int role_delivery_main(void);
int role_admin_main(void);
int role_keys_main(void);
int role_fetch_main(void);
int supervisor_main(const char *config_path);

#endif
