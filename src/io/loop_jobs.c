#include "base/err.h"
#include "io/loop_impl.h"

#include <signal.h>
#include <stdlib.h>

/* Enough for SQLite and a sanitizer; untouched pages cost nothing. */
#define LANE_STACK (1u << 20)

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct loop *loop = lane->loop;

	pthread_mutex_lock(&lane->mutex);
	for (;;) {
		while (!lane->first && !lane->stop)
			pthread_cond_wait(&lane->wake, &lane->mutex);
		struct io_job *job = lane->first;
		if (!job)
			break;
		lane->first = job->next;
		if (!lane->first)
			lane->last = &lane->first;
		pthread_mutex_unlock(&lane->mutex);

		job->run(job);

		job->next = NULL;
		pthread_mutex_lock(&loop->finished_mutex);
		/* Whoever finds the list empty wakes the loop; the others ride along. */
		bool wake = !loop->finished;
		*loop->finished_last = job;
		loop->finished_last = &job->next;
		pthread_mutex_unlock(&loop->finished_mutex);
		if (wake)
			uv_async_send(&loop->async);
		pthread_mutex_lock(&lane->mutex);
	}
	pthread_mutex_unlock(&lane->mutex);
	return NULL;
}

static void on_async(uv_async_t *async)
{
	struct loop *loop = async->data;

	loop_wake(loop);
	pthread_mutex_lock(&loop->finished_mutex);
	struct io_job *job = loop->finished;
	loop->finished = NULL;
	loop->finished_last = &loop->finished;
	pthread_mutex_unlock(&loop->finished_mutex);
	while (job) {
		struct io_job *next = job->next;
		if (--loop->jobs == 0)
			uv_unref((uv_handle_t *)&loop->async);
		job->done(job); /* may free the job, or submit it again */
		job = next;
	}
}

static int lane_start(struct lane *lane)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (lane->started)
		return 0;
	if (pthread_attr_init(&attr) != 0)
		return ERR_NOMEM;
	pthread_attr_setstacksize(&attr, LANE_STACK);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&lane->thread, &attr, lane_main, lane);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		return err_from_errno(err);
	lane->started = true;
	return 0;
}

int loop_start_lanes(struct loop *loop)
{
	for (size_t i = 0; i < IO_LANES; i++) {
		int err = lane_start(&loop->lanes[i]);
		if (err)
			return err;
	}
	return 0;
}

int loop_submit(struct io *io, enum io_lane which, struct io_job *job)
{
	struct loop *loop = loop_of(io);
	CHECK(which < IO_LANES && job->run && job->done);
	struct lane *lane = &loop->lanes[which];
	int err = lane_start(lane);
	if (err)
		return err;
	if (loop->jobs++ == 0)
		uv_ref((uv_handle_t *)&loop->async);
	job->next = NULL;
	pthread_mutex_lock(&lane->mutex);
	*lane->last = job;
	lane->last = &job->next;
	pthread_mutex_unlock(&lane->mutex);
	/* After the lock is free, or the thread would wake up only to wait for it. */
	pthread_cond_signal(&lane->wake);
	return 0;
}

int loop_jobs_init(struct loop *loop)
{
	pthread_mutex_init(&loop->finished_mutex, NULL);
	loop->finished_last = &loop->finished;
	for (size_t i = 0; i < IO_LANES; i++) {
		struct lane *lane = &loop->lanes[i];
		lane->loop = loop;
		lane->last = &lane->first;
		pthread_mutex_init(&lane->mutex, NULL);
		pthread_cond_init(&lane->wake, NULL);
	}
	int err = uv_async_init(&loop->uv, &loop->async, on_async);
	if (err)
		return err_from_uv(err);
	loop->async.data = loop;
	uv_unref((uv_handle_t *)&loop->async);
	return 0;
}

void loop_jobs_done(struct loop *loop)
{
	CHECK(loop->jobs == 0);
	for (size_t i = 0; i < IO_LANES; i++) {
		struct lane *lane = &loop->lanes[i];
		if (lane->started) {
			pthread_mutex_lock(&lane->mutex);
			lane->stop = true;
			pthread_cond_signal(&lane->wake);
			pthread_mutex_unlock(&lane->mutex);
			pthread_join(lane->thread, NULL);
		}
		pthread_cond_destroy(&lane->wake);
		pthread_mutex_destroy(&lane->mutex);
	}
	if (loop->async.data)
		uv_close((uv_handle_t *)&loop->async, NULL);
	pthread_mutex_destroy(&loop->finished_mutex);
}
