#include "sim_chaos.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define CHAOS_KINDS    9
#define CHAOS_DELIVERY 1 /* of them: delivery is killed */
#define CHAOS_STOP_MS  8000
#define CHAOS_SETTLED  (10 * NS_PER_S) /* the end of every log is on record by then */
#define CHAOS_OPS      300	       /* disk operations ahead, at most, at which a role dies */
#define CHAOS_JUMP_MS  (26 * 3600 * 1000)
#define CHAOS_FULL     (10 * SIM_MINUTE)

struct sim_chaos {
	struct sim *sim;
	struct ledger *ledger;
	struct sim_machine *machine;
	struct timer timer, full, errors;
	unsigned weights[CHAOS_KINDS];
	uint64_t pace_ns;
	bool flips, spoils;
};

static void clock_jump(struct sim_chaos *c)
{
	int64_t by = (int64_t)sim_skewed(c->sim, CHAOS_JUMP_MS);

	sim_fault(c->sim, FAULT_CLOCK_JUMP);
	c->sim->skew_ms += sim_chance(c->sim, 500) ? by : -by;
	sim_say(c->sim, "the clock jumps, now %lld ms off", (long long)c->sim->skew_ms);
}

static void set_errors(struct sim_chaos *c, uint32_t of_65536)
{
	struct sim *sim = c->sim;
	struct sim_disk_faults faults = {.writeback = 2000};

	if (of_65536) {
		faults.write_short = (uint32_t)sim_below(sim, of_65536);
		faults.write_error = (uint32_t)sim_below(sim, of_65536);
		faults.write_no_space = (uint32_t)sim_below(sim, of_65536);
		faults.sync_error = (uint32_t)sim_below(sim, 2 * of_65536);
		faults.sync_dir_error = (uint32_t)sim_below(sim, of_65536);
		faults.make_error = (uint32_t)sim_below(sim, of_65536);
		if (sim_chance(sim, 300)) {
			sim_fault(sim, FAULT_READ_ERROR);
			faults.read_error = (uint32_t)sim_below(sim, of_65536);
		}
	}
	machine_set_faults(c->machine, &faults);
}

static void errors_over(struct timer *timer)
{
	set_errors(CONTAINER_OF(timer, struct sim_chaos, errors), 0);
}

static void disk_errors(struct sim_chaos *c)
{
	static const enum sim_op ops[] = {
		SIM_WRITE, SIM_SYNC, SIM_SYNC, SIM_SYNC_DIR, SIM_OPEN, SIM_ALLOCATE};
	struct sim *sim = c->sim;

	sim_fault(sim, FAULT_DISK_ERROR);
	if (sim_chance(sim, 500)) {
		sim_disk_fail_nth(machine_spool(c->machine), ops[sim_below(sim, ARRAY_SIZE(ops))],
			1 + sim_skewed(sim, 20), sim_chance(sim, 700) ? ERR_IO : ERR_NO_SPACE,
			sim_chance(sim, 500));
		return;
	}
	set_errors(c, 1u << sim_between(sim, 6, 14));
	sim_arm(sim, &c->errors, sim_skewed(sim, 5 * SIM_MINUTE));
}

static void full_over(struct timer *timer)
{
	struct sim_chaos *c = CONTAINER_OF(timer, struct sim_chaos, full);

	sim_say(c->sim, "the disk has room again");
	machine_set_capacity(c->machine, 0);
}

static void disk_full(struct sim_chaos *c)
{
	struct disk *disk = sim_disk_base(machine_spool(c->machine));
	uint64_t free_now = 0;

	if (timer_armed(&c->full) || disk_free_bytes(disk, &free_now) != 0)
		return;
	uint64_t used = UINT64_MAX / 2 - free_now;

	sim_fault(c->sim, FAULT_DISK_FULL);
	sim_say(c->sim, "the disk is full at %llu bytes", (unsigned long long)used);
	machine_set_capacity(c->machine, used + sim_skewed(c->sim, 2u << 20));
	sim_arm(c->sim, &c->full, sim_skewed(c->sim, CHAOS_FULL));
}

struct victim {
	struct sim *sim;
	char path[64];
	const char *folder;
	unsigned seen;
};

static int choose(void *arg, const char *name)
{
	struct victim *v = arg;

	if (sim_below(v->sim, ++v->seen) == 0)
		snprintf(v->path, sizeof(v->path), "%s/%.40s", v->folder, name);
	return 0;
}

/* Somewhere in a file of a log. */
static bool choose_place(struct sim_chaos *c, const char *const *folders, size_t count,
	struct victim *v, uint64_t *bit)
{
	struct sim_disk *disk = machine_spool(c->machine);
	struct span bytes;

	*v = (struct victim){.sim = c->sim, .folder = folders[sim_below(c->sim, count)]};
	if (disk_list(sim_disk_base(disk), v->folder, choose, v) != 0 || !v->path[0] ||
		sim_disk_peek(disk, v->path, &bytes) != 0 || !bytes.n)
		return false;
	/* Often near the end, where nothing follows that could vouch for it. */
	*bit = sim_below(c->sim, bytes.n * 8);
	if (sim_chance(c->sim, 500))
		*bit = bytes.n * 8 - 1 - sim_skewed(c->sim, bytes.n * 8 - 1);
	return true;
}

