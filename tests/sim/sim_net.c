#include "sim_net_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define CONNECT_RETRY (50 * NS_PER_MS) /* while nobody accepts */

struct sim_net *sim_net_new(struct sim *sim)
{
	struct sim_net *net = calloc(1, sizeof(*net));

	CHECK(net);
	net->sim = sim;
	net->ports = 1024;
	return net;
}

void sim_net_set_weather(struct sim_net *net, const struct sim_net_weather *weather)
{
	net->weather = *weather;
}

/* ---- who listens ---------------------------------------------------------------------------- */

static struct listener *listener_at(struct sim_net *net, const struct netaddr *address)
{
	for (size_t i = 0; i < net->listener_count; i++)
		if (netaddr_same_ip(&net->listeners[i].address, address) &&
			net->listeners[i].address.port == address->port)
			return &net->listeners[i];
	return NULL;
}

static struct listener *listener_get(struct sim_net *net, const struct netaddr *address)
{
	struct listener *l = listener_at(net, address);

	if (!l) {
		CHECK(net->listener_count < NET_LISTENERS);
		l = &net->listeners[net->listener_count++];
		*l = (struct listener){.address = *address};
	}
	return l;
}

void sim_net_listen(
	struct sim_net *net, const struct netaddr *address, sim_accept *accept, void *owner)
{
	struct listener *l = listener_get(net, address);

	l->accept = accept;
	l->owner = owner;
}

void sim_net_set_lost(struct sim_net *net, const struct netaddr *address, bool lost)
{
	listener_get(net, address)->lost = lost;
}

/* ---- connections ---------------------------------------------------------------------------- */

static struct sim_end *end_new(
	struct sim_net *net, const struct netaddr *local, const struct netaddr *peer)
{
	struct sim_end *end = calloc(1, sizeof(*end));

	CHECK(end);
	end->net = net;
	end->local = *local;
	end->peer = *peer;
	return end;
}

static void end_fail(struct sim_end *end, int err)
{
	end->calls->connected(end->owner, err);
}

static void try_accept(struct timer *timer)
{
	struct sim_end *end = CONTAINER_OF(timer, struct sim_end, timer);
	struct sim_net *net = end->net;
	struct listener *l = listener_at(net, &end->peer);

	if (l && l->lost)
		return; /* it is for the caller to lose patience */
	if (!l || !l->accept) {
		end_fail(end, ERR_REFUSED);
		return;
	}
	struct sim_end *other = end_new(net, &end->peer, &end->local);

	other->opened_ns = end->opened_ns;
	uint64_t latency = sim_skewed(net->sim, 40 * NS_PER_MS);
	unsigned style = (unsigned)sim_below(net->sim, 4);

	other->out = sim_pipe_new(net, &net->weather, latency, style);
	other->in = sim_pipe_new(net, &net->weather, latency, style);
	struct sim_pipe *in = other->in, *out = other->out;

	if (!l->accept(l->owner, other, &end->local)) {
		free(in);
		free(out);
		free(other);
		sim_arm(net->sim, &end->timer, CONNECT_RETRY);
		return;
	}
	/* It may be closed already, but what was written to it is on its way. */
	end->in = out;
	end->out = in;
	out->to = end;
	in->from = end;
	end->connecting = false;
	end->calls->connected(end->owner, 0);
}

struct sim_end *sim_net_connect(struct sim_net *net, const struct netaddr *from,
	const struct netaddr *to, const struct sim_end_calls *calls, void *owner)
{
	struct sim_end *end = end_new(net, from, to);

	end->local.port = net->ports++;
	if (net->ports < 1024)
		net->ports = 1024;
	end->calls = calls;
	end->owner = owner;
	end->connecting = true;
	end->opened_ns = net->sim->now_ns;
	end->timer.fire = try_accept;
	sim_arm(net->sim, &end->timer, sim_skewed(net->sim, 80 * NS_PER_MS));
	return end;
}

void sim_end_adopt(struct sim_end *end, const struct sim_end_calls *calls, void *owner)
{
	end->calls = calls;
	end->owner = owner;
	end->out->from = end;
	end->in->to = end;
}

