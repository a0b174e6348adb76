/*
 * What the files of the operator share: sim_operator.c (its life, and the directory),
 * sim_operator_queue.c (the queue).
 */
#ifndef SIM_OPERATOR_INNER_H
#define SIM_OPERATOR_INNER_H

#include "sim_operator.h"

#define OPERATOR_LEAST	 (30 * NS_PER_S) /* between two changes */
#define OPERATOR_RELEASE (SIM_MINUTE)	 /* in calm, between two looks for what is held */
/* Mail in a log that cannot be read for a while, and is put aside, is held when it comes. */
#define OPERATOR_ASIDE	(2 * SIM_MINUTE)
#define OPERATOR_PAUSES 8
#define OPERATOR_ID	32

struct paused {
	enum pause_scope scope;
	const char *name, *blocker;
	bool on;
};

enum work {
	WORK_RETRY,
	WORK_HOLD,
	WORK_RELEASE,
	WORK_REROUTE,
	WORK_BOUNCE,
	WORK_DELETE,
	WORK_PRIORITISE,
	WORK_UNPRIORITISE,
	WORKS
};

struct sim_operator {
	struct sim *sim;
	struct ledger *ledger;
	struct sim_machine *machine;
	struct timer timer;
	uint64_t pace_ns;
	unsigned of_queue; /* in 1000ths: the others change the directory */
	struct paused paused[OPERATOR_PAUSES];
	bool pauses_only, relays_only;
	bool second, moved, spare; /* how the directory differs from the one at first */
	/* one piece of work on the queue */
	enum work work;
	bool by_filter;
	char id[OPERATOR_ID];
	struct ledger_mail *mail;
	bool is_dsn, held; /* held: something may be */
	uint64_t calm_ns;  /* since then; 0: not yet */
};

void operator_work(struct sim_operator *op);
void operator_release_all(struct sim_operator *op);

#endif
