#include "sim_io.h"

#include "base/check.h"
#include "base/err.h"
#include "sim_channel.h"

#include <stdlib.h>

#define TURN_MOST (60 * SIM_US) /* events so close together share a turn of the loop */

static void wake_fired(struct timer *timer);
static void turn_fired(struct timer *timer);
static void lane_fired(struct timer *timer);
static void done_fired(struct timer *timer);

/* ---- life ----------------------------------------------------------------------------------- */

struct sim_process *process_new(
	struct sim *sim, struct sim_net *net, const char *name, const struct netaddr *address)
{
	struct sim_process *p = calloc(1, sizeof(*p));

	CHECK(p);
	io_init(&p->io, &sim_io_ops);
	p->sim = sim;
	p->net = net;
	p->name = name;
	p->address = *address;
	p->slow = (unsigned)sim_below(sim, 14);
	p->wake.fire = wake_fired;
	p->turn.fire = turn_fired;
	list_init(&p->conns);
	list_init(&p->channels);
	p->io.now_ns = sim->now_ns;
	p->io.wall_ms = sim_wall_ms(sim);
	for (size_t i = 0; i < IO_LANES; i++) {
		struct sim_lane *lane = &p->lanes[i];

		lane->process = p;
		lane->last = &lane->first;
		lane->done_last = &lane->done;
		lane->timer.fire = lane_fired;
		lane->done_timer.fire = done_fired;
	}
	return p;
}

/* Once per death, when nothing of the process is on the stack any more. */
static void bury(struct sim_process *p)
{
	struct timers *events = &p->sim->events;

	if (p->dead)
		return;
	p->dead = true;
	sim_note(p->sim, 0xdead);
	sim_say(p->sim, "%s died", p->name);
	timers_disarm(events, &p->wake);
	timers_disarm(events, &p->turn);
	for (size_t i = 0; i < IO_LANES; i++) {
		timers_disarm(events, &p->lanes[i].timer);
		timers_disarm(events, &p->lanes[i].done_timer);
		sim_fiber_free(&p->lanes[i].fiber);
	}
	if (p->died)
		sim_later(p->sim, 0, p->died, p->owner);
}

void process_kill(struct sim_process *p)
{
	p->killed = true;
	if (p->lane)
		sim_fiber_stop(p->lane->fiber); /* for good */
	else if (p->inside)
		longjmp(p->escape, 1);
	else
		bury(p);
}

static void settle(struct sim_process *p)
{
	uint64_t next = timers_next(&p->io.timers);
	struct timers *events = &p->sim->events;

	if (p->io.turns && !timer_armed(&p->turn))
		sim_arm(p->sim, &p->turn, sim_below(p->sim, TURN_MOST));
	if (next == TIMERS_NEVER)
		timers_disarm(events, &p->wake);
	else if (!timer_armed(&p->wake) || p->wake.at_ns != MAX(next, p->sim->now_ns))
		sim_arm(p->sim, &p->wake, next > p->sim->now_ns ? next - p->sim->now_ns : 0);
}

bool process_enter(struct sim_process *p, void (*run)(void *arg), void *arg)
{
	if (p->dead)
		return false;
	CHECK(!p->inside);
	p->io.now_ns = p->sim->now_ns;
	p->io.wall_ms = sim_wall_ms(p->sim);
	p->inside = true;
	if (setjmp(p->escape) == 0)
		run(arg);
	p->inside = false;
	if (p->killed) {
		bury(p);
		return false;
	}
	settle(p);
	return true;
}

/* ---- time ----------------------------------------------------------------------------------- */

static void run_timers(void *arg)
{
	struct sim_process *p = arg;

	timers_run(&p->io.timers, p->io.now_ns);
}

static void wake_fired(struct timer *timer)
{
	struct sim_process *p = CONTAINER_OF(timer, struct sim_process, wake);

	process_enter(p, run_timers, p);
}

static void run_turns(void *arg)
{
	io_turns_run(arg);
}

static void turn_fired(struct timer *timer)
{
	struct sim_process *p = CONTAINER_OF(timer, struct sim_process, turn);

	process_enter(p, run_turns, &p->io);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static uint64_t disk_time(struct sim_process *p)
{
	return sim_skewed(p->sim, SIM_US << p->slow);
}

void process_disk_pause(struct sim_process *p)
{
	struct sim_lane *lane = p->lane;

	if (!lane || sim_chance(p->sim, 400))
		return;
	sim_arm(p->sim, &lane->timer, disk_time(p));
	p->lane = NULL;
	sim_fiber_stop(lane->fiber);
}

static void run_job(void *arg)
{
	struct io_job *job = arg;

	job->run(job);
}

static void lane_start(struct sim_lane *lane)
{
	if (lane->running || !lane->first)
		return;
	lane->running = lane->first;
	lane->first = lane->running->next;
	if (!lane->first)
		lane->last = &lane->first;
	lane->fiber = sim_fiber_new(run_job, lane->running);
	sim_arm(lane->process->sim, &lane->timer, disk_time(lane->process));
}

static void lane_fired(struct timer *timer)
{
	struct sim_lane *lane = CONTAINER_OF(timer, struct sim_lane, timer);
	struct sim_process *p = lane->process;

	p->lane = lane;
	bool ended = sim_fiber_resume(lane->fiber);
	p->lane = NULL;
	if (p->killed) {
		bury(p);
		return;
	}
	if (!ended)
		return;
	sim_fiber_free(&lane->fiber);
	lane->running->next = NULL;
	*lane->done_last = lane->running;
	lane->done_last = &lane->running->next;
	lane->running = NULL;
	if (!timer_armed(&lane->done_timer))
		sim_arm(p->sim, &lane->done_timer, sim_skewed(p->sim, NS_PER_MS));
	lane_start(lane);
}

static void run_done(void *arg)
{
	struct sim_lane *lane = arg;
	struct io_job *job = lane->done;

	lane->done = NULL;
	lane->done_last = &lane->done;
	while (job) {
		struct io_job *next = job->next;

		job->done(job);
		job = next;
	}
}

static void done_fired(struct timer *timer)
{
	struct sim_lane *lane = CONTAINER_OF(timer, struct sim_lane, done_timer);

	process_enter(lane->process, run_done, lane);
}

static int submit(struct io *io, enum io_lane which, struct io_job *job)
{
	struct sim_process *p = (struct sim_process *)(void *)io;
	struct sim_lane *lane = &p->lanes[which];

	job->next = NULL;
	*lane->last = job;
	lane->last = &job->next;
	lane_start(lane);
	return 0;
}

static uint64_t random_u64(struct io *io)
{
	return prng_u64(&((struct sim_process *)(void *)io)->sim->prng);
}

const struct io_ops sim_io_ops = {
	.connect = sim_conn_connect,
	.send = sim_conn_send,
	.send_file = sim_conn_send_file,
	.unsent = sim_conn_unsent,
	.arrived = sim_conn_arrived,
	.secure = sim_conn_secure,
	.tls = sim_conn_info,
	.pause = sim_conn_pause,
	.resume = sim_conn_resume,
	.close = sim_conn_close,
	.ends = sim_conn_ends,
	.submit = submit,
	.channel_send = sim_channel_send,
	.channel_close = sim_channel_close,
	.random = random_u64,
};
