/*
 * The channel from a worker to delivery: what is said arrives in order, some time later; what was
 * said before the worker died arrives too, and then that it is gone.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "sim_io.h"
#include "spool/spool.h"

enum sim_word { SIM_POSITION, SIM_NOTICE, SIM_GONE };

struct sim_wire;

/* To this delivery process; it is silent when that is dead. */
struct sim_wire *sim_wire_new(
	struct sim *sim, struct sim_process *to, void *delivery, uint8_t worker);
void sim_wire_say(struct sim_wire *wire, enum sim_word word, const struct spool_notice *notice);

/* Called, from the list of events, for each word (sim_machine.c). */
void sim_wire_heard(
	void *delivery, uint8_t worker, enum sim_word word, const struct spool_notice *notice);

#endif
