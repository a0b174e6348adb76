/*
 * One run: a world, a gateway in it, trouble, then calm, then the judge.
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim_machine.h"

struct sim_result {
	uint64_t seed, trace, events, simulated_ns;
	uint64_t faults[SIM_FAULTS];
	uint64_t messages, acknowledged, delivered, bounced, discarded, notifications;
	uint64_t excused, destroyed;
	uint64_t lost, ghosts, corrupted, duplicates, exposed, relayed, violations;
};

enum sim_talk { SIM_SILENT, SIM_VIOLATIONS, SIM_VERBOSE };

void sim_run(uint64_t seed, const struct sim_options *options, enum sim_talk talk,
	struct sim_result *out);

#endif
