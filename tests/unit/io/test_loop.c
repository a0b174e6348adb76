/* Time, turns, jobs, channels and signals of the loop. */
#include "loop_peer.h"

#include "base/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int setup(void **state)
{
	struct loop *loop;
	assert_int_equal(loop_new(&loop), 0);
	*state = loop;
	return 0;
}

static int teardown(void **state)
{
	struct loop *loop = *state;
	loop_free(&loop);
	return 0;
}

/* ---- timers and turns ----------------------------------------------------------------------- */

struct tick {
	struct timer timer;
	struct loop *loop;
	uint64_t due_ns;
	int *order, number;
	int *count;
};

static void tick_fire(struct timer *timer)
{
	struct tick *t = CONTAINER_OF(timer, struct tick, timer);
	uint64_t now = loop_io(t->loop)->now_ns;

	assert_true(now >= t->due_ns);
	assert_true(now < t->due_ns + 200 * NS_PER_MS);
	t->order[(*t->count)++] = t->number;
}

static void timers_fire_in_order_and_never_early(void **state)
{
	struct loop *loop = *state;
	struct io *io = loop_io(loop);
	const uint64_t ms[] = {40, 5, 20, 0, 20};
	struct tick ticks[5];
	int order[5], count = 0;

	for (int i = 0; i < 5; i++) {
		ticks[i] = (struct tick){.timer.fire = tick_fire,
			.loop = loop,
			.due_ns = io->now_ns + ms[i] * NS_PER_MS,
			.order = order,
			.number = i,
			.count = &count};
		assert_int_equal(io_timer_after(io, &ticks[i].timer, ms[i]), 0);
	}
	/* Nothing else is there: the loop ends by itself after the last. */
	loop_run(loop);
	assert_int_equal(count, 5);
	const int expected[] = {3, 1, 2, 4, 0};
	assert_memory_equal(order, expected, sizeof(order));
}

static void a_stopped_timer_does_not_hold_the_loop(void **state)
{
	struct loop *loop = *state;
	struct stopper never = {.timer.fire = stopper_fire, .loop = loop};

	io_timer_after(loop_io(loop), &never.timer, 60000);
	io_timer_stop(loop_io(loop), &never.timer);
	loop_run(loop);
	assert_false(never.fired);
}

struct task {
	struct io_turn turn;
	struct io *io;
	int runs, again;
	struct timer timer;
	int timer_runs;
};

static void task_timer(struct timer *timer)
{
	struct task *t = CONTAINER_OF(timer, struct task, timer);
	t->timer_runs++;
	io_turn_end(t->io, &t->turn);
	io_turn_end(t->io, &t->turn);
}

static void task_end(struct io_turn *turn)
{
	struct task *t = CONTAINER_OF(turn, struct task, turn);
	t->runs++;
	/* What a task arms wakes the loop as well. */
	if (t->again-- > 0)
		io_timer_after(t->io, &t->timer, 3);
}

static void turn_tasks_run_once_per_turn_and_what_they_arm_wakes_the_loop(void **state)
{
	struct loop *loop = *state;
	struct task t = {
		.turn.end = task_end, .io = loop_io(loop), .again = 4, .timer.fire = task_timer};

	io_turn_end(t.io, &t.turn);
	io_turn_end(t.io, &t.turn);
	loop_run(loop);
	assert_int_equal(t.runs, 5);
	assert_int_equal(t.timer_runs, 4);
}

static void clocks_move_and_random_numbers_differ(void **state)
{
	struct loop *loop = *state;
	struct io *io = loop_io(loop);
	uint64_t now = io->now_ns;
	int64_t wall = io->wall_ms;

	run_for(loop, 30);
	assert_true(io->now_ns - now >= 30 * NS_PER_MS);
	assert_true(io->wall_ms - wall >= 29 && io->wall_ms - wall < 5000);
	assert_true(wall > 1700000000000);
	assert_true(io_random(io) != io_random(io));
}

/* ---- jobs ----------------------------------------------------------------------------------- */

#define JOBS 500

struct work {
	struct io_job job;
	struct loop *loop;
	int number;
	int *ran, *done; /* counters */
	pthread_t main;
	bool again;
};

static void work_run(struct io_job *job)
{
	struct work *w = CONTAINER_OF(job, struct work, job);

	assert_false(pthread_equal(pthread_self(), w->main));
	/* One lane, one thread: no lock needed. */
	assert_int_equal(*w->ran, w->number);
	(*w->ran)++;
}

