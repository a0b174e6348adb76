#include "sim.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACE_PRIME 0x100000001b3ull

static const char *const fault_names[SIM_FAULTS] = {
	[FAULT_KILL_WORKER] = "worker killed",
	[FAULT_KILL_DELIVERY] = "delivery killed",
	[FAULT_KILL_ADMIN] = "admin killed",
	[FAULT_STOP] = "told to end",
	[FAULT_POWER_CUT] = "power cut",
	[FAULT_CLOCK_JUMP] = "clock jump",
	[FAULT_DISK_FULL] = "disk full",
	[FAULT_DISK_ERROR] = "disk error",
	[FAULT_BIT_FLIP] = "bit flip",
	[FAULT_BAD_SECTOR] = "bad sector",
	[FAULT_READ_ERROR] = "read errors",
	[FAULT_RESET] = "reset",
	[FAULT_STALL] = "stall",
	[FAULT_PEER_DROP] = "hop dropped",
	[FAULT_PEER_NONSENSE] = "hop nonsense",
	[FAULT_PEER_DOWN] = "hop down",
	[FAULT_CLIENT_GONE] = "client gone",
	[FAULT_DNS] = "dns failure",
	[FAULT_ADMIN] = "change by an administrator",
	[FAULT_TLS] = "handshake broken off",
	[FAULT_ATTACK] = "attack on a link",
	[FAULT_TRUST] = "change of certificates, TLSA or policies",
};

const char *sim_fault_name(enum sim_fault fault)
{
	return fault_names[fault];
}

void sim_init(struct sim *sim, uint64_t seed, bool verbose)
{
	*sim = (struct sim){.seed = seed, .trace = seed, .verbose = verbose, .now_ns = NS_PER_S};
	timers_init(&sim->events);
	prng_seed(&sim->prng, seed);
}

void sim_note(struct sim *sim, uint64_t value)
{
	sim->trace = (sim->trace ^ value) * TRACE_PRIME;
	sim->trace ^= sim->trace >> 31;
}

void sim_note_bytes(struct sim *sim, const void *p, size_t n)
{
	const unsigned char *bytes = p;
	uint64_t sum = n;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * TRACE_PRIME;
	sim_note(sim, sum);
}

uint64_t sim_below(struct sim *sim, uint64_t below)
{
	return prng_below(&sim->prng, below);
}

uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most)
{
	return least + prng_below(&sim->prng, most - least + 1);
}

bool sim_chance(struct sim *sim, unsigned of_1000)
{
	return of_1000 && prng_below(&sim->prng, 1000) < of_1000;
}

uint64_t sim_skewed(struct sim *sim, uint64_t most)
{
	unsigned bits = 0;

	while (bits < 63 && (1ull << bits) <= most)
		bits++;
	uint64_t value = prng_below(&sim->prng, 1ull << sim_below(sim, bits + 1));

	return MIN(value, most);
}

void sim_fault(struct sim *sim, enum sim_fault fault)
{
	sim->faults[fault]++;
	sim_note(sim, 0xfa000000u + fault);
}

void sim_arm(struct sim *sim, struct timer *timer, uint64_t after_ns)
{
	CHECK(timers_arm(&sim->events, timer, sim->now_ns + after_ns) == 0);
}

struct later {
	struct timer timer;
	void (*call)(void *arg);
	void *arg;
};

static void later_fired(struct timer *timer)
{
	struct later later = *CONTAINER_OF(timer, struct later, timer);

	free(CONTAINER_OF(timer, struct later, timer));
	later.call(later.arg);
}

void sim_later(struct sim *sim, uint64_t after_ns, void (*call)(void *arg), void *arg)
{
	struct later *later = calloc(1, sizeof(*later));

	CHECK(later);
	*later = (struct later){.timer.fire = later_fired, .call = call, .arg = arg};
	sim_arm(sim, &later->timer, after_ns);
}

bool sim_step(struct sim *sim, uint64_t until_ns)
{
	uint64_t next = timers_next(&sim->events);

	if (next > until_ns) {
		sim->now_ns = MAX(sim->now_ns, until_ns);
		return false;
	}
	struct timer *timer = sim->events.heap[0];

	sim->now_ns = MAX(sim->now_ns, next);
	sim->event_count++;
	sim_note(sim, sim->now_ns);
	timers_disarm(&sim->events, timer);
	timer->fire(timer);
	return true;
}

void sim_say(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->verbose)
		return;
	printf("%14.6f  ", (double)sim->now_ns / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}
