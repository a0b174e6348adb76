/*
 * The web as delivery sees it (io/fetch.h): policies' servers, and one that takes reports. Slow,
 * sometimes not there, and somebody who forged an address has no certificate for the name.
 */
#ifndef SIM_FETCH_H
#define SIM_FETCH_H

#include "io/fetch.h"
#include "sim_io.h"
#include "sim_trust.h"

struct fetch *sim_fetch_new(
	struct sim_process *process, struct sim_trust *trust, struct ledger *ledger);

#endif