static void work_done(struct io_job *job)
{
	struct work *w = CONTAINER_OF(job, struct work, job);

	assert_true(pthread_equal(pthread_self(), w->main));
	assert_int_equal(*w->done, w->number);
	(*w->done)++;
	if (w->again) {
		w->again = false;
		w->number = *w->ran;
		/* The counters go on from where all others have ended. */
		*w->done = w->number;
		assert_int_equal(io_submit(loop_io(w->loop), IO_LANE_FILE, job), 0);
	}
}

static void jobs_of_a_lane_run_and_end_in_order(void **state)
{
	struct loop *loop = *state;
	static struct work works[IO_LANES][JOBS];
	int ran[IO_LANES] = {0}, done[IO_LANES] = {0};

	for (int i = 0; i < JOBS; i++) {
		for (unsigned lane = 0; lane < IO_LANES; lane++) {
			works[lane][i] = (struct work){.job = {.run = work_run, .done = work_done},
				.loop = loop,
				.number = i,
				.ran = &ran[lane],
				.done = &done[lane],
				.main = pthread_self()};
			assert_int_equal(io_submit(loop_io(loop), lane, &works[lane][i].job), 0);
		}
	}
	works[IO_LANE_FILE][JOBS - 1].again = true;
	/* Jobs keep the loop alive; it ends with the last. */
	loop_run(loop);
	assert_int_equal(done[IO_LANE_COMMIT], JOBS);
	assert_int_equal(done[IO_LANE_FILE], JOBS + 1);
}

static void slow_run(struct io_job *job)
{
	(void)job;
	usleep(100000);
}

static void slow_done(struct io_job *job)
{
	struct work *w = CONTAINER_OF(job, struct work, job);
	(*w->done)++;
}

static void a_job_that_blocks_does_not_stop_timers_or_the_other_lane(void **state)
{
	struct loop *loop = *state;
	int slow = 0, quick = 0, ran = 0;
	struct work a = {.job = {.run = slow_run, .done = slow_done}, .done = &slow};
	struct work b = {.job = {.run = work_run, .done = work_done},
		.ran = &ran,
		.done = &quick,
		.main = pthread_self()};

	assert_int_equal(loop_start_lanes(loop), 0);
	io_submit(loop_io(loop), IO_LANE_COMMIT, &a.job);
	io_submit(loop_io(loop), IO_LANE_FILE, &b.job);
	run_for(loop, 40);
	assert_int_equal(quick, 1);
	assert_int_equal(slow, 0);
	loop_run(loop);
	assert_int_equal(slow, 1);
}

/* ---- channels ------------------------------------------------------------------------------- */

struct end {
	struct loop *loop;
	struct io_channel *channel;
	int messages, writable, closed;
	size_t last_n;
	char last[IO_CHANNEL_BYTES];
	int fds[IO_CHANNEL_FDS];
	size_t fd_count;
	int expect_number;
};

static void end_message(void *owner, struct span bytes, const int *fds, size_t fd_count)
{
	struct end *e = owner;

	e->messages++;
	e->last_n = bytes.n;
	memcpy(e->last, bytes.p, bytes.n);
	e->fd_count = fd_count;
	for (size_t i = 0; i < fd_count; i++)
		e->fds[i] = fds[i];
	if (e->expect_number >= 0) {
		int number;
		memcpy(&number, bytes.p, sizeof(number));
		assert_int_equal(number, e->expect_number++);
	}
}

static void end_writable(void *owner)
{
	struct end *e = owner;
	e->writable++;
}

static void end_closed(void *owner)
{
	struct end *e = owner;
	e->closed++;
	io_channel_close(&e->channel);
}

static const struct io_channel_handler end_handler = {end_message, end_writable, end_closed};

static void pair(struct loop *loop, struct end *a, struct end *b)
{
	int fds[2];

	assert_int_equal(loop_channel_pair(fds), 0);
	*a = (struct end){.loop = loop, .expect_number = -1};
	*b = (struct end){.loop = loop, .expect_number = -1};
	assert_int_equal(loop_channel(loop, fds[0], &end_handler, a, &a->channel), 0);
	assert_int_equal(loop_channel(loop, fds[1], &end_handler, b, &b->channel), 0);
}

