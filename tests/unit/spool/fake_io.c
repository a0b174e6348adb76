#include "fake_io.h"

#include "base/check.h"

static int submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct fake_io *fake = CONTAINER_OF(io, struct fake_io, io);
	struct io_job **at = &fake->jobs[lane];

	while (*at)
		at = &(*at)->next;
	job->next = NULL;
	*at = job;
	return 0;
}

static uint64_t random_number(struct io *io)
{
	return prng_u64(&CONTAINER_OF(io, struct fake_io, io)->prng);
}

static const struct io_ops ops = {.submit = submit, .random = random_number};

void fake_io_init(struct fake_io *fake, uint64_t seed, int64_t wall_ms)
{
	*fake = (struct fake_io){0};
	io_init(&fake->io, &ops);
	fake->io.wall_ms = wall_ms;
	prng_seed(&fake->prng, seed);
}

void fake_io_done(struct fake_io *fake)
{
	for (int i = 0; i < IO_LANES; i++)
		CHECK(!fake->jobs[i]);
	CHECK(!fake->io.turns);
	timers_done(&fake->io.timers);
}

bool fake_io_turn(struct fake_io *fake)
{
	int first = (int)prng_below(&fake->prng, IO_LANES);
	bool any = false;

	for (int i = 0; i < IO_LANES; i++) {
		int lane = (first + i) % IO_LANES;
		struct io_job *job = fake->jobs[lane];
		/* Sometimes one lane is slower than the other. */
		if (!job || (any && prng_below(&fake->prng, 3) == 0))
			continue;
		fake->jobs[lane] = job->next;
		job->run(job);
		fake->jobs_run++;
		job->done(job);
		any = true;
	}
	if (timers_next(&fake->io.timers) <= fake->io.now_ns) {
		timers_run(&fake->io.timers, fake->io.now_ns);
		any = true;
	}
	any = any || fake->io.turns;
	io_turns_run(&fake->io);
	return any;
}

void fake_io_settle(struct fake_io *fake)
{
	while (fake_io_turn(fake))
		;
}

void fake_io_pass(struct fake_io *fake, uint64_t ms)
{
	uint64_t until = fake->io.now_ns + ms * NS_PER_MS;

	for (;;) {
		fake_io_settle(fake);
		uint64_t next = timers_next(&fake->io.timers);
		if (next > until)
			break;
		fake->io.wall_ms += (int64_t)((next - fake->io.now_ns) / NS_PER_MS);
		fake->io.now_ns = next;
	}
	fake->io.wall_ms += (int64_t)((until - fake->io.now_ns) / NS_PER_MS);
	fake->io.now_ns = until;
	fake_io_settle(fake);
}
