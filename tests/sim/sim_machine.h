/*
 * The gateway: workers and a delivery on one simulated disk, wired as the roles wire them. Any of
 * them can be killed at any moment, and the power of the whole can fail; what died is started
 * again after a while.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "sim_ledger.h"
#include "sim_rdisk.h"

struct sim_machine;

struct sim_machine *machine_new(
	struct sim *sim, struct sim_net *net, struct ledger *ledger, enum sim_mutation mutation);

/* The address on which it takes mail. */
struct netaddr machine_address(const struct sim_machine *machine);
unsigned machine_workers(const struct sim_machine *machine);

/* A role dies: at once, or at the nth disk operation from now. */
void machine_kill_worker(struct sim_machine *machine, unsigned worker, uint64_t operations);
void machine_kill_delivery(struct sim_machine *machine, uint64_t operations);
/* The power fails: at once, or at the nth change of the disk from now. False: it is off already. */
bool machine_cut_power(struct sim_machine *machine, uint64_t changes);

/* What was planned for later is not going to happen. */
void machine_spare(struct sim_machine *machine);

struct sim_disk *machine_spool(struct sim_machine *machine);
struct sim_disk *machine_mailboxes(struct sim_machine *machine);

/* Everything is up, and the queue loaded. */
bool machine_is_up(const struct sim_machine *machine);
/* Messages queued, while it is up. */
uint64_t machine_queued(struct sim_machine *machine);
/* The invariants of the queue; a violation where one is broken. */
void machine_check(struct sim_machine *machine);
/* At the end: what the disk holds, and what lies in the mailboxes, go to the ledger. */
void machine_inspect(struct sim_machine *machine);

#endif
