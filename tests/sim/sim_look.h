/*
 * A look at the whole queue, as an administrator has it: every unit must be in a known state and
 * say why, with a time or a name where there is one; what is paused or held must not be tried, nor
 * use up retries.
 */
#ifndef SIM_LOOK_H
#define SIM_LOOK_H

#include "sim_ledger.h"

#include "base/buf.h"

struct sim_look {
	struct ledger *ledger;
	char after[32];
};

void sim_look_begin(struct sim_look *look, struct ledger *ledger);
/* The next request, and its reply; true: there is more. */
void sim_look_request(const struct sim_look *look, struct buf *out);
bool sim_look_take(struct sim_look *look, struct span reply);

#endif
