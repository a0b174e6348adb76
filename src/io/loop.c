#include "io/loop.h"

#include "base/err.h"
#include "io/loop_impl.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;
	CHECK(clock_gettime(clock, &t) == 0);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void loop_wake(struct loop *loop)
{
	if (loop->fresh)
		return;
	loop->fresh = true;
	loop->io.now_ns = read_clock(CLOCK_MONOTONIC);
	loop->io.wall_ms = (int64_t)(read_clock(CLOCK_REALTIME) / NS_PER_MS);
}

int err_from_uv(int uv_error)
{
	return uv_error ? err_from_errno(-uv_error) : 0;
}

static void timer_fired(uv_timer_t *timer)
{
	/* It only ends the wait: the check hook runs what is due. */
	struct loop *loop = timer->data;
	loop->armed_ns = TIMERS_NEVER;
}

/* One uv timer stands for the whole heap; it is moved only when the earliest deadline is
 * another. */
static void arm(struct loop *loop)
{
	uint64_t next = timers_next(&loop->io.timers);

	if (next == loop->armed_ns)
		return;
	loop->armed_ns = next;
	if (next == TIMERS_NEVER) {
		uv_timer_stop(&loop->timer);
		return;
	}
	uint64_t now = loop->io.now_ns;
	/* One more than the difference, since libuv's own time lags by a part of a millisecond, and
	 * waking early would mean waking twice. */
	uint64_t ms = next > now ? (next - now) / NS_PER_MS + 1 : 0;
	uv_timer_start(&loop->timer, timer_fired, ms, 0);
}

static void settle(struct loop *loop)
{
	if (timers_next(&loop->io.timers) <= loop->io.now_ns)
		timers_run(&loop->io.timers, loop->io.now_ns);
	io_turns_run(&loop->io);
	arm(loop);
}

/* After the callbacks of a poll round. */
static void on_check(uv_check_t *check)
{
	struct loop *loop = check->data;

	loop_wake(loop);
	settle(loop);
}

/* Before the wait: what callbacks outside of the poll round (closing, pending) have queued. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;

	loop_wake(loop);
	settle(loop);
	loop->turn++;
	loop->fresh = false;
}

/* Asked for seldom, and by what must not be guessed: nonces, salts, seeds. */
static uint64_t loop_random(struct io *io)
{
	uint64_t value;
	(void)io;

	while (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		CHECK(errno == EINTR);
	return value;
}

static const struct io_ops loop_ops = {
	.connect = conn_connect,
	.send = conn_send,
	.send_file = conn_send_file,
	.unsent = conn_unsent,
	.arrived = conn_arrived,
	.secure = conn_secure,
	.tls = conn_tls_info,
	.pause = conn_pause,
	.resume = conn_resume,
	.close = conn_close,
	.ends = conn_ends,
	.submit = loop_submit,
	.channel_send = channel_send,
	.channel_close = channel_close,
	.random = loop_random,
};

static void spare_closed(uv_handle_t *handle)
{
	free(handle);
}

/* libuv opens a spare descriptor with its first stream. In a sandbox that fails, and would be tried
 * again for each connection: so the first stream is made now. */
static void keep_spare(struct loop *loop)
{
	uv_tcp_t *first = malloc(sizeof(*first));

	if (first && uv_tcp_init(&loop->uv, first) == 0)
		uv_close((uv_handle_t *)first, spare_closed);
	else
		free(first);
}

static int most_descriptor(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > INT_MAX)
		return INT_MAX;
	return (int)(files.rlim_cur - MIN(LOOP_FILES_KEPT, files.rlim_cur / 4));
}

int loop_new(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return ERR_NOMEM;
	io_init(&loop->io, &loop_ops);
	loop->magic = LOOP_MAGIC;
	loop->armed_ns = TIMERS_NEVER;
	list_init(&loop->lingering);
	loop->conn_most = SIZE_MAX;
	loop->fd_most = most_descriptor();
	loop->scratch = malloc(LOOP_SCRATCH);
	int err = loop->scratch ? 0 : ERR_NOMEM;
	if (err == 0)
		err = err_from_uv(uv_loop_init(&loop->uv));
	if (err) {
		free(loop->scratch);
		free(loop);
		return err;
	}
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	uv_timer_init(&loop->uv, &loop->timer);
	loop->prepare.data = loop->check.data = loop->timer.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_check_start(&loop->check, on_check);
	uv_unref((uv_handle_t *)&loop->prepare);
	uv_unref((uv_handle_t *)&loop->check);
	keep_spare(loop);
	err = loop_jobs_init(loop);
	if (err) {
		loop_free(&loop);
		return err;
	}
	/* sendfile() knows no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	loop_wake(loop);
	*out = loop;
	return 0;
}

void loop_free(struct loop **at)
{
	struct loop *loop = *at;

	if (!loop)
		return;
	*at = NULL;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	LIST_FOR_EACH(node, &loop->lingering)
	conn_destroy(CONTAINER_OF(node, struct conn, lingering));
	loop_jobs_done(loop);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	/* What is still open belongs to an owner that should have closed it. */
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	CHECK(uv_loop_close(&loop->uv) == 0);
	timers_done(&loop->io.timers);
	loop_tls_done(loop);
	free(loop->batch);
	free(loop->scratch);
	loop->magic = 0;
	free(loop);
}

struct io *loop_io(struct loop *loop)
{
	return &loop->io;
}

void loop_set_file_fd(struct loop *loop, int (*file_fd)(const struct io_file *file))
{
	loop->file_fd = file_fd;
}

void loop_run(struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	CHECK(!loop->running);
	loop->running = true;
	loop->fresh = false;
	loop_wake(loop);
	/* What was queued before the first turn has to count as alive. */
	settle(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	loop->running = false;
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_set_connections(struct loop *loop, size_t most)
{
	loop->conn_most = most;
}

size_t loop_lingering(const struct loop *loop)
{
	return loop->lingering_count;
}

/* ---- signals -------------------------------------------------------------------------------- */

struct loop_signal {
	uv_signal_t uv;
	void (*caught)(void *arg, int number);
	void *arg;
};

static void on_signal(uv_signal_t *uv, int number)
{
	struct loop_signal *s = CONTAINER_OF(uv, struct loop_signal, uv);

	loop_wake(uv->data);
	s->caught(s->arg, number);
}

int loop_signal(struct loop *loop, int number, void (*caught)(void *arg, int number), void *arg,
	struct loop_signal **out)
{
	struct loop_signal *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->caught = caught;
	s->arg = arg;
	int err = uv_signal_init(&loop->uv, &s->uv);
	if (err) {
		free(s);
		return err_from_uv(err);
	}
	s->uv.data = loop;
	*out = s;
	err = uv_signal_start(&s->uv, on_signal, number);
	if (err) {
		*out = NULL;
		loop_signal_close(&s);
		return err_from_uv(err);
	}
	uv_unref((uv_handle_t *)&s->uv);
	return 0;
}

static void signal_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct loop_signal, uv));
}

void loop_signal_close(struct loop_signal **at)
{
	struct loop_signal *s = *at;

	*at = NULL;
	if (s)
		uv_close((uv_handle_t *)&s->uv, signal_closed);
}
