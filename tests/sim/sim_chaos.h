/*
 * What goes wrong with the gateway, and when: chosen by the seed, which kinds of trouble there are
 * at all as well, so that some runs see much of one kind.
 */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "sim_machine.h"

struct sim_chaos;

struct sim_chaos *sim_chaos_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	struct sim_machine *machine, enum sim_focus focus);
/* All disks, clocks and wires are well again; what died comes back. */
void sim_chaos_end(struct sim_chaos *chaos);

#endif
