#include "rough.h"

#include "base/check.h"
#include "spool/format.h"

#include <stdio.h>

#define LIVES	 5
#define STEPS	 160
#define CLIENTS	 12 /* at a time */
#define CAPACITY (3u << 20)

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)prng_below(&w->prng, n);
}

static uint32_t some_length(struct world *w)
{
	switch (below(w, 8)) {
	case 0: return below(w, 10);
	case 1: return 60000 + below(w, 12000);
	case 2: return 100000 + below(w, 90000);
	case 3: return 8000 + below(w, 20000);
	default: return 300 + below(w, 4000);
	}
}

static struct ticket *some_known(struct world *w)
{
	for (int tries = 0; w->count && tries < 20; tries++) {
		struct ticket *t = &w->tickets[below(w, w->count)];
		if (t->known && !t->done_asked)
			return t;
	}
	return NULL;
}

static struct ticket *some_open(struct world *w)
{
	for (int tries = 0; w->count && tries < 20; tries++) {
		struct ticket *t = &w->tickets[below(w, w->count)];
		if (t->draft)
			return t;
	}
	return NULL;
}

static uint32_t open_clients(const struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->tickets[i].draft != NULL;
	return n;
}

static void step(struct world *w)
{
	struct ticket *t;

	switch (below(w, 16)) {
	case 0:
	case 1:
	case 2:
		if (open_clients(w) < CLIENTS && w->count + 2 < WORLD_MESSAGES)
			world_client(w, (uint8_t)below(w, WORLD_WRITERS), some_length(w));
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		if ((t = some_open(w)))
			world_feed(w, t, 1 + below(w, 60000));
		break;
	case 7:
		if (w->count + 2 < WORLD_MESSAGES)
			world_send(w, (uint8_t)below(w, WORLD_WRITERS), some_length(w));
		break;
	case 8:
		if (below(w, 4) == 0 && (t = some_open(w)))
			world_abort(t);
		break;
	case 9:
	case 10:
		if ((t = some_known(w)) && w->count + 2 < WORLD_MESSAGES)
			world_finish(t, !t->is_dsn && below(w, 3) == 0);
		break;
	case 11:
		if ((t = some_known(w)))
			world_state(t);
		break;
	case 12:
		if ((t = some_known(w)))
			world_check_body(w, t);
		break;
	case 13: fake_io_pass(&w->io, below(w, 40)); break;
	case 14:
		if (below(w, 20) == 0)
			fake_io_pass(&w->io, 4000);
		if (below(w, 30) == 0)
			world_replace_writer(w, below(w, WORLD_WRITERS));
		break;
	default: fake_io_turn(&w->io); break;
	}
}

static void set_faults(struct world *w, uint32_t faults)
{
	struct sim_disk_faults disk = {.writeback = 3000};

	if (faults & ROUGH_DISK)
		disk = (struct sim_disk_faults){
			.write_short = below(w, 3000),
			.write_no_space = below(w, 1500),
			.write_error = below(w, 700),
			.sync_error = below(w, 1500),
			.sync_dir_error = below(w, 700),
			.make_error = below(w, 3000),
			.writeback = below(w, 20000),
		};
	sim_disk_set_faults(w->disk, &disk);
	if (faults & ROUGH_FULL)
		sim_disk_set_capacity(w->disk, below(w, 3) ? CAPACITY + below(w, CAPACITY) : 0);
	sim_disk_lie(w->disk, (faults & ROUGH_LIE) != 0, (faults & ROUGH_LIE_DIR) != 0);
}

/* How a life ends: by the power, by kill, or in good order. */
static void end_life(struct world *w)
{
	uint32_t how = below(w, 4);

	if (how == 0)
		fake_io_settle(&w->io);
	world_down(w);
	if (how < 2)
		sim_disk_process_died(w->disk);
	else
		sim_disk_power_cycle(w->disk, below(w, 3) ? SIM_KEEP_RANDOM : SIM_KEEP_NOTHING);
}

static void calm(struct world *w)
{
	sim_disk_set_faults(w->disk, &(struct sim_disk_faults){0});
	sim_disk_set_capacity(w->disk, 0);
	sim_disk_lie(w->disk, false, false);
}

void rough_lives(struct world *w, uint64_t seed, uint32_t faults)
{
	world_init(w, seed);
	w->rough = true;
	w->quiet = (faults & ROUGH_QUIET) != 0;
	for (uint32_t life = 0; life < LIVES && !w->fault; life++) {
		if (!world_up(w, WORLD_WRITERS)) {
			world_blame(w, 0, "the spool does not come up");
			return;
		}
		world_check(w);
		set_faults(w, faults);
		if (below(w, 3))
			sim_disk_cut_at(w->disk, 1 + below(w, 300));
		for (uint32_t i = 0; i < STEPS && !sim_disk_is_cut(w->disk) && !w->fault; i++)
			step(w);
		calm(w);
		end_life(w);
	}
	if (w->fault)
		return;
	if (!world_up(w, WORLD_WRITERS))
		world_blame(w, 0, "the spool does not come up");
	world_check(w);
	world_check_verify(w);
}

/* ---- what is left ----------------------------------------------------------------------- */

struct count {
	struct world *world;
	uint32_t bodies, logs;
};

static int count_name(void *arg, const char *name)
{
	struct count *count = arg;
	uint32_t serial, number;
	enum format_name kind = format_parse_name(name, &serial, &number);

	count->bodies += kind == FORMAT_NAME_BODY;
	count->logs += kind == FORMAT_NAME_LOG;
	return 0;
}

uint32_t rough_left_over(struct world *w)
{
	uint32_t left = 0;
	/* An unfinished log that had the greatest serial at recovery waits for the next one. */
	uint32_t waits = 1;

	/* New files for all, so that the old ones can go. */
	for (int round = 0; round < 40; round++) {
		for (uint8_t owner = 0; owner < WORLD_WRITERS; owner++)
			world_send(w, owner, 50000);
		fake_io_pass(&w->io, 200);
		for (uint32_t i = 0; i < w->count; i++)
			if (w->tickets[i].known && !w->tickets[i].done_asked)
				world_finish(&w->tickets[i], false);
	}
	fake_io_pass(&w->io, 60000);
	for (uint32_t owner = 0; owner <= WORLD_WRITERS; owner++) {
		struct count count = {.world = w};
		char dir[FORMAT_PATH];
		format_dir(dir, owner == WORLD_WRITERS ? SPOOL_OWNER_DELIVERY : (uint8_t)owner);
		int err = disk_list(sim_disk_base(w->disk), dir, count_name, &count);
		CHECK(err == 0);
		format_body_dir(dir, (uint8_t)owner);
		if (owner < WORLD_WRITERS)
			err = disk_list(sim_disk_base(w->disk), dir, count_name, &count);
		CHECK(err == 0);
		/* The current and the next one; the journal keeps some more. */
		uint32_t may = owner == WORLD_WRITERS ? 4 : 2;
		uint32_t logs = count.logs > may ? count.logs - may : 0;
		uint32_t excused = logs < waits ? logs : waits;
		waits -= excused;
		left += count.bodies + logs - excused;
	}
	return left;
}
