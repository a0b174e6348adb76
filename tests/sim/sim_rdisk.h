/*
 * The disk as one process has it: every operation goes through to the machine's disk (sim_disk),
 * but it takes time, it may be the process's last, and it may be the one at which the machine's
 * power fails. Files that a dead process had open are closed.
 *
 * Mutations, which break promises on purpose to see that the judge notices, live here too.
 */
#ifndef SIM_RDISK_H
#define SIM_RDISK_H

#include "sim_disk.h"
#include "sim_io.h"

enum sim_mutation {
	MUTATION_NONE,
	MUTATION_NO_SYNC,      /* fdatasync does nothing */
	MUTATION_NO_SYNC_DIR,  /* nor does fsync of a directory */
	MUTATION_NO_JOURNAL,   /* delivery's log is never written */
	MUTATION_LATE_SYNC,    /* fdatasync says it is done, and is done later */
	MUTATION_NO_SEAL,      /* after a failed sync nobody writes where the log ends */
	MUTATION_FLIP_READ,    /* a bit of a body flips on its way out */
	MUTATION_LOSE_NOTICE,  /* delivery does not hear of some batches */
	MUTATION_RETRY_SYNC,   /* a failed sync is asked again, and believed */
	MUTATION_FORGET_DONE,  /* records of the journal that say "done" are lost at a restart */
	MUTATION_UNLINK_EARLY, /* the newest worker's file but one goes with each file removed */
	/* sim_wrap.c */
	MUTATION_NO_EXTENT,   /* how far logs are durable is not on record */
	MUTATION_NO_PROOF,    /* … nor does a writer close its log */
	MUTATION_FORGET_HOLD, /* nothing is held after a restart */
	MUTATION_COUNT_PAUSE, /* retry clocks go on while paused */
	MUTATION_DROP_PARTLY, /* the results of a first transaction of several are not kept */
	MUTATION_DROP_DSN,    /* no notification is kept */
	/* sim_wrap_tls.c */
	MUTATION_IN_CLEAR,	  /* where TLS must be, clear will do */
	MUTATION_ANY_CERTIFICATE, /* whatever was asked of it */
	MUTATION_ANY_HOST,	  /* whatever the domain's policy says */
	MUTATION_NO_TLSA,	  /* records that cannot be looked up are none */
	MUTATION_TAKE_INJECTED,	  /* what comes behind the reply to STARTTLS does not matter */
	MUTATION_STALE_LINKS, /* what was decided about links stays when the directory changes */
	MUTATION_FORGET_POLICIES, /* no MTA-STS policy is kept over a restart */
	MUTATION_RELAX_ALL,	  /* a link that some senders put up with is good enough for all */
	/* sim_wrap_who.c */
	MUTATION_ACCEPT_NO,    /* a wrong password is right */
	MUTATION_KEEP_STATE,   /* what was said in clear counts after the handshake */
	MUTATION_TAKE_EARLY,   /* … and what came behind STARTTLS */
	MUTATION_TRUST_PROXY,  /* anybody's PROXY header is believed */
	MUTATION_UNKNOWN_HOPS, /* next hops that are not known may be relayed to */
	MUTATION_ANY_SENDER,   /* who logged in may send as anybody */
	MUTATION_OPEN_RELAY,   /* anybody may relay */
	SIM_MUTATIONS
};

/* The journal forgets what it said last. */
void sim_mutate_forget_done(struct sim_disk *spool);

const char *sim_mutation_name(enum sim_mutation mutation);
/* SIM_MUTATIONS where there is no such. */
enum sim_mutation sim_mutation_parse(const char *name);

struct sim_rdisk;

/* Log files in which something was written: their names must never come again (a mark about the old
 * one would be taken for one about the new). One for all processes of a machine. */
struct sim_serials {
	char (*paths)[64];
	size_t count, room;
	void (*reused)(void *arg, const char *path);
	void *arg;
};

/* `power_failed` is called when an operation found the power gone; it kills the process. */
struct disk *sim_rdisk_new(struct sim_process *process, struct sim_disk *under,
	enum sim_mutation mutation, struct sim_serials *serials, void (*power_failed)(void *arg),
	void *arg);
/* Of a dead process. */
void sim_rdisk_abandon(struct disk *disk);
uint64_t sim_rdisk_operations(const struct disk *disk);

#endif
