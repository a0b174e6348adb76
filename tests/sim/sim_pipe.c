#include "sim_net_inner.h"

#include "base/check.h"

#include <stdlib.h>

void sim_pipe_wake(struct sim_pipe *p, uint64_t after)
{
	if (!timer_armed(&p->timer))
		sim_arm(p->sim, &p->timer, after);
}

void sim_pipe_tell_reader(struct sim_pipe *p)
{
	if (p->to && !timer_armed(&p->tell_to))
		sim_arm(p->sim, &p->tell_to, sim_below(p->sim, 20 * SIM_US));
}

static void tell_to_fired(struct timer *timer)
{
	struct sim_pipe *p = CONTAINER_OF(timer, struct sim_pipe, tell_to);

	if (p->to && p->to->calls && !p->to->connecting)
		p->to->calls->readable(p->to->owner);
}

static void tell_from_fired(struct timer *timer)
{
	struct sim_pipe *p = CONTAINER_OF(timer, struct sim_pipe, tell_from);

	if (p->from && p->from->calls && !p->from->connecting)
		p->from->calls->writable(p->from->owner);
}

static size_t segment(struct sim_pipe *p, size_t most)
{
	size_t n = most;

	switch (p->style) {
	case 0: break;
	case 1: n = 1 + sim_below(p->sim, 1460); break;
	case 2: n = 1 + sim_skewed(p->sim, 4096); break;
	default: n = 1 + (most < 2000 ? sim_below(p->sim, 3) : sim_below(p->sim, most));
	}
	return MIN(most, n);
}

/* Both sides hear of a reset; what is on its way is lost. */
void sim_pipe_reset_both(struct sim_end *end)
{
	sim_pipe_break_off(end->out);
	sim_pipe_break_off(end->in);
}

void sim_pipe_break_off(struct sim_pipe *p)
{
	buf_clear(&p->wire);
	p->reset_in = true;
	timers_disarm(&p->sim->events, &p->timer);
	sim_pipe_tell_reader(p);
}

static bool weather_strikes(struct sim_pipe *p)
{
	if (p->arrived >= p->silent_at)
		return true; /* nothing ever arrives again */
	if (p->arrived >= p->stall_at) {
		p->stall_at = UINT64_MAX;
		sim_fault(p->sim, FAULT_STALL);
		sim_pipe_wake(p, sim_chance(p->sim, 300)
					 ? sim_between(p->sim, SIM_MINUTE, 20 * SIM_MINUTE)
					 : sim_skewed(p->sim, 90 * NS_PER_S));
		return true;
	}
	if (p->arrived >= p->reset_at) {
		p->reset_at = UINT64_MAX;
		sim_fault(p->sim, FAULT_RESET);
		if (p->to)
			sim_pipe_reset_both(p->to);
		else if (p->from)
			sim_pipe_reset_both(p->from);
		return true;
	}
	return false;
}

static void arrives(struct timer *timer)
{
	struct sim_pipe *p = CONTAINER_OF(timer, struct sim_pipe, timer);

	if (p->reset_in || weather_strikes(p))
		return;
	if (p->wire.n) {
		size_t room = p->in_most > p->in.n ? p->in_most - p->in.n : 0;
		size_t n = MIN(segment(p, p->wire.n), p->to ? room : p->wire.n);

		if (!n)
			return; /* the reader's next read goes on */
		if (p->to)
			buf_add(&p->in, p->wire.p, n);
		sim_note(p->sim, n);
		buf_drop(&p->wire, n);
		p->arrived += n;
		if (p->to)
			sim_pipe_tell_reader(p);
		else if (p->from)
			sim_pipe_reset_both(p->from); /* nobody is there: the other host says so */
		if (p->blocked && p->from) {
			p->blocked = false;
			if (!timer_armed(&p->tell_from))
				sim_arm(p->sim, &p->tell_from, sim_below(p->sim, 50 * SIM_US));
		}
	}
	if (p->wire.n)
		sim_pipe_wake(p, p->style == 0 ? 1 : sim_below(p->sim, 1 + p->latency_ns / 4));
	else if (p->fin && !p->fin_in) {
		p->fin_in = true;
		sim_pipe_tell_reader(p);
	}
}

struct sim_pipe *sim_pipe_new(
	struct sim_net *net, const struct sim_net_weather *w, uint64_t latency, unsigned style)
{
	struct sim *sim = net->sim;
	struct sim_pipe *p = calloc(1, sizeof(*p));

	CHECK(p);
	*p = (struct sim_pipe){
		.sim = sim,
		.wire_most = 512u << sim_below(sim, 9),
		.in_most = 512u << sim_below(sim, 9),
		.latency_ns = latency,
		.style = style,
		.stall_at = UINT64_MAX,
		.reset_at = UINT64_MAX,
		.silent_at = UINT64_MAX,
		.timer.fire = arrives,
		.tell_to.fire = tell_to_fired,
		.tell_from.fire = tell_from_fired,
	};
	buf_init(&p->wire, PIPE_BYTES);
	buf_init(&p->in, PIPE_BYTES);
	if (sim->calm)
		return p;
	if (sim_chance(sim, w->stall))
		p->stall_at = sim_skewed(sim, 65536);
	if (sim_chance(sim, w->reset))
		p->reset_at = sim_skewed(sim, 65536);
	if (sim_chance(sim, w->silent))
		p->silent_at = sim_skewed(sim, 65536);
	return p;
}
