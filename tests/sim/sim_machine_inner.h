/*
 * What the files of the simulated machine share.
 *
 *   sim_machine.c     power, beginning, what others ask of it
 *   sim_supervisor.c  starts the processes and joins them
 *   sim_stop.c        orderly ends
 *   sim_worker.c      an smtpd and its spool log
 *   sim_delivery.c    the delivery
 *   sim_admin.c       the admin: snapshots, questions to the queue
 *   sim_directory.c   the directory's generations
 *   sim_tracer.c      each process's trace files
 *   sim_inspect.c     what is to be seen from outside, while it runs and at its end
 */
#ifndef SIM_MACHINE_INNER_H
#define SIM_MACHINE_INNER_H

#include "sim_channel.h"
#include "sim_machine.h"

#include "delivery/delivery.h"
#include "directory/objects.h"
#include "role/notices.h"
#include "sim_auth.h"
#include "smtpd/smtpd.h"
#include "trace/writer.h"

/* The events of one process: to its trace files, and to the judge. */
struct sim_tracer {
	struct event_sink sink;
	struct sim_role *role;
	struct sim_disk *files; /* survives the process */
	struct disk *disk;	/* as the process has it */
	struct trace_writer *writer;
	uint64_t lines;	 /* given to the writer, ever */
	uint64_t bounds; /* bytes of all its files */
	bool harmed;	 /* some may be missing */
};

/* A process that the supervisor starts; embedded in those below. */
struct sim_role {
	struct sim_machine *machine;
	const struct sim_role_calls *calls;
	enum role_kind kind;
	uint8_t index;
	char name[24];
	struct sim_process *process; /* NULL: down */
	struct disk *spool;
	struct sim_tracer tracer;
	struct timer restart, patience;
	uint64_t channels_ns; /* when the last end that it is given arrives */
	uint64_t began_ns;
	struct newborn *newborn; /* until it is made */
	bool made;		 /* its own memory stands */
	bool stopping;
	bool drained; /* it has done what it was to do before its end */
};

struct sim_role_calls {
	/* In the process: its beginning, an end of a channel, "end within so long". */
	void (*make)(struct sim_role *role);
	void (*channel)(
		struct sim_role *role, enum role_kind peer, uint8_t index, struct sim_plug *plug);
	void (*stop)(struct sim_role *role, uint32_t ms);
	/* From outside. */
	void (*died)(struct sim_role *role);
};

struct sim_worker {
	struct sim_role role; /* first */
	struct spool_writer *writer;
	struct smtpd *smtpd;
	bool knows; /* a directory came, and … */
	bool known; /* … delivery knows of it: */
	bool open;  /* it accepts */
	uint64_t generation;
	struct timer tls_timer; /* until it has certificates */
	bool full, pressed;
	struct ipc_port delivery, admin;
	struct notices notices;
	struct timer end_timer;
};

struct sim_peer {
	struct ipc_port port;
	bool said;
	struct spool_notice position;
};

struct sim_delivery {
	struct sim_role role; /* first */
	struct disk *mailboxes;
	struct delivery *delivery;
	struct sim_peer workers[CONFIG_WORKERS];
	struct ipc_port admin;
	bool knows, started, full;
	struct timer position_timer, end_timer;
};

struct sim_admin {
	struct sim_role role; /* first */
	struct ipc_port delivery, workers[CONFIG_WORKERS];
	uint32_t request; /* the one that waits for its reply; 0: none */
	uint32_t requests;
	machine_reply *reply;
	void *arg;
};

struct sim_machine {
	struct sim *sim;
	struct sim_net *net;
	struct ledger *ledger;
	enum sim_mutation mutation;
	struct sim_serials serials;
	struct sim_disk *spool, *mailboxes;
	struct config *config;
	struct route_config route;
	struct netaddr addresses[DOORS];
	struct sim_machine_door {
		struct sim_machine *machine;
		enum sim_door door;
	} doors[DOORS];
	struct tls_server *certificate;
	struct sim_verifiers verifiers;
	struct objects *objects;
	struct snapshot **generations;
	size_t generation_count, generation_room;
	struct log log;
	bool power, stopping;
	uint32_t stop_ms;
	void (*rests)(void *arg); /* all have ended in good order */
	void *rests_arg;
	unsigned worker_count;
	struct sim_worker workers[CONFIG_WORKERS];
	struct sim_delivery delivery;
	struct sim_admin admin;
};

/* sim_machine.c */
void machine_power_failed(void *machine);

/* sim_supervisor.c */
void role_init(struct sim_role *role, struct sim_machine *machine, enum role_kind kind,
	uint8_t index, const struct sim_role_calls *calls);
/* All of them, in a steady order; NULL: no more. */
struct sim_role *role_at(struct sim_machine *machine, unsigned at);
bool role_runs(const struct sim_role *role);
void role_open_port(struct sim_role *role, struct sim_plug *plug, struct ipc_port *port);
/* sim_stop.c */
/* From within the process: it has done all that it was to do before its end. */
void role_exit(struct sim_role *role);
/* Tells it to end; it comes back later. */
void role_stop(struct sim_role *role, uint32_t ms);

/* sim_worker.c, sim_delivery.c, sim_admin.c */
void worker_init(struct sim_machine *machine, unsigned index);
void delivery_init(struct sim_machine *machine);
void admin_init(struct sim_machine *machine);
/* A client's connection. False: nobody takes it. */
bool worker_accept(struct sim_worker *worker, enum sim_door door, struct sim_end *end);

/* sim_directory.c */
/* All running roles hear of the newest generation. */
void machine_tell_directory(struct sim_machine *machine);
void directory_init(struct sim_machine *machine);
struct snapshot *directory_snapshot(struct sim_machine *machine, uint64_t generation);

/* sim_tracer.c */
void tracer_init(struct sim_role *role);
void tracer_open(struct sim_role *role);
bool tracer_flushed(struct sim_role *role);
void tracer_abandon(struct sim_role *role);
/* At the end of the run. */
void tracer_judge(struct sim_role *role);

#endif
