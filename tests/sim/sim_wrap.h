#ifndef SIM_WRAP_H
#define SIM_WRAP_H

#include "sim_rdisk.h"

void sim_wrap_set(enum sim_mutation mutation);
/* sim_wrap_tls.c, sim_wrap_who.c */
void sim_wrap_tls_set(enum sim_mutation mutation);
void sim_wrap_who_set(enum sim_mutation mutation);

#endif