static void a_channel_carries_datagrams_and_descriptors(void **state)
{
	static struct end a, b;
	int pipe_fds[2];
	char c;

	pair(*state, &a, &b);
	assert_int_equal(pipe(pipe_fds), 0);
	const int given[] = {pipe_fds[0], pipe_fds[1], pipe_fds[0], pipe_fds[1]};
	assert_int_equal(io_channel_send(a.channel, SPAN("hello"), given, 4), 0);
	run_for(*state, 10);
	assert_int_equal(b.messages, 1);
	assert_int_equal(b.fd_count, 4);
	assert_memory_equal(b.last, "hello", 5);
	assert_int_equal(write(b.fds[1], "!", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	for (size_t i = 0; i < 4; i++) {
		assert_true(fcntl(b.fds[i], F_GETFD) & FD_CLOEXEC);
		close(b.fds[i]);
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	/* The longest. */
	static char big[IO_CHANNEL_BYTES];
	memset(big, 'x', sizeof(big));
	assert_int_equal(io_channel_send(b.channel, span_of(big, sizeof(big)), NULL, 0), 0);
	run_for(*state, 10);
	assert_int_equal(a.messages, 1);
	assert_int_equal(a.last_n, sizeof(big));
	assert_memory_equal(a.last, big, sizeof(big));
	io_channel_close(&a.channel);
	run_for(*state, 10);
	assert_int_equal(b.closed, 1);
	assert_null(b.channel);
}

static void a_full_channel_says_again_and_then_writable(void **state)
{
	static struct end a, b;
	static char datagram[30000];
	int number = 0, err;

	pair(*state, &a, &b);
	b.expect_number = 0;
	for (;; number++) {
		memcpy(datagram, &number, sizeof(number));
		err = io_channel_send(a.channel, span_of(datagram, sizeof(datagram)), NULL, 0);
		if (err)
			break;
	}
	assert_int_equal(err, ERR_AGAIN);
	assert_true(number > 1);
	assert_int_equal(a.writable, 0);
	run_for(*state, 50);
	assert_int_equal(b.messages, number);
	assert_int_equal(a.writable, 1);
	assert_int_equal(
		io_channel_send(a.channel, span_of(datagram, sizeof(datagram)), NULL, 0), 0);
	run_for(*state, 10);
	assert_int_equal(b.messages, number + 1);
	io_channel_close(&a.channel);
	io_channel_close(&b.channel);
}

static void what_was_sent_before_the_end_still_arrives(void **state)
{
	static struct end a, b;

	pair(*state, &a, &b);
	b.expect_number = 0;
	/* b has sent something that a never reads: its end sees a reset. */
	assert_int_equal(io_channel_send(b.channel, SPAN("unread"), NULL, 0), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(io_channel_send(a.channel, span_of(&i, sizeof(i)), NULL, 0), 0);
	io_channel_close(&a.channel);
	run_for(*state, 50);
	assert_int_equal(b.messages, 20);
	assert_int_equal(b.closed, 1);
}

static void a_datagram_that_is_too_long_ends_the_channel(void **state)
{
	static struct end e;
	static char big[IO_CHANNEL_BYTES + 1];
	int fds[2], on = 1 << 20;

	e = (struct end){.loop = *state, .expect_number = -1};
	assert_int_equal(loop_channel_pair(fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &on, sizeof(on));
	assert_int_equal(loop_channel(*state, fds[0], &end_handler, &e, &e.channel), 0);
	assert_int_equal(send(fds[1], big, sizeof(big), 0), sizeof(big));
	run_for(*state, 20);
	assert_int_equal(e.messages, 0);
	assert_int_equal(e.closed, 1);
	close(fds[1]);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void caught(void *arg, int number)
{
	struct stopper *s = arg;
	assert_int_equal(number, SIGHUP);
	loop_stop(s->loop);
}

static void signals_come_from_the_loop(void **state)
{
	struct stopper s = {.loop = *state};
	struct loop_signal *hup;

	assert_int_equal(loop_signal(*state, SIGHUP, caught, &s, &hup), 0);
	raise(SIGHUP);
	assert_true(run_for(*state, 2000));
	loop_signal_close(&hup);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_order_and_never_early),
		TEST(a_stopped_timer_does_not_hold_the_loop),
		TEST(turn_tasks_run_once_per_turn_and_what_they_arm_wakes_the_loop),
		TEST(clocks_move_and_random_numbers_differ),
		TEST(jobs_of_a_lane_run_and_end_in_order),
		TEST(a_job_that_blocks_does_not_stop_timers_or_the_other_lane),
		TEST(a_channel_carries_datagrams_and_descriptors),
		TEST(a_full_channel_says_again_and_then_writable),
		TEST(what_was_sent_before_the_end_still_arrives),
		TEST(a_datagram_that_is_too_long_ends_the_channel),
		TEST(signals_come_from_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
