/*
 * The administrator: changes the directory and the queue while the gateway runs, and enters in the
 * ledger what that may cost, and what must hold from then on.
 */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include "sim_machine.h"

struct sim_operator;

struct sim_operator *sim_operator_new(
	struct sim *sim, struct ledger *ledger, struct sim_machine *machine, enum sim_focus focus);
/* From now on everything is made to go on: nothing stays paused or held. */
void sim_operator_calm(struct sim_operator *op);

#endif
