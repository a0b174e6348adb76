/*
 * Makes a message at random, and enters it in the ledger.
 */
#ifndef SIM_MAIL_H
#define SIM_MAIL_H

#include "sim_ledger.h"

/* `extended`: the client may use what EHLO offers (BDAT, BINARYMIME, DSN). */
struct ledger_mail *sim_mail_make(struct sim *sim, struct ledger *ledger, bool extended);

#endif
