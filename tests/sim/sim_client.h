/*
 * A client: sends messages as clients do, or as they should not, and enters in the ledger what it
 * was told. It shares no code with Postern's parsers.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "sim_ledger.h"

/* Connects now, sends up to `messages`, and is gone some time later. `trouble` in 1000ths: how
 * often it behaves badly. */
void sim_client_start(struct sim *sim, struct sim_net *net, struct ledger *ledger, size_t messages,
	unsigned trouble);

#endif
