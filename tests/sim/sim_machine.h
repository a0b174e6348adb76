/*
 * The gateway: workers, a delivery and an admin on one simulated disk, joined by the channels of
 * the real roles (role/ipc.h). Any of them can be killed at any moment or told to end, and the
 * power of the whole can fail; what died is started again after a while.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "sim_ledger.h"
#include "sim_rdisk.h"
#include "sim_relay.h"

#include "directory/objects.h"

struct sim_machine;

/* What a run has more of, as what is looked for shows but there. */
enum sim_focus {
	FOCUS_NONE,
	FOCUS_FLIPS,
	FOCUS_PAUSES, /* nothing else happens */
	FOCUS_QUIET,  /* only the network and the next hops */
	FOCUS_DEATHS, /* delivery dies, and nothing else does; policies cannot be had again */
	FOCUS_TRUST, /* certificates, TLSA records and policies change all the time, and little else
		      */
	FOCUS_RELAY, /* … who may relay does */
};

struct sim_options {
	enum sim_focus focus;
	enum sim_mutation mutation;
};

struct sim_machine *machine_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct sim_options *options);

/* The addresses on which it takes mail. */
struct netaddr machine_address(const struct sim_machine *machine, enum sim_door door);
/* The generation of the directory that each of its workers knows, or a newer one; and the newest.
 */
uint64_t machine_oldest_generation(const struct sim_machine *machine);
uint64_t machine_generation(const struct sim_machine *machine);
unsigned machine_workers(const struct sim_machine *machine);

/* A role dies: at once, or at the nth disk operation from now. */
void machine_kill_worker(struct sim_machine *machine, unsigned worker, uint64_t operations);
void machine_kill_delivery(struct sim_machine *machine, uint64_t operations);
void machine_kill_admin(struct sim_machine *machine);
/* All are told to end within `ms`, as at SIGTERM, and come back later; or one of them. */
void machine_stop(struct sim_machine *machine, uint32_t ms);
/* Called when all have ended so. */
void machine_at_rest(struct sim_machine *machine, void (*rests)(void *arg), void *arg);
void machine_stop_role(struct sim_machine *machine, unsigned at, uint32_t ms);
/* The power fails: at once, or at the nth change of the disk from now. False: it is off already. */
bool machine_cut_power(struct sim_machine *machine, uint64_t changes);

/* What was planned for later is not going to happen. */
void machine_spare(struct sim_machine *machine);

struct sim_disk *machine_spool(struct sim_machine *machine);
struct sim_disk *machine_mailboxes(struct sim_machine *machine);
/* Faults of all its disks (read errors: of the spool only); the device's size (0: no bound). */
void machine_set_faults(struct sim_machine *machine, const struct sim_disk_faults *faults);
void machine_set_capacity(struct sim_machine *machine, uint64_t bytes);

/* ---- administration ------------------------------------------------------------------------- */

enum sim_change_kind { SIM_PAUSE, SIM_RESUME, SIM_SET, SIM_ADD, SIM_REMOVE };

struct sim_change {
	enum sim_change_kind kind;
	enum pause_scope scope;	 /* PAUSE, RESUME */
	enum object_kind object; /* the others */
	const char *name, *setting;
	const char *const *settings; /* instead of `setting`: up to RELAY_SETTINGS */
};

/* A generation of the directory, 1 first. */
const struct snapshot *machine_snapshot(const struct sim_machine *machine, uint64_t generation);
/* Changes the directory; the running roles hear of it. */
int machine_directory(struct sim_machine *machine, const struct sim_change *change);

/* The reply to a question; SPAN_NONE: delivery or admin died before it came. */
typedef void machine_reply(void *arg, struct span reply);
/* A request as delivery_control() takes it, over admin's channel. One at a time: a new one gives up
 * the one before. False: nobody is there. */
bool machine_ask(struct sim_machine *machine, struct span request, machine_reply *reply, void *arg);

/* ---- looking -------------------------------------------------------------------------------- */

/* Everything is up, and the queue loaded. */
bool machine_is_up(const struct sim_machine *machine);
/* … and nothing ended or began, nor was the journal in trouble, for so long and a little more. */
bool machine_is_settled(const struct sim_machine *machine, uint64_t ns);
/* Messages queued, while it is up. */
uint64_t machine_queued(struct sim_machine *machine);
/* The invariants of the queue, and that each unit of it has a timer or a named blocker. */
void machine_check(struct sim_machine *machine);
/* At the end: what the disk holds, and what lies in the mailboxes, go to the ledger. */
void machine_inspect(struct sim_machine *machine);

#endif