int64_t sim_end_write(struct sim_end *end, const void *bytes, size_t n)
{
	struct sim_pipe *p = end->out;

	if (!p || p->reset_in || end->in->reset_in)
		return ERR_CLOSED;
	CHECK(!p->fin);
	size_t room = p->wire_most > p->wire.n ? p->wire_most - p->wire.n : 0;

	if (n > room)
		p->blocked = true;
	n = MIN(n, room);
	if (!n)
		return 0;
	buf_add(&p->wire, bytes, n);
	p->written += n;
	p->written_ns = p->sim->now_ns;
	if (!timer_armed(&p->timer))
		sim_arm(p->sim, &p->timer, p->latency_ns);
	return (int64_t)n;
}

int64_t sim_end_read(struct sim_end *end, void *to, size_t n)
{
	struct sim_pipe *p = end->in;

	if (!p || p->reset_in)
		return ERR_CLOSED;
	if (!p->in.n)
		return p->fin_in ? ERR_MORE : 0;
	n = MIN(n, p->in.n);
	memcpy(to, p->in.p, n);
	sim_note_bytes(p->sim, to, n);
	buf_drop(&p->in, n);
	p->read += n;
	for (struct sim_mark *mark = p->marks; mark; mark = mark->next)
		if (!mark->seen_ns && p->read >= mark->at)
			mark->seen_ns = p->sim->now_ns;
	if (p->wire.n || (p->fin && !p->fin_in))
		sim_pipe_wake(p, p->latency_ns);
	return (int64_t)n;
}

bool sim_end_has_input(const struct sim_end *end)
{
	const struct sim_pipe *p = end->in;

	return p && (p->reset_in || p->in.n || p->fin_in);
}

size_t sim_end_waiting(const struct sim_end *end)
{
	return end->in && !end->in->reset_in ? end->in->in.n : 0;
}

void sim_end_shutdown(struct sim_end *end)
{
	struct sim_pipe *p = end->out;

	if (!p || p->fin)
		return;
	p->fin = true;
	if (!p->wire.n)
		sim_pipe_wake(p, p->latency_ns);
}

static void end_free(struct sim_end *end)
{
	timers_disarm(&end->net->sim->events, &end->timer);
	if (end->out && end->out->from == end)
		end->out->from = NULL;
	if (end->in && end->in->to == end)
		end->in->to = NULL;
	free(end);
}

void sim_end_close(struct sim_end **at)
{
	struct sim_end *end = *at;

	if (!end)
		return;
	if (end->in && end->in->in.n) {
		sim_end_reset(at);
		return;
	}
	*at = NULL;
	sim_end_shutdown(end);
	end_free(end);
}

void sim_end_reset(struct sim_end **at)
{
	struct sim_end *end = *at;

	*at = NULL;
	if (!end)
		return;
	if (end->out)
		sim_pipe_reset_both(end);
	end_free(end);
}

static void late_reset(void *arg)
{
	struct sim_pipe *p = arg;

	if (p->to && !p->reset_in) {
		struct sim_end *end = p->to;

		sim_pipe_break_off(end->out);
		sim_pipe_break_off(end->in);
	}
}

void sim_end_vanish(struct sim_end **at)
{
	struct sim_end *end = *at;

	*at = NULL;
	if (!end)
		return;
	if (end->out) {
		struct sim_pipe *out = end->out, *in = end->in;

		buf_clear(&out->wire);
		out->silent_at = 0;
		in->silent_at = 0;
		sim_later(end->net->sim, sim_between(end->net->sim, NS_PER_S, 10 * SIM_MINUTE),
			late_reset, out);
	}
	end_free(end);
}

/* ---- what the judge asks -------------------------------------------------------------------- */

uint64_t sim_end_opened_ns(const struct sim_end *end)
{
	return end->opened_ns;
}

uint64_t sim_end_sent_ns(const struct sim_end *end)
{
	return end->in ? end->in->written_ns : 0;
}

const struct sim_mark *sim_end_mark(struct sim_end *end, size_t ahead)
{
	struct sim_mark *mark = calloc(1, sizeof(*mark));

	CHECK(mark);
	if (!end->out)
		return mark;
	mark->at = end->out->written + ahead;
	mark->next = end->out->marks;
	end->out->marks = mark;
	return mark;
}

void sim_end_names(const struct sim_end *end, struct netaddr *local, struct netaddr *peer)
{
	if (local)
		*local = end->local;
	if (peer)
		*peer = end->peer;
}
