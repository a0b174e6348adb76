/*
 * A struct io without network for unit tests: time stands still until asked, jobs wait until they
 * are run, lane by lane in a seeded order.
 */
#ifndef TEST_FAKE_IO_H
#define TEST_FAKE_IO_H

#include "base/prng.h"
#include "io/io.h"

struct fake_io {
	struct io io;
	struct prng prng;
	struct io_job *jobs[IO_LANES];
	uint64_t jobs_run;
};

void fake_io_init(struct fake_io *fake, uint64_t seed, int64_t wall_ms);
void fake_io_done(struct fake_io *fake);
/* One turn: at most one job of each lane, due timers, end-of-turn tasks. False: nothing was there.
 */
bool fake_io_turn(struct fake_io *fake);
/* Turns until nothing is left but timers. */
void fake_io_settle(struct fake_io *fake);
/* Lets time pass, firing timers on the way, for `ms`. */
void fake_io_pass(struct fake_io *fake, uint64_t ms);

#endif
