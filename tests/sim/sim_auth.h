/*
 * Whoever knows the passwords, and whoever knows the next hops, as a worker sees them
 * (smtpd/auth.h, smtpd/hops.h): slow, at times not there, and right in what they say.
 */
#ifndef SIM_AUTH_H
#define SIM_AUTH_H

#include "sim_io.h"
#include "smtpd/auth.h"
#include "smtpd/hops.h"

#define AUTH_BOXES 4 /* box0@c.example, whose password is "secret of box0", … */

/* What is kept of the passwords; made when it is asked for. */
struct sim_verifiers {
	struct scram_verifier scram[AUTH_BOXES];
};

struct auth *sim_auth_new(struct sim_process *process, struct sim_verifiers *verifiers);
/* y.example and z.example have next hops; nothing is known of others. */
struct hops *sim_hops_asked_new(struct sim_process *process);

#endif