/* On the medium: what is in memory is another copy, so it shows when the machine starts again. */
static void flip(void *arg)
{
	struct sim_chaos *c = arg;
	static const char *const folders[] = {"w0", "w0", "d", "w1"};
	struct sim_disk *disk = machine_spool(c->machine);
	struct victim v;
	uint64_t bit;

	if (!choose_place(c, folders, ARRAY_SIZE(folders), &v, &bit))
		return;
	if (c->spoils && sim_chance(c->sim, 500)) {
		if (sim_disk_spoil(disk, v.path, bit / 8) != 0)
			return;
		c->ledger->bad_sectors++;
		ledger_harm(c->ledger);
		sim_fault(c->sim, FAULT_BAD_SECTOR);
		sim_say(c->sim, "a sector goes bad in %s, at %llu", v.path,
			(unsigned long long)bit / 8);
		return;
	}
	if (sim_disk_flip(disk, v.path, bit) != 0)
		return;
	c->ledger->flips++;
	ledger_harm(c->ledger);
	sim_fault(c->sim, FAULT_BIT_FLIP);
	sim_say(c->sim, "a bit flips in %s, at %llu", v.path, (unsigned long long)bit / 8);
}

/* While nothing runs. */
static void rests(void *arg)
{
	struct sim_chaos *c = arg;

	if (c->flips && sim_chance(c->sim, 500))
		flip(c);
}

/* What was said before the last moments is on record, where nothing disturbed that. */
static void note_proven(struct sim_chaos *c)
{
	if (!timer_armed(&c->errors) && !timer_armed(&c->full) &&
		machine_is_settled(c->machine, CHAOS_SETTLED))
		c->ledger->proven_ns = c->sim->now_ns - CHAOS_SETTLED;
}

static void strike(struct sim_chaos *c, unsigned kind)
{
	struct sim *sim = c->sim;
	uint64_t ahead = sim_chance(sim, 800) ? 1 + sim_skewed(sim, CHAOS_OPS) : 0;

	switch (kind) {
	case 0:
		machine_kill_worker(
			c->machine, (unsigned)sim_below(sim, machine_workers(c->machine)), ahead);
		break;
	case CHAOS_DELIVERY: machine_kill_delivery(c->machine, ahead); break;
	case 2:
		(void)machine_cut_power(c->machine, ahead);
		/* A clock that runs on its own is often wrong after that. */
		if (sim_chance(sim, 200))
			clock_jump(c);
		break;
	case 3: clock_jump(c); break;
	case 4: disk_errors(c); break;
	case 5: disk_full(c); break;
	case 6:
		if (sim_chance(sim, 400)) {
			machine_stop(c->machine, (uint32_t)sim_skewed(sim, CHAOS_STOP_MS));
			if (sim_chance(sim, 300))
				machine_kill_delivery(c->machine, 0);
		} else
			machine_stop_role(c->machine, (unsigned)sim_below(sim, 8),
				(uint32_t)sim_skewed(sim, CHAOS_STOP_MS));
		break;
	case 7: machine_kill_admin(c->machine); break;
	default:
		if (!c->flips || !machine_cut_power(c->machine, 0))
			break;
		for (uint64_t i = 0, most = sim_between(sim, 1, 3); i < most; i++)
			sim_later(sim, 1, flip, c);
	}
}

static void next(struct sim_chaos *c)
{
	/* Now and then one thing right after the other. */
	sim_arm(c->sim, &c->timer,
		sim_chance(c->sim, 150) ? sim_skewed(c->sim, c->pace_ns)
					: sim_below(c->sim, 2 * c->pace_ns));
}

static void fired(struct timer *timer)
{
	struct sim_chaos *c = CONTAINER_OF(timer, struct sim_chaos, timer);
	unsigned total = 0, kind = 0;

	for (unsigned i = 0; i < CHAOS_KINDS; i++)
		total += c->weights[i];
	uint64_t at = total ? sim_below(c->sim, total) : 0;
	while (total && at >= c->weights[kind])
		at -= c->weights[kind++];
	note_proven(c);
	if (total)
		strike(c, kind);
	next(c);
}

struct sim_chaos *sim_chaos_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	struct sim_machine *machine, enum sim_focus focus)
{
	struct sim_chaos *c = calloc(1, sizeof(*c));
	struct sim_net_weather weather = {
		.reset = (unsigned)sim_skewed(sim, 200),
		.stall = (unsigned)sim_skewed(sim, 200),
		.silent = (unsigned)sim_skewed(sim, 60),
	};

	CHECK(c);
	c->sim = sim;
	c->ledger = ledger;
	c->machine = machine;
	c->timer.fire = fired;
	c->full.fire = full_over;
	c->errors.fire = errors_over;
	c->pace_ns = (10 * NS_PER_S) << sim_below(sim, 6);
	c->flips = sim_chance(sim, 150);
	c->spoils = sim_chance(sim, 500);
	for (unsigned i = 0; i < CHAOS_KINDS; i++)
		c->weights[i] = sim_chance(sim, 600) ? (unsigned)sim_below(sim, 10) : 0;
	if (focus == FOCUS_FLIPS) {
		c->flips = true;
		c->spoils = false;
		c->weights[CHAOS_KINDS - 1] = 10;
	} else if (focus != FOCUS_NONE) {
		memset(c->weights, 0, sizeof(c->weights));
		c->weights[CHAOS_DELIVERY] = focus == FOCUS_DEATHS;
		c->flips = c->flips && focus != FOCUS_QUIET;
	}
	sim_net_set_weather(net, &weather);
	machine_at_rest(machine, rests, c);
	set_errors(c, 0);
	next(c);
	return c;
}

void sim_chaos_end(struct sim_chaos *c)
{
	struct timers *events = &c->sim->events;

	timers_disarm(events, &c->timer);
	timers_disarm(events, &c->full);
	timers_disarm(events, &c->errors);
	machine_set_faults(c->machine, &(struct sim_disk_faults){0});
	machine_set_capacity(c->machine, 0);
	machine_at_rest(c->machine, NULL, NULL);
	machine_spare(c->machine);
}
