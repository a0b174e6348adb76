/* An io with a clock that stands still and a lane that runs when it is told. */
#ifndef TEST_FAKE_KEYS_IO_H
#define TEST_FAKE_KEYS_IO_H

#include "base/err.h"
#include "io/io.h"

struct fake_io {
	struct io io;
	struct io_job *job; /* at most one: role keys hashes one at a time */
	int submitted;
	bool refuse;
};

static int fake_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct fake_io *f = (struct fake_io *)(void *)io;

	assert_int_equal(lane, IO_LANE_HASH);
	assert_null(f->job);
	if (f->refuse)
		return ERR_NOMEM;
	f->job = job;
	f->submitted++;
	return 0;
}

static void fake_io_begin(struct fake_io *f)
{
	static const struct io_ops ops = {.submit = fake_submit};

	*f = (struct fake_io){.job = NULL};
	io_init(&f->io, &ops);
	f->io.now_ns = 1000 * NS_PER_S;
}

static inline void fake_io_pass(struct fake_io *f, uint64_t ms)
{
	f->io.now_ns += ms * NS_PER_MS;
	timers_run(&f->io.timers, f->io.now_ns);
}

static inline bool fake_io_work(struct fake_io *f)
{
	struct io_job *job = f->job;

	if (!job)
		return false;
	f->job = NULL;
	job->run(job);
	job->done(job);
	return true;
}

static void fake_io_end(struct fake_io *f)
{
	timers_done(&f->io.timers);
}

#endif
