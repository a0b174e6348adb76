/*
 * What the supervisor keeps of TLS: the present certificates and keys, handed over whenever a role
 * starts; the keys of session tickets, which outlive every role; and what to look at again.
 *
 * A new set goes to role keys first, and to the workers when it says that it has it: so no worker
 * asks for a signature that cannot be made yet.
 */
#ifndef ROLE_TLS_KEEPER_H
#define ROLE_TLS_KEEPER_H

#include "base/timers.h"
#include "io/tls.h"
#include "role/tls_files.h"

#define TLS_TICKETS_MS UINT64_C(3600000)  /* between two keys for session tickets */
#define TLS_EXPIRY_MS  UINT64_C(86400000) /* between two warnings */

struct supervisor;
struct slot;

struct tls_keeper {
	bool wanted;		/* a listener has TLS */
	struct tls_files now;	/* what role keys has taken, or will when it starts */
	struct tls_stamp *seen; /* at the last look, where that is not what was read */
	bool seen_change;
	uint32_t number; /* of the next key */
	uint32_t set;	 /* how many sets there were */
	uint32_t taken;	 /* role keys has this one */
	struct tls_tickets tickets;
	struct timer tickets_timer, expiry_timer;
};

void tls_keeper_init(struct tls_keeper *tls);
/* Reads the files. An error, and `problem` has a sentence. */
int tls_keeper_begin(struct supervisor *sv, struct buf *problem);
/* Nothing is done any more; nothing is held. */
void tls_keeper_stop(struct supervisor *sv);
void tls_keeper_end(struct supervisor *sv);
/* A role that has just been given all else. */
int tls_keeper_give(struct slot *slot);
/* Role keys has a set. */
void tls_keeper_taken(struct supervisor *sv, uint32_t set);
/* Reads the files again; what is wrong is logged, and changes nothing. */
void tls_keeper_reload(struct supervisor *sv);
/* The same for an administrator, who is told; `admin` asked with this number. */
void tls_keeper_asked(struct slot *admin, uint32_t request);
/* Now and then: the same, where they changed and do so no longer. */
void tls_keeper_look(struct supervisor *sv);

#endif
