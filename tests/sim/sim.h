/*
 * The simulated world: one clock, one die, one list of what comes next, one trace. Everything that
 * happens in a run happens because an event of this list came due; nothing looks at the real clock
 * or at addresses in memory, so one seed always gives one trace.
 *
 * Owner: the main program, one for each run. A run's memory ends with its process (sim_main.c runs
 * each seed in a child), since a role that is killed leaves its memory behind by design.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/prng.h"
#include "base/span.h"
#include "base/timers.h"
#include "io/io.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_EPOCH_MS 1795300000000 /* the wall clock at the start of a run */
#define SIM_US	     1000ull
#define SIM_MINUTE   (60 * NS_PER_S)
#define SIM_HOUR     (60 * SIM_MINUTE)

/* What went wrong on purpose, counted for the summary. */
enum sim_fault {
	FAULT_KILL_WORKER,
	FAULT_KILL_DELIVERY,
	FAULT_KILL_ADMIN,
	FAULT_STOP,
	FAULT_POWER_CUT,
	FAULT_CLOCK_JUMP,
	FAULT_DISK_FULL,
	FAULT_DISK_ERROR,
	FAULT_BIT_FLIP,
	FAULT_BAD_SECTOR,
	FAULT_READ_ERROR,
	FAULT_RESET,
	FAULT_STALL,
	FAULT_PEER_DROP,
	FAULT_PEER_NONSENSE,
	FAULT_PEER_DOWN,
	FAULT_CLIENT_GONE,
	FAULT_DNS,
	FAULT_ADMIN,
	FAULT_TLS,
	FAULT_ATTACK,
	FAULT_TRUST,
	SIM_FAULTS
};

const char *sim_fault_name(enum sim_fault fault);

struct sim {
	uint64_t seed;
	uint64_t now_ns;
	int64_t skew_ms; /* of the wall clock */
	struct timers events;
	struct prng prng;
	uint64_t trace;
	uint64_t event_count;
	uint64_t faults[SIM_FAULTS];
	bool verbose, silent;
	bool calm; /* the time of faults is over */
};

void sim_init(struct sim *sim, uint64_t seed, bool verbose);

/* Into the trace. */
void sim_note(struct sim *sim, uint64_t value);
void sim_note_bytes(struct sim *sim, const void *p, size_t n);

static inline int64_t sim_wall_ms(const struct sim *sim)
{
	return SIM_EPOCH_MS + (int64_t)(sim->now_ns / NS_PER_MS) + sim->skew_ms;
}

/* The die: [0, below), [least, most], and true in `of_1000` of 1000 throws. */
uint64_t sim_below(struct sim *sim, uint64_t below);
uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most);
bool sim_chance(struct sim *sim, unsigned of_1000);
/* Small values often, large ones seldom: evenly over the powers of two up to `most`. */
uint64_t sim_skewed(struct sim *sim, uint64_t most);

void sim_fault(struct sim *sim, enum sim_fault fault);

/* An event that its owner may move or take back. */
void sim_arm(struct sim *sim, struct timer *timer, uint64_t after_ns);
/* One that cannot be taken back. */
void sim_later(struct sim *sim, uint64_t after_ns, void (*call)(void *arg), void *arg);

/* The next event; false: there is none, or none up to `until_ns` (the clock then stands there). */
bool sim_step(struct sim *sim, uint64_t until_ns);

/* Verbose runs say what happens, with the time. */
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
