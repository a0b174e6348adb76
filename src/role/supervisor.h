/*
 * The supervisor's own structures, shared by its files:
 *   supervisor.c   starting, signals, the end
 *   slot.c         one role: start, what it says, its death, starting it again
 *   slot_give.c    what a role is given when it starts
 *   files.c        the start file, and files of the system that roles need
 *   tls_keeper.c   certificates and keys
 *   sockets.c      listening sockets
 *   leftovers.c    traces of workers that there are no more
 */
#ifndef ROLE_SUPERVISOR_H
#define ROLE_SUPERVISOR_H

#include "io/logsink.h"
#include "io/loop.h"
#include "role/prepare.h"
#include "role/role.h"
#include "role/tls_keeper.h"
#include "role/watch.h"

#define SUPERVISOR_SLOTS  (CONFIG_WORKERS + ROLE_KINDS)
#define RESTART_FIRST_MS  100
#define RESTART_QUICK	  6	     /* deaths in a row that are answered with a doubled delay */
#define RESTART_SLOW_MS	  30000	     /* afterwards */
#define RESTART_FORGET_MS 60000	     /* a role that ran so long starts with a clean sheet */
#define CONFIG_TEXT	  (1u << 20) /* bytes of a start file */

struct supervisor;

struct slot {
	struct supervisor *sv;
	enum role_kind kind;
	uint8_t index;
	pid_t pid; /* 0: does not run */
	struct ipc_port port;
	bool ready;
	uint32_t starts;
	uint32_t deaths; /* in a row */
	uint64_t started_ns;
	bool fatal; /* it said that starting again will not help */
	struct timer restart;
};

enum stage { STAGE_RUN, STAGE_SMTPD, STAGE_DELIVERY, STAGE_LAST, STAGE_DONE };

struct supervisor {
	int64_t began_ms;
	struct loop *loop;
	struct io *io;
	struct logsink *sink;
	struct log *log;
	char *config_path;
	struct span folder; /* of the start file, for relative paths */
	struct buf text;    /* of the start file */
	struct config *config;
	struct users users;
	struct tls_keeper tls;
	uint8_t secret[IPC_SECRET_BYTES]; /* of this gateway; for role keys */
	int lock;
	int control;
	int sockets[CONFIG_WORKERS][CONFIG_LISTENERS]; /* -1: none */
	struct watched passwd, resolv_conf;
	struct timer watch_timer;
	struct timer leftovers_timer;
	struct slot slots[SUPERVISOR_SLOTS]; /* keys, fetch, smtpd 0 …, delivery, admin */
	size_t slot_count;
	struct loop_signal *signals[4];
	enum stage stage;
	struct timer stage_timer;
	bool announced; /* all roles were ready once */
	int result;	/* exit code */
};

/* sockets.c */
int sockets_open(struct supervisor *sv, struct buf *problem);
/* Those of a role that is to start: one that listens no more, since a role before it shut it down,
 * is bound anew. */
int sockets_mend(struct slot *slot);
void sockets_close(struct supervisor *sv);

/* slot.c */
void slot_init(struct supervisor *sv, enum role_kind kind, uint8_t index);
void slot_start(struct slot *slot);
/* All that it needs, IPC_START at the end. */
int slot_give(struct slot *slot);
/* Looks which roles have ended. */
void slots_reap(struct supervisor *sv);
/* The name in log lines: "smtpd 0". */
void slot_name(const struct slot *slot, char out[32]);

/* files.c */
int files_read_config(struct supervisor *sv, const char *path);
/* SIGHUP: what can change while we run. */
void files_read_again(struct supervisor *sv);
/* Before the roles start, which read what is there then by themselves. */
int files_watch(struct supervisor *sv);

/* leftovers.c: old trace files of workers that there are no more go, now and every hour. */
void leftovers_watch(struct supervisor *sv);

/* supervisor.c: what slots report. */
void supervisor_ready(struct supervisor *sv);
void supervisor_role_ended(struct supervisor *sv);
void supervisor_stop(struct supervisor *sv, int result);

#endif
